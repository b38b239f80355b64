//! The socket in the data folder by which commands talk to the server that runs on it: the same pages as over TCP, for
//! whoever may open the file (mode 0600).

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The socket's name in the data folder.
const NAME: &str = "watchpost.sock";
/// Commands at once: they come from cron and from hands.
const CLIENTS_MAX: usize = 64;
/// How long a peer may take for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer's size: the largest is a list of a thousand monitors.
const ANSWER_MAX: usize = 64 << 20;

/// A pause after accept fails, as it does when file handles run out: trying at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Answers that are ready at the stop get so long to be sent.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);

/// Where the socket of a data folder is.
#[must_use]
pub fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Serves until `stop`. The caller holds the folder's lock, so a socket that is there is left from a life that is over.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(folder: PathBuf, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let path = path(&folder);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| format!("cannot remove {}", path.display())),
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))?;
    let mut clients = tokio::task::JoinSet::new();
    loop {
        tokio::select! { biased;
            () = stop.cancelled() => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept(), if clients.len() < CLIENTS_MAX => {
                match accepted {
                    Ok((stream, _)) => {
                        clients.spawn(answer(stream, router.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a command's connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
    let answered = async { while clients.join_next().await.is_some() {} };
    // Whoever holds a connection open without asking is cut off.
    let _ = tokio::time::timeout(LAST_ANSWERS_MAX, answered).await;
    clients.shutdown().await;
    // A file that is left behind is removed at the next start.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

async fn answer(stream: UnixStream, router: Router) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (parts, body) = request.into_parts();
        let answer = router.clone().oneshot(Request::from_parts(parts, Body::new(body)));
        async move { answer.await.map_err(|never: Infallible| match never {}) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // A command that went away is its own concern.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A running server, asked through its socket.
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The server that runs on this data folder, if one does.
    pub async fn find(folder: &Path) -> Option<Client> {
        let path = path(folder);
        UnixStream::connect(&path).await.ok().map(|_| Client { path })
    }

    /// One request without a body; the answer's status and text.
    ///
    /// # Errors
    /// When the server goes away, or its answer is beyond all measure.
    pub async fn request(&self, method: http::Method, path: &str) -> anyhow::Result<(http::StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.path).await.context("the server has stopped listening")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.context("no HTTP on the socket")?;
        let carry = tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await.context("the server did not answer")?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|e| anyhow::anyhow!("the server's answer broke off: {e}"))?;
        carry.abort();
        Ok((status, body.to_bytes()))
    }
}
