//! The command line: what can be typed, and its help. [`crate::commands`] does the work.

use std::path::PathBuf;

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

/// Where the configuration is.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file, or a folder whose files are merged.
    #[arg(long, short, env = "WATCHPOST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where the data is.
#[derive(Clone, Debug, Default, Args)]
pub struct DataArgs {
    /// Data folder; default `data` beside the configuration file.
    #[arg(long, env = "WATCHPOST_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run: check, record, show. SIGHUP or a changed file reloads; SIGTERM drains and exits 0.
    #[command(after_help = "Examples:\n  watchpost serve\n  \
        watchpost serve --config /etc/watchpost --data /var/lib/watchpost --listen 127.0.0.1:9090")]
    Serve(ServeArgs),
    /// Check one monitor of the configuration, or a URL, once, and show everything that was seen.
    #[command(after_help = "Examples:\n  watchpost check https://example.org\n  watchpost check tcp://db.lan:5432\n  \
        watchpost check icmp://192.168.1.1\n  watchpost check dns://example.org\n  watchpost check plex --json\n\n\
        Needs no server and writes nothing. Schemes: https, http, tcp, tls, udp, icmp, dns.\n\
        Exit status: 0 up or degraded, 1 down, 2 wrong usage, 3 inconclusive (we could not tell).")]
    Check(CheckArgs),
    /// Check every active monitor once and record the results; for cron.
    #[command(after_help = "Example:\n  */5 * * * * watchpost run-once --config /etc/watchpost/watchpost.yml\n\n\
        One line per monitor: ONLINE or OFFLINE, the time taken or a dash, the name. Beside a running server that one\n\
        is asked to do it. Exit status: 0 also when services are down; 1 when results could not be recorded.")]
    RunOnce(RunOnceArgs),
    /// Look at the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Find out what on this machine would keep Watchpost from working, and how to fix it.
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
    /// Address to listen on instead of the configured ones; may be given more than once.
    #[arg(long, value_name = "ADDRESS:PORT")]
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
    /// Print JSON.
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
    /// Validate it; every problem with file, line and column.
    Check(ConfigOnly),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Show what applying it would change, against what was applied last. Renames keep history.
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
    /// Print JSON.
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
    /// Print JSON.
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
    /// Print JSON.
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
