//! docs/benchmarks.md.

use std::path::Path;

use crate::machine;
use crate::peers::{CONNECTIONS, THREADS};
use crate::table::{Figure, markdown};

/// What the page tells of.
pub(crate) struct Measured<'a> {
    /// The table's lines.
    pub(crate) figures: &'a [Figure],
    /// The repository.
    pub(crate) root: &'a Path,
    /// Seconds of a measurement, and rounds.
    pub(crate) args: (u64, usize),
    /// Load of the machine before.
    pub(crate) load: &'a str,
}

const HEAD: &str = "\
# Benchmarks

What Watchpost costs, beside [wrk](https://github.com/wg/wrk), which only makes requests, and Debian's
[blackbox_exporter](https://github.com/prometheus/blackbox_exporter), which makes checks without schedule, store and
pages. `make bench` measures everything anew and writes this page; `cargo xtask bench --only http --seconds 5` measures
a part of it. Where the CPU goes is another page's matter; this one has the figures.

## Figures

Each is the median of its rounds, with the least and the most. *Aim* is what is promised, in brackets what is wished
for. *Others' CPU* is what other programs took from the machine meanwhile, in per cent of a core: with much of it, rates
are too low and times too long, while CPU per check still holds. A dash: the program has nothing of the kind, or did not
reach the rate.

";

const HOW: &str = "\
## How it is measured

* Target, measured program and load generator share the machine. So a rate says what a check costs, not what a network
  would carry.
* The target is a process of its own with one thread, on eight loopback addresses. It answers `ok` and closes the
  connection, for every client alike. Over TLS it speaks TLS 1.3 with an ECDSA P-256 certificate and X25519, without
  tickets and session cache; it counts resumed sessions, and one of them fails the run.
* Watchpost is the release binary with its database on the disk. N monitors at an interval of 1 s are N checks a second
  in an open loop. N is raised in steps of 0.05 of what wrk has just reached, until a monitor lacks a passing result for
  one of its ticks in the database, twice. Then wrk has another turn; the mean of its two rates is compared. Watchpost
  verifies certificates, wrk does not.
* blackbox_exporter is asked for probes by wrk over connections that stay open, so asking costs it little; for a given
  number of probes a second a small client asks. It trusts the target's authority and verifies certificates.
* Lateness is taken at the target: from the time a check was due until the target has read its request. What is reported
  of a slow target is compared with the delay that the target measured for that very request.
* Known monitors still stand in the configuration file, which is read at every start.
* Bytes written are `write_bytes` of `/proc/PID/io`. Hours are closed in the store alone, by a clock of its own, with
  results that the product recorded just before.
* Memory is resident memory (RSS), and where it is said with shared pages divided among their users (PSS); 1 MB is 10^6
  bytes.
";

/// The whole page.
pub(crate) fn page(measured: &Measured<'_>) -> String {
    let (seconds, rounds) = measured.args;
    let mut page = format!("{HEAD}{}\n", markdown(measured.figures));
    page.push_str("## Machine and versions\n\n| what | which |\n|---|---|\n");
    for (what, which) in machine::facts(measured.root) {
        page.push_str(&format!("| {what} | {which} |\n"));
    }
    page.push_str(&format!("| load before | {} |\n\n", measured.load));
    page.push_str(&format!("{HOW}\n## Commands\n\n```\n"));
    page.push_str(&format!("cargo xtask bench --seconds {seconds} --rounds {rounds} --write\n"));
    page.push_str(&format!(
        "wrk -t{THREADS} -c{CONNECTIONS} -d{seconds}s -H 'Connection: close' http://127.0.0.1:PORT/\n\
         wrk -t{THREADS} -c{CONNECTIONS} -d{seconds}s 'http://127.0.0.1:PORT/probe?module=http_2xx&target=URL'\n\
         prometheus-blackbox-exporter --config.file=FILE --web.listen-address=127.0.0.1:PORT --log.level=error\n\
         watchpost serve --config FILE --data FOLDER --listen 127.0.0.1:0\n```\n"
    ));
    page
}
