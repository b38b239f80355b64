//! Certificates of all kinds, and a TLS server that shows them.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use watchpost_checks::{Checker, CheckerOptions};

use super::peer::{Peer, hold, read_head};
use super::support::options;

/// An authority that the checkers made here trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Watchpost Test CA");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names, good in all ways unless changed.
    pub(crate) fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key: key.serialize_der() }
    }

    /// A checker that trusts it.
    pub(crate) fn checker(&self) -> Checker {
        checker_trusting(&self.pem)
    }

    pub(crate) fn options(&self) -> (CheckerOptions, tempfile::NamedTempFile) {
        options_trusting(&self.pem)
    }
}

pub(crate) fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = params(names);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key: key.serialize_der() }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Watchpost Test Server");
    params.not_after = date_time_ymd(2099, 1, 1);
    params
}

pub(crate) fn options_trusting(pem: &str) -> (CheckerOptions, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    (CheckerOptions { ca_files: vec![file.path().to_owned()], ..options() }, file)
}

pub(crate) fn checker_trusting(pem: &str) -> Checker {
    let (options, _file) = options_trusting(pem);
    Checker::new(options).unwrap()
}

pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 2, 3);
}

pub(crate) fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2098, 1, 1);
}

/// A TLS server.
pub(crate) struct TlsPeer {
    peer: Peer,
}

impl TlsPeer {
    pub(crate) async fn start<F, Fut>(identity: &Identity, alpn: &[&str], serve: F) -> TlsPeer
    where
        F: Fn(TlsStream<TcpStream>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![identity.certificate.clone()];
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsPeer::serving(config, serve).await
    }

    /// Wants a certificate of its clients, by this version of TLS.
    pub(crate) async fn wanting_a_certificate(
        identity: &Identity,
        authority: &Authority,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> TlsPeer {
        let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = builder
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![identity.certificate.clone()], key)
            .unwrap();
        TlsPeer::serving(config, |stream| async move { drop(stream) }).await
    }

    async fn serving<F, Fut>(config: ServerConfig, serve: F) -> TlsPeer
    where
        F: Fn(TlsStream<TcpStream>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let peer = Peer::start(move |stream| {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await;
        TlsPeer { peer }
    }

    /// Answers every request with 200 and `ok`.
    pub(crate) async fn ok(identity: &Identity) -> TlsPeer {
        TlsPeer::start(identity, &[], |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    /// Shakes hands and then says nothing.
    pub(crate) async fn mute(identity: &Identity) -> TlsPeer {
        TlsPeer::start(identity, &[], |mut stream| async move { hold(&mut stream).await }).await
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.peer.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.peer.port()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.peer.address
    }
}
