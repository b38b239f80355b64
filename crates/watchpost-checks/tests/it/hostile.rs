//! Hostile HTTP peers: the right reason code for each, within the deadline, in bounded memory.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use watchpost_core::spec::HttpSpec;

use super::peer::{Peer, closed_port, drip, flood, hold, read_head};
use super::support::{AMPLE, SHORT, Seen, any_status, checker, containing, get, http, http_spec, judged, run};

/// A peer that reads the request and then does this.
async fn after_request<F, Fut>(then: F) -> Peer
where
    F: Fn(TcpStream) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Peer::start(move |mut stream| {
        let then = then.clone();
        async move {
            read_head(&mut stream).await;
            then(stream).await;
        }
    })
    .await
}

async fn check(peer: &Peer, timeout: Duration) -> Seen {
    run(&checker(), &http(http_spec(&peer.url("/")), timeout)).await
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let seen = run(&checker(), &get(&format!("http://127.0.0.1:{}/", closed_port()))).await;
    judged(&seen, "fail:refused@connect");
    assert!(seen.observation.timings.total.is_some());
    assert_eq!(seen.observation.timings.connect, None);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_told_as_reset() {
    let peer = after_request(|stream| async move {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:reset@ttfb");
}

#[tokio::test]
async fn a_reset_in_the_body_is_told_as_reset() {
    // A reset overtakes data that was not read yet, so the peer holds it back for a moment.
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:reset@transfer");
}

#[tokio::test]
async fn a_mute_server_times_out_while_we_wait() {
    let peer = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let seen = check(&peer, SHORT).await;
    judged(&seen, "fail:timeout@ttfb");
    assert!(seen.took >= SHORT);
    assert_eq!(seen.observation.timings.ttfb, None);
    assert!(seen.observation.timings.connect.is_some());
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_told_as_closed() {
    let peer = after_request(|_| async {}).await;
    judged(&check(&peer, AMPLE).await, "fail:closed@ttfb");
}

#[tokio::test]
async fn a_slow_loris_is_cut_off_at_the_deadline() {
    let peer = after_request(|mut stream| async move {
        drip(&mut stream, b"HTTP/1.1 200 OK\r\nServer: ".iter().copied().chain(std::iter::repeat(b'x'))).await;
    })
    .await;
    judged(&check(&peer, SHORT).await, "fail:timeout@ttfb");
}

#[tokio::test]
async fn slow_headers_are_cut_off_at_the_deadline() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        drip(&mut stream, b"a: b\r\n".iter().copied().cycle()).await;
    })
    .await;
    judged(&check(&peer, SHORT).await, "fail:timeout@ttfb");
}

#[tokio::test]
async fn a_dripping_body_is_cut_off_at_the_deadline() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
        drip(&mut stream, std::iter::repeat(b'x')).await;
    })
    .await;
    let seen = check(&peer, SHORT).await;
    judged(&seen, "fail:timeout@transfer");
    assert_eq!(seen.observation.http.unwrap().status, 200);
}

#[tokio::test]
async fn a_dripping_body_does_not_matter_when_the_status_decides() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
        drip(&mut stream, std::iter::repeat(b'x')).await;
    })
    .await;
    let spec = HttpSpec { read_body: false, ..http_spec(&peer.url("/")) };
    let seen = run(&checker(), &http(spec, AMPLE)).await;
    judged(&seen, "pass");
    assert!(seen.took < AMPLE / 2);
}

#[tokio::test]
async fn endless_headers_are_a_protocol_error_within_the_limit() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        flood(&mut stream, b"y").await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn too_many_headers_are_a_protocol_error() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        flood(&mut stream, b"a: b\r\n").await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn an_endless_body_passes_at_its_limit_unless_it_is_asserted() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        flood(&mut stream, b"data ").await;
    })
    .await;
    let seen = check(&peer, AMPLE).await;
    judged(&seen, "pass");
    let http = seen.observation.http.unwrap();
    assert_eq!((http.truncated, http.body_bytes, http.body), (true, 1024 * 1024, None));
    let seen = run(&checker(), &containing(get(&peer.url("/")), "data")).await;
    judged(&seen, "fail:too_large@transfer");
    assert_eq!(seen.observation.http.unwrap().body.unwrap().len(), 1024 * 1024);
}

