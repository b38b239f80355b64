//! Targets on loopback, in this process, that answer as fast as they can.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use watchpost_core::spec::{HttpMethod, HttpSpec, HttpUrl, HttpVersion, IpVersion, TcpSpec, VerifyTls};

use crate::host_port;

/// A small page, as most health checks are.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

/// Answers every request with the same page, on connections that stay open until the peer closes them.
pub(crate) async fn http() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut head = [0; 2048];
    let mut filled = 0;
    // A check's head fits into the buffer; what does not is hung up on.
    while let Ok(read @ 1..) = stream.read(&mut head[filled..]).await {
        filled += read;
        if head[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// Accepts and waits for the peer to close.
pub(crate) async fn tcp() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { stream.read(&mut [0; 16]).await });
        }
    });
    Ok(address)
}

pub(crate) fn tcp_spec(address: SocketAddr) -> TcpSpec {
    TcpSpec { address: host_port(address), send: None, expect: None, ip: IpVersion::Any }
}

pub(crate) fn http_spec(address: SocketAddr) -> anyhow::Result<HttpSpec> {
    Ok(HttpSpec {
        url: HttpUrl::parse(&format!("http://{address}/"))?,
        method: HttpMethod::One("GET".to_owned()),
        headers: Vec::new(),
        body: None,
        auth: None,
        redirects: 10,
        verify_tls: VerifyTls::Yes,
        version: HttpVersion::Auto,
        ip: IpVersion::Any,
        body_max: 1 << 20,
        read_body: true,
        tcp_first: false,
    })
}
