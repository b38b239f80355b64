//! `check`: one check of a monitor or a URL, for people and for pipelines.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Site, Target, output, watchpost};

fn check_json(args: &[&str]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let ran = output(watchpost().current_dir(folder.path()).arg("check").args(args).arg("--json"));
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(folder.path().read_dir().unwrap().next().is_none(), "check creates no file");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.code().unwrap(), serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{said}")))
}

#[test]
fn a_url_that_works_is_up() {
    let target = Target::start(1);
    let (status, printed) = check_json(&[&target.url("/x")]);
    assert_eq!((status, &printed["state"]), (0, &"up".into()), "{printed}");
    assert_eq!(printed["result"]["http"]["status"], 200);
    assert_eq!(printed["monitor"]["kind"], "http");
    assert!(printed["result"]["reason"].is_null());
    for stage in ["dns", "connect", "tls", "ttfb", "transfer", "total"] {
        assert!(printed["result"]["timings_us"].get(stage).is_some(), "{stage}: {printed}");
    }
}

#[test]
fn what_is_wrong_has_its_code_and_exit_status() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::start(1);
    target.answer(500);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain_address = plain.local_addr().unwrap();
    let speaks_no_tls = std::thread::spawn(move || {
        let (mut stream, _) = plain.accept().unwrap();
        stream.write_all(b"220 mail.example.org ready\r\n").unwrap();
        // Held open until the peer has made up its mind.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    for (url, code) in [
        (format!("http://{closed}/"), "refused"),
        (format!("tcp://{closed}"), "refused"),
        (format!("udp://{closed}"), "refused"),
        (target.url("/"), "status"),
        (format!("tls://{plain_address}"), "tls_handshake"),
    ] {
        let (status, printed) = check_json(&[&url]);
        assert_eq!((status, &printed["state"]), (1, &"down".into()), "{url}: {printed}");
        assert_eq!(printed["result"]["reason"]["code"], code, "{url}: {printed}");
    }
    speaks_no_tls.join().unwrap();
}

#[test]
fn a_name_that_does_not_exist_is_told_within_the_deadline() {
    let began = Instant::now();
    let (status, printed) = check_json(&["http://watchpost-test.invalid/"]);
    assert_eq!(status, 1, "{printed}");
    let code = printed["result"]["reason"]["code"].as_str().unwrap();
    // Without any resolver the name fails, with one it is not found; with a mute one the time is up.
    assert!(["dns_not_found", "dns_failure", "timeout"].contains(&code), "{printed}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn a_mute_server_times_out_at_the_monitors_own_deadline() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!(
        "monitors:\n  - {{ id: mute, http: \"http://{}/\", timeout: 1s }}\n",
        mute.local_addr().unwrap()
    ));
    let began = Instant::now();
    let ran = output(watchpost().args(["check", "mute", "--json", "--config"]).arg(site.config()));
    let took = began.elapsed();
    let printed: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(printed["result"]["reason"]["code"], "timeout", "{printed}");
    assert_eq!(printed["result"]["reason"]["stage"], "ttfb", "{printed}");
    let total = printed["result"]["timings_us"]["total"].as_u64().unwrap();
    assert!((1_000_000..1_250_000).contains(&total), "{total} us; the process took {took:?}");
}

#[test]
fn the_trace_for_people_names_every_stage_and_the_cause() {
    let target = Target::start(1);
    target.answer(418);
    let ran = output(watchpost().args(["check", &target.url("/teapot")]));
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    for part in ["DOWN", "status 418 instead of 200-399", "connect", "ttfb", "transfer", "total", "/teapot"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn wrong_usage_is_exit_status_2_with_a_hint() {
    let site = Site::new("monitors:\n  - { id: plex, http: \"http://127.0.0.1:9/\" }\n");
    for (arg, hint) in [("plx", "did you mean `plex`"), ("gopher://h", "gopher"), ("http://", "host")] {
        let ran = output(watchpost().args(["check", arg, "--config"]).arg(site.config()));
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{arg}: {said}");
        assert!(said.contains(hint), "{arg}: {said}");
    }
    let ran = output(watchpost().args(["import", "x"]));
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("not supported yet"));
}

#[test]
fn a_peer_that_writes_terminal_codes_cannot_steer_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"\x1b[2Jhello\x07\r\n").unwrap();
    });
    let site = Site::new(&format!("monitors:\n  - {{ id: t, tcp: {{ address: \"{address}\", expect: hello }} }}\n"));
    let ran = output(watchpost().args(["check", "t", "--config"]).arg(site.config()));
    peer.join().unwrap();
    assert_eq!(ran.status.code(), Some(0));
    assert!(!ran.stdout.contains(&0x1b) && !ran.stdout.contains(&0x07));
}

#[test]
fn what_keeps_us_from_looking_is_not_a_target_that_is_down() {
    let site = Site::new("network: { ca_files: [missing.pem] }\nmonitors: []\n");
    let ran = output(watchpost().args(["check", "tcp://127.0.0.1:1", "--config"]).arg(site.config()));
    assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_variable_that_is_set_and_empty_is_not_set() {
    let site = Site::new("monitors: []\n");
    let ran = output(
        watchpost()
            .args(["config", "plan"])
            .current_dir(site.folder.path())
            .env("WATCHPOST_CONFIG", "")
            .env("WATCHPOST_DATA", ""),
    );
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}
