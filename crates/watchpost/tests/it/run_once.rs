//! `run-once`: for cron.

use crate::harness::{Site, Target, output, watchpost};

fn site(up: &Target, down: &Target) -> Site {
    Site::new(&format!(
        "monitors:\n  - {{ id: up, name: Works, http: \"{}\" }}\n  - {{ id: down, name: Broken, http: \"{}\" }}\n",
        up.url("/"),
        down.url("/")
    ))
}

#[test]
fn every_monitor_is_checked_once_and_recorded() {
    let (up, down) = (Target::start(1), Target::start(1));
    down.answer(500);
    let site = site(&up, &down);
    for round in 1..=2 {
        let ran = output(watchpost().args(["run-once", "--config"]).arg(site.config()));
        assert!(ran.status.success(), "services down are no failure of run-once: {ran:?}");
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let lines: Vec<&str> = text.lines().filter(|l| l.contains("ONLINE") || l.contains("OFFLINE")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("ONLINE") && lines[0].contains("ms") && lines[0].contains("Works"), "{text}");
        assert!(lines[1].contains("OFFLINE") && lines[1].contains("Broken"), "{text}");
        assert_eq!(up.seen().values().sum::<u64>(), round);
    }
    let server = site.serve();
    let results = server.json("/api/v1/monitors/down/results?limit=10");
    assert!(results["items"].as_array().unwrap().len() >= 2, "{results}");
    assert_eq!(server.json("/api/v1/incidents?monitor=down")["items"].as_array().unwrap().len(), 1);
}

#[test]
fn beside_a_running_server_that_one_is_asked() {
    let (up, down) = (Target::start(1), Target::start(1));
    down.answer(500);
    let site = site(&up, &down);
    let server = site.serve();
    server.wait_for_state("up", "up");
    let ran = output(watchpost().args(["run-once", "--json", "--config"]).arg(site.config()));
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let objects: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(objects[0]["monitor"]["id"], "up");
    assert_eq!(objects[0]["result"]["verdict"], "pass");
    assert_eq!(objects[1]["state"], "down");
    let recorded = server.json("/api/v1/monitors/up/results?limit=1");
    assert_eq!(recorded["items"][0]["scheduled_at"], objects[0]["result"]["scheduled_at"]);
}
