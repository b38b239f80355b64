//! Peers that hold our listener: idle, slow, endless, or no HTTP at all.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::{engine, every_tick_is_accounted_for, exchange, rest, results};
use crate::harness::{PATIENCE, Server, Site, Target, wait_for};

/// Connections that say nothing.
const IDLE: usize = 10_000;
/// The most that Watchpost has open of them: `Limits::connections` of the web crate.
const OPEN_MAX: usize = 4_096;
/// What the test needs itself: the connections, and its own few.
const HANDLES: u64 = IDLE as u64 + 500;
/// Memory that all connections may take, in KiB: 40 for each.
const CONNECTIONS_KIB: u64 = OPEN_MAX as u64 * 40;

fn site(target: &Target, monitors: usize, interval: &str) -> Site {
    let mut yaml = format!("defaults: {{ interval: {interval}, timeout: 5s }}\nmonitors:\n");
    for i in 0..monitors {
        let _ = writeln!(yaml, "  - {{ id: m{i}, http: \"{}\" }}", target.url("/"));
    }
    Site::new(&yaml)
}

/// None of these monitors missed a tick or took its target for down.
fn nothing_was_missed(server: &Server, monitors: usize, every: Duration) {
    for i in 0..monitors {
        let id = format!("m{i}");
        let results = results(server, &id);
        assert!(results.iter().all(|r| r.verdict == "pass"), "{id}: {results:?}");
        every_tick_is_accounted_for(&id, &results, every);
    }
}

/// Sockets that the server has open, as `/proc` lists its file handles.
fn sockets(server: &Server) -> usize {
    let handles = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().map_while(Result::ok);
    handles.filter(|h| std::fs::read_link(h.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))).count()
}

/// A connection that is being made; nobody waits for it.
fn begin(server: &Server) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_nonblocking(true).unwrap();
    // In progress, which std tells as an error.
    let _ = socket.connect(&server.address.into());
    socket
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out_and_delay_no_check() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let raised = setrlimit(Resource::RLIMIT_NOFILE, HANDLES.max(soft), HANDLES.max(hard));
    raised.unwrap_or_else(|e| panic!("this test needs {HANDLES} file handles, ulimit -Hn is {hard}: {e}"));
    let target = Target::start(2);
    let site = site(&target, 20, "1s");
    let server = site.serve();
    server.wait_for_state("m0", "up");
    let before = server.memory_kib("VmRSS");
    let idle: Vec<Socket> = (0..IDLE).map(|_| begin(&server)).collect();
    let most = wait_for("the places to be taken", || Some(sockets(&server)).filter(|n| *n >= OPEN_MAX));
    assert!(most <= OPEN_MAX + 100, "{most} sockets");
    // Whoever comes now gets in, for whom one that said nothing has to go.
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(server.get("/livez").status, 200);
        assert!(began.elapsed() < Duration::from_secs(15), "answered after {:?}", began.elapsed());
    }
    let after = server.memory_kib("VmRSS");
    println!("{most} sockets open, {} MiB before and {} MiB with them", before / 1_024, after / 1_024);
    assert!(after <= before + CONNECTIONS_KIB, "{before} KiB before, {after} KiB with them");
    let checks = engine(&server, "checks_total");
    wait_for("checks to go on", || (engine(&server, "checks_total") >= checks + 60).then_some(()));
    drop(idle);
    wait_for("the connections to go", || (sockets(&server) < 200).then_some(()));
    nothing_was_missed(&server, 20, Duration::from_secs(1));
    assert_eq!(server.stop(), 0);
}

#[test]
fn who_says_nothing_or_never_ends_its_head_is_let_go_after_half_a_minute() {
    let site = Site::new("monitors: []\n");
    let server = site.serve();
    let began = Instant::now();
    let mut open: Vec<TcpStream> = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n"]
        .into_iter()
        .map(|begun| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(begun.as_bytes()).unwrap();
            stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
            stream
        })
        .collect();
    for stream in &mut open {
        let answer = rest(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(began.elapsed() >= Duration::from_secs(25), "let go after {:?}", began.elapsed());
    }
    assert!(began.elapsed() < 2 * PATIENCE);
    assert_eq!(server.stop(), 0);
}

