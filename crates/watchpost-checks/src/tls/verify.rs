//! Certificate verification that remembers what it saw, and goes on when told to.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use watchpost_core::observe::CertificateProblem;
use watchpost_core::spec::VerifyTls;

use super::facts;
use crate::SetupError;

/// The roots, and certificates of servers that were trusted by themselves.
#[derive(Debug)]
pub(crate) struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    /// Certificates of `ca_files`. A self-signed one of a server is often an authority by its own flag, which no
    /// verifier accepts as a server's; whoever put it into the file means that very server.
    pinned: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(crate) fn new(
        roots: Arc<RootCertStore>,
        pinned: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, SetupError> {
        let chain = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|e| SetupError::Tls(Box::new(e)))?;
        Ok(Verifier { chain, pinned })
    }

    fn verify(&self, shown: &Presented<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        if self.pinned.iter().any(|pinned| pinned == shown.leaf) {
            facts::valid_at(shown.leaf, now)?;
            return rustls::client::verify_server_name(&ParsedCertificate::try_from(shown.leaf)?, name);
        }
        self.chain.verify_server_cert(shown.leaf, shown.rest, name, &[], now).map(|_| ())
    }
}

struct Presented<'a> {
    leaf: &'a CertificateDer<'a>,
    rest: &'a [CertificateDer<'a>],
}

/// What one handshake showed.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// As sent, the leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What verification found wrong.
    pub(crate) problem: Option<CertificateProblem>,
}

/// The verifier of one handshake.
#[derive(Debug)]
pub(crate) struct Recorder {
    verifier: Arc<Verifier>,
    verify: VerifyTls,
    shown: Mutex<Option<Shown>>,
}

impl Recorder {
    pub(crate) fn new(verifier: &Arc<Verifier>, verify: VerifyTls) -> Recorder {
        Recorder { verifier: Arc::clone(verifier), verify, shown: Mutex::new(None) }
    }

    /// What was shown, once it was.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with the handshake's signature matters only where the certificate does: devices with X.509 v1
    /// certificates fail here whatever their key.
    fn signature(&self, checked: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        match (self.verify, checked) {
            (_, Ok(valid)) => Ok(valid),
            (VerifyTls::Yes, Err(error)) => {
                self.note(&error);
                Err(error)
            }
            (VerifyTls::No | VerifyTls::Fallback, Err(error)) => {
                self.note(&error);
                Ok(HandshakeSignatureValid::assertion())
            }
        }
    }

    fn note(&self, error: &Error) {
        if let Some(shown) = self.shown.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let problem = match error {
                Error::InvalidCertificate(problem) => problem_of(problem),
                _ => CertificateProblem::Other,
            };
            shown.problem.get_or_insert(problem);
        }
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = Presented { leaf: end_entity, rest: intermediates };
        let checked = self.verifier.verify(&presented, server_name, now).map_err(|e| name_self_signed(e, end_entity));
        let problem = checked.as_ref().err().map(|error| match error {
            Error::InvalidCertificate(problem) => problem_of(problem),
            _ => CertificateProblem::Other,
        });
        let chain = std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Shown { chain, problem });
        match (self.verify, checked) {
            (VerifyTls::Yes, Err(error)) => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(self.verifier.chain.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(self.verifier.chain.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.chain.supported_verify_schemes()
    }
}

/// A self-signed certificate that calls itself an authority is told as one of its rarer faults; people call it by its
/// first one.
fn name_self_signed(error: Error, leaf: &CertificateDer<'_>) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::Other(_)) if facts::is_self_issued(leaf) => {
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
        }
        other => other,
    }
}

/// Our word for what verification found wrong.
pub(crate) fn problem_of(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongHost
        }
        _ => CertificateProblem::Other,
    }
}
