//! What an HTTP check sends, follows and reads.

use std::net::Ipv6Addr;

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use watchpost_core::Secret;
use watchpost_core::spec::{HttpAuth, HttpMethod, HttpSpec, HttpVersion, IpVersion};

use super::cert::{Authority, TlsPeer};
use super::peer::{Peer, closed_port, hold, read_head};
use super::support::{AMPLE, SHORT, any_status, checker, containing, get, http, http_spec, judged, run};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\nok";

fn secret(name: &str, value: &str) -> (String, Secret) {
    (name.to_owned(), Secret::new(value))
}

fn has(head: &str, line: &str) -> bool {
    head.lines().any(|l| l.eq_ignore_ascii_case(line))
}

#[tokio::test]
async fn a_page_passes_with_all_its_stages_timed() {
    let (peer, asked) = Peer::asked(|_| OK.to_owned()).await;
    let seen = run(&checker(), &containing(get(&peer.url("/a?b=c#d")), "ok")).await;
    judged(&seen, "pass");
    let timings = seen.observation.timings;
    assert!(timings.connect.is_some() && timings.ttfb.is_some() && timings.transfer.is_some(), "{timings:?}");
    assert_eq!((timings.dns, timings.tls), (None, None));
    let parts = [timings.connect, timings.ttfb, timings.transfer].iter().flatten().sum::<u32>();
    assert!(timings.total.unwrap() >= parts);
    let http = seen.observation.http.unwrap();
    assert_eq!((http.status, http.version, http.body_bytes, http.truncated), (200, "1.1", 2, false));
    assert_eq!(http.body.as_deref(), Some(&b"ok"[..]));
    assert_eq!(http.url, peer.url("/a?b=c"));
    assert!(http.headers.contains(&("x-one".to_owned(), "1".to_owned())));
    assert_eq!(seen.observation.address, Some(peer.address));
    let head = asked.last();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    let version = env!("CARGO_PKG_VERSION");
    for line in
        [&format!("Host: {}", peer.address), &format!("User-Agent: Watchpost/{version}"), "Accept-Encoding: identity"]
    {
        assert!(has(&head, line), "{line} is missing in {head}");
    }
}

#[tokio::test]
async fn a_trace_names_each_step() {
    let (peer, _) = Peer::asked(|_| OK.to_owned()).await;
    let seen = run(&checker(), &get(&peer.url("/"))).await;
    let steps: Vec<String> =
        seen.observation.steps.iter().map(|step| format!("{}: {}", step.what, step.outcome)).collect();
    let address = peer.address;
    assert_eq!(
        steps,
        [
            "resolve 127.0.0.1: 127.0.0.1".to_owned(),
            format!("connect {address}: ok"),
            format!("GET http://{address}/: 200"),
            "read the body: 2 bytes".to_owned(),
        ]
    );
}

#[tokio::test]
async fn method_headers_and_body_are_sent_as_written() {
    let (peer, asked) = Peer::asked(|_| OK.to_owned()).await;
    let spec = HttpSpec {
        method: HttpMethod::One("POST".to_owned()),
        headers: vec![secret("X-Key", "k1"), secret("User-Agent", "mine"), secret("Host", "other.example")],
        body: Some(Secret::new("{\"a\":1}")),
        ..http_spec(&peer.url("/"))
    };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "pass");
    let head = asked.last();
    assert!(head.starts_with("POST / HTTP/1.1\r\n") && head.ends_with("\r\n\r\n{\"a\":1}"), "{head}");
    for line in ["x-key: k1", "user-agent: mine", "host: other.example", "content-length: 7"] {
        assert!(has(&head, line), "{line} is missing in {head}");
    }
    assert!(!head.contains("Watchpost"), "{head}");
}

