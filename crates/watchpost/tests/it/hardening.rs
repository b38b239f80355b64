//! What goes wrong on real machines: docs/reliability.md says what happens then, and each of its lines is proved here.
//!
//! Tests that mount something or need a network of their own run themselves again in namespaces ([`apart`]), so that
//! nothing they do reaches the machine, and all of it is gone with them.

mod clock;
mod disk;
mod listener;
mod means;
mod names;
mod start;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use watchpost_core::Timestamp;

use crate::harness::{PATIENCE, Server, watchpost};

/// The end of a check is taken note of within so many milliseconds; a tick in between is not due.
const NOTICED_WITHIN: i64 = 100;
/// Set in the run within the namespaces.
const APART: &str = "WATCHPOST_TEST_APART";

/// Runs a test, named as the test runner names it, with mounts, processes and network of its own. Takes root, or a
/// kernel that lets anybody make user namespaces.
fn apart(name: &str, body: impl FnOnce()) {
    if std::env::var_os(APART).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return body();
    }
    let possible = |flags: &[&str]| {
        let tried =
            Command::new("unshare").args(flags).args(["--mount", "--net", "true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let flags: &[&str] = match (possible(&[]), possible(&["--map-root-user"])) {
        (true, _) => &[],
        (false, true) => &["--map-root-user"],
        (false, false) => panic!(
            "this test needs mounts of its own: run it as root with CAP_SYS_ADMIN, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1); it also needs unshare, of util-linux"
        ),
    };
    let output = Command::new("unshare")
        .args(flags)
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(APART, "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare exists");
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "apart, {name} ended with {}: {said}\n{why}", output.status);
}

/// Runs a command that has to succeed.
fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = ran.unwrap_or_else(|e| panic!("{program}, which scripts/setup.sh test installs: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts the server under `prlimit` with these limits.
fn limited(limits: &[&str], config: &Path) -> Server {
    let mut command = Command::new("prlimit");
    command.args(limits).arg(watchpost().get_program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    Server::spawn(&mut command)
}

/// Changes a limit of a running server.
fn limit(server: &Server, limit: &str) {
    run("prlimit", &["--pid", &server.pid().to_string(), limit]);
}

/// A whole number of `/api/v1/status`, of the engine.
fn engine(server: &Server, field: &str) -> u64 {
    let status = server.json("/api/v1/status");
    status["engine"][field].as_u64().unwrap_or_else(|| panic!("no {field} in {status}"))
}

/// What `/api/v1/status` says of the store.
fn store(server: &Server) -> String {
    server.json("/api/v1/status")["engine"]["store"].as_str().unwrap().to_owned()
}

/// A result as these tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// The tick, or the first of a run that was missed, in milliseconds.
    tick: i64,
    /// How many ticks it stands for.
    ticks: i64,
    verdict: String,
    /// The reason's code; empty for a pass.
    code: String,
    /// When the check ended, in milliseconds; 0 where none ran.
    ended: i64,
}

/// All results of a monitor, oldest first.
fn results(server: &Server, id: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut path = format!("/api/v1/monitors/{id}/results?limit=1000");
    loop {
        let page = server.json(&path);
        seen.extend(page["items"].as_array().unwrap().iter().map(look));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/monitors/{id}/results?limit=1000&before={next}"),
            None => break,
        }
    }
    seen.reverse();
    seen
}

fn look(item: &Value) -> Seen {
    let took = item["timings_us"]["total"].as_i64();
    Seen {
        ended: took.map_or(0, |took| millis(&item["at"]) + took / 1_000),
        tick: millis(&item["scheduled_at"]),
        ticks: item["missed"].as_i64().unwrap_or(1),
        verdict: item["verdict"].as_str().unwrap().to_owned(),
        code: item["reason"]["code"].as_str().unwrap_or_default().to_owned(),
    }
}

/// A time of the API in milliseconds.
fn millis(time: &Value) -> i64 {
    time.as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .unwrap_or_else(|| panic!("no time: {time}"))
        .as_millis()
}

/// From the second result on (the first is a prompt one), each tick of the grid was run, is part of a missed run, or came
/// while the check before it still ran; once.
fn every_tick_is_accounted_for(id: &str, results: &[Seen], every: Duration) {
    let every = i64::try_from(every.as_millis()).unwrap();
    for pair in results[1..].windows(2) {
        let mut expected = pair[0].tick + pair[0].ticks * every;
        while expected < pair[1].tick && expected <= pair[0].ended + NOTICED_WITHIN {
            expected += every;
        }
        assert_eq!(pair[1].tick, expected, "{id}: {:?} is followed by {:?}", pair[0], pair[1]);
    }
}

/// The incidents there are.
fn incidents(server: &Server) -> Vec<Value> {
    server.json("/api/v1/incidents?limit=1000")["items"].as_array().unwrap().clone()
}

/// Sends bytes on a connection of their own and returns what comes until the server closes. A connection that is cut
/// returns what came before.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // Who is refused amid its request cannot send the rest.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// What comes on a connection until it ends, for whatever cause.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server that handles each connection in a thread of its own; it ends with the process.
fn target(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            std::thread::spawn(move || handle(stream));
        }
    });
    address
}

/// Reads a request's head and returns its path.
fn asked(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).map(str::to_owned)
}
