//! The whole binary, as its users run it: real processes, real sockets, real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, and says where")]

mod check_command;
mod crash;
mod examples;
mod hardening;
mod harness;
mod load;
mod reload;
mod run_once;
mod serve;
mod soak;
mod tutorial;
