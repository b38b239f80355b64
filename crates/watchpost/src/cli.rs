//! The command line: what can be typed, and its help. [`crate::commands`] does the work.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// Watches services, tells the right people, and posts the truth.
#[derive(Debug, Parser)]
#[command(
    name = "watchpost",
    version,
    about,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        watchpost check https://example.org            check a URL once, with a full trace\n  \
        watchpost config check                         validate the configuration\n  \
        watchpost serve --config watchpost.yml         run\n\n\
        The configuration is searched in: --config, $WATCHPOST_CONFIG, ./watchpost.yml, /etc/watchpost/watchpost.yml."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A path; clap's own parser refuses a variable that is set and empty, which counts as not set.
fn maybe_empty_path() -> impl TypedValueParser<Value = PathBuf> {
    clap::builder::OsStringValueParser::new().map(PathBuf::from)
}

/// An address and a port; of names only `localhost`, which means 127.0.0.1.
fn listen_address(text: &str) -> Result<std::net::SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "expected an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// Where the configuration is.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file, or a folder whose files are merged.
    #[arg(long, short, env = "WATCHPOST_CONFIG", value_name = "FILE", value_parser = maybe_empty_path())]
    pub config: Option<PathBuf>,
}

/// Where the data is.
#[derive(Clone, Debug, Default, Args)]
pub struct DataArgs {
    /// Data folder; default `data` beside the configuration file.
    #[arg(long, env = "WATCHPOST_DATA", value_name = "DIR", value_parser = maybe_empty_path())]
    pub data: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run: check on schedule, record, show.
    #[command(after_help = "Examples:\n  watchpost serve\n  \
        watchpost serve --config /etc/watchpost --data /var/lib/watchpost --listen 127.0.0.1:9090\n\n\
        SIGHUP or a changed file reloads the configuration; one that does not hold changes nothing.\n\
        SIGTERM and SIGINT drain and exit 0. There are no accounts yet: listen on loopback.\n\
        Exit status: 2 when the configuration does not hold, 1 when it cannot run.")]
    Serve(ServeArgs),
    /// Check a monitor or a URL once, and show all that was seen.
    #[command(after_help = "Examples:\n  watchpost check https://example.org\n  watchpost check tcp://db.lan:5432\n  \
        watchpost check icmp://192.168.1.1\n  watchpost check dns://example.org\n  watchpost check plex --json\n\n\
        Needs no server and writes nothing. A URL is checked with the configuration's defaults.\n\
        URLs: https://..., http://..., tcp://host:port, tls://host:port, udp://host:port, icmp://host, dns://name.\n\
        Exit status: 0 up or degraded, 1 down, 2 wrong usage, 3 inconclusive (we could not tell).")]
    Check(CheckArgs),
    /// Check every active monitor once and record the results; for cron.
    #[command(after_help = "Example, for a crontab:\n  \
        */5 * * * * watchpost run-once --config /etc/watchpost/watchpost.yml --data /var/lib/watchpost\n\n\
        Prints a line per monitor: ONLINE, OFFLINE or UNKNOWN, the time taken or a dash, the name, and why.\n\
        Where a server runs on the data folder, it is asked to check.\n\
        Exit status: 0, also when services are down; 1 when results could not be recorded; 2 wrong usage.")]
    RunOnce(RunOnceArgs),
    /// Validate the configuration, or show what it says and what it would change.
    #[command(after_help = "Examples:\n  watchpost config check --config /etc/watchpost/watchpost.yml\n  \
        watchpost config plan                          what would a reload change?\n  \
        watchpost config schema > watchpost.schema.json")]
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Find out what on this machine would keep Watchpost from working, and the fix.
    #[command(
        after_help = "Looks at configuration, disk, database, certificates, clock, ICMP, DNS and file handles.\n\
        Run it as the account that runs the server. Exit status: 1 when something is bad, 0 also with warnings."
    )]
    Doctor(DoctorArgs),
    /// Print the completion script of a shell.
    #[command(after_help = "Example:\n  watchpost completions bash > /etc/bash_completion.d/watchpost")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// A command of a later version.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Commands that are named in the documentation and come with later versions.
pub const NOT_YET: [&str; 11] =
    ["import", "export", "explain", "report", "backup", "restore", "history", "user", "token", "notion", "migrate"];

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Address to listen on instead of the configured ones, such as 127.0.0.1:9090, [::1]:9090 or localhost:9090; may be
    /// given more than once.
    #[arg(long, value_name = "IP:PORT", value_parser = listen_address)]
    pub listen: Vec<std::net::SocketAddr>,
    /// Comma-separated parts to run. This version has all in one process.
    #[arg(long, value_name = "ROLES", default_value = "core,web,agent")]
    pub roles: String,
    /// Name of the region that checks run in. This version knows only `local`.
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub region: String,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Id of a monitor, or a URL.
    #[arg(value_name = "ID|URL")]
    pub target: String,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `run-once`.
#[derive(Debug, Args)]
pub struct RunOnceArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Validate it: every problem with file, line and column; exit status 2 when there is one.
    Check(ConfigOnly),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Show what applying it would change, compared with what the data folder says was applied last.
    Plan(PlanArgs),
    /// Print the effective configuration: merged, substituted, defaults filled in, secrets masked.
    Show(ConfigOnly),
}

/// Options of `config check` and `config show`.
#[derive(Debug, Args)]
pub struct ConfigOnly {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `config plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// The command line as clap sees it: for help pages, completions and the generated reference.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
