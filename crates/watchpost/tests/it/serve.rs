//! Start, look, stop.

use crate::harness::{Server, Site, Target, output, wait_for, watchpost};

fn one_monitor(target: &Target) -> String {
    format!("monitors:\n  - {{ id: web, name: Web, http: \"{}\", interval: 1s }}\n", target.url("/"))
}

#[test]
fn a_started_server_checks_shows_and_stops_with_status_0() {
    let target = Target::start(1);
    let site = Site::new(&one_monitor(&target));
    let server = site.serve();
    let monitor = server.wait_for_state("web", "up");
    assert_eq!(monitor["kind"], "http");
    assert_eq!(monitor["last_result"]["verdict"], "pass");
    assert_eq!(monitor["last_result"]["http"]["status"], 200);
    assert!(monitor["last_result"]["timings_us"]["total"].as_u64().unwrap() > 0, "{monitor}");
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    assert!(server.get("/metrics").body.contains("service_up{id=\"web\""));
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>"), "{}", page.body);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_target_that_goes_down_opens_an_incident_and_its_return_closes_it() {
    let target = Target::start(1);
    let site = Site::new(&one_monitor(&target));
    let server = site.serve();
    server.wait_for_state("web", "up");
    target.answer(503);
    let down = server.wait_for_state("web", "down");
    assert_eq!(down["reason"]["code"], "status");
    let open = server.json("/api/v1/incidents?open=true");
    assert_eq!(open["items"][0]["monitor"], "web");
    target.answer(200);
    server.wait_for_state("web", "up");
    let closed = server.json("/api/v1/incidents");
    assert_eq!(closed["items"].as_array().unwrap().len(), 1);
    assert_eq!(closed["items"][0]["closed_by"], "recovered");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let target = Target::start(1);
    let site = Site::new(&one_monitor(&target));
    let server = site.serve();
    server.wait_for_state("web", "up");
    target.answer(503);
    server.wait_for_state("web", "down");
    let before = server.json("/api/v1/monitors/web/results?limit=1000")["items"].as_array().unwrap().len();
    assert_eq!(server.stop(), 0);
    let server = site.serve();
    let monitor = server.monitor("web");
    assert_eq!(monitor["state"], "down", "the state is kept: {monitor}");
    let after = server.json("/api/v1/monitors/web/results?limit=1000")["items"].as_array().unwrap().len();
    assert!(after >= before, "{after} results of {before} are left");
    assert_eq!(server.json("/api/v1/incidents")["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_told_why() {
    let target = Target::start(1);
    let site = Site::new(&one_monitor(&target));
    let _server = site.serve();
    let second = output(watchpost().args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(site.config()));
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another watchpost"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new("monitors: []\n");
    let started = output(watchpost().args(["serve", "--listen", &address, "--config"]).arg(site.config()));
    assert!(!started.status.success());
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(said.contains(&address), "{said}");
}

#[test]
fn a_check_out_of_turn_is_recorded_and_answered() {
    let target = Target::start(1);
    let yaml = format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1h }}\n", target.url("/"));
    let site = Site::new(&yaml);
    let server = site.serve();
    server.wait_for_state("web", "up");
    let answer = server.post("/api/v1/monitors/web/check");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let checked: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(checked["result"]["verdict"], "pass");
    let results = server.json("/api/v1/monitors/web/results?limit=10");
    assert_eq!(results["items"][0]["scheduled_at"], checked["result"]["scheduled_at"]);
}

#[test]
fn without_a_configuration_it_starts_empty_and_takes_one_that_appears() {
    let target = Target::start(1);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path());
    let status = server.json("/api/v1/status");
    assert!(status["config"]["source"].is_null(), "{status}");
    assert_eq!(server.json("/api/v1/overview")["items"].as_array().unwrap().len(), 0);
    std::fs::write(folder.path().join("watchpost.yml"), one_monitor(&target)).unwrap();
    wait_for("the first monitor", || (server.get("/api/v1/monitors/web").status == 200).then_some(()));
    server.wait_for_state("web", "up");
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_it_keeps_is_for_its_own_account_only() {
    use std::os::unix::fs::PermissionsExt;
    let target = Target::start(1);
    let site = Site::new(&one_monitor(&target));
    let server = site.serve();
    server.wait_for_state("web", "up");
    let data = site.folder.path().join("data");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in data.read_dir().unwrap().map(Result::unwrap) {
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
    }
    assert_eq!(server.stop(), 0);
}
