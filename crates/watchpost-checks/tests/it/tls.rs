//! Certificates: what verification says, and what is kept whatever it says.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchpost_checks::{Checker, CheckerOptions, SetupError};
use watchpost_core::observe::CertificateProblem;
use watchpost_core::spec::{HttpSpec, IpVersion, Spec, TlsSpec, VerifyTls};
use watchpost_core::{Definition, Timestamp};

use super::cert::{
    Authority, Identity, TlsPeer, checker_trusting, expired, not_yet_valid, options_trusting, self_signed,
};
use super::peer::{Peer, hold};
use super::support::{AMPLE, SHORT, checker, definition, get, http, http_spec, judged, options, run, tls_spec};

fn https(peer: &TlsPeer, verify_tls: VerifyTls) -> Definition {
    http(HttpSpec { verify_tls, ip: IpVersion::V4, ..http_spec(&peer.url("localhost")) }, AMPLE)
}

fn handshake(peer: &TlsPeer, verify_tls: VerifyTls) -> Definition {
    let spec = TlsSpec { verify_tls, ip: IpVersion::V4, ..tls_spec("localhost", peer.port()) };
    definition(Spec::Tls(spec), AMPLE)
}

/// Both kinds of check tell the same of this certificate, and keep its facts.
async fn check(identity: &Identity, checker: &Checker, verdict: &str, problem: Option<CertificateProblem>) {
    let peer = TlsPeer::ok(identity).await;
    for definition in [https(&peer, VerifyTls::Yes), handshake(&peer, VerifyTls::Yes)] {
        let seen = run(checker, &definition).await;
        judged(&seen, verdict);
        let tls = seen.observation.tls.expect("the facts are kept");
        assert_eq!((tls.problem, tls.verified), (problem, problem.is_none()));
        assert_eq!(tls.fingerprint.len(), 64);
    }
    // Whoever lets it pass still sees what is wrong.
    for verify in [VerifyTls::No, VerifyTls::Fallback] {
        for definition in [https(&peer, verify), handshake(&peer, verify)] {
            let seen = run(checker, &definition).await;
            judged(&seen, "pass");
            let tls = seen.observation.tls.expect("the facts are kept");
            assert_eq!((tls.problem, tls.verified), (problem, problem.is_none()));
            assert_eq!(tls.version, "1.3");
        }
    }
}

#[tokio::test]
async fn a_good_certificate_passes_and_is_described() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost", "127.0.0.1"], |_| {});
    check(&identity, &authority.checker(), "pass", None).await;
    let peer = TlsPeer::ok(&identity).await;
    let seen = run(&authority.checker(), &https(&peer, VerifyTls::Yes)).await;
    assert!(seen.observation.timings.tls.is_some());
    assert_eq!(seen.observation.address, Some(peer.address()));
    let tls = seen.observation.tls.unwrap();
    assert_eq!(tls.names, ["localhost", "127.0.0.1"]);
    assert!(tls.subject.contains("Watchpost Test Server") && tls.issuer.contains("Watchpost Test CA"), "{tls:?}");
    assert!(tls.cipher.starts_with("TLS_AES_") || tls.cipher.starts_with("TLS_CHACHA20_"), "{}", tls.cipher);
    assert_eq!(tls.not_after.to_string(), "2099-01-01T00:00:00.000Z");
    assert_eq!((tls.chain, tls.chain_not_after), (1, tls.not_after));
}

#[tokio::test]
async fn an_expired_certificate_is_told() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"], expired);
    check(&identity, &authority.checker(), "fail:tls_expired@tls", Some(CertificateProblem::Expired)).await;
}

#[tokio::test]
async fn a_certificate_of_the_future_is_told() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"], not_yet_valid);
    check(&identity, &authority.checker(), "fail:tls_not_yet_valid@tls", Some(CertificateProblem::NotYetValid)).await;
}

#[tokio::test]
async fn a_certificate_for_other_names_is_told() {
    let authority = Authority::new();
    let identity = authority.issue(&["other.example"], |_| {});
    check(&identity, &authority.checker(), "fail:tls_wrong_host@tls", Some(CertificateProblem::WrongHost)).await;
}

