//! The tutorial holds: every command of docs/tutorial.md is typed in order, and what it prints is compared with the page.
//!
//! | on the page | what it means here |
//! |---|---|
//! | a `console` block | lines after `$ ` are typed into one shell; the lines below are what must be printed, all of it |
//! | a `yaml` block that begins with `# NAME` | is written to the file NAME as it stands |
//! | `...` as a line | any lines, or none |
//! | `...` in a line | any text |
//! | times, dates, measured times, numbers of ten digits and more | any; see [`comparable`] |
//! | `<!-- test: until so -->` before a block | it is typed again until the output is as shown, within [`PATIENCE`] |
//! | `<!-- test: second terminal -->` | the block's one command stays in the foreground of another shell |
//! | `<!-- test: ctrl-c in the second terminal -->` | that command is interrupted, prints the block, and exits with 0 |
//!
//! The page's [`PORTS`] become free ports, in commands and files, and become the page's again in what is printed.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, collect, wait_for};

/// The ports of the page.
const PORTS: [u16; 3] = [8000, 8080, 8443];
/// Ports are looked for from here on, which is below those that systems give to outgoing connections.
const PORTS_FROM: u16 = 20_000;
/// Ports that are looked at; tests that run at the same time begin at different ones.
const PORTS_TRIED: u16 = 10_000;
/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Printed by the shell after each command.
const END: char = '\u{1e}';
/// Types lines from its input into one shell, each without an input of its own, and says when each has ended. What is
/// kept from command to command is what an interactive shell keeps: folder, variables, jobs and `$?`.
const SHELL: &str = r#"exec 3<&0 </dev/null 2>&1
while IFS= read -r line <&3; do (exit ${s:-0}); eval "$line" </dev/null 3<&-; s=$?; printf '\036'; done"#;
/// What would make the machine's settings part of the test.
const FOREIGN: [&str; 9] = [
    "BASH_ENV",
    "SITE_PASSWORD",
    "WATCHPOST_CONFIG",
    "WATCHPOST_DATA",
    "WATCHPOST_LOG",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ALL_PROXY",
];
/// JSON keys with measured times.
const MEASURED: [&str; 6] = ["connect", "tls", "ttfb", "transfer", "total", "duration_ms"];
/// Units of measured times, as they are written after a space.
const UNITS: [&str; 4] = ["ms", "s", "d", "h"];
/// A number of so many digits is an id or a time.
const DIGITS_OF_AN_ID: usize = 10;

/// What to do with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Once,
    UntilSo,
    SecondTerminal,
    CtrlC,
}

/// A command and what the page shows below it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    command: String,
    output: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Block {
    File { name: String, text: String },
    Console { how: How, shown: Vec<Shown> },
}

/// The blocks of a page, each with the line where it begins.
fn blocks(page: &str) -> Vec<(usize, Block)> {
    let mut blocks = Vec::new();
    let mut how = How::Once;
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(marker) = line.strip_prefix("<!-- test: ") {
            how = match marker {
                "until so -->" => How::UntilSo,
                "second terminal -->" => How::SecondTerminal,
                "ctrl-c in the second terminal -->" => How::CtrlC,
                _ => panic!("line {number}: unknown marker {line}"),
            };
        }
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let inside: Vec<&str> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
        let block = match language {
            "console" => Block::Console { how, shown: shown(&inside) },
            "yaml" => file(&inside).unwrap_or_else(|| panic!("line {number}: begin it with `# NAME` of the file")),
            _ => panic!("line {number}: a block of `{language}` is not tested"),
        };
        blocks.push((number, block));
        how = How::Once;
    }
    assert_eq!(how, How::Once, "a marker without a block");
    blocks
}

fn file(lines: &[&str]) -> Option<Block> {
    let name = lines.first()?.strip_prefix("# ")?.to_owned();
    Some(Block::File { name, text: lines.join("\n") + "\n" })
}

/// A block that is only output belongs to what was typed before: its command is empty.
fn shown(lines: &[&str]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (None, Some(last)) => last.output.push((*line).to_owned()),
            (None, None) => shown.push(Shown { command: String::new(), output: vec![(*line).to_owned()] }),
        }
    }
    shown
}

/// Whether what was printed is what the page shows, with `...` for anything.
fn as_shown(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "..." => (0..=printed.len()).any(|n| as_shown(rest, &printed[n..])),
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(first, more)| same(line, first) && as_shown(rest, more))
        }
    }
}

