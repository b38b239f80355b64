//! Names we answer to, and other sites' requests.

use axum::body::Body;
use http::Request;
use watchpost_web::BaseUrl;

use crate::world::World;

async fn asked_as(world: &World, host: &str) -> u16 {
    let request = Request::get("/api/v1/status").header("host", host).body(Body::empty()).unwrap();
    world.ask(request).await.status.as_u16()
}

#[tokio::test]
async fn on_loopback_only_names_of_this_machine_are_answered() {
    let mut world = World::new();
    for host in ["127.0.0.1:8080", "127.0.0.1", "localhost:9", "LOCALHOST.", "a.localhost", "[::1]:8080", "127.9.9.9"] {
        assert_eq!(asked_as(&world, host).await, 200, "{host}");
    }
    for host in [
        "evil.example.org",
        "evil.example.org:8080",
        "192.168.1.5",
        "localhost.evil.org",
        "[2001:db8::1]",
        "127.0.0.1[",
        "",
    ] {
        assert_eq!(asked_as(&world, host).await, 421, "{host}");
    }
    world.base_url = Some(BaseUrl::parse("https://watch.example.org").unwrap());
    assert_eq!(asked_as(&world, "watch.example.org").await, 200);
    assert_eq!(asked_as(&world, "Watch.Example.org:443").await, 200);
    assert_eq!(asked_as(&world, "evil.example.org").await, 421);
}

#[tokio::test]
async fn the_refusal_says_what_to_do() {
    let world = World::new();
    let request = Request::get("/").header("host", "watch.example.org").body(Body::empty()).unwrap();
    let answer = world.ask(request).await;
    assert_eq!(
        answer.json()["detail"],
        "watchpost listens on this machine only and does not answer to the name `watch.example.org`; ask \
         http://127.0.0.1:8080, or set server.base_url to the address that people use"
    );
}

#[tokio::test]
async fn on_other_addresses_every_name_is_answered() {
    let world = World::listening("0.0.0.0:8080", 16);
    assert_eq!(asked_as(&world, "anything.example.org").await, 200);
}

#[tokio::test]
async fn probes_may_ask_by_any_name() {
    let world = World::new();
    for path in ["/livez", "/readyz"] {
        let request = Request::get(path).header("host", "10.1.2.3:8080").body(Body::empty()).unwrap();
        assert_eq!(world.ask(request).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_without_a_name_is_refused() {
    let world = World::new();
    let request = Request::get("/api/v1/status").body(Body::empty()).unwrap();
    assert_eq!(world.ask(request).await.status, 400);
}

#[tokio::test]
async fn only_our_own_pages_and_programs_may_change_something() {
    let mut world = World::with(&["db"]);
    world.base_url = Some(BaseUrl::parse("https://watch.example.org/sub").unwrap());
    for (host, headers, allowed) in [
        ("127.0.0.1:8080", vec![], true),
        ("127.0.0.1:8080", vec![("origin", "http://127.0.0.1:8080")], true),
        ("127.0.0.1", vec![("origin", "http://127.0.0.1")], true),
        ("127.0.0.1:8080", vec![("origin", "https://watch.example.org")], true),
        ("watch.example.org", vec![("origin", "https://watch.example.org"), ("sec-fetch-site", "same-origin")], true),
        ("127.0.0.1:8080", vec![("sec-fetch-site", "none")], true),
        ("127.0.0.1:8080", vec![("origin", "http://127.0.0.1:9090")], false),
        ("127.0.0.1:8080", vec![("origin", "http://evil.example.org")], false),
        ("127.0.0.1:8080", vec![("origin", "null")], false),
        ("127.0.0.1:8080", vec![("origin", "")], false),
        ("127.0.0.1:8080", vec![("sec-fetch-site", "cross-site")], false),
        ("127.0.0.1:8080", vec![("sec-fetch-site", "same-site")], false),
        ("127.0.0.1:8080", vec![("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")], false),
    ] {
        let mut request = Request::post("/api/v1/monitors/db/pause").header("host", host);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let status = world.ask(request.body(Body::empty()).unwrap()).await.status;
        assert_eq!(status, if allowed { 409 } else { 403 }, "{host} {headers:?}");
    }
}

#[test]
fn a_base_url_is_an_address_and_nothing_more() {
    for (text, prefix) in [
        ("https://watch.example.org", ""),
        ("https://watch.example.org/", ""),
        ("http://example.org:8080/sub", "/sub"),
        ("https://example.org/a/b/", "/a/b"),
    ] {
        assert_eq!(BaseUrl::parse(text).unwrap().prefix(), prefix, "{text}");
    }
    for text in ["watch.example.org", "ftp://example.org", "https://example.org/?a", "https://example.org/#a", ""] {
        let error = BaseUrl::parse(text).unwrap_err().to_string();
        assert!(error.contains("https://watch.example.org"), "{error}");
    }
}