#[test]
fn readers_that_stop_reading_hold_up_nobody_and_little_memory() {
    const SLOW: usize = 100;
    const FAST: usize = 50;
    let target = Target::start(4);
    let site = site(&target, FAST, "100ms");
    let server = site.serve();
    server.wait_for_state("m0", "up");
    let before = server.memory_kib("VmRSS");
    let slow: Vec<TcpStream> = (0..SLOW).map(|_| stream(&server)).collect();
    let mut reader = stream(&server);
    // Far more than any buffer of a connection holds, and nobody else reads.
    let mut read = 0;
    let mut buffer = [0; 65_536];
    while read < 1 << 20 {
        let n = reader.read(&mut buffer).expect("events keep coming");
        assert!(n > 0, "the stream ended after {read} bytes");
        read += n;
    }
    let after = server.memory_kib("VmRSS");
    println!(
        "{SLOW} readers that do not read: {} MiB before, {} MiB after {read} bytes",
        before / 1_024,
        after / 1_024
    );
    assert!(after <= before + CONNECTIONS_KIB, "{before} KiB before, {after} KiB after");
    assert!(server.get("/metrics").body.contains("watchpost_live_streams"));
    drop(slow);
    wait_for("their places to be free", || {
        let metrics = server.get("/metrics").body;
        let line = metrics.lines().find(|line| line.starts_with("watchpost_live_streams ")).unwrap().to_owned();
        (line == "watchpost_live_streams 1.0").then_some(())
    });
    let results = results(&server, "m0");
    assert!(results.iter().all(|r| r.verdict != "fail"), "{results:?}");
    assert_eq!(server.stop(), 0);
}

/// A live stream, open and with its first event there.
fn stream(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream
}

#[test]
fn what_is_too_large_or_no_http_is_refused_by_name() {
    let target = Target::start(1);
    let site = site(&target, 1, "1s");
    let server = site.serve();
    server.wait_for_state("m0", "up");
    let memory = server.memory_kib("VmRSS");
    let large = |what: &str| what.repeat(1 << 20);
    let post = "POST /api/v1/monitors/m0/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let cases: [(&str, String, &[&str]); 9] = [
        ("a huge header", format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", large("a")), &["431"]),
        ("many headers", format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(1_000)), &["431"]),
        ("a huge URL", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", large("a")), &["414", "431"]),
        ("a huge body", format!("{post}Content-Length: 1073741824\r\n\r\n{}", "a".repeat(1_024)), &["413"]),
        ("a huge chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\n100000\r\n{}", large("a")), &["413"]),
        ("a chunk that is none", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), &["400"]),
        ("garbage", "\u{0}\u{1}\u{2}garbage\r\n\r\n".to_owned(), &["400"]),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n".to_owned(), &["400"]),
        // Another protocol's greeting: an answer in HTTP/1.1 would not be understood, so there is none.
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[""]),
    ];
    for (what, bytes, statuses) in &cases {
        let answer = exchange(server.address, bytes.as_bytes());
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
        println!("{what}: {}", answer.lines().next().unwrap_or("cut"));
        // The answer to what is still being sent may be lost with the connection, as TCP has it.
        let cut = answer.is_empty() && bytes.len() > 1_000_000;
        assert!(cut || statuses.contains(&status), "{what}: {answer}");
    }
    let after = server.memory_kib("VmRSS");
    assert!(after < memory + 50 * 1_024, "{memory} KiB before, {after} KiB after");
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.stop(), 0);
}

#[test]
fn many_requests_on_one_connection_are_answered_in_their_order() {
    let site = Site::new("monitors: []\n");
    let server = site.serve();
    let mut requests = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2_000);
    requests.push_str("GET /api/v1/none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answers = std::thread::spawn(move || rest(&mut reader));
    stream.write_all(requests.as_bytes()).unwrap();
    let answers = answers.join().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2_000);
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1);
    assert!(answers.rfind("HTTP/1.1 404") > answers.rfind("HTTP/1.1 200"));
    assert_eq!(server.stop(), 0);
}
