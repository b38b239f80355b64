//! What the soak watches: good peers and hostile ones, all on loopback, and some that go up and down.
//!
//! Everything a peer does has an end, in bytes and in time, so that a check that never hangs up cannot pile it up.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A connection is over after this time, whatever the peer does with it: longer than any check waits.
const CONNECTION_MAX: Duration = Duration::from_secs(15);
/// "Without end" is so many bytes: more than any check takes.
const FLOOD_MAX: usize = 1024 * 1024;
/// Bytes of a request's head that a peer reads.
const HEAD_MAX: usize = 16 * 1024;
/// What a late peer waits, well above what the monitors of it put up with.
const LATE: Duration = Duration::from_millis(150);
/// Ports below those that the system gives out by itself, so that a closed one stays closed.
const CLOSED_PORTS: std::ops::Range<u16> = 20_000..30_000;

/// The body of everything that answers well.
const BODY: &str = r#"{ "db": { "state": "up" } }"#;

/// What a TCP peer does with a connection.
#[derive(Clone)]
enum Act {
    Ok,
    Late,
    Redirect,
    Banner,
    /// Closes without a word, and without hearing one.
    Curt,
    Hang,
    DripHead,
    DripBody,
    Endless,
    EndlessHead,
    ManyHeads,
    Garbage,
    Reset,
    Close,
    Truncated,
    Loop,
    Nowhere,
    Status,
    NotTls,
    /// The first while the peer is up, the second while it is down.
    Flap(Arc<AtomicBool>, Box<Act>, Box<Act>),
}

/// The peers. They end when this is dropped.
pub(crate) struct Peers {
    runtime: Runtime,
    at: BTreeMap<&'static str, SocketAddr>,
    /// The authority that the good certificates are from.
    pub(crate) authority: String,
    flaps: Vec<Arc<AtomicBool>>,
    /// Bound and never listening: whoever connects is refused, and nobody else gets the port.
    _refusing: Socket,
}

impl Peers {
    /// Starts all of them.
    pub(crate) fn start() -> Peers {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let refusing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        refusing.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let refused = refusing.local_addr().unwrap().as_socket().unwrap();
        let (authority, issuer) = authority("Soak Test CA");
        let at = BTreeMap::from([("refused", refused), ("udp-refused", closed_udp_port())]);
        let mut peers = Peers { runtime, at, authority, flaps: Vec::new(), _refusing: refusing };
        peers.plain();
        peers.flapping();
        peers.over_tls(&issuer);
        peers.datagrams();
        peers
    }

    /// Where a peer is.
    pub(crate) fn at(&self, name: &str) -> SocketAddr {
        *self.at.get(name).unwrap_or_else(|| panic!("no peer is called {name}"))
    }

    /// Peers that go up and down.
    pub(crate) fn flaps(&self) -> &[Arc<AtomicBool>] {
        &self.flaps
    }

    fn plain(&mut self) {
        let acts = [
            ("ok", Act::Ok),
            ("late", Act::Late),
            ("redirect", Act::Redirect),
            ("banner", Act::Banner),
            ("hang", Act::Hang),
            ("drip-head", Act::DripHead),
            ("drip-body", Act::DripBody),
            ("endless", Act::Endless),
            ("endless-head", Act::EndlessHead),
            ("many-heads", Act::ManyHeads),
            ("garbage", Act::Garbage),
            ("reset", Act::Reset),
            ("close", Act::Close),
            ("truncated", Act::Truncated),
            ("loop", Act::Loop),
            ("nowhere", Act::Nowhere),
            ("status", Act::Status),
            ("not-tls", Act::NotTls),
        ];
        for (name, act) in acts {
            self.listen(name, act);
        }
    }

    fn flapping(&mut self) {
        let pairs = [
            ("flap-status", Act::Ok, Act::Status),
            ("flap-hang", Act::Ok, Act::Hang),
            ("flap-close", Act::Ok, Act::Close),
            ("flap-tcp", Act::Banner, Act::Curt),
        ];
        for (name, good, bad) in pairs {
            let flag = self.flap();
            self.listen(name, Act::Flap(flag, Box::new(good), Box::new(bad)));
        }
    }

    fn flap(&mut self) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(true));
        self.flaps.push(Arc::clone(&flag));
        flag
    }

    fn listen(&mut self, name: &'static str, act: Act) {
        let serve = move |stream| serve(act.clone(), stream);
        self.accept(name, serve);
    }

    fn accept<F, Fut>(&mut self, name: &'static str, serve: F)
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        self.at.insert(name, listener.local_addr().unwrap());
        self.runtime.spawn(async move {
            loop {
                // Without a file handle left there is nothing to accept for a moment.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                tokio::spawn(tokio::time::timeout(CONNECTION_MAX, serve(stream)));
            }
        });
    }

    fn over_tls(&mut self, issuer: &Issuer<'static, KeyPair>) {
        let (_, stranger) = authority("Another CA");
        let here = &["localhost", "127.0.0.1"];
        let certificates = [
            ("tls-ok", tls(issuer, here, false)),
            ("tls-expired", tls(issuer, here, true)),
            ("tls-stranger", tls(&stranger, here, false)),
            ("tls-elsewhere", tls(issuer, &["elsewhere.example"], false)),
        ];
        for (name, acceptor) in certificates {
            self.accept(name, move |stream| {
                let acceptor = acceptor.clone();
                async move {
                    let mut stream = acceptor.accept(stream).await?;
                    head(&mut stream).await?;
                    ok(&mut stream).await?;
                    stream.shutdown().await
                }
            });
        }
    }

    fn datagrams(&mut self) {
        let flag = self.flap();
        self.answer("udp-echo", |asked| Some(asked.to_vec()));
        self.answer("udp-mute", |_| None);
        self.answer("dns", move |asked| dns(asked, flag.load(Ordering::Relaxed)));
    }

    fn answer(&mut self, name: &'static str, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
        let socket = self.runtime.block_on(tokio::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
        self.at.insert(name, socket.local_addr().unwrap());
        self.runtime.spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                // An error is that of a datagram whose sender has gone.
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
                if let Some(reply) = answer(&buffer[..length]) {
                    let _ = socket.send_to(&reply, from).await;
                }
            }
        });
    }
}

