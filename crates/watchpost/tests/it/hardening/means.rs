//! File handles and memory that run out, and answers that would take all of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Seen, asked, engine, every_tick_is_accounted_for, exchange, incidents, limit, limited, results, target};
use crate::harness::{PATIENCE, Server, Site, Target, request, wait_for};

const MONITORS: usize = 20;

fn many(target: &Target) -> Site {
    let mut yaml = "defaults: { interval: 1s, timeout: 5s }\nmonitors:\n".to_owned();
    for i in 0..MONITORS {
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{}\" }}", target.url("/"));
    }
    Site::new(&yaml)
}

/// A connection that is kept for many requests: a new one takes a file handle of the server's.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn open(server: &Server) -> Kept {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Kept(BufReader::new(stream))
    }

    fn json(&mut self, path: &str) -> Value {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut length = 0;
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// Lines about connections that could not be accepted.
fn refusals(server: &Server) -> usize {
    server.logged().matches("cannot accept a connection").count()
}

#[test]
fn without_file_handles_checks_cannot_tell_and_the_pages_come_back() {
    let target = Target::start(2);
    let site = many(&target);
    let server = limited(&["--nofile=1024:1024"], &site.config());
    (0..MONITORS).for_each(|i| {
        server.wait_for_state(&format!("m{i}"), "up");
    });
    let mut kept = Kept::open(&server);
    kept.json("/api/v1/status");
    // Fewer than are in use: none is to be had.
    limit(&server, "--nofile=8:1024");
    let waiting = std::thread::spawn({
        let address = server.address;
        move || exchange(address, b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
    });
    for i in 0..MONITORS {
        wait_for("no handle for a check", || {
            let monitor = kept.json(&format!("/api/v1/monitors/m{i}"));
            assert_ne!(monitor["state"], "down", "{monitor}");
            let last = &monitor["last_result"];
            (last["verdict"] == "inconclusive" && last["reason"]["code"] == "out_of_files").then_some(())
        });
    }
    // The loop that accepts neither ends nor spins: it tries ten times a second.
    let (before, began) = (refusals(&server), Instant::now());
    wait_for("ten attempts to accept", || (refusals(&server) >= before + 10).then_some(()));
    assert!(began.elapsed() >= Duration::from_millis(800), "ten in {:?}", began.elapsed());
    assert!(!waiting.is_finished());

    limit(&server, "--nofile=1024:1024");
    assert!(waiting.join().unwrap().ends_with("ok\n"), "who waited is answered");
    for i in 0..MONITORS {
        let id = format!("m{i}");
        server.wait_for_state(&id, "up");
        every_tick_is_accounted_for(&id, &results(&server, &id), Duration::from_secs(1));
    }
    assert!(incidents(&server).is_empty());
    assert_eq!(server.stop(), 0);
}

#[test]
fn with_few_file_handles_pages_do_not_take_those_of_the_checks() {
    let target = Target::start(2);
    let site = many(&target);
    let server = limited(&["--nofile=160:160"], &site.config());
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let before = target.seen().get("/").copied().unwrap_or(0);
    wait_for("three rounds of checks", || {
        (target.seen().get("/").copied().unwrap_or(0) >= before + 3 * MONITORS as u64).then_some(())
    });
    drop(idle);
    for i in 0..MONITORS {
        let id = format!("m{i}");
        server.wait_for_state(&id, "up");
        let results = results(&server, &id);
        assert!(results.iter().all(|r| r.verdict == "pass"), "{id}: {results:?}");
    }
    assert_eq!(server.stop(), 0);
}

/// All results there are, by monitor and tick.
fn all(server: &Server) -> BTreeMap<(usize, i64), Seen> {
    let of = |i: usize| results(server, &format!("m{i}")).into_iter().map(move |seen| ((i, seen.tick), seen));
    (0..MONITORS).flat_map(of).collect()
}

/// Takes the memory away: any further piece is refused. Returns once that shows: the process has ended, or the database
/// could not be written. Pages make it ask for memory meanwhile.
fn starve(server: &mut Server) {
    limit(server, "--data=1048576:unlimited");
    let began = Instant::now();
    while !server.is_gone() && !server.logged().contains("did not take a write") {
        assert!(began.elapsed() < PATIENCE, "nothing was refused: {}", server.logged());
        let _ = request(server.address, "GET", "/api/v1/results?limit=1000");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Waits until it has ended, or until something else is the case.
fn gone_or(server: &mut Server, what: &str, or: impl Fn(&Server) -> bool) -> bool {
    let began = Instant::now();
    loop {
        match (server.is_gone(), or(server)) {
            (true, _) => return true,
            (false, true) => return false,
            (false, false) => {
                assert!(began.elapsed() < 2 * PATIENCE, "waited too long for {what}: {}", server.logged());
            }
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn without_memory_it_ends_or_waits_for_it_and_what_was_shown_is_there() {
    let target = Target::start(2);
    let site = many(&target);
    let mut server = site.serve();
    (0..MONITORS).for_each(|i| {
        server.wait_for_state(&format!("m{i}"), "up");
    });
    let shown = all(&server);
    starve(&mut server);
    if !server.is_gone() {
        limit(&server, "--data=unlimited:unlimited");
    }
    let written = |server: &Server| {
        let answer = request(server.address, "GET", "/api/v1/status").map(|answer| answer.body);
        answer.is_ok_and(|body| body.contains("\"store\":\"ok\""))
    };
    if !gone_or(&mut server, "the store to be written again", written) {
        server.kill();
    }
    let server = site.serve();
    (0..MONITORS).for_each(|i| {
        server.wait_for_state(&format!("m{i}"), "up");
    });
    let kept = all(&server);
    assert!(shown.iter().all(|(tick, seen)| kept.get(tick) == Some(seen)), "what was shown is there");
    assert!(incidents(&server).is_empty());
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_stop_without_memory_ends_all_the_same() {
    let target = Target::start(2);
    let site = many(&target);
    let mut server = site.serve();
    server.wait_for_state("m0", "up");
    starve(&mut server);
    if !server.is_gone() {
        server.signal("TERM");
    }
    assert!(gone_or(&mut server, "the stop", |_| false));
}

/// Bodies that never end, checked side by side.
const ENDLESS: usize = 200;
/// Bytes of a body that are kept at most while it is judged: the default of `body_max`.
const BODY_MAX: usize = 1 << 20;
/// What Watchpost may take beside the bodies in this test, in KiB.
const BESIDE_KIB: u64 = 100 * 1_024;

#[test]
fn bodies_without_end_take_no_more_memory_than_their_limit() {
    let full = Arc::new((Mutex::new(0), Condvar::new()));
    let address = target({
        let full = Arc::clone(&full);
        move |stream| endless(stream, &full)
    });
    let mut yaml = "defaults: { interval: 1h, timeout: 25s }\nmonitors:\n".to_owned();
    for i in 0..ENDLESS {
        let body = "expect: { body: { contains: never } }";
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"http://{address}/\", {body} }}");
    }
    let site = Site::new(&yaml);
    let server = site.serve();
    for i in 0..ENDLESS {
        let monitor = server.wait_for_state(&format!("m{i}"), "down");
        assert_eq!(monitor["reason"]["code"], "too_large", "{monitor}");
    }
    assert_eq!(*full.0.lock().unwrap(), ENDLESS, "all were held at once");
    wait_for("the checks to end", || (engine(&server, "in_flight") == 0).then_some(()));
    let peak = server.memory_kib("VmHWM");
    let bound = (2 * ENDLESS * BODY_MAX / 1_024) as u64 + BESIDE_KIB;
    println!("{ENDLESS} bodies without end: {} MiB at most", peak / 1_024);
    assert!(peak <= bound, "{peak} KiB of {bound}");
    assert_eq!(server.stop(), 0);
}

/// Sends nearly all that is kept, waits until all others have done so, and goes on for as long as it is let.
fn endless(mut stream: TcpStream, full: &(Mutex<usize>, Condvar)) {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
    let piece = [b'x'; 1_024];
    let nearly = BODY_MAX / piece.len() - 1;
    if asked(&mut stream).is_none()
        || stream.write_all(HEAD).is_err()
        || (0..nearly).any(|_| stream.write_all(&piece).is_err())
    {
        return;
    }
    let (count, all) = full;
    let mut count = count.lock().unwrap();
    *count += 1;
    all.notify_all();
    drop(all.wait_timeout_while(count, PATIENCE, |count| *count < ENDLESS).unwrap());
    while stream.write_all(&piece).is_ok() {}
}