#[tokio::test]
async fn endless_chunks_pass_at_the_limit() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        flood(&mut stream, b"4\r\nabcd\r\n").await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "pass");
}

#[tokio::test]
async fn a_bad_chunk_is_a_protocol_error() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for bad in ["zz\r\nabc\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "fffffffffffffffff\r\n"] {
        let peer = Peer::answering(format!("{head}{bad}")).await;
        judged(&check(&peer, AMPLE).await, "fail:protocol@transfer");
    }
}

#[tokio::test]
async fn endless_chunk_extensions_are_a_protocol_error() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=").await.unwrap();
        flood(&mut stream, b"y").await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:protocol@transfer");
}

#[tokio::test]
async fn endless_trailers_are_a_protocol_error() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: ").await.unwrap();
        flood(&mut stream, b"y").await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:protocol@transfer");
}

#[tokio::test]
async fn a_truncated_body_is_told_as_closed() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nab")).await;
        judged(&check(&peer, AMPLE).await, "fail:closed@transfer");
    }
}

#[tokio::test]
async fn garbage_is_a_protocol_error() {
    for garbage in ["SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/9.9 what\r\n\r\n"] {
        let peer = Peer::answering(garbage).await;
        judged(&check(&peer, AMPLE).await, "fail:protocol@ttfb");
    }
    let peer = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab").await;
    judged(&check(&peer, AMPLE).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn a_flood_of_interim_answers_ends_at_the_deadline() {
    let peer = after_request(|mut stream| async move {
        flood(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n").await;
    })
    .await;
    judged(&check(&peer, SHORT).await, "fail:timeout@ttfb");
}

#[tokio::test]
async fn a_redirect_loop_is_found_at_its_second_round() {
    let (peer, asked) = Peer::asked(|head| {
        let to = if head.starts_with("GET /a ") { "/b" } else { "/a" };
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let seen = run(&checker(), &get(&peer.url("/a"))).await;
    judged(&seen, "fail:redirect_loop@ttfb");
    assert_eq!(asked.all().len(), 2);
}

#[tokio::test]
async fn redirects_without_end_stop_at_the_limit() {
    let (peer, asked) = Peer::asked(|head| {
        let n: u32 = head[5..].split(' ').next().unwrap().parse().unwrap_or(0);
        format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n", n + 1)
    })
    .await;
    let spec = HttpSpec { redirects: 3, ..http_spec(&peer.url("/0")) };
    judged(&run(&checker(), &http(spec, AMPLE)).await, "fail:redirect_loop@ttfb");
    assert_eq!(asked.all().len(), 4);
}

#[tokio::test]
async fn a_redirect_to_nowhere_says_so() {
    for target in ["ftp://example.org/", "javascript:alert(1)", "http://"] {
        let peer = Peer::answering(format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\n\r\n")).await;
        judged(&check(&peer, AMPLE).await, "fail:redirect_invalid@ttfb");
    }
}

#[tokio::test]
async fn a_redirect_to_a_dead_host_fails_as_that_host_does() {
    let to = closed_port();
    let peer = Peer::answering(format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{to}/\r\n\r\n")).await;
    judged(&check(&peer, AMPLE).await, "fail:refused@connect");
}

#[tokio::test]
async fn an_answer_before_the_request_is_read_counts() {
    let peer = Peer::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
        hold(&mut stream).await;
    })
    .await;
    judged(&check(&peer, AMPLE).await, "fail:status@ttfb");
}

#[tokio::test]
async fn a_hundred_endless_bodies_at_once_stay_within_their_limits() {
    let peer = after_request(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        flood(&mut stream, b"data ").await;
    })
    .await;
    let checker = checker();
    let definition = any_status(get(&peer.url("/")));
    let all = futures_util::future::join_all((0..100).map(|_| run(&checker, &definition))).await;
    assert!(all.iter().all(|seen| seen.verdict == "pass"), "{:?}", all.iter().map(|s| &s.verdict).collect::<Vec<_>>());
    assert!(all.iter().all(|seen| seen.observation.http.as_ref().unwrap().body_bytes == 1024 * 1024));
}
