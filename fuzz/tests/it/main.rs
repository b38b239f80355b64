//! A target for every parser; see the crate `fuzz`.
#![expect(clippy::unwrap_used, reason = "in a test a failing helper is a failing test")]

mod config;
mod peers;
mod show;
mod stored;
mod tree;
mod values;
mod web;
