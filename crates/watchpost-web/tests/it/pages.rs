//! The dashboard: its page, its files, the headers around them, and sub-paths.

use axum::body::Body;
use http::Request;
use watchpost_web::BaseUrl;

use crate::world::{Answer, HOST, World};

async fn asked(world: &World, path: &str, header: (&str, &str)) -> Answer {
    let request = Request::get(path).header("host", HOST).header(header.0, header.1);
    world.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_page_of_the_dashboard_is_the_same_file() {
    let world = World::new();
    let home = world.get("/").await;
    assert_eq!((home.status.as_u16(), home.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(home.text().contains(r#"<base href="/" />"#));
    assert_eq!(home.header("cache-control"), "no-cache");
    for path in ["/monitors/a%2Fb.example.org", "/results?verdict=fail", "/incidents/", "/settings", "/login"] {
        let page = world.get(path).await;
        assert_eq!((page.status.as_u16(), &page.body), (200, &home.body), "{path}");
    }
}

#[tokio::test]
async fn a_page_that_is_known_already_is_not_sent_again() {
    let world = World::new();
    let etag = world.get("/").await.header("etag").to_owned();
    let again = asked(&world, "/incidents", ("if-none-match", &etag)).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(asked(&world, "/", ("if-none-match", "W/\"old\"")).await.status, 200);
}

#[tokio::test]
async fn who_mistypes_gets_words_and_a_program_gets_a_problem() {
    let world = World::new();
    let person = asked(&world, "/monitorz", ("accept", "text/html,*/*")).await;
    assert_eq!((person.status.as_u16(), person.header("content-type")), (404, "text/html; charset=utf-8"));
    let program = world.get("/monitorz").await;
    assert_eq!((program.status.as_u16(), program.header("content-type")), (404, "application/problem+json"));
    for path in ["/assets/none.js", "/assets/", "/api/none", "/metrics/x", "/livez/x"] {
        assert_eq!(
            asked(&world, path, ("accept", "text/html")).await.header("content-type"),
            "application/problem+json"
        );
    }
}

#[tokio::test]
async fn everything_the_page_names_is_there_and_kept_for_ever() {
    let world = World::new();
    let page = world.get("/").await;
    // Without a built dashboard the page names no files, and there is nothing to look at.
    for path in page.text().split('"').filter_map(|part| part.strip_prefix("./assets/")) {
        let file = world.get(&format!("/assets/{path}")).await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("cache-control"), "max-age=31536000, immutable");
        let again = asked(&world, &format!("/assets/{path}"), ("if-none-match", file.header("etag"))).await;
        assert_eq!(again.status, 304);
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_other_sites_out() {
    let world = World::with(&["db"]);
    for path in ["/", "/assets/none.js", "/api/v1/monitors", "/api/v1/none", "/metrics", "/livez"] {
        let answer = world.get(path).await;
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn all_of_it_works_under_the_path_of_the_base_url() {
    let mut world = World::with(&["a/b"]);
    world.base_url = Some(BaseUrl::parse("https://example.org/sub/watch/").unwrap());
    for path in ["/sub/watch", "/sub/watch/", "/sub/watch/monitors/a%2Fb", "/"] {
        let page = world.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(r#"<base href="/sub/watch/" />"#), "{path}");
    }
    for prefix in ["", "/sub/watch"] {
        let monitor = world.get(&format!("{prefix}/api/v1/monitors/a%2Fb?x=1")).await;
        assert_eq!(monitor.json()["id"], "a/b");
        assert_eq!(world.get(&format!("{prefix}/metrics")).await.status, 200);
        assert_eq!(world.get(&format!("{prefix}/livez")).await.status, 200);
    }
    let description = world.get("/sub/watch/api/openapi.json").await.json();
    assert_eq!(description["servers"][0]["url"], "https://example.org/sub/watch");
    assert_eq!(world.get("/sub/watchful/api/v1/monitors").await.status, 404);
}

#[tokio::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let world = World::new();
    world.define((0..50).map(|number| crate::world::definition(&format!("m{number}"))).collect());
    for (accepted, used) in [("gzip", "gzip"), ("br", "br"), ("identity", "")] {
        let answer = asked(&world, "/api/v1/overview", ("accept-encoding", accepted)).await;
        assert_eq!(answer.header("content-encoding"), used);
        assert_eq!(asked(&world, "/livez", ("accept-encoding", accepted)).await.header("content-encoding"), "");
    }
}
