//! TLS 1.3 with an ECDSA P-256 certificate, without session tickets and session cache: every handshake is a full one.
//!
//! Keys are agreed on by X25519 alone, the one group that all measured programs speak. So the target does the same work
//! for each of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::journal::Journal;
use super::{ADDRESSES, Stream, address};

/// Files with an authority, and with a certificate of it for all addresses of the target.
pub(crate) struct Identity {
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// The target's certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Identity {
    /// Makes new ones in this folder.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Identity> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Watchpost benchmark");
        let authority_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let authority_pem = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(params, authority_key);
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.subject_alt_names.extend((0..ADDRESSES).map(|number| SanType::IpAddress(address(number, 0).ip())));
        params.distinguished_name.push(DnType::CommonName, "Watchpost benchmark target");
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?;
        let file = |name: &str, text: String| -> anyhow::Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        Ok(Identity {
            authority: file("authority.pem", authority_pem)?,
            certificate: file("target.pem", certificate.pem())?,
            key: file("target.key", key.serialize_pem())?,
        })
    }
}

/// Makes what accepts connections.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let certificate = CertificateDer::from_pem_file(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Shakes hands, answers one request, and says goodbye.
pub(super) async fn serve(acceptor: TlsAcceptor, stream: TcpStream, journal: Arc<Journal>) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let kind = stream.get_ref().1.handshake_kind();
    journal.shook_hands(kind == Some(HandshakeKind::Resumed));
    super::answer(&mut stream, &journal).await?;
    stream.shutdown().await
}
