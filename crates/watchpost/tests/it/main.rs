//! The whole binary, as its users run it: real processes, real sockets, real files.

mod check_command;
mod crash;
mod examples;
mod harness;
mod load;
mod reload;
mod run_once;
mod serve;
