//! The commands, a file each. They print to standard output; what went wrong goes to standard error.

pub mod check;
pub mod config;
pub mod doctor;
pub mod run_once;
pub mod serve;

use std::io::Write;
use std::process::ExitCode;

use crate::cli::{Cli, Command, NOT_YET};

/// Likeness (Jaro-Winkler) from which on a misspelt word is taken for a known one.
const LIKE_ENOUGH: f64 = 0.7;

/// Exit status for wrong usage, also of a configuration that does not hold.
pub const USAGE: u8 = 2;

/// Runs a command to its end.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Serve(args) => block_on(serve::run(args)),
        Command::Check(args) => block_on(check::run(args)).map_err(Failure::inconclusive),
        Command::RunOnce(args) => block_on(run_once::run(args)),
        Command::Config { command } => block_on(config::run(command)),
        Command::Doctor(args) => block_on(doctor::run(args)),
        Command::Completions { shell } => completions(shell),
        Command::Other(words) => Err(unknown(&words)),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}

/// Why a command ended early: the sentence, and the exit status.
#[derive(Debug)]
pub struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    /// The caller's mistake: exit status 2.
    #[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err as it is")]
    pub fn usage(text: impl ToString) -> Failure {
        Failure { text: text.to_string(), status: USAGE }
    }

    /// Of `check`, whose status 1 says that the target is down: what kept us from looking says nothing of the target.
    fn inconclusive(self) -> Failure {
        match self.status {
            USAGE => self,
            _ => Failure { status: check::INCONCLUSIVE, ..self },
        }
    }

    fn report(&self) -> ExitCode {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(std::io::stderr(), "watchpost: {}", self.text);
        ExitCode::from(self.status)
    }
}

/// Anything else that went wrong: exit status 1, with its causes.
impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Failure {
        Failure { text: format!("{e:#}"), status: 1 }
    }
}

/// What a command comes to.
pub type Outcome = Result<ExitCode, Failure>;

fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::from(anyhow::Error::new(e).context("cannot start")))?;
    let outcome = runtime.block_on(command);
    // A name lookup in the system's resolver cannot be cancelled; it must not hold the exit.
    runtime.shutdown_background();
    outcome
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "watchpost", &mut script);
    print(&String::from_utf8_lossy(&script))
}

fn unknown(words: &[String]) -> Failure {
    let word = words.first().map_or("", String::as_str);
    if NOT_YET.contains(&word) {
        return Failure::usage(format!("`{word}` is not supported yet in this version"));
    }
    let nearest = ["serve", "check", "run-once", "config", "doctor", "completions"]
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > LIKE_ENOUGH);
    let hint = nearest.map(|(_, known)| format!("did you mean `{known}`? ")).unwrap_or_default();
    Failure::usage(format!("there is no command `{word}`; {hint}see watchpost --help"))
}

/// `1 monitor`, `2 monitors`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Prints to standard output. A reader that went away (`| head`) is no error.
pub fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) => Err(Failure::from(anyhow::Error::new(e).context("cannot write to standard output"))),
    }
}
