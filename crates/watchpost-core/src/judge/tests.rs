use std::collections::BTreeSet;

use expect_test::{Expect as Golden, expect};

use super::*;
use crate::expect::{Expect, JsonPath, Pattern, StatusSet};
use crate::fixture::{definition, tcp};
use crate::observe::Timings;
use crate::spec::{HostPort, HttpMethod, HttpUrl, HttpVersion, IcmpSpec, IpVersion, RecordType, TlsSpec, UdpSpec};

const NOW: Timestamp = Timestamp::from_secs(1_795_141_031); // 2026-11-20T02:17:11Z

fn http() -> HttpSpec {
    HttpSpec {
        url: HttpUrl::parse("https://example.org/").unwrap(),
        method: HttpMethod::One("GET".to_owned()),
        headers: Vec::new(),
        body: None,
        auth: None,
        redirects: 10,
        verify_tls: VerifyTls::Yes,
        version: HttpVersion::Auto,
        ip: IpVersion::Any,
        body_max: 1024,
        read_body: true,
        tcp_first: false,
    }
}

fn spec(kind: &str) -> Spec {
    let address = HostPort { host: "example.org".to_owned(), port: 443 };
    let ip = IpVersion::Any;
    match kind {
        "http" => Spec::Http(Box::new(http())),
        "tcp" => tcp("example.org:25"),
        "tls" => Spec::Tls(TlsSpec { address, server_name: None, verify_tls: VerifyTls::Yes, ip }),
        "udp" => Spec::Udp(UdpSpec { address, send: None, ip }),
        "icmp" => Spec::Icmp(IcmpSpec { host: "example.org".to_owned(), count: 5, size: 56, ip }),
        "dns" => {
            let name = "example.org".to_owned();
            Spec::Dns(DnsSpec { name, record: RecordType::Mx, server: None, tcp: false })
        }
        _ => unreachable!(),
    }
}

fn seen() -> Observation {
    let address = Some("192.0.2.1:443".parse().unwrap());
    Observation { address, ..Observation::begin(NOW) }
}

fn answered(status: u16, body: &str) -> Observation {
    let http = HttpSeen {
        status,
        url: "https://example.org/".to_owned(),
        version: "1.1",
        headers: vec![
            ("server".to_owned(), "nginx".to_owned()),
            ("via".to_owned(), "a".to_owned()),
            ("via".to_owned(), "b".to_owned()),
        ],
        body: Some(body.as_bytes().to_vec()),
        body_bytes: 0,
        truncated: false,
        redirects: 0,
    };
    Observation { http: Some(http), ..seen() }
}

fn failed(stage: Stage, kind: FailureKind) -> Observation {
    Observation { end: End::Failed(Failure { stage, kind }), ..seen() }
}

fn certificate(days_left: i64) -> TlsSeen {
    let end = Timestamp::from_millis(NOW.as_millis() + days_left * 86_400_000);
    TlsSeen {
        version: "1.3",
        cipher: String::new(),
        alpn: None,
        not_before: Timestamp::from_secs(1_790_000_000),
        not_after: end,
        subject: String::new(),
        issuer: "CN=Example CA".to_owned(),
        names: vec!["example.com".to_owned(), "www.example.com".to_owned()],
        chain: 2,
        chain_not_after: end,
        fingerprint: String::new(),
        verified: true,
        problem: None,
    }
}

fn bad_certificate(problem: CertificateProblem) -> Observation {
    let tls = TlsSeen { verified: false, problem: Some(problem), ..certificate(-3) };
    Observation { tls: Some(tls), ..failed(Stage::Tls, FailureKind::Certificate(problem)) }
}

fn took(ms: u32, seen: Observation) -> Observation {
    let timings = Timings { connect: Some(1_000), ttfb: Some(ms * 900), total: Some(ms * 1_000), ..Timings::default() };
    Observation { timings, ..seen }
}

