//! What the API answers.

use std::time::Duration;

use serde_json::{Value, json};
use watchpost_core::monitor::Source;
use watchpost_core::observe::Observation;
use watchpost_core::ports::{CheckNowError, CheckedNow, EngineHealth};
use watchpost_core::state::Phase;
use watchpost_core::{Fault, FaultCode, Verdict};
use watchpost_store::{Entry, MonitorView};
use watchpost_web::ConfigError;

use crate::world::{NOW, World, ago, definition, down, failed, result, shown, state};

fn ids(page: &Value, key: &str) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

/// Follows `next` to the end, and gives the pages' sizes and all items.
async fn all_pages(world: &World, path: &str, cursor: &str) -> (Vec<usize>, Vec<Value>) {
    let (mut sizes, mut items, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = world.get(&format!("{path}{next}")).await.json();
        let got = page["items"].as_array().unwrap();
        sizes.push(got.len());
        items.extend(got.iter().cloned());
        match page["next"].as_str() {
            Some(more) => next = format!("&{cursor}={more}"),
            None => return (sizes, items),
        }
    }
}

#[tokio::test]
async fn monitors_are_listed_in_their_order_page_by_page() {
    let world = World::with(&["zebra", "ape", "cat", "dog", "eel"]);
    let (sizes, items) = all_pages(&world, "/api/v1/monitors?limit=2", "cursor").await;
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(ids(&json!({ "items": items }), "id"), ["zebra", "ape", "cat", "dog", "eel"]);
    let page = world.get("/api/v1/monitors").await.json();
    assert_eq!((ids(&page, "id").len(), &page["next"]), (5, &Value::Null));
}

#[tokio::test]
async fn a_page_goes_on_where_it_was_when_its_last_monitor_is_removed() {
    let world = World::with(&["a", "b", "c", "d"]);
    let first = world.get("/api/v1/monitors?limit=2").await.json();
    world.define(["a", "c", "d"].map(definition).to_vec());
    let next = format!("/api/v1/monitors?limit=2&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(ids(&world.get(&next).await.json(), "id"), ["c", "d"]);
}

#[tokio::test]
async fn ids_of_any_script_with_slashes_and_signs_are_found() {
    for id in ["a/b", "каша №1", "50% off?", "..", "a+b", "x#y"] {
        let world = World::with(&[id]);
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = world.get(&format!("/api/v1/monitors/{encoded}")).await;
        assert_eq!(answer.status, 200, "{id}");
        assert_eq!(answer.json()["id"], id);
    }
}

#[tokio::test]
async fn a_monitor_shows_its_state_its_newest_result_and_its_uptime() {
    let world = World::with(&["db"]);
    world.put("db", down(), 900);
    world.result("db", 30, failed());
    let monitor = world.get("/api/v1/monitors/db").await.json();
    assert_eq!(monitor["state"], "down");
    assert_eq!(monitor["since"], "2026-11-20T02:50:00.000Z");
    assert_eq!(monitor["reason"]["code"], "refused");
    assert_eq!(monitor["source"], "file");
    assert_eq!(monitor["file"], json!({ "path": "watchpost.yml", "line": 12 }));
    assert_eq!(monitor["last_result"]["verdict"], "fail");
    assert_eq!(monitor["uptime"]["24h"], 0.75);
}

#[tokio::test]
async fn the_configuration_document_is_shown_as_wiring_masks_it() {
    let world = World::with(&["db"]);
    assert_eq!(world.get("/api/v1/monitors/db/config").await.json()["tcp"]["send"], "***");
    assert_eq!(world.get("/api/v1/monitors/nobody/config").await.status, 404);
}

#[tokio::test]
async fn results_come_newest_first_page_by_page() {
    let world = World::with(&["db", "web"]);
    for tick in 1..=5 {
        world.result("db", tick * 60, Verdict::Pass);
        world.result("web", tick * 60, failed());
    }
    let (sizes, items) = all_pages(&world, "/api/v1/monitors/db/results?limit=2", "before").await;
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(items[0]["scheduled_at"], "2026-11-20T02:59:00.000Z");
    assert_eq!(items[4]["scheduled_at"], "2026-11-20T02:55:00.000Z");
    assert!(items[0].get("monitor").is_none());

    let (sizes, items) = all_pages(&world, "/api/v1/results?limit=3", "cursor").await;
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert_eq!((&items[0]["monitor"], &items[1]["monitor"]), (&json!("db"), &json!("web")));
}

#[tokio::test]
async fn what_removed_monitors_left_is_not_listed() {
    let world = World::with(&["db", "web"]);
    world.result("db", 60, Verdict::Pass);
    world.result("web", 120, Verdict::Pass);
    world.incident("db", 60, Some(30));
    world.define(vec![definition("web")]);
    let (_, results) = all_pages(&world, "/api/v1/results?limit=1", "cursor").await;
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["monitor"], "web");
    assert_eq!(world.get("/api/v1/incidents").await.json()["items"], json!([]));
}