#[tokio::test]
async fn credentials_come_from_the_monitor_or_its_url() {
    let (peer, asked) = Peer::asked(|_| OK.to_owned()).await;
    let basic = HttpAuth::Basic { user: "u".to_owned(), password: Secret::new("p") };
    let url = format!("http://me:p%40ss@{}/", peer.address);
    let cases = [
        (http_spec(&url), "authorization: Basic bWU6cEBzcw=="),
        (HttpSpec { auth: Some(basic), ..http_spec(&url) }, "authorization: Basic dTpw"),
        (HttpSpec { auth: Some(HttpAuth::Bearer(Secret::new("t"))), ..http_spec(&url) }, "authorization: Bearer t"),
    ];
    for (spec, line) in cases {
        let seen = run(&checker(), &http(spec, AMPLE)).await;
        judged(&seen, "pass");
        assert!(has(&asked.last(), line), "{line} is missing in {}", asked.last());
        assert_eq!(seen.observation.http.unwrap().url, peer.url("/"), "credentials are not shown");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_and_its_stages_are_summed() {
    let (peer, asked) = Peer::asked(|head| match head.starts_with("GET /new") {
        true => OK.to_owned(),
        false => "HTTP/1.1 301 Moved\r\nLocation: new?x=1\r\nContent-Length: 0\r\n\r\n".to_owned(),
    })
    .await;
    let seen = run(&checker(), &get(&peer.url("/old"))).await;
    judged(&seen, "pass");
    let http = seen.observation.http.unwrap();
    assert_eq!((http.status, http.redirects, http.url), (200, 1, peer.url("/new?x=1")));
    assert_eq!(asked.lines(), ["GET /old HTTP/1.1", "GET /new?x=1 HTTP/1.1"]);
}

#[tokio::test]
async fn secrets_stay_at_home_when_a_redirect_leads_elsewhere() {
    let (elsewhere, asked) = Peer::asked(|_| OK.to_owned()).await;
    let to = elsewhere.url("/");
    let (home, asked_home) = Peer::asked(move |head| match head.starts_with("GET /again ") {
        true => format!("HTTP/1.1 307 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
        false => "HTTP/1.1 302 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n".to_owned(),
    })
    .await;
    let spec = HttpSpec {
        auth: Some(HttpAuth::Bearer(Secret::new("token"))),
        headers: vec![
            secret("Cookie", "session=1"),
            secret("X-Key", "k1"),
            secret("Accept-Language", "lv"),
            secret("Host", "home.example"),
        ],
        ..http_spec(&home.url("/"))
    };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "pass");
    for head in asked_home.all() {
        assert!(has(&head, "authorization: Bearer token") && has(&head, "cookie: session=1"), "{head}");
    }
    let head = asked.last().to_lowercase();
    assert!(has(&head, "accept-language: lv"), "{head}");
    assert!(has(&head, &format!("host: {}", elsewhere.address)), "{head}");
    for secret in ["token", "session", "k1", "home.example"] {
        assert!(!head.contains(secret), "{secret} got out: {head}");
    }
}

#[tokio::test]
async fn a_redirected_post_becomes_a_get_without_its_body() {
    let (peer, asked) = Peer::asked(|head| match head.starts_with("POST") {
        true => "HTTP/1.1 303 See\r\nLocation: /done\r\nContent-Length: 0\r\n\r\n".to_owned(),
        false => OK.to_owned(),
    })
    .await;
    let spec = HttpSpec {
        method: HttpMethod::One("POST".to_owned()),
        headers: vec![secret("Content-Type", "text/plain")],
        body: Some(Secret::new("hello")),
        ..http_spec(&peer.url("/"))
    };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "pass");
    let head = asked.last();
    assert!(head.starts_with("GET /done ") && !head.contains("hello") && !head.contains("text/plain"), "{head}");
}

#[tokio::test]
async fn without_redirects_a_3xx_is_the_answer() {
    let peer = Peer::answering("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n").await;
    let seen = run(&checker(), &http(HttpSpec { redirects: 0, ..http_spec(&peer.url("/")) }, AMPLE)).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.http.unwrap().status, 302);
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_3xx_without_location_counts_by_its_own_status() {
    let peer = Peer::answering("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    let seen = run(&checker(), &get(&peer.url("/"))).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.http.unwrap().status, 302);
}

#[tokio::test]
async fn an_unexpected_status_fails_and_its_time_is_kept() {
    let peer = Peer::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await;
    let seen = run(&checker(), &get(&peer.url("/"))).await;
    judged(&seen, "fail:status@ttfb");
    assert!(seen.observation.timings.total.is_some());
}

async fn head_then_get(head: &str) -> (String, Vec<String>, u16) {
    let head = head.to_owned();
    let (peer, asked) = Peer::asked(move |request| match request.starts_with("HEAD") {
        true => head.clone(),
        false => OK.to_owned(),
    })
    .await;
    let spec = HttpSpec { method: HttpMethod::HeadThenGet, ..http_spec(&peer.url("/")) };
    let seen = run(&checker(), &any_status(http(spec, AMPLE))).await;
    let methods = asked.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    (seen.verdict, methods, seen.observation.http.map_or(0, |http| http.status))
}

#[tokio::test]
async fn head_is_enough_when_it_is_answered() {
    let answered = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 99\r\n\r\n");
    for status in [200, 404, 499] {
        let (verdict, methods, seen) = head_then_get(&answered(status)).await;
        assert_eq!((verdict.as_str(), methods, seen), ("pass", vec!["HEAD".to_owned()], status));
    }
}

#[tokio::test]
async fn get_decides_after_a_head_that_failed() {
    let answered = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    for head in [answered(405), answered(500), answered(501), answered(503), String::new(), "garbage\r\n".to_owned()] {
        let (verdict, methods, seen) = head_then_get(&head).await;
        assert_eq!((verdict.as_str(), methods.len(), seen), ("pass", 2, 200), "after {head:?}");
    }
}

#[tokio::test]
async fn a_head_that_hangs_leaves_time_for_get() {
    let peer = Peer::start(|mut stream| async move {
        match read_head(&mut stream).await.starts_with("HEAD") {
            true => hold(&mut stream).await,
            false => stream.write_all(OK.as_bytes()).await.unwrap(),
        }
    })
    .await;
    let spec = HttpSpec { method: HttpMethod::HeadThenGet, ..http_spec(&peer.url("/")) };
    let seen = run(&checker(), &http(spec, 4 * SHORT)).await;
    judged(&seen, "pass");
    assert!(seen.observation.timings.total.unwrap() >= 2_000 * u32::try_from(SHORT.as_millis()).unwrap());
}

#[tokio::test]
async fn tcp_first_connects_twice_and_fails_as_tcp_does() {
    let (peer, asked) = Peer::asked(|_| OK.to_owned()).await;
    let spec = HttpSpec { tcp_first: true, ..http_spec(&peer.url("/")) };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "pass");
    assert_eq!(peer.accepted(), 2);
    assert_eq!(asked.all().iter().filter(|head| !head.is_empty()).count(), 1);
    let dead = HttpSpec { tcp_first: true, ..http_spec(&format!("http://127.0.0.1:{}/", closed_port())) };
    judged(&run(&checker(), &http(dead, AMPLE)).await, "fail:refused@connect");
}

#[tokio::test]
async fn ipv6_targets_are_reached_with_their_brackets() {
    let peer = Peer::start_at(Ipv6Addr::LOCALHOST.into(), 0, |mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.to_lowercase().contains("host: [::1]:"), "{head}");
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let seen = run(&checker(), &get(&format!("http://[::1]:{}/", peer.port()))).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.address, Some(peer.address));
    let only_v4 = HttpSpec { ip: IpVersion::V4, ..http_spec(&format!("http://[::1]:{}/", peer.port())) };
    judged(&run(&checker(), &http(only_v4, AMPLE)).await, "fail:dns_not_found@dns");
}

