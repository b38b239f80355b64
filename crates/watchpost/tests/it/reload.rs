//! The file changes while the server runs.

use crate::harness::{Server, Site, Target, wait_for};

#[test]
fn a_renamed_monitor_keeps_its_history() {
    let target = Target::start(1);
    let with = |id: &str| format!("monitors:\n  - {{ id: {id}, http: \"{}\", interval: 1s }}\n", target.url("/"));
    let site = Site::new(&with("old"));
    let server = site.serve();
    server.wait_for_state("old", "up");
    let first = server.json("/api/v1/monitors/old/results?limit=1000");
    let oldest = first["items"].as_array().unwrap().last().unwrap()["scheduled_at"].clone();
    site.write(&with("new"));
    wait_for("the rename", || (server.get("/api/v1/monitors/new").status == 200).then_some(()));
    assert_eq!(server.get("/api/v1/monitors/old").status, 404);
    let results = server.json("/api/v1/monitors/new/results?limit=1000");
    assert_eq!(results["items"].as_array().unwrap().last().unwrap()["scheduled_at"], oldest);
}

#[test]
fn an_edit_keeps_state_and_incident() {
    let target = Target::start(1);
    target.answer(500);
    let with = |name: &str| {
        format!("monitors:\n  - {{ id: web, name: {name}, http: \"{}\", interval: 1s }}\n", target.url("/"))
    };
    let site = Site::new(&with("Before"));
    let server = site.serve();
    let since = server.wait_for_state("web", "down")["since"].clone();
    site.write(&with("After"));
    wait_for("the edit", || (server.monitor("web")["name"] == "After").then_some(()));
    let monitor = server.monitor("web");
    assert_eq!((&monitor["state"], &monitor["since"]), (&"down".into(), &since));
    assert_eq!(server.json("/api/v1/incidents")["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_in_log_api_and_metrics() {
    let target = Target::start(1);
    let good = format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1s }}\n", target.url("/"));
    let site = Site::new(&good);
    let server = site.serve();
    server.wait_for_state("web", "up");
    site.write("monitors:\n  - { id: web, http: \"http://127.0.0.1/\", intervall: 1s }\n");
    let error = wait_for("the error to be told", || {
        let status = server.json("/api/v1/status");
        status["config"]["error"]["text"].as_str().map(str::to_owned)
    });
    assert!(error.contains("watchpost.yml:2:") && error.contains("`interval`"), "{error}");
    assert!(server.log.lock().unwrap().contains("intervall"));
    assert_eq!(server.monitor("web")["state"], "up", "the old configuration goes on");
    assert!(server.get("/metrics").body.contains("watchpost_config_last_reload_successful 0"));
    site.write(&good);
    wait_for("the error to go", || server.json("/api/v1/status")["config"]["error"].is_null().then_some(()));
    assert!(server.get("/metrics").body.contains("watchpost_config_last_reload_successful 1"));
}

#[test]
fn a_removed_and_returned_monitor_has_its_history_back() {
    let target = Target::start(1);
    let both = format!(
        "monitors:\n  - {{ id: a, http: \"{}\", interval: 1s }}\n  - {{ id: b, http: \"{}\", interval: 1s }}\n",
        target.url("/a"),
        target.url("/b")
    );
    let one = both.lines().take(2).collect::<Vec<_>>().join("\n");
    let site = Site::new(&both);
    let server = site.serve();
    server.wait_for_state("b", "up");
    let first = server.json("/api/v1/monitors/b/results?limit=1000");
    let oldest = first["items"].as_array().unwrap().last().unwrap()["scheduled_at"].clone();
    site.write(&one);
    wait_for("it to go", || (server.get("/api/v1/monitors/b").status == 404).then_some(()));
    site.write(&both);
    server_wait_up(&server);
    let results = server.json("/api/v1/monitors/b/results?limit=1000");
    assert_eq!(results["items"].as_array().unwrap().last().unwrap()["scheduled_at"], oldest);
}

fn server_wait_up(server: &Server) {
    wait_for("it to be back", || (server.get("/api/v1/monitors/b").status == 200).then_some(()));
    server.wait_for_state("b", "up");
}

#[test]
fn a_paused_monitor_is_not_checked_and_goes_on_when_resumed() {
    let target = Target::start(1);
    let with = |active: bool| {
        format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1s, active: {active} }}\n", target.url("/"))
    };
    let site = Site::new(&with(true));
    let server = site.serve();
    server.wait_for_state("web", "up");
    site.write(&with(false));
    server.wait_for_state("web", "paused");
    assert_eq!(server.post("/api/v1/monitors/web/check").status, 409);
    site.write(&with(true));
    server.wait_for_state("web", "up");
}

#[test]
fn sighup_reloads_at_once() {
    let target = Target::start(1);
    let site = Site::new("monitors: []\n");
    let server = site.serve();
    site.write(&format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1s }}\n", target.url("/")));
    server.signal("HUP");
    wait_for("the monitor", || (server.get("/api/v1/monitors/web").status == 200).then_some(()));
}

#[test]
fn a_configuration_that_is_deleted_is_told_of_and_changes_nothing() {
    let target = Target::start(1);
    let yaml = format!("monitors:\n  - {{ id: web, http: \"{}\", interval: 1s }}\n", target.url("/"));
    let site = Site::new(&yaml);
    let server = Server::start_in(site.folder.path());
    server.wait_for_state("web", "up");
    std::fs::remove_file(site.config()).unwrap();
    let error = wait_for("the error to be told", || {
        let status = server.json("/api/v1/status");
        status["config"]["error"]["text"].as_str().map(str::to_owned)
    });
    assert!(error.contains("watchpost.yml"), "{error}");
    assert_eq!(server.monitor("web")["state"], "up", "the old configuration goes on");
    site.write(&yaml);
    wait_for("the error to go", || server.json("/api/v1/status")["config"]["error"].is_null().then_some(()));
}