fn same(shown: &str, printed: &str) -> bool {
    let (shown, printed) = (comparable(shown), comparable(printed));
    let Some((first, rest)) = shown.split_once("...") else { return shown == printed };
    let Some(mut left) = printed.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split("...").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// A line without what differs from run to run: times and measured times are `#`, runs of spaces are one.
fn comparable(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.trim_end();
    while let Some(next) = rest.chars().next() {
        let inside = |c: char| c.is_ascii_digit() || (next.is_ascii_digit() && ".:-TZ".contains(c));
        let length = rest.find(|c| !inside(c)).unwrap_or(rest.len()).max(next.len_utf8());
        let (token, after) = rest.split_at(length);
        rest = after;
        if next.is_ascii_digit() && varies(token, &out, after) {
            out.push('#');
        } else if next != ' ' || !out.ends_with(' ') {
            out.push_str(token);
        }
    }
    out
}

fn varies(token: &str, before: &str, after: &str) -> bool {
    let date = |text: &str| text.len() == 10 && text.split('-').map(str::len).eq([4, 2, 2]);
    let timed = |unit: &str| {
        let after = after.strip_prefix(' ').and_then(|after| after.strip_prefix(unit));
        after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric()))
    };
    // The table of `run-once` writes no space before the unit.
    after.starts_with("ms  ")
        || date(token)
        || token.split_once('T').is_some_and(|(day, time)| date(day) && time.contains(':'))
        || (token.len() >= DIGITS_OF_AN_ID && token.chars().all(|c| c.is_ascii_digit()))
        || (token.parse::<f64>().is_ok() && UNITS.iter().any(|unit| timed(unit)))
        || MEASURED.iter().any(|key| before.ends_with(&format!("\"{key}\": ")))
}

/// The page's ports, each with the one that is used instead.
fn free_ports() -> Vec<(u16, u16)> {
    let first = u16::try_from(std::process::id() * 7 % u32::from(PORTS_TRIED)).unwrap_or_default();
    let tried = (0..PORTS_TRIED).map(|n| PORTS_FROM + (first + n) % PORTS_TRIED);
    let free = tried.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    PORTS.into_iter().zip(free).collect()
}

/// A text with ports exchanged, where they stand as whole numbers.
fn exchange<'a>(text: &'a str, ports: impl Fn(&'a str) -> Option<u16>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(start);
        let end = from_digit.find(|c: char| !c.is_ascii_digit()).unwrap_or(from_digit.len());
        let (digits, after) = from_digit.split_at(end);
        out.push_str(before);
        match ports(digits) {
            Some(port) => out.push_str(&port.to_string()),
            None => out.push_str(digits),
        }
        rest = after;
    }
    out + rest
}

/// A shell, with all that was started in it. Killed when dropped.
struct Terminal {
    shell: Child,
    input: Option<ChildStdin>,
    printed: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(script: &str, folder: &Path) -> Terminal {
        let binaries = Path::new(env!("CARGO_BIN_EXE_watchpost")).parent().expect("it is in a folder");
        let path = std::env::var("PATH").expect("there is a search path");
        let mut command = Command::new("bash");
        for name in FOREIGN {
            command.env_remove(name);
        }
        let mut shell = command
            .args(["-c", script])
            .env("PATH", format!("{}:{path}", binaries.display()))
            .env("LC_ALL", "C")
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let printed = Arc::default();
        collect(shell.stdout.take().expect("stdout is piped"), Arc::clone(&printed));
        Terminal { input: shell.stdin.take(), shell, printed }
    }

    /// Types a command and returns what was printed until it ended.
    fn enter(&mut self, command: &str) -> String {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{command}").expect("the shell reads");
        wait_for(&format!("the end of `{command}`"), || {
            let mut printed = self.printed.lock().unwrap();
            let output = printed.strip_suffix(END).map(str::to_owned);
            output.inspect(|_| printed.clear())
        })
    }

    /// The folder it is in.
    fn folder(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/cwd", self.shell.id())).expect("the shell runs")
    }

    /// Sends a signal to the shell and all that was started in it; false when nothing of it is left.
    fn signal(&self, signal: &str) -> bool {
        let group = format!("-{}", self.shell.id());
        let sent = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        sent.expect("kill exists").success()
    }

    /// Waits for the shell's end and returns its exit status.
    fn ended(&mut self) -> Option<i32> {
        wait_for("the shell to end", || self.shell.try_wait().expect("it is our child")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signal("-KILL");
        let _ = self.shell.wait();
    }
}

/// Somebody who reads the page and types.
struct Reader {
    ports: Vec<(u16, u16)>,
    terminal: Terminal,
    second: Option<Terminal>,
}

impl Reader {
    fn begins_in(folder: &Path) -> Reader {
        Reader { ports: free_ports(), terminal: Terminal::open(SHELL, folder), second: None }
    }

    fn follow(&mut self, block: &Block) -> Result<(), String> {
        match block {
            Block::File { name, text } => {
                std::fs::write(self.terminal.folder().join(name), self.ours(text)).map_err(|e| e.to_string())
            }
            Block::Console { how: How::Once, shown } => self.types(shown),
            Block::Console { how: How::UntilSo, shown } => self.types_until_so(shown),
            Block::Console { how: How::SecondTerminal, shown } => self.starts(shown),
            Block::Console { how: How::CtrlC, shown } => self.interrupts(shown),
        }
    }

