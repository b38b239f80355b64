//! Watches services, tells the right people, and posts the truth.
//!
//! The binary's own part: command line, configuration files, and the wiring of the crates that do the work.

pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod logging;
pub mod standing;
pub mod wiring;

use std::process::ExitCode;

use clap::Parser;

/// Reads the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    commands::run(cli::Cli::parse())
}
