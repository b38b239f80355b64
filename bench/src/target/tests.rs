use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;

/// A target in this process, with the folder of its certificate.
fn target() -> (u16, u16, Identity, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::make(folder.path()).unwrap();
    let (port, secure_port) = open(&identity.certificate, &identity.key).unwrap();
    (port, secure_port, identity, folder)
}

/// All that comes back, until the target closes.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset ends an answer, too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(port: u16, turn: u8, path: &str) -> String {
    ask(&mut TcpStream::connect(address(turn, port)).await.unwrap(), path).await
}

#[tokio::test]
async fn the_delay_that_was_made_is_told_and_kept() {
    let (port, ..) = target();
    let answer = get(port, ADDRESSES - 1, "/delay/20/x").await;
    let told = answer.lines().find_map(|line| line.strip_prefix("X-Delay-Us: ")).unwrap();
    assert!(told.parse::<u64>().unwrap() >= 20_000, "{answer}");
    assert!(get(port, 0, "/").await.ends_with("\r\n\r\nok\n"));
    let log = get(port, 0, "/-/log").await;
    let kept: Vec<Seen> = log.split("\r\n\r\n").nth(1).unwrap().lines().filter_map(Seen::parse).collect();
    assert_eq!(kept.len(), 1, "{log}");
    assert_eq!((kept[0].path.as_str(), kept[0].delay_us.to_string().as_str()), ("/delay/20/x", told));
}

#[tokio::test]
async fn nobody_resumes_a_session() {
    let (port, secure_port, identity, _folder) = target();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&identity.authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
    for turn in [0, 0, 5] {
        let stream = TcpStream::connect(address(turn, secure_port)).await.unwrap();
        let name = ServerName::from(address(turn, 0).ip());
        let mut stream = connector.connect(name, stream).await.unwrap();
        assert!(ask(&mut stream, "/").await.ends_with("ok\n"));
        assert_ne!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    }
    let stats = get(port, 0, "/-/stats").await;
    assert!(stats.contains("\"handshakes_full\":3,\"handshakes_resumed\":0"), "{stats}");
}

#[tokio::test]
async fn hostile_paths_do_as_they_say() {
    let (port, ..) = target();
    assert_eq!(get(port, 0, "/reset").await, "");
    assert!(get(port, 0, "/garbage").await.contains("SSH-2.0"));
    assert!(get(port, 0, "/unknown").await.starts_with("HTTP/1.1 404"));
    let mut endless = TcpStream::connect(address(0, port)).await.unwrap();
    endless.write_all(b"GET /endless HTTP/1.1\r\n\r\n").await.unwrap();
    let mut much = vec![0; 1 << 20];
    endless.read_exact(&mut much).await.unwrap();
    assert!(much.ends_with(b"xxxx"));
}