#[tokio::test]
async fn an_unknown_issuer_is_told_also_for_self_signed_ones() {
    let problem = Some(CertificateProblem::UnknownIssuer);
    let of_others = Authority::new().issue(&["localhost"], |_| {});
    check(&of_others, &checker(), "fail:tls_unknown_issuer@tls", problem).await;
    let own = self_signed(&["localhost"], |_| {});
    check(&own, &checker(), "fail:tls_unknown_issuer@tls", problem).await;
    // As `openssl req -x509` makes them.
    let authority = self_signed(&["localhost"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    check(&authority, &checker(), "fail:tls_unknown_issuer@tls", problem).await;
}

#[tokio::test]
async fn a_server_certificate_in_the_ca_file_is_trusted_for_its_names_and_time() {
    let authority = |params: &mut rcgen::CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    let good = self_signed(&["localhost"], authority);
    check(&good, &checker_trusting(&good.pem), "pass", None).await;
    let other = self_signed(&["other.example"], authority);
    let wrong_host = Some(CertificateProblem::WrongHost);
    check(&other, &checker_trusting(&other.pem), "fail:tls_wrong_host@tls", wrong_host).await;
    let old = self_signed(&["localhost"], |params| {
        authority(params);
        expired(params);
    });
    let problem = Some(CertificateProblem::Expired);
    check(&old, &checker_trusting(&old.pem), "fail:tls_expired@tls", problem).await;
}

#[tokio::test]
async fn certificates_are_valid_by_our_clock() {
    struct Fixed;
    impl watchpost_core::ports::Clock for Fixed {
        fn now(&self) -> Timestamp {
            "2020-06-01T00:00:00Z".parse().unwrap()
        }
    }
    let authority = Authority::new();
    let peer = TlsPeer::ok(&authority.issue(&["localhost"], expired)).await;
    let (options, _file) = authority.options();
    let then = Checker::new(CheckerOptions { clock: Arc::new(Fixed), ..options }).unwrap();
    judged(&run(&then, &https(&peer, VerifyTls::Yes)).await, "pass");
}

#[tokio::test]
async fn the_server_name_may_differ_from_the_host() {
    let authority = Authority::new();
    let peer =
        TlsPeer::ok(&authority.issue(&["bücher.example".replace("bücher", "xn--bcher-kva").as_str()], |_| {})).await;
    let spec = TlsSpec { server_name: Some("bücher.example".to_owned()), ..tls_spec("127.0.0.1", peer.port()) };
    judged(&run(&authority.checker(), &definition(Spec::Tls(spec), AMPLE)).await, "pass");
}

#[tokio::test]
async fn a_certificate_for_an_address_is_good_for_it() {
    let authority = Authority::new();
    let peer = TlsPeer::ok(&authority.issue(&["127.0.0.1"], |_| {})).await;
    judged(&run(&authority.checker(), &get(&peer.url("127.0.0.1"))).await, "pass");
}

#[tokio::test]
async fn a_handshake_that_is_broken_off_is_told() {
    let after_hello: [&[u8]; 4] =
        [b"", b"\x15\x03\x03\x00\x02\x02\x28", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x03\x00\x50\x02\x00"];
    for bytes in after_hello {
        let peer = Peer::start(move |mut stream| async move {
            let mut hello = vec![0; 16 * 1024];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(bytes).await;
        })
        .await;
        for spec in [
            get(&format!("https://127.0.0.1:{}/", peer.port())),
            definition(Spec::Tls(tls_spec("127.0.0.1", peer.port())), AMPLE),
        ] {
            judged(&run(&checker(), &spec).await, "fail:tls_handshake@tls");
        }
    }
    // Closing with unread data resets the connection; it is still the handshake that was refused.
    let peer = Peer::start(|stream| async move { drop(stream) }).await;
    judged(&run(&checker(), &get(&format!("https://127.0.0.1:{}/", peer.port()))).await, "fail:tls_handshake@tls");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_breaks_off_the_handshake() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"], |_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let peer = TlsPeer::wanting_a_certificate(&identity, &authority, version).await;
        let seen = run(&authority.checker(), &https(&peer, VerifyTls::Yes)).await;
        judged(&seen, "fail:tls_handshake@tls");
        assert!(seen.observation.tls.unwrap().verified, "the certificate was good and is kept");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_the_hello_times_out_in_tls() {
    let peer = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let url = format!("https://127.0.0.1:{}/", peer.port());
    let seen = run(&checker(), &http(http_spec(&url), SHORT)).await;
    judged(&seen, "fail:timeout@tls");
    assert_eq!(seen.observation.timings.tls, None);
    assert!(seen.observation.timings.connect.is_some());
}

#[tokio::test]
async fn silence_after_the_handshake_keeps_the_certificate() {
    let authority = Authority::new();
    let peer = TlsPeer::mute(&authority.issue(&["localhost"], |_| {})).await;
    let spec = HttpSpec { ip: IpVersion::V4, ..http_spec(&peer.url("localhost")) };
    let seen = run(&authority.checker(), &http(spec, SHORT)).await;
    judged(&seen, "fail:timeout@ttfb");
    assert!(seen.observation.tls.unwrap().verified);
}

#[tokio::test]
async fn certificates_that_end_soon_are_degraded() {
    let authority = Authority::new();
    let peer = TlsPeer::ok(&authority.issue(&["localhost"], |_| {})).await;
    let mut definition = https(&peer, VerifyTls::Yes);
    Arc::make_mut(&mut definition.expect).certificate_warn = Some(std::time::Duration::from_secs(100 * 365 * 86_400));
    judged(&run(&authority.checker(), &definition).await, "degraded:tls_expiring@tls");
}

#[tokio::test]
async fn bad_ca_files_are_refused_at_setup() {
    let missing = CheckerOptions { ca_files: vec!["/nonexistent/ca.pem".into()], ..options() };
    assert!(matches!(Checker::new(missing), Err(SetupError::CaFile { .. })));
    let (empty, _file) = options_trusting("nothing here\n");
    assert!(matches!(Checker::new(empty), Err(SetupError::CaFileEmpty(_))));
}