fn pinged(sent: u8, received: u8) -> Observation {
    let ping = PingSeen { sent, received, rtt_min_us: None, rtt_avg_us: None, rtt_max_us: None, jitter_us: None };
    Observation { ping: Some(ping), ..seen() }
}

fn resolved(rcode: &str, answers: &[&str]) -> Observation {
    let answers = answers.iter().map(|a| (*a).to_owned()).collect();
    Observation { dns: Some(DnsSeen { rcode: rcode.to_owned(), answers }), ..seen() }
}

fn probed(udp: UdpSeen) -> Observation {
    Observation { udp: Some(udp), ..seen() }
}

fn verdict(kind: &str, expect: &Expect, seen: &Observation) -> Verdict {
    judge(&definition(spec(kind), expect.clone()), seen)
}

fn said(verdict: &Verdict) -> String {
    let reason =
        |word: &str, r: &Reason| format!("{word} {} @{}: {}", r.code, r.stage.map_or("-", Stage::as_str), r.text);
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Degraded(r) => reason("degraded", r),
        Verdict::Fail(r) => reason("fail", r),
        Verdict::Inconclusive(f) => format!("inconclusive {}: {}", f.code, f.text),
    }
}

/// One line per case.
#[expect(clippy::needless_pass_by_value, reason = "an expect! is written in place")]
fn check(cases: Vec<(&str, Expect, Observation)>, expected: Golden) {
    let lines: Vec<String> =
        cases.iter().map(|(kind, expect, seen)| said(&verdict(kind, expect, seen)) + "\n").collect();
    expected.assert_eq(&lines.concat());
}

fn failures() -> Vec<(&'static str, Expect, Observation)> {
    use CertificateProblem as C;
    use FailureKind as F;
    let any = Expect::default;
    vec![
        ("tcp", any(), failed(Stage::Connect, F::Refused)),
        ("tls", any(), failed(Stage::Tls, F::Timeout(Duration::from_secs(5)))),
        ("http", any(), failed(Stage::Ttfb, F::Reset)),
        ("http", any(), failed(Stage::Transfer, F::Closed)),
        ("tcp", any(), Observation { address: None, ..failed(Stage::Connect, F::Unreachable) }),
        ("http", any(), failed(Stage::Dns, F::NameNotFound)),
        ("http", any(), failed(Stage::Dns, F::NameFailure("SERVFAIL".to_owned()))),
        ("tls", any(), bad_certificate(C::Expired)),
        ("tls", any(), bad_certificate(C::NotYetValid)),
        ("tls", any(), bad_certificate(C::UnknownIssuer)),
        ("tls", any(), bad_certificate(C::WrongHost)),
        ("tls", any(), bad_certificate(C::Other)),
        ("tls", any(), failed(Stage::Tls, F::Handshake("alert: no\u{7}protocol".to_owned()))),
        ("http", any(), failed(Stage::Ttfb, F::RedirectLoop(10))),
        ("http", any(), failed(Stage::Ttfb, F::RedirectInvalid("ftp://x".to_owned()))),
        ("http", any(), failed(Stage::Ttfb, F::Protocol("bad chunk".to_owned()))),
        ("http", any(), failed(Stage::Connect, F::Denied("10.0.0.1".parse().unwrap()))),
        ("icmp", any(), failed(Stage::Ttfb, F::Silent)),
    ]
}

