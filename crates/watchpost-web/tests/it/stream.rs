//! The live stream, read over TCP.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use watchpost_core::ports::{News, Publish};
use watchpost_core::state::Phase;
use watchpost_core::{Change, Shown, Verdict};
use watchpost_web::Limits;

use crate::serve::{Running, start};
use crate::world::{NOW, World, failed, state};

/// One event as it was sent.
#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens a stream; HTTP/1.0, so that events are not wrapped in chunks.
    async fn open(running: &Running, query: &str, headers: &str) -> Stream {
        let head =
            format!("GET /api/v1/stream{query} HTTP/1.0\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n{headers}\r\n");
        let mut reader = BufReader::new(running.send(&head).await);
        let mut answer = String::new();
        while reader.read_line(&mut answer).await.unwrap() > 2 {}
        let answer = answer.to_lowercase();
        assert!(answer.starts_with("http/1.0 200"), "{answer}");
        assert!(answer.contains("content-type: text/event-stream"), "{answer}");
        assert!(answer.contains("x-accel-buffering: no") && !answer.contains("content-encoding"), "{answer}");
        Stream(reader)
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap() == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                Some(("", _comment)) => {}
                Some(_) => panic!("{line}"),
                None if event.name.is_empty() => {}
                None => return Some(event),
            }
        }
    }

    async fn event(&mut self, name: &str) -> Event {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.name, name, "{event:?}");
        event
    }
}

async fn finish(running: Running) {
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn results_arrive_as_they_become_durable() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits::default());
    let mut stream = Stream::open(&running, "", "").await;
    let hello = stream.event("hello").await;
    assert_eq!(hello.data["resumed"], false);
    assert_eq!(hello.data["at"], "2026-11-20T03:00:00.000Z");
    assert_eq!(hello.data["cursor"], hello.id);

    world.publish("db", &[failed()]);
    let event = stream.event("result").await;
    assert_eq!((&event.data["monitor"], &event.data["state"]), (&Value::from("db"), &Value::from("up")));
    assert_eq!(event.data["result"]["reason"]["code"], "refused");
    world.hub.redefined();
    assert_eq!(stream.event("monitors").await.data["at"], "2026-11-20T03:00:00.000Z");
    world.hub.status_changed();
    stream.event("status").await;
    finish(running).await;
}

#[tokio::test]
async fn a_stream_opened_at_the_overviews_cursor_misses_nothing() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits::default());
    world.publish("db", &[Verdict::Pass]);
    let cursor = world.get("/api/v1/overview").await.json()["cursor"].as_str().unwrap().to_owned();
    world.publish("db", &[failed()]);
    let mut stream = Stream::open(&running, &format!("?after={cursor}"), "").await;
    let hello = stream.event("hello").await;
    assert_eq!((&hello.data["resumed"], hello.id), (&Value::from(true), cursor));
    assert_eq!(stream.event("result").await.data["result"]["verdict"], "fail");
    finish(running).await;
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_after_the_last_event_it_saw() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits::default());
    let mut stream = Stream::open(&running, "", "").await;
    stream.event("hello").await;
    world.publish("db", &[Verdict::Pass, failed(), Verdict::Pass]);
    let seen = stream.event("result").await;
    drop(stream);
    // The header is what browsers send; it wins over where the stream was opened at first.
    let mut stream = Stream::open(&running, "?after=old", &format!("Last-Event-ID: {}\r\n", seen.id)).await;
    assert_eq!(stream.event("hello").await.data["resumed"], true);
    assert_eq!(stream.event("result").await.data["result"]["verdict"], "fail");
    assert_eq!(stream.event("result").await.data["result"]["verdict"], "pass");
    finish(running).await;
}