#[tokio::test]
async fn localhost_is_found_on_whichever_address_it_listens() {
    for ip in ["127.0.0.1", "::1"] {
        let peer = Peer::start_at(ip.parse().unwrap(), 0, |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        })
        .await;
        let seen = run(&checker(), &get(&format!("http://localhost:{}/", peer.port()))).await;
        judged(&seen, "pass");
        assert_eq!(seen.observation.address, Some(peer.address));
    }
}

/// Serves HTTP/2 over anything.
async fn serve_h2(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
        let seen = format!("{} {:?}", request.uri(), request.version());
        Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::<bytes::Bytes>::from(seen)))
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(io), service)
        .await;
}

#[tokio::test]
async fn http2_is_spoken_when_alpn_agrees_on_it() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"], |_| {});
    let peer = TlsPeer::start(&identity, &["h2", "http/1.1"], |stream| async move {
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        match agreed.as_deref() {
            Some(b"h2") => serve_h2(stream).await,
            _ => {
                let mut stream = stream;
                read_head(&mut stream).await;
                let _ = stream.write_all(OK.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    let checker = authority.checker();
    for (version, spoken) in [(HttpVersion::Auto, "2"), (HttpVersion::Http2, "2"), (HttpVersion::Http1, "1.1")] {
        let spec = HttpSpec { version, ip: IpVersion::V4, ..http_spec(&peer.url("localhost")) };
        let seen = run(&checker, &containing(http(spec, AMPLE), "")).await;
        judged(&seen, "pass");
        let http = seen.observation.http.unwrap();
        assert_eq!(http.version, spoken, "{version:?}");
        if spoken == "2" {
            let body = String::from_utf8(http.body.unwrap()).unwrap();
            assert!(body.starts_with(&format!("https://localhost:{}/", peer.port())), "{body}");
            assert_eq!(seen.observation.tls.unwrap().alpn.as_deref(), Some("h2"));
        }
    }
}

#[tokio::test]
async fn http2_in_clear_is_spoken_with_prior_knowledge() {
    let peer = Peer::start(serve_h2).await;
    let spec = HttpSpec { version: HttpVersion::Http2, ..http_spec(&peer.url("/x")) };
    let seen = run(&checker(), &http(spec, AMPLE)).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.http.unwrap().version, "2");
}

#[tokio::test]
async fn http2_that_is_wanted_and_not_spoken_is_a_protocol_error() {
    let authority = Authority::new();
    let peer = TlsPeer::ok(&authority.issue(&["localhost"], |_| {})).await;
    let spec = HttpSpec { version: HttpVersion::Http2, ip: IpVersion::V4, ..http_spec(&peer.url("localhost")) };
    judged(&run(&authority.checker(), &http(spec, AMPLE)).await, "fail:protocol@tls");
    let clear = Peer::answering(OK).await;
    let spec = HttpSpec { version: HttpVersion::Http2, ..http_spec(&clear.url("/")) };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn a_mute_http2_server_times_out() {
    let peer = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let spec = HttpSpec { version: HttpVersion::Http2, ..http_spec(&peer.url("/")) };
    judged(&run(&checker(), &http(spec, SHORT)).await, "fail:timeout@ttfb");
}

#[tokio::test]
async fn many_checks_of_one_host_at_once_wait_for_their_turn_and_pass() {
    let (peer, _) = Peer::asked(|_| OK.to_owned()).await;
    let checker = checker();
    let definition = get(&peer.url("/"));
    let all = futures_util::future::join_all((0..300).map(|_| run(&checker, &definition))).await;
    let failed: Vec<_> = all.iter().filter(|seen| seen.verdict != "pass").map(|seen| &seen.text).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