#[test]
fn what_stopped_a_check_is_its_reason() {
    check(
        failures(),
        expect![[r#"
            fail refused @connect: connection refused (192.0.2.1:443)
            fail timeout @tls: TLS handshake timed out after 5 s
            fail reset @ttfb: connection reset while waiting for the answer
            fail closed @transfer: connection closed early while reading the answer
            fail unreachable @connect: network or host unreachable
            fail dns_not_found @dns: the name does not exist or has no address
            fail dns_failure @dns: the name could not be resolved: SERVFAIL
            fail tls_expired @tls: certificate expired on 2026-11-17
            fail tls_not_yet_valid @tls: certificate is not valid before 2026-09-21
            fail tls_unknown_issuer @tls: certificate issuer is not trusted (CN=Example CA)
            fail tls_wrong_host @tls: certificate is not valid for this host, only for example.com, www.example.com
            fail tls_handshake @tls: certificate cannot be used
            fail tls_handshake @tls: TLS handshake failed: alert: no protocol
            fail redirect_loop @ttfb: redirects do not end (gave up after 10)
            fail redirect_invalid @ttfb: redirect to something that cannot be requested: ftp://x
            fail protocol @ttfb: protocol error: bad chunk
            fail address_denied @connect: 10.0.0.1 is a private address, and network.private_targets is deny
            fail no_response @ttfb: no response (192.0.2.1:443)
        "#]],
    );
}

fn expect_status(set: &str) -> Expect {
    Expect { status: StatusSet::parse(set).unwrap(), ..Expect::default() }
}

fn expect_body(contains: &str, matches: &str, lacks: &str) -> Expect {
    let list = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty()).into_iter().collect();
    let matches = Some(matches).filter(|m| !m.is_empty()).map(|m| Pattern::parse(m).unwrap()).into_iter().collect();
    Expect { body: TextExpect { contains: list(contains), matches, lacks: list(lacks) }, ..Expect::default() }
}

fn expect_json(path: &str, op: JsonOp) -> Expect {
    Expect { json: vec![JsonExpect { path: JsonPath::parse(path).unwrap(), op }], ..Expect::default() }
}

fn expect_header(name: &str, op: HeaderOp) -> Expect {
    Expect { headers: vec![HeaderExpect { name: name.to_owned(), op }], ..Expect::default() }
}

fn answers() -> Vec<(&'static str, Expect, Observation)> {
    let truncated = |mut seen: Observation| {
        seen.http.as_mut().unwrap().truncated = true;
        seen
    };
    vec![
        ("http", Expect::default(), answered(399, "")),
        ("http", Expect::default(), answered(404, "")),
        ("http", expect_status("2xx, 404"), answered(301, "")),
        ("http", Expect::default(), truncated(answered(200, ""))),
        ("http", expect_body("ok", "", ""), truncated(answered(200, "ok"))),
        ("http", expect_body("ok", "^v[0-9]", "error"), answered(200, "v1 ok")),
        ("http", expect_body("ok", "", ""), answered(200, "no")),
        ("http", expect_body("", "^v[0-9]", ""), answered(200, "w1")),
        ("http", expect_body("", "", "error"), answered(200, "an error")),
        ("http", expect_header("server", HeaderOp::Equals("nginx".into())), answered(200, "")),
        ("http", expect_header("server", HeaderOp::Equals("Nginx".into())), answered(200, "")),
        ("http", expect_header("via", HeaderOp::Equals("a, b".into())), answered(200, "")),
        ("http", expect_header("via", HeaderOp::Contains("c".into())), answered(200, "")),
        ("http", expect_header("via", HeaderOp::Matches(Pattern::parse("^b").unwrap())), answered(200, "")),
        ("http", expect_header("age", HeaderOp::Exists(true)), answered(200, "")),
        ("http", expect_header("age", HeaderOp::Exists(false)), answered(200, "")),
        ("http", expect_header("via", HeaderOp::Exists(false)), answered(200, "")),
        ("http", expect_header("age", HeaderOp::Equals("1".into())), answered(200, "")),
        ("tcp", Expect::default(), seen()),
    ]
}

#[test]
fn answers_are_judged_by_status_headers_and_body() {
    check(
        answers(),
        expect![[r#"
            pass
            fail status @ttfb: status 404 instead of 200-399
            fail status @ttfb: status 301 instead of 200-299,404
            pass
            fail too_large @transfer: the body is larger than body_max (1024 bytes), so it cannot be judged
            pass
            fail body @transfer: the answer does not contain "ok"
            fail body @transfer: the answer does not match /^v[0-9]/
            fail body @transfer: the answer contains "error"
            pass
            fail header @ttfb: header server is nginx instead of Nginx
            pass
            fail header @ttfb: header via is a, b, which does not contain c
            fail header @ttfb: header via is a, b, which does not match /^b/
            fail header @ttfb: header age is missing
            pass
            fail header @ttfb: header via is there: a, b
            fail header @ttfb: header age is missing
            pass
        "#]],
    );
}

fn json_answers() -> Vec<(&'static str, Expect, Observation)> {
    let body = r#"{"db":{"state":"up","n":3,"list":["a",1],"nothing":null},"ok":true}"#;
    let case = |path, op| ("http", expect_json(path, op), answered(200, body));
    let between = |min, max| JsonOp::Between { min, max };
    vec![
        case("$.db.state", JsonOp::Equals("up".into())),
        case("$.db.state", JsonOp::Equals("down".into())),
        case("$.ok", JsonOp::Equals("true".into())),
        case("$.db.n", JsonOp::Equals("3".into())),
        case("$.db.n", JsonOp::Equals(3.0.into())),
        case("$.db.n", between(Some(1.0), Some(3.0))),
        case("$.db.n", between(Some(4.0), None)),
        case("$.db.state", between(Some(0.0), None)),
        case("$.db.list", JsonOp::Contains("1".into())),
        case("$.db.list", JsonOp::Contains("b".into())),
        case("$.db.state", JsonOp::Contains("u".into())),
        case("$.db.state", JsonOp::Matches(Pattern::parse("^U").unwrap())),
        case("$.db.nothing", JsonOp::Exists(true)),
        case("$.db.nothing", JsonOp::Exists(false)),
        case("$.nowhere", JsonOp::Exists(false)),
        case("$.nowhere", JsonOp::Exists(true)),
        case("$.nowhere", JsonOp::Equals("x".into())),
        ("http", expect_json("$.a", JsonOp::Exists(true)), answered(200, "<html>")),
    ]
}

#[test]
fn json_is_judged_by_value_not_by_how_it_is_written() {
    check(
        json_answers(),
        expect![[r#"
            pass
            fail json @transfer: $.db.state is "up", expected "down"
            pass
            pass
            pass
            pass
            fail json @transfer: $.db.n is 3, expected a number in 4..
            fail json @transfer: $.db.state is "up", expected a number in 0..
            pass
            fail json @transfer: $.db.list is ["a",1], expected something with b
            pass
            fail json @transfer: $.db.state is "up", expected /^U/
            pass
            fail json @transfer: $.db.nothing is null, expected to be absent
            pass
            fail json @transfer: $.nowhere is missing
            fail json @transfer: $.nowhere is missing
            fail json @transfer: the body is not JSON: expected value at line 1 column 1
        "#]],
    );
}

fn expect_latency(degraded: u64, down: u64) -> Expect {
    let ms = |ms| Some(Duration::from_millis(ms));
    let latency = crate::expect::LatencyExpect { degraded: ms(degraded), down: ms(down) };
    Expect { latency, ..Expect::default() }
}

fn expect_warning(days: u64) -> Expect {
    Expect { certificate_warn: Some(Duration::from_secs(86_400 * days)), ..Expect::default() }
}

fn complaints() -> Vec<(&'static str, Expect, Observation)> {
    let secured = |days, seen: Observation| Observation { tls: Some(certificate(days)), ..seen };
    let slow_and_short = Expect { latency: expect_latency(500, 5_000).latency, ..expect_warning(14) };
    let mut lossy = expect_latency(1, 5);
    lossy.loss.degraded = 20;
    vec![
        ("http", expect_latency(500, 5_000), took(500, answered(200, ""))),
        ("http", expect_latency(500, 5_000), took(501, answered(200, ""))),
        ("http", expect_latency(500, 5_000), took(5_001, answered(200, ""))),
        ("http", expect_latency(500, 5_000), answered(200, "")),
        ("tls", expect_warning(14), secured(14, seen())),
        ("tls", expect_warning(14), secured(13, seen())),
        // A failure wins over a complaint, whichever is looked at first.
        ("http", slow_and_short.clone(), took(600, secured(3, answered(200, "")))),
        ("http", slow_and_short.clone(), took(6_000, secured(3, answered(200, "")))),
        ("http", slow_and_short, took(6_000, secured(3, answered(500, "")))),
        ("icmp", lossy.clone(), took(3, pinged(5, 4))),
        ("icmp", lossy, took(6, pinged(5, 4))),
    ]
}

#[test]
fn a_failure_wins_over_a_complaint() {
    check(
        complaints(),
        expect![[r#"
            pass
            degraded latency @ttfb: took 501 ms, more than 500 ms
            fail latency @ttfb: took 5.0 s, more than 5 s
            pass
            pass
            degraded tls_expiring @tls: certificate expires in 13 d (2026-12-03)
            degraded tls_expiring @tls: certificate expires in 3 d (2026-11-23)
            fail latency @ttfb: took 6 s, more than 5 s
            fail status @ttfb: status 500 instead of 200-399
            degraded loss @ttfb: 1 of 5 echo requests lost
            fail latency @ttfb: took 6 ms, more than 5 ms
        "#]],
    );
}

#[test]
fn a_certificate_that_may_be_bad_is_not_complained_about() {
    let problem = TlsSeen { problem: Some(CertificateProblem::Expired), verified: false, ..certificate(-3) };
    let seen = Observation { tls: Some(problem), ..answered(200, "") };
    for (verify_tls, wanted) in [(VerifyTls::No, "pass"), (VerifyTls::Fallback, "pass")] {
        let spec = Spec::Http(Box::new(HttpSpec { verify_tls, ..http() }));
        assert_eq!(said(&judge(&definition(spec, expect_warning(14)), &seen)), wanted);
    }
}

fn expect_dns(rcode: Option<&str>, answers: &[&str], exact: bool) -> Expect {
    let answers = answers.iter().map(|a| (*a).to_owned()).collect();
    Expect { dns: crate::expect::DnsExpect { rcode: rcode.map(str::to_owned), answers, exact }, ..Expect::default() }
}

fn datagrams() -> Vec<(&'static str, Expect, Observation)> {
    let any = Expect::default;
    let mut loss = any();
    (loss.loss.degraded, loss.loss.down) = (20, 60);
    let fault = Fault::new(FaultCode::NoPermission, "no ping socket and no raw socket");
    vec![
        ("icmp", loss.clone(), pinged(5, 5)),
        ("icmp", loss.clone(), pinged(5, 4)),
        ("icmp", loss, pinged(5, 2)),
        ("icmp", any(), pinged(5, 1)),
        ("icmp", any(), pinged(5, 0)),
        ("udp", any(), probed(UdpSeen::Reply { bytes: 4 })),
        ("udp", any(), probed(UdpSeen::Refused)),
        ("udp", any(), probed(UdpSeen::Silent { ping: Echo::Answered })),
        ("udp", any(), probed(UdpSeen::Silent { ping: Echo::Silent })),
        ("udp", any(), probed(UdpSeen::Silent { ping: Echo::Impossible(fault) })),
        ("dns", any(), resolved("NOERROR", &["10 mx.example.org."])),
        ("dns", any(), resolved("NOERROR", &[])),
        ("dns", any(), resolved("NXDOMAIN", &[])),
        ("dns", any(), resolved("SERVFAIL", &[])),
        ("dns", expect_dns(Some("NXDOMAIN"), &[], false), resolved("NXDOMAIN", &[])),
        ("dns", expect_dns(None, &["10 MX.example.org"], true), resolved("NOERROR", &["10 mx.example.org."])),
        ("dns", expect_dns(None, &["20 b."], false), resolved("NOERROR", &["10 a."])),
        ("dns", expect_dns(None, &["10 a."], true), resolved("NOERROR", &["10 a.", "20 b."])),
    ]
}

#[test]
fn ping_udp_and_dns_are_judged_by_what_came_back() {
    check(
        datagrams(),
        expect![[r#"
            pass
            degraded loss @ttfb: 1 of 5 echo requests lost
            fail loss @ttfb: 3 of 5 echo requests lost
            pass
            fail no_response @ttfb: no reply to 5 echo requests
            pass
            fail refused @connect: the port is closed (ICMP unreachable)
            pass
            fail no_response @ttfb: no answer, and the host does not answer ping either
            inconclusive no_permission: no ping socket and no raw socket
            pass
            fail dns_not_found @ttfb: the name has no MX record
            fail dns_not_found @ttfb: the server answered NXDOMAIN instead of NOERROR
            fail dns_failure @ttfb: the server answered SERVFAIL instead of NOERROR
            pass
            pass
            fail dns_answer @ttfb: 20 b is not among the answers: 10 a.
            fail dns_answer @ttfb: 20 b was not expected among: 10 a., 20 b.
        "#]],
    );
}

#[test]
fn a_dialogue_ends_when_the_expected_text_was_seen() {
    let spec = |expect: &str| {
        let Spec::Tcp(tcp) = tcp("mail.example.org:25") else { unreachable!() };
        Spec::Tcp(TcpSpec { expect: Some(expect.to_owned()), ..tcp })
    };
    let reply = |text: &str| Observation { reply: Some(text.as_bytes().to_vec()), ..seen() };
    let judged = |expect, seen: &Observation| said(&judge(&definition(spec(expect), Expect::default()), seen));
    assert_eq!(judged("220 ", &reply("220 mail ESMTP\r\n")), "pass");
    assert_eq!(judged("220 ", &reply("554 no\r\n")), "fail body @transfer: expected \"220 \", got \"554 no  \"");
    assert_eq!(judged("220 ", &seen()), "fail body @transfer: expected \"220 \", got nothing");
}

#[test]
fn a_check_that_saw_nothing_to_judge_does_not_pass() {
    for kind in ["http", "tls", "udp", "icmp", "dns"] {
        let said = said(&verdict(kind, &Expect::default(), &seen()));
        assert_eq!(said, format!("inconclusive internal: the {kind} check ended without an answer to judge"));
    }
}

#[test]
fn our_own_trouble_is_not_the_targets() {
    let fault = Fault::new(FaultCode::OutOfFiles, "out of file handles");
    let seen = Observation { end: End::Fault(fault.clone()), ..answered(500, "") };
    assert_eq!(verdict("http", &Expect::default(), &seen), Verdict::Inconclusive(fault));
}

#[test]
fn foreign_text_is_quoted_short_and_without_control_characters() {
    let long = "ä".repeat(200);
    let seen = failed(Stage::Ttfb, FailureKind::Protocol(format!("\u{1b}[31m{long}")));
    let Verdict::Fail(reason) = verdict("http", &Expect::default(), &seen) else { panic!() };
    assert_eq!(reason.text.chars().count(), "protocol error: ".len() + QUOTE_MAX + 1);
    assert!(!reason.text.contains('\u{1b}') && reason.text.ends_with('…'));
}

#[test]
fn every_reason_code_can_be_reached() {
    let cases = [failures(), answers(), json_answers(), complaints(), datagrams()].concat();
    let reached: BTreeSet<ReasonCode> = cases
        .iter()
        .filter_map(|(kind, expect, seen)| match verdict(kind, expect, seen) {
            Verdict::Fail(reason) | Verdict::Degraded(reason) => Some(reason.code),
            Verdict::Pass | Verdict::Inconclusive(_) => None,
        })
        .collect();
    let missing: Vec<&str> =
        ReasonCode::ALL.iter().filter(|code| !reached.contains(code)).map(|code| code.as_str()).collect();
    // These are given by monitors that wait for a sign of life, which are not judged from an observation.
    assert_eq!(missing, ["stale", "job_error", "job_format", "heartbeat_missed", "heartbeat_failed", "not_refreshed"]);
}
