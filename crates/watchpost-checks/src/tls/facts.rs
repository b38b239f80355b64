//! What a certificate says. Read leniently: a damaged or odd one is still described as far as it goes.

use std::net::IpAddr;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use watchpost_core::Timestamp;
use watchpost_core::observe::TlsSeen;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::verify::Shown;

/// Names of a certificate that are kept: shared hosting has hundreds.
const NAMES_MAX: usize = 100;
/// Characters of a name that are kept.
const NAME_CHARS_MAX: usize = 300;

/// Reads facts out of certificates.
pub(crate) struct Facts {
    sha256: Option<&'static dyn Hash>,
}

impl Facts {
    pub(crate) fn new(provider: &CryptoProvider) -> Facts {
        let mut hashes = provider.cipher_suites.iter().filter_map(|s| s.tls13()).map(|s| s.common.hash_provider);
        Facts { sha256: hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256) }
    }

    /// The facts of what was shown; `None` when the leaf cannot be read at all.
    pub(crate) fn of(&self, shown: &Shown) -> Option<TlsSeen> {
        let leaf = shown.chain.first()?;
        let certificate = parse(leaf)?;
        let ends = shown.chain.iter().filter_map(|der| parse(der).map(|c| not_after(&c)));
        let end = not_after(&certificate);
        Some(TlsSeen {
            version: "",
            cipher: String::new(),
            alpn: None,
            not_before: Timestamp::from_secs(certificate.validity().not_before.timestamp()),
            not_after: end,
            subject: shorten(&certificate.subject().to_string()),
            issuer: shorten(&certificate.issuer().to_string()),
            names: names(&certificate),
            chain: u8::try_from(shown.chain.len()).unwrap_or(u8::MAX),
            chain_not_after: ends.min().unwrap_or(end),
            fingerprint: self.sha256.map(|hash| hex(hash.hash(leaf).as_ref())).unwrap_or_default(),
            verified: shown.problem.is_none(),
            problem: shown.problem,
        })
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    x509_parser::parse_x509_certificate(der).ok().map(|(_, certificate)| certificate)
}

fn not_after(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp::from_secs(certificate.validity().not_after.timestamp())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(dns) => Some(shorten(dns)),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d]).to_string()),
            v6 => <[u8; 16]>::try_from(v6).ok().map(|v6| IpAddr::from(v6).to_string()),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect()
}

fn shorten(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String does not fail
        text
    })
}

/// Whether the certificate names itself as its issuer.
pub(crate) fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    parse(der).is_some_and(|c| c.subject().as_raw() == c.issuer().as_raw())
}

/// Whether the certificate is within its time.
pub(crate) fn valid_at(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = parse(der).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.validity().not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if certificate.validity().not_after.timestamp() < now {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}
