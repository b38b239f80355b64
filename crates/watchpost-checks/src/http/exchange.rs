//! One connection and one request on it, by hyper, driven inside the check's own task: when the check ends, so does
//! everything that belongs to it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::paced::Paced;

/// The head of an answer: status line and headers (RFC 9110 section 5.4 leaves the limit to us).
const HEAD_MAX: usize = 64 * 1024;
/// Headers of an answer; browsers take as many.
const HEADERS_MAX: usize = 256;
/// What an HTTP/2 peer may send before we have read it.
const WINDOW: u32 = 256 * 1024;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 (RFC 9112).
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// One connection.
pub(crate) struct Exchange {
    sender: Sender,
    driver: Option<Driver>,
    /// How the connection ended, if it ended badly.
    ended: Option<hyper::Error>,
    tasks: Tasks,
}

impl Exchange {
    /// Takes over a connection.
    pub(crate) async fn open(io: Paced, protocol: Protocol) -> hyper::Result<Exchange> {
        let io = TokioIo::new(io);
        let tasks = Tasks::default();
        let (sender, driver): (Sender, Driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::Builder::new()
                    .max_buf_size(HEAD_MAX)
                    .max_header_size(HEAD_MAX)
                    .max_headers(HEADERS_MAX)
                    .handshake(io)
                    .await?;
                (Sender::Http1(sender), Box::pin(connection))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::Builder::new(tasks.clone())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX))
                    .handshake(io)
                    .await?;
                (Sender::Http2(sender), Box::pin(connection))
            }
        };
        Ok(Exchange { sender, driver: Some(driver), ended: None, tasks })
    }

    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let answer: Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>> = match &mut self.sender {
            Sender::Http1(sender) => Box::pin(sender.send_request(request)),
            Sender::Http2(sender) => Box::pin(sender.send_request(request)),
        };
        let answer = self.drive(answer).await;
        // A connection that broke says why; the request it carried only that it was cancelled.
        match (answer, self.ended.take()) {
            (Err(error), Some(ended)) if error.is_canceled() || error.is_closed() => Err(ended),
            (answer, _) => answer,
        }
    }

    /// Runs the connection while waiting for something that comes over it.
    pub(crate) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if let Some(driver) = &mut self.driver
                && let Poll::Ready(ended) = driver.as_mut().poll(cx)
            {
                self.driver = None;
                self.ended = ended.err();
                // What it left behind is all that will come.
                return work.as_mut().poll(cx);
            }
            Poll::Pending
        })
        .await
    }
}

/// The tasks hyper wants for HTTP/2; they end with the exchange.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let handle = tokio::spawn(future).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        for task in self.tasks.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}