#[tokio::test]
async fn a_place_of_another_process_cannot_be_resumed() {
    let world = World::with(&["db"]);
    let running = start(&world, Limits::default());
    for cursor in ["1-0", "nonsense", "-", "zz-1"] {
        let mut stream = Stream::open(&running, &format!("?after={cursor}"), "").await;
        assert_eq!(stream.event("hello").await.data["resumed"], false, "{cursor}");
    }
    finish(running).await;
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_to_fetch_anew_and_holds_up_nobody() {
    let world = World::listening("127.0.0.1:8080", 64);
    world.add(crate::world::definition("db"));
    let running = start(&world, Limits::default());
    let (mut full, mut compact) =
        (Stream::open(&running, "", "").await, Stream::open(&running, "?view=compact", "").await);
    full.event("hello").await;
    compact.event("hello").await;
    // Far more than the ring keeps, at once: no reader can keep up, and publishing ends all the same.
    world.publish("db", &vec![Verdict::Pass; 1_000]);
    for stream in [&mut full, &mut compact] {
        let lost = stream.event("hello").await;
        assert_eq!(lost.data["resumed"], false);
        assert!(lost.id.ends_with("-1000"), "{}", lost.id);
    }
    world.publish("db", &[failed()]);
    assert_eq!(full.event("result").await.data["result"]["verdict"], "fail");
    compact.event("results").await;
    finish(running).await;
}

#[tokio::test]
async fn only_the_monitors_asked_for_are_told_of() {
    let world = World::with(&["a", "b", "c,d", "e"]);
    let running = start(&world, Limits::default());
    for query in ["?ids=b,c%2Cd", "?ids=b&ids=c,d", "?view=compact&ids=b,c,d&ids=c,d"] {
        let mut stream = Stream::open(&running, query, "").await;
        stream.event("hello").await;
        for id in ["a", "b", "e", "c,d"] {
            world.publish(id, &[Verdict::Pass]);
        }
        world.hub.redefined();
        let mut told = Vec::new();
        loop {
            let event = stream.next().await.unwrap();
            match event.name.as_str() {
                "result" => told.push(event.data["monitor"].clone()),
                "results" => told.extend(event.data["r"].as_array().unwrap().iter().map(|r| r[0].clone())),
                "monitors" => break,
                other => panic!("{other}"),
            }
        }
        let expected: &[&str] = if query.contains("ids=b,c%2Cd") { &["b"] } else { &["b", "c,d"] };
        assert_eq!(told, expected, "{query}");
    }
    finish(running).await;
}

#[tokio::test]
async fn the_compact_view_batches_results_and_keeps_their_order() {
    let world = World::with(&["a", "b"]);
    let running = start(&world, Limits::default());
    let mut stream = Stream::open(&running, "?view=compact", "").await;
    let hello = stream.event("hello").await;
    world.hub.committed(&[]);
    let mut news = Vec::new();
    for (id, verdict) in [("a", Verdict::Pass), ("b", failed())] {
        let monitor = world.monitor(id);
        let result = Some(crate::world::result(&monitor, NOW, verdict));
        news.push(News { monitor, state: state(Phase::Up), result, changes: Vec::new() });
    }
    // A change that no result made is told as a change of the monitors.
    let paused = Change::Shown { from: Shown::Up, to: Shown::Paused, since: NOW };
    let monitor = world.monitor("a");
    news.push(News { monitor, state: state(Phase::Paused), result: None, changes: vec![paused] });
    world.hub.committed(&news);
    let (at, since) = (NOW.as_millis(), NOW.as_millis() - 3_600_000);
    let results = stream.event("results").await;
    assert_eq!(
        results.data["r"],
        serde_json::json!([["a", at, "p", 2_000, null, "up", since], ["b", at, "f", 2_000, "refused", "up", since]])
    );
    assert_eq!(results.id, hello.id.replace("-0", "-2"));
    stream.event("monitors").await;
    finish(running).await;
}

#[tokio::test]
async fn streams_end_at_the_stop() {
    let world = World::with(&["db"]);
    let limits = Limits { drain: std::time::Duration::from_secs(3_600), ..Limits::default() };
    let running = start(&world, limits);
    let mut full = Stream::open(&running, "", "").await;
    let mut compact = Stream::open(&running, "?view=compact", "").await;
    full.event("hello").await;
    compact.event("hello").await;
    finish(running).await;
    assert_eq!((full.next().await, compact.next().await), (None, None));
}
