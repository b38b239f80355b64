//! Peers written by hand on loopback; they end when dropped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A TCP server.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Serves every connection with this.
    pub(crate) async fn start<F, Fut>(serve: F) -> Peer
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Peer::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, serve).await
    }

    pub(crate) async fn start_at<F, Fut>(ip: IpAddr, port: u16, serve: F) -> Peer
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                served.spawn(serve(stream));
            }
        });
        Peer { address, accepted, task: task.abort_handle() }
    }

    /// Reads a request's head and answers with these bytes, then closes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Peer {
        let answer = Arc::new(answer.into());
        Peer::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Answers each request by this, and keeps what was asked.
    pub(crate) async fn asked(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Peer, Asked) {
        let asked = Asked::default();
        let keep = asked.clone();
        let answer = Arc::new(answer);
        let peer = Peer::start(move |mut stream| {
            let (keep, answer) = (keep.clone(), Arc::clone(&answer));
            async move {
                let head = read_head(&mut stream).await;
                let reply = answer(&head);
                keep.0.lock().unwrap().push(head);
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        (peer, asked)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// The requests a peer was asked.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> String {
        self.all().pop().unwrap_or_default()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

/// A request's head, and its body when it has a length.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&text).into_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = stream.read_exact(&mut body).await;
    head + &String::from_utf8_lossy(&body)
}

/// Sends the bytes one by one, a little apart, for as long as anyone listens.
pub(crate) async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: impl Iterator<Item = u8>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for byte in bytes {
        ticks.tick().await;
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
    }
}

/// Sends this over and over, for as long as anyone listens.
pub(crate) async fn flood(stream: &mut (impl AsyncWrite + Unpin), piece: &[u8]) {
    let piece = piece.repeat(1 + 16 * 1024 / piece.len());
    while stream.write_all(&piece).await.is_ok() {}
}

/// Holds the connection open without a word until the other side hangs up.
pub(crate) async fn hold(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// A port that nobody listens on.
pub(crate) fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A listener whose queue is full, so that connecting to it gets no answer at all.
pub(crate) struct BlackHole {
    _listener: Socket,
    _queued: Vec<std::net::TcpStream>,
    pub(crate) address: SocketAddr,
}

impl BlackHole {
    pub(crate) fn at(ip: &str, port: u16) -> BlackHole {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let ip: IpAddr = ip.parse().unwrap();
        socket.bind(&SocketAddr::new(ip, port).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
        }
        BlackHole { _listener: socket, _queued: queued, address }
    }
}
