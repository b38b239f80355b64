//! What is refused, and in which words.

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;
use watchpost_store::Store;

use crate::world::{HOST, World};

#[tokio::test]
async fn a_parameter_that_cannot_be_understood_is_named() {
    let world = World::with(&["db"]);
    for (path, parameter) in [
        ("/api/v1/monitors?limit=0", "limit"),
        ("/api/v1/monitors?limit=1001", "limit"),
        ("/api/v1/monitors?limit=-1", "limit"),
        ("/api/v1/monitors?limit=ten", "limit"),
        ("/api/v1/monitors?limit=1&limit=2", "limit"),
        ("/api/v1/monitors?cursor=nonsense", "cursor"),
        ("/api/v1/monitors/db/results?before=cjoxOjI6Mw", "before"),
        ("/api/v1/results?cursor=bToxOjI", "cursor"),
        ("/api/v1/results?verdict=maybe", "verdict"),
        ("/api/v1/results?from=yesterday", "from"),
        ("/api/v1/results?to=2026-13-01T00:00:00Z", "to"),
        ("/api/v1/results?monitor=nobody", "monitor"),
        ("/api/v1/incidents?open=maybe", "open"),
        ("/api/v1/overview?recent=101", "recent"),
        ("/api/v1/stream?view=tall", "view"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 422, "{path}");
        let problem = answer.json();
        assert_eq!(problem["parameter"], parameter, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(parameter.trim_end_matches("monitor")), "{problem}");
    }
    assert_eq!(world.get("/api/v1/monitors?limit=1000").await.status, 200);
}

#[tokio::test]
async fn an_unknown_monitor_is_named() {
    let world = World::with(&["db"]);
    let problem = world.get("/api/v1/monitors/no%2Fbody").await;
    assert_eq!(problem.status, 404);
    assert_eq!(
        problem.json(),
        serde_json::json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no monitor `no/body`"
        })
    );
    assert_eq!(world.get("/api/v1/monitors/%FF%FE").await.status, 400);
}

#[tokio::test]
async fn a_monitor_of_the_file_is_changed_in_the_file_only() {
    let world = World::with(&["db"]);
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let ask = async |path: &str| {
            let request = Request::builder().method(method.clone()).uri(path).header("host", HOST);
            world.ask(request.body(Body::empty()).unwrap()).await
        };
        let answer = ask("/api/v1/monitors/db").await;
        assert_eq!(answer.status, 409, "{method}");
        assert!(answer.text().contains("watchpost.yml:12"), "{method}: {}", answer.text());
        assert_eq!(ask("/api/v1/monitors/nobody").await.status, 404, "{method}");
    }
}

#[tokio::test]
async fn what_the_product_names_and_this_version_lacks_is_not_supported_yet() {
    let world = World::with(&["db"]);
    for (method, path) in [
        (Method::GET, "/api/v1/alerts"),
        (Method::GET, "/api/v1/deliveries?limit=1"),
        (Method::POST, "/api/v1/channels"),
        (Method::POST, "/api/v1/monitors"),
        (Method::GET, "/api/docs"),
        (Method::GET, "/api/push/token?status=up"),
        (Method::GET, "/ping/key"),
        (Method::POST, "/ping/key/fail"),
        (Method::GET, "/refresh/plex"),
        (Method::GET, "/status/public"),
        (Method::GET, "/status/public/feed.atom"),
        (Method::GET, "/badge/db/status.svg"),
        (Method::GET, "/probe?target=x"),
        (Method::GET, "/tasks"),
        (Method::GET, "/a/token"),
    ] {
        let request = Request::builder().method(method.clone()).uri(path).header("host", HOST);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 501, "{method} {path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("not supported yet"), "{method} {path}");
    }
}

#[tokio::test]
async fn unknown_addresses_of_the_api_are_problems() {
    let world = World::with(&["db"]);
    for path in ["/api", "/api/", "/api/v1", "/api/v2/monitors", "/api/v1/monitors/db/x", "/api/v1/statuses"] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let world = World::with(&["db"]);
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/overview", "GET,HEAD"),
        (Method::GET, "/api/v1/monitors/db/check", "POST"),
        (Method::POST, "/incidents", "GET,HEAD"),
        (Method::POST, "/metrics", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method.clone()).uri(path).header("host", HOST);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.json()["detail"].as_str().unwrap().contains(allow));
    }
}

#[tokio::test]
async fn a_body_where_none_belongs_is_refused_by_size_type_and_content() {
    let world = World::with(&["db"]);
    let many = "x".repeat(70_000);
    for (kind, body, status) in [
        ("application/json", "", 503),
        ("application/json; charset=utf-8", "{}", 503),
        ("application/json", "{\"at\": 1}", 422),
        ("application/json", "[]", 422),
        ("application/json", "{", 400),
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "a=b", 415),
        ("application/json", many.as_str(), 413),
    ] {
        let request = Request::post("/api/v1/monitors/db/check").header("host", HOST).header("content-type", kind);
        let answer = world.ask(request.body(Body::from(body.to_owned())).unwrap()).await;
        assert_eq!(answer.status, status, "{kind} {:.20}", body);
    }
    let request = Request::post("/api/v1/monitors/db/check").header("host", HOST).header("content-length", "70000");
    assert_eq!(world.ask(request.body(Body::empty()).unwrap()).await.status, 413);
}

#[tokio::test]
async fn a_store_that_fails_is_our_trouble_and_named() {
    let world = World::with(&["db"]);
    world.store.close().await.unwrap();
    for path in [
        "/api/v1/overview",
        "/api/v1/monitors",
        "/api/v1/monitors/db",
        "/api/v1/monitors/db/results",
        "/api/v1/results",
        "/api/v1/incidents",
        "/metrics",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.json()["detail"], "the store is closed");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(world.get("/api/v1/status").await.status, 200);
}

#[tokio::test]
async fn the_process_is_ready_when_the_store_is_and_it_does_not_stop() {
    let world = World::new();
    assert_eq!((world.get("/livez").await.text(), world.get("/readyz").await.text()), ("ok\n", "ok\n"));

    world.told.health.lock().unwrap().store_error = Some("disk full".to_owned());
    world.stop.cancel();
    let answer = world.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.text(), "stopping\nthe store takes no results: disk full\n");
    assert_eq!(world.get("/livez").await.status, 200);

    let world = World::new();
    world.store.close().await.unwrap();
    let answer = world.get("/readyz").await;
    assert_eq!(answer.text(), "the store cannot be read: the store is closed\n");
}

#[tokio::test]
async fn answers_are_not_kept_by_anyone() {
    let world = World::with(&["db"]);
    for path in ["/api/v1/monitors", "/api/v1/nothing", "/metrics", "/readyz"] {
        assert_eq!(world.get(path).await.header("cache-control"), "no-store", "{path}");
    }
    let problem: Value = world.get("/api/v1/nothing").await.json();
    assert_eq!(problem["status"], 404);
}
