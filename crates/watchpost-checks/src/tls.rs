//! TLS: the handshake that `https` and `tls` checks share, and the `tls` check itself.
//!
//! The certificate is verified inside the handshake, as a browser does it, and what was shown is kept whatever the
//! outcome. Sessions are never resumed: a resumed session does not show the certificate again.

mod facts;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watchpost_core::Stage;
use watchpost_core::observe::{FailureKind, TlsSeen};
use watchpost_core::ports::Clock;
use watchpost_core::spec::{TlsSpec, VerifyTls};

use crate::SetupError;
use crate::context::{Context, Stop};
use crate::dial;
use crate::failure::{self, Cause};
use crate::resolve::ascii_host;
use verify::{Recorder, Verifier};

pub(crate) use facts::Facts;
pub(crate) use verify::{Shown, problem_of};

/// Saying goodbye takes at most so long; the peer's answer is not waited for.
const GOODBYE_MAX: Duration = Duration::from_millis(50);

/// The application protocols offered (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// None.
    Nothing,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, else HTTP/1.1.
    Any,
    /// HTTP/2.
    Http2,
}

impl Alpn {
    const ALL: [Alpn; 4] = [Alpn::Nothing, Alpn::Http1, Alpn::Any, Alpn::Http2];

    fn protocols(self) -> Vec<Vec<u8>> {
        let (h1, h2) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Alpn::Nothing => Vec::new(),
            Alpn::Http1 => vec![h1],
            Alpn::Any => vec![h2, h1],
            Alpn::Http2 => vec![h2],
        }
    }
}

/// What all handshakes share: roots and one configuration per set of application protocols.
pub(crate) struct TlsClient {
    verifier: Arc<Verifier>,
    configs: [ClientConfig; 4],
    facts: Facts,
}

impl TlsClient {
    /// Takes the system's roots (Mozilla's when it has none) and those of the files.
    pub(crate) fn new(ca_files: &[PathBuf], clock: Arc<dyn Clock>) -> Result<TlsClient, SetupError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let mut pinned = Vec::new();
        for path in ca_files {
            let before = pinned.len();
            let unreadable = |source| SetupError::CaFile { path: path.clone(), source };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                let unusable = |source| SetupError::CaCertificate { path: path.clone(), source };
                roots.add(certificate.clone()).map_err(unusable)?;
                pinned.push(certificate);
            }
            if pinned.len() == before {
                return Err(SetupError::CaFileEmpty(path.clone()));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let facts = Facts::new(&provider);
        let wrong = |e: rustls::Error| SetupError::Tls(Box::new(e));
        let base = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(WallClock(clock)))
            .with_safe_default_protocol_versions()
            .map_err(wrong)?;
        let verifier = Arc::new(Verifier::new(Arc::new(roots), pinned, provider)?);
        let mut base = base
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Recorder::new(&verifier, VerifyTls::Yes)))
            .with_no_client_auth();
        base.resumption = Resumption::disabled();
        let configs = Alpn::ALL.map(|alpn| {
            let mut config = base.clone();
            config.alpn_protocols = alpn.protocols();
            config
        });
        Ok(TlsClient { verifier, configs, facts })
    }

    /// The shared configuration with this check's recorder in it: copying one is a dozen reference counts.
    fn config(&self, alpn: Alpn, recorder: Arc<Recorder>) -> Arc<ClientConfig> {
        let index = Alpn::ALL.iter().position(|a| *a == alpn).unwrap_or_default();
        let mut config = self.configs[index].clone();
        config.dangerous().set_certificate_verifier(recorder);
        Arc::new(config)
    }
}

/// Certificates are valid or not by our clock.
struct WallClock(Arc<dyn Clock>);

impl std::fmt::Debug for WallClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WallClock")
    }
}

impl rustls::time_provider::TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Whom to talk to, and how.
pub(crate) struct Handshake<'a> {
    /// The name sent in SNI and looked for in the certificate.
    pub(crate) name: &'a str,
    pub(crate) alpn: Alpn,
    pub(crate) verify: VerifyTls,
}

/// Does the handshake and notes what was shown in it, also when it fails.
pub(crate) async fn handshake(
    cx: &mut Context<'_>,
    stream: TcpStream,
    with: Handshake<'_>,
) -> Result<TlsStream<TcpStream>, Stop> {
    let began = cx.enter(Stage::Tls);
    let name = ascii_host(with.name).and_then(|name| ServerName::try_from(name).ok());
    let Some(name) = name else {
        return Err(cx.stop(Cause::handshake("not a name that can be asked for")));
    };
    cx.begin_step(format!("TLS handshake with {}", with.name));
    let services = cx.services;
    let recorder = Arc::new(Recorder::new(&services.tls.verifier, with.verify));
    let config = services.tls.config(with.alpn, Arc::clone(&recorder));
    let connected = Box::pin(TlsConnector::from(config).connect(name, stream)).await;
    cx.seen.tls = recorder.shown().and_then(|shown| services.tls.facts.of(&shown));
    match connected {
        Ok(stream) => {
            cx.leave(Stage::Tls, began);
            let connection = stream.get_ref().1;
            if let Some(seen) = &mut cx.seen.tls {
                describe(seen, connection);
            }
            cx.end_step("ok");
            Ok(stream)
        }
        Err(error) => {
            let cause = broken_off(&error, cx.v6());
            cx.end_step(cause.word());
            Err(cx.stop(cause))
        }
    }
}

/// Why a handshake ended early. A peer that hangs up in the middle of it, by either of TCP's ways, has refused it: which
/// of the two it is depends on what the peer had left unread.
fn broken_off(error: &std::io::Error, v6: bool) -> Cause {
    match failure::of_chain(error, v6) {
        Cause::Target(FailureKind::Closed) => Cause::handshake("the peer closed the connection"),
        Cause::Target(FailureKind::Reset) => Cause::handshake("the peer reset the connection"),
        other => other,
    }
}

fn describe(seen: &mut TlsSeen, connection: &rustls::ClientConnection) {
    seen.version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    // rustls marks the suites of TLS 1.3 by a name of its own.
    seen.cipher = suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1);
    seen.alpn = connection.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
}

/// A TLS handshake and nothing more.
pub(crate) async fn check(cx: &mut Context<'_>, spec: &TlsSpec) -> Result<(), Stop> {
    let stream = dial::dial(cx, &spec.address.host, spec.address.port, spec.ip).await?;
    let name = spec.server_name.as_deref().unwrap_or(&spec.address.host);
    let with = Handshake { name, alpn: Alpn::Nothing, verify: spec.verify_tls };
    let mut stream = handshake(cx, stream, with).await?;
    // A courtesy, so that the server does not log a broken connection.
    let _ = tokio::time::timeout(GOODBYE_MAX, stream.shutdown()).await;
    Ok(())
}
