//! Checks against real and hostile peers on loopback, judged by the core.
#![expect(clippy::unwrap_used, reason = "in a test a failing helper is a failing test")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod cert;
mod dial;
mod dns;
mod dns_server;
mod hostile;
mod http;
mod icmp;
mod peer;
mod support;
mod tcp;
mod tls;
mod udp;