fn closed_udp_port() -> SocketAddr {
    let free = CLOSED_PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    free.rev().find(|at| UdpSocket::bind(at).is_ok()).expect("a free port")
}

async fn serve(act: Act, mut stream: TcpStream) -> std::io::Result<()> {
    let act = match act {
        Act::Flap(up, good, bad) => *if up.load(Ordering::Relaxed) { good } else { bad },
        act => act,
    };
    match act {
        Act::Banner => return stream.write_all(b"hello\n").await,
        Act::Curt => return stream.shutdown().await,
        Act::Hang => return hold(&mut stream).await,
        Act::NotTls => {
            let _ = stream.read(&mut [0; HEAD_MAX]).await?;
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        _ => {}
    }
    let asked = head(&mut stream).await?;
    match act {
        Act::Ok => ok(&mut stream).await?,
        Act::Late => {
            tokio::time::sleep(LATE).await;
            ok(&mut stream).await?;
        }
        Act::Redirect if asked.starts_with(b"GET /there ") => ok(&mut stream).await?,
        Act::Redirect => redirect(&mut stream, "/there").await?,
        Act::Loop => redirect(&mut stream, "/a").await?,
        Act::Nowhere => redirect(&mut stream, "ftp://example.org/").await?,
        Act::DripHead => drip(&mut stream, b"HTTP/1.1 200 OK\r\nServer: ").await?,
        Act::DripBody => drip(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await?,
        Act::Endless => flood(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n", b"data ").await?,
        Act::EndlessHead => flood(&mut stream, b"HTTP/1.1 200 OK\r\nx: ", b"yyyy").await?,
        Act::ManyHeads => flood(&mut stream, b"HTTP/1.1 200 OK\r\n", b"a: b\r\n").await?,
        Act::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await?,
        Act::Reset => return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        Act::Close => {}
        Act::Truncated => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await?,
        Act::Status => stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await?,
        Act::Banner | Act::Curt | Act::Hang | Act::NotTls | Act::Flap(..) => {}
    }
    stream.shutdown().await
}

/// Reads a request's head.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while !read.windows(4).any(|end| end == b"\r\n\r\n") && read.len() < HEAD_MAX {
        match stream.read(&mut buffer).await? {
            0 => break,
            n => read.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(read)
}

async fn ok(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    let length = BODY.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nx-version: 2\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{BODY}");
    stream.write_all(answer.as_bytes()).await
}

async fn redirect(stream: &mut TcpStream, to: &str) -> std::io::Result<()> {
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await
}

async fn hold(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Byte by byte, until the other side hangs up.
async fn drip(stream: &mut TcpStream, first: &[u8]) -> std::io::Result<()> {
    stream.write_all(first).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        stream.write_all(b"x").await?;
    }
}

async fn flood(stream: &mut TcpStream, first: &[u8], piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(first).await?;
    let piece = piece.repeat(1 + 16 * 1024 / piece.len());
    for _ in 0..FLOOD_MAX / piece.len() {
        stream.write_all(&piece).await?;
    }
    hold(stream).await
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn tls(issuer: &Issuer<'static, KeyPair>, names: &[&str], expired: bool) -> TlsAcceptor {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(if expired { 2021 } else { 2099 }, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers a question by its first label (RFC 1035, section 4): `up` has an address, `flap` while it is up.
fn dns(asked: &[u8], up: bool) -> Option<Vec<u8>> {
    const ADDRESS: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];
    const SERVFAIL: u8 = 2;
    const NXDOMAIN: u8 = 3;
    let label = asked.get(13..13 + usize::from(*asked.get(12)?))?;
    let code = match label.to_ascii_lowercase().as_slice() {
        b"up" => 0,
        b"flap" => {
            if up {
                0
            } else {
                SERVFAIL
            }
        }
        b"gone" => NXDOMAIN,
        b"broken" => SERVFAIL,
        b"garbage" => return Some(b"no DNS at all".to_vec()),
        _ => return None,
    };
    let name_ends = 12 + asked[12..].iter().position(|byte| *byte == 0)?;
    let question = asked.get(12..name_ends + 5)?;
    let answers = u8::from(code == 0);
    let mut reply = vec![asked[0], asked[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
    reply.extend_from_slice(question);
    if answers == 1 {
        reply.extend_from_slice(&ADDRESS);
    }
    Some(reply)
}