    fn types(&mut self, shown: &[Shown]) -> Result<(), String> {
        for Shown { command, output } in shown {
            let printed = self.terminal.enter(&self.ours(command));
            compare(command, output, &self.pages(&printed))?;
        }
        Ok(())
    }

    fn types_until_so(&mut self, shown: &[Shown]) -> Result<(), String> {
        until_so(|| self.types(shown))
    }

    fn starts(&mut self, shown: &[Shown]) -> Result<(), String> {
        let [Shown { command, output }] = shown else { return Err("a second terminal runs one command".to_owned()) };
        if self.second.is_some() {
            return Err("the second terminal is in use".to_owned());
        }
        let script = format!("exec 2>&1; {}", self.ours(command));
        let second = self.second.insert(Terminal::open(&script, &self.terminal.folder()));
        let printed = Arc::clone(&second.printed);
        until_so(|| compare(command, output, &self.pages(&printed.lock().unwrap())))
    }

    fn interrupts(&mut self, shown: &[Shown]) -> Result<(), String> {
        let mut second = self.second.take().ok_or("nothing runs in the second terminal")?;
        second.printed.lock().unwrap().clear();
        second.signal("-INT");
        let status = second.ended();
        if status != Some(0) {
            return Err(format!("Ctrl-C ended it with {status:?}"));
        }
        let output = shown.first().map_or(&[][..], |shown| &shown.output);
        // What it said last may still be in the pipe.
        until_so(|| compare("Ctrl-C", output, &self.pages(&second.printed.lock().unwrap())))
    }

    /// The page's text with ports that are free.
    fn ours(&self, text: &str) -> String {
        let of = |digits: &str| self.ports.iter().find(|(page, _)| page.to_string() == digits).map(|(_, ours)| *ours);
        exchange(text, of)
    }

    /// A printed text with the page's ports.
    fn pages(&self, text: &str) -> String {
        let of = |digits: &str| self.ports.iter().find(|(_, ours)| ours.to_string() == digits).map(|(page, _)| *page);
        exchange(text, of)
    }
}

/// Looks again and again until it is so, or too late; then it says why not.
fn until_so(mut look: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let outcome = look();
        if outcome.is_ok() || began.elapsed() > PATIENCE {
            return outcome;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn compare(command: &str, shown: &[String], printed: &str) -> Result<(), String> {
    if as_shown(shown, &printed.lines().collect::<Vec<_>>()) {
        return Ok(());
    }
    Err(format!("$ {command}\n-- the page shows:\n{}\n-- it printed:\n{printed}", shown.join("\n")))
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tutorial.md");
    std::fs::read_to_string(path).expect("there is a tutorial")
}

#[test]
fn every_command_of_the_tutorial_prints_what_the_page_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::begins_in(folder.path());
    for (line, block) in blocks(&page()) {
        if let Err(problem) = reader.follow(&block) {
            panic!("docs/tutorial.md:{line}\n{problem}");
        }
    }
    assert!(reader.second.is_none(), "the second terminal is left running");
    reader.terminal.input = None;
    assert_eq!(reader.terminal.ended(), Some(0));
    wait_for("everything that was started to be gone", || (!reader.terminal.signal("-0")).then_some(()));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the tutorial removes what it made");
}

#[test]
fn what_differs_from_run_to_run_is_not_compared_and_all_else_is() {
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    for (same_as, printed) in [
        ("connect      0.43 ms", "connect     12.1 ms"),
        ("valid 2026-11-20T07:16:40.000Z (9 d 23 h left)", "valid 2027-01-02T00:00:00Z (10 d 0 h left)"),
        ("expires (2026-11-30)", "expires (2027-01-02)"),
        ("\"ttfb\": 1587,", "\"ttfb\": 2,"),
        ("ONLINE       2ms  Shop", "ONLINE     118ms  Shop"),
        ("DOWN  ... (refused)", "DOWN  nobody there (refused)"),
    ] {
        assert!(as_shown(&shown(&[same_as]), &[printed]), "{same_as} | {printed}");
    }
    for (other_than, printed) in [
        ("status 404 instead of 200-399", "status 405 instead of 200-399"),
        ("\"line\": 4", "\"line\": 5"),
        ("timeout: 500ms", "timeout: 400ms"),
        ("3 of 3 answered", "2 of 3 answered"),
        ("watchpost.yml:2:36: wrong", "watchpost.yml:2:37: wrong"),
        ("DOWN  ... (refused)", "DOWN  nobody there (timeout)"),
        ("DOWN", "DOWN again"),
    ] {
        assert!(!as_shown(&shown(&[other_than]), &[printed]), "{other_than} | {printed}");
    }
    assert!(as_shown(&shown(&["a", "...", "d"]), &["a", "b", "c", "d"]));
    assert!(as_shown(&shown(&["a", "...", "d"]), &["a", "d"]));
    assert!(!as_shown(&shown(&["a", "...", "d"]), &["a", "b"]));
    assert!(!as_shown(&shown(&["a"]), &["a", "b"]), "what the page does not show may not be printed");
}
