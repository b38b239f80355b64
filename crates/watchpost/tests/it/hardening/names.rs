//! Name servers that are gone, and a machine without a network.

use std::fmt::Write;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{apart, engine, incidents, run};
use crate::harness::{Server, Site, Target, wait_for};

/// Monitors of each kind.
const EACH: usize = 10;
/// Where the name server is, in a network of the test's own.
const NAME_SERVER: &str = "127.0.0.53:53";
/// As long as an answer is ever used.
const LONG_TTL: u8 = 60;

const ANSWERS: u8 = 0;
const SILENT: u8 = 1;
const GONE: u8 = 2;
const FAILS: u8 = 3;
/// SERVFAIL (RFC 1035 section 4.1.1).
const SERVER_FAILURE: u8 = 2;

/// A name server that knows every name as 127.0.0.1; names that begin with `long` for a minute, others for a second.
fn name_server(mode: Arc<AtomicU8>) {
    std::thread::spawn(move || {
        let bind = || {
            let socket = UdpSocket::bind(NAME_SERVER).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket
        };
        let mut socket = Some(bind());
        let mut query = [0; 512];
        loop {
            match (mode.load(Ordering::Relaxed), &socket) {
                (GONE, _) => {
                    socket = None;
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                (_, None) => socket = Some(bind()),
                (mode, Some(socket)) => {
                    let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                    if mode != SILENT {
                        let _ = socket.send_to(&answer(&query[..length], mode == FAILS), from);
                    }
                }
            }
        }
    });
}

/// The answer to a query (RFC 1035 section 4.1): an address for A, nothing for all else, or that it failed.
fn answer(query: &[u8], fails: bool) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..name_end + 5];
    let is_a = query[name_end + 1..name_end + 3] == [0, 1] && !fails;
    let code = if fails { 0x80 | SERVER_FAILURE } else { 0x80 };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, code, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        let ttl = if query[13..].starts_with(b"long") { LONG_TTL } else { 1 };
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

fn configuration(target: &Target) -> String {
    let mut yaml = "defaults: { interval: 1s, timeout: 2s }\nmonitors:\n".to_owned();
    for i in 0..EACH {
        for kind in ["short", "long"] {
            let url = format!("http://{kind}{i}.test:{}/", target.address.port());
            let _ = writeln!(yaml, "  - {{ id: {kind}{i}, http: \"{url}\" }}");
        }
        let _ = writeln!(yaml, "  - {{ id: plain{i}, http: \"{}\" }}", target.url("/"));
    }
    yaml
}

fn wait_for_all(server: &Server, kind: &str, state: &str) {
    (0..EACH).for_each(|i| {
        server.wait_for_state(&format!("{kind}{i}"), state);
    });
}

/// Those that need no name server at the moment are up, and nothing waits.
fn the_others_go_on(server: &Server) {
    let before = engine(server, "checks_total");
    wait_for("checks to go on", || (engine(server, "checks_total") >= before + 3 * EACH as u64).then_some(()));
    for id in (0..EACH).flat_map(|i| [format!("long{i}"), format!("plain{i}")]) {
        assert_eq!(server.monitor(&id)["state"], "up", "{id}");
    }
    assert!(engine(server, "in_flight") <= 3 * EACH as u64);
    assert_eq!(engine(server, "waiting"), 0);
}

#[test]
fn dead_name_servers_are_the_failure_of_names_alone_and_pass() {
    apart("hardening::names::dead_name_servers_are_the_failure_of_names_alone_and_pass", || {
        let target = Target::start(2);
        let site = Site::new(&configuration(&target));
        let resolv_conf = site.folder.path().join("resolv.conf");
        std::fs::write(&resolv_conf, "nameserver 127.0.0.53\n").unwrap();
        run("mount", &["--bind", resolv_conf.to_str().unwrap(), "/etc/resolv.conf"]);
        let mode = Arc::new(AtomicU8::new(ANSWERS));
        name_server(Arc::clone(&mode));
        let server = site.serve();
        ["short", "long", "plain"].iter().for_each(|kind| wait_for_all(&server, kind, "up"));

        for dead in [SILENT, GONE] {
            mode.store(dead, Ordering::Relaxed);
            wait_for_all(&server, "short", "down");
            let monitor = server.monitor("short0");
            assert_eq!((&monitor["reason"]["code"], &monitor["reason"]["stage"]), (&json!("timeout"), &json!("dns")));
            let took = monitor["last_result"]["timings_us"]["total"].as_u64().unwrap();
            assert!((1_900_000..10_000_000).contains(&took), "its timeout is 2 s: {took} us");
            the_others_go_on(&server);
        }
        mode.store(FAILS, Ordering::Relaxed);
        let failed = || Some(()).filter(|()| server.monitor("short0")["reason"]["code"] == "dns_failure");
        wait_for("the failure to be told", failed);
        the_others_go_on(&server);

        mode.store(ANSWERS, Ordering::Relaxed);
        wait_for_all(&server, "short", "up");
        let incidents = incidents(&server);
        assert_eq!(incidents.len(), EACH, "one each: {incidents:?}");
        assert!(incidents.iter().all(|incident| incident["closed_by"] == "recovered"));
        assert_eq!(server.stop(), 0);
    });
}

#[test]
fn without_a_network_what_is_out_there_is_unreachable_and_this_machine_is_not() {
    apart("hardening::names::without_a_network_what_is_out_there_is_unreachable_and_this_machine_is_not", || {
        let target = Target::start(1);
        let yaml = format!(
            "defaults: {{ interval: 1s, timeout: 2s }}\nmonitors:\n  - {{ id: here, http: \"{}\" }}\n  \
             - {{ id: web, http: \"http://192.0.2.1/\" }}\n  - {{ id: db, tcp: \"192.0.2.1:5432\" }}\n  \
             - {{ id: six, tcp: \"[2001:db8::1]:80\" }}\n  - {{ id: ping, icmp: 192.0.2.1 }}\n  \
             - {{ id: name, http: \"http://www.example.org/\" }}\n",
            target.url("/")
        );
        let site = Site::new(&yaml);
        let resolv_conf = site.folder.path().join("resolv.conf");
        std::fs::write(&resolv_conf, "nameserver 192.0.2.53\n").unwrap();
        run("mount", &["--bind", resolv_conf.to_str().unwrap(), "/etc/resolv.conf"]);
        let server = site.serve();
        server.wait_for_state("here", "up");
        for id in ["web", "db", "six", "ping"] {
            let monitor = server.wait_for_state(id, "down");
            assert_eq!(monitor["reason"]["code"], "unreachable", "{monitor}");
        }
        let named = server.wait_for_state("name", "down");
        assert_eq!(named["reason"]["stage"], "dns", "{named}");
        assert_eq!(server.monitor("here")["state"], "up");
        assert_eq!(server.stop(), 0);
    });
}