#[tokio::test]
async fn results_are_filtered_by_monitor_verdict_and_time() {
    let world = World::with(&["db", "web"]);
    world.result("db", 60, Verdict::Pass);
    world.result("db", 120, failed());
    world.result("web", 180, Verdict::Inconclusive(Fault::new(FaultCode::OutOfFiles, "out of file handles")));
    for (filter, expected) in [
        ("", 3),
        ("monitor=db", 2),
        ("monitor=", 3),
        ("verdict=fail", 1),
        ("verdict=fail,inconclusive", 2),
        ("verdict=fail&verdict=pass", 2),
        ("from=2026-11-20T02:58:00Z", 2),
        ("to=2026-11-20T02:58:00Z", 1),
        ("from=2026-11-20T04:58:00+02:00", 2),
        ("from=2026-11-20T04:58:00%2B02:00&to=2026-11-20T02:59:00Z", 1),
        ("colour=blue", 3),
    ] {
        let page = world.get(&format!("/api/v1/results?{filter}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn incidents_are_open_or_closed_and_come_newest_first() {
    let world = World::with(&["db", "web"]);
    world.incident("web", 600, Some(300));
    world.incident("db", 120, None);
    world.incident("web", 60, None);
    let (sizes, items) = all_pages(&world, "/api/v1/incidents?limit=2", "cursor").await;
    assert_eq!(sizes, [2, 1]);
    let durations: Vec<_> = items.iter().map(|item| item["duration_ms"].as_u64().unwrap()).collect();
    assert_eq!(durations, [60_000, 120_000, 300_000]);
    assert_eq!(items[2]["closed_by"], "recovered");
    for (filter, expected) in [("open=true", 2), ("open=false", 1), ("open=true&monitor=db", 1), ("monitor=web", 2)] {
        let page = world.get(&format!("/api/v1/incidents?{filter}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn the_overview_counts_states_and_shows_the_newest_results_oldest_first() {
    let world = World::with(&["db", "web", "mail"]);
    world.put("db", down(), 600);
    world.put("mail", Phase::Paused, 600);
    for secs in [180, 120, 60] {
        world.result("db", secs, failed());
    }
    let overview = world.get("/api/v1/overview?recent=2").await.json();
    assert_eq!(
        overview["counts"],
        json!({ "up": 1, "degraded": 0, "down": 1, "unknown": 0, "paused": 1, "maintenance": 0 })
    );
    assert_eq!(ids(&overview, "id"), ["db", "web", "mail"]);
    let minute = 60_000;
    let at = NOW.as_millis();
    assert_eq!(
        overview["items"][0]["recent"],
        json!([[at - 2 * minute, "f", 2_000, "refused"], [at - minute, "f", 2_000, "refused"]])
    );
    assert_eq!(overview["items"][0]["latency_us"], 2_000);
    assert_eq!(world.get("/api/v1/overview?recent=0").await.json()["items"][0]["recent"], json!([]));
}

#[tokio::test]
async fn the_overviews_uptime_is_at_most_five_seconds_old() {
    let world = World::with(&["db"]);
    let app = world.router();
    let uptime = async || {
        use http_body_util::BodyExt;
        use tower::ServiceExt;
        let request = http::Request::get("/api/v1/overview").header("host", "localhost");
        let response = app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()["items"][0]["uptime_24h"].clone()
    };
    assert_eq!(uptime().await, 1.0);
    world.put("db", down(), 3_600);
    world.wait(Duration::from_secs(4));
    assert_eq!(uptime().await, 1.0);
    world.wait(Duration::from_secs(1));
    assert_eq!(uptime().await, 0.0);
}

#[tokio::test]
async fn ten_thousand_monitors_fit_into_one_overview() {
    let world = World::new();
    world.define((0..10_000).map(|number| definition(&format!("m{number}"))).collect());
    let last = |view: &MonitorView| Entry {
        results: vec![result(&view.monitor, ago(60), Verdict::Pass)],
        ..shown(view.monitor.key, Phase::Up, 3_600)
    };
    world.commit(world.views().iter().map(last).collect());
    let overview: Value = serde_json::from_slice(&world.router_get("/api/v1/overview").await).unwrap();
    assert_eq!(overview["counts"]["up"], 10_000);
    let items = overview["items"].as_array().unwrap();
    assert_eq!(items.len(), 10_000);
    assert_eq!((&items[9_999]["id"], &items[9_999]["uptime_24h"]), (&json!("m9999"), &json!(1.0)));
    assert_eq!(items[9_999]["recent"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_check_out_of_turn_answers_with_its_result() {
    let world = World::with(&["db"]);
    let monitor = world.monitor("db");
    let checked = CheckedNow {
        state: state(down()),
        result: result(&monitor, NOW, failed()),
        seen: std::sync::Arc::new(Observation::begin(NOW)),
    };
    *world.told.check.lock().unwrap() = Ok(checked);
    let answer = world.post("/api/v1/monitors/db/check").await.json();
    assert_eq!(answer["monitor"], json!({ "id": "db", "name": "The db", "kind": "tcp" }));
    assert_eq!((&answer["state"], &answer["result"]["reason"]["code"]), (&json!("down"), &json!("refused")));
    assert_eq!(world.post("/api/v1/monitors/nobody/check").await.status, 404);
}

#[tokio::test]
async fn a_check_out_of_turn_that_cannot_be_says_why() {
    let world = World::with(&["db"]);
    for (error, status) in [
        (CheckNowError::Paused, 409),
        (CheckNowError::Running, 409),
        (CheckNowError::Unknown, 404),
        (CheckNowError::Busy, 503),
    ] {
        *world.told.check.lock().unwrap() = Err(error);
        let answer = world.post("/api/v1/monitors/db/check").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["detail"], error.to_string());
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" });
    }
}

#[tokio::test]
async fn pausing_a_monitor_of_a_file_names_the_key_and_the_place() {
    let world = World::with(&["db"]);
    world.add(watchpost_core::Definition { source: Source::Api, ..definition("made") });
    for (action, word) in [("pause", "false"), ("resume", "true")] {
        let answer = world.post(&format!("/api/v1/monitors/db/{action}")).await;
        assert_eq!(answer.status, 409);
        let detail = format!("this monitor is written in a file; say `active: {word}` in watchpost.yml:12");
        assert_eq!(answer.json()["detail"], detail);
        assert_eq!(world.post(&format!("/api/v1/monitors/made/{action}")).await.status, 501);
        assert_eq!(world.post(&format!("/api/v1/monitors/nobody/{action}")).await.status, 404);
    }
}

#[tokio::test]
async fn the_status_tells_of_a_refused_configuration_and_a_failing_store() {
    let world = World::new();
    let status = world.get("/api/v1/status").await.json();
    assert_eq!((&status["uptime_s"], &status["loopback_only"]), (&json!(60), &json!(true)));
    assert_eq!((&status["config"]["error"], &status["engine"]["store"]), (&Value::Null, &json!("ok")));

    let text = "watchpost.yml:12:5: unknown key `intervall`; did you mean `interval`?";
    world.told.standing.lock().unwrap().error = Some(ConfigError { at: NOW, text: text.to_owned() });
    *world.told.health.lock().unwrap() = EngineHealth {
        store_error: Some("disk full".to_owned()),
        commit_took: Duration::from_micros(3_900),
        lateness_p99: Duration::from_millis(2),
        ..EngineHealth::default()
    };
    let status = world.get("/api/v1/status").await.json();
    assert_eq!(status["config"]["error"]["text"], text);
    assert_eq!(status["engine"]["store"], "failing: disk full");
    assert_eq!((&status["engine"]["commit_lag_ms"], &status["engine"]["lateness_p99_ms"]), (&json!(3), &json!(2)));
}
