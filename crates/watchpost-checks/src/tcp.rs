//! TCP: a connection, and if asked for a short dialogue: send something, read until something is seen.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use watchpost_core::Stage;
use watchpost_core::observe::{FailureKind, REPLY_MAX};
use watchpost_core::spec::TcpSpec;

use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::Cause;

/// Read at once from the peer.
const CHUNK: usize = 4 * 1024;

pub(crate) async fn check(cx: &mut Context<'_>, spec: &TcpSpec) -> Result<(), Stop> {
    let mut stream = dial::dial(cx, &spec.address.host, spec.address.port, spec.ip).await?;
    if let Some(send) = &spec.send {
        cx.enter(Stage::Ttfb);
        cx.begin_step("send".to_owned());
        stream.write_all(send.reveal().as_bytes()).await.map_err(|e| cx.io(&e))?;
        cx.end_step("ok");
    }
    match &spec.expect {
        Some(expected) => converse(cx, &mut stream, expected.as_bytes()).await,
        None => Ok(()),
    }
}

/// Reads until the text was seen, the peer is done, or time or space is up. What came is judged; a peer that said
/// nothing at all is told by how it ended.
async fn converse(cx: &mut Context<'_>, stream: &mut TcpStream, expected: &[u8]) -> Result<(), Stop> {
    let began = cx.enter(Stage::Ttfb);
    cx.begin_step("read".to_owned());
    let mut reply: Vec<u8> = Vec::new();
    let mut chunk = [0; CHUNK];
    let mut reading = began;
    let ended = loop {
        let room = CHUNK.min(REPLY_MAX - reply.len());
        let read = match timeout_at(cx.nearly(), stream.read(&mut chunk[..room])).await {
            Err(_) => break Cause::TimedOut,
            Ok(Err(error)) => break crate::failure::of_io(&error, cx.v6()),
            Ok(Ok(0)) => break Cause::Target(FailureKind::Closed),
            Ok(Ok(read)) => read,
        };
        if reply.is_empty() {
            cx.leave(Stage::Ttfb, began);
            reading = cx.enter(Stage::Transfer);
        }
        // Only what is new can complete the text.
        let from = reply.len().saturating_sub(expected.len());
        reply.extend_from_slice(&chunk[..read]);
        if contains(&reply[from..], expected) || reply.len() >= REPLY_MAX {
            cx.leave(Stage::Transfer, reading);
            cx.end_step(format!("{} bytes", reply.len()));
            cx.seen.reply = Some(reply);
            return Ok(());
        }
    };
    cx.end_step(ended.word());
    match (reply.is_empty(), ended) {
        (true, ended) => Err(cx.stop(ended)),
        (false, own @ Cause::Own(_)) => Err(cx.stop(own)),
        (false, Cause::Target(_) | Cause::TimedOut) => {
            cx.seen.reply = Some(reply);
            Ok(())
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
