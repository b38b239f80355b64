//! TCP connections and short dialogues.

use tokio::io::AsyncWriteExt;
use watchpost_core::observe::REPLY_MAX;
use watchpost_core::spec::{Spec, TcpSpec};
use watchpost_core::{Definition, Secret};

use super::peer::{Peer, closed_port, drip, flood, hold, read_head};
use super::support::{AMPLE, SHORT, checker, definition, judged, run, tcp_spec};

fn tcp(spec: TcpSpec) -> Definition {
    definition(Spec::Tcp(spec), AMPLE)
}

fn expecting(peer: &Peer, text: &str) -> TcpSpec {
    TcpSpec { expect: Some(text.to_owned()), ..tcp_spec("127.0.0.1", peer.port()) }
}

#[tokio::test]
async fn an_open_port_passes_and_a_closed_one_is_refused() {
    let peer = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let seen = run(&checker(), &tcp(tcp_spec("127.0.0.1", peer.port()))).await;
    judged(&seen, "pass");
    assert!(seen.observation.timings.connect.is_some() && seen.observation.timings.total.is_some());
    judged(&run(&checker(), &tcp(tcp_spec("127.0.0.1", closed_port()))).await, "fail:refused@connect");
}

#[tokio::test]
async fn a_banner_is_read_without_sending_anything() {
    let peer = Peer::start(|mut stream| async move {
        stream.write_all(b"220 mail.exa").await.unwrap();
        stream.write_all(b"mple ESMTP\r\n").await.unwrap();
        hold(&mut stream).await;
    })
    .await;
    let seen = run(&checker(), &tcp(expecting(&peer, "mail.example"))).await;
    judged(&seen, "pass");
    assert!(seen.took < AMPLE / 2);
    assert!(seen.observation.reply.unwrap().starts_with(b"220 mail.example"));
}

#[tokio::test]
async fn what_is_sent_is_answered() {
    let peer = Peer::start(|mut stream| async move {
        let asked = read_head(&mut stream).await;
        let answer = if asked.starts_with("PING") { "+PONG\r\n" } else { "-ERR\r\n" };
        let _ = stream.write_all(answer.as_bytes()).await;
        hold(&mut stream).await;
    })
    .await;
    let send = Some(Secret::new("PING\r\n\r\n"));
    judged(&run(&checker(), &tcp(TcpSpec { send, ..expecting(&peer, "+PONG") })).await, "pass");
    let send = Some(Secret::new("PUNG\r\n\r\n"));
    let wrong = TcpSpec { send, ..expecting(&peer, "+PONG") };
    judged(&run(&checker(), &definition(Spec::Tcp(wrong), SHORT)).await, "fail:body@transfer");
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_told_by_how_it_ends() {
    let mute = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let silent = definition(Spec::Tcp(expecting(&mute, "x")), SHORT);
    judged(&run(&checker(), &silent).await, "fail:timeout@ttfb");
    let closing = Peer::start(|_| async {}).await;
    judged(&run(&checker(), &tcp(expecting(&closing, "x"))).await, "fail:closed@ttfb");
}

#[tokio::test]
async fn another_answer_is_quoted() {
    let peer = Peer::start(|mut stream| async move {
        let _ = stream.write_all(b"-ERR no\r\n").await;
    })
    .await;
    let seen = run(&checker(), &tcp(expecting(&peer, "+OK"))).await;
    judged(&seen, "fail:body@transfer");
    assert!(seen.text.contains("-ERR no"), "{}", seen.text);
}

#[tokio::test]
async fn floods_and_drips_are_bounded() {
    let peer = Peer::start(|mut stream| async move { flood(&mut stream, b"spam ").await }).await;
    let seen = run(&checker(), &tcp(expecting(&peer, "ham"))).await;
    judged(&seen, "fail:body@transfer");
    assert_eq!(seen.observation.reply.unwrap().len(), REPLY_MAX);
    let peer = Peer::start(|mut stream| async move { drip(&mut stream, b"spam ".iter().copied().cycle()).await }).await;
    judged(&run(&checker(), &definition(Spec::Tcp(expecting(&peer, "ham")), SHORT)).await, "fail:body@transfer");
}
