//! DNS monitors.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CAA, CNAME, MX, NS, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData};
use watchpost_checks::probe_resolver;
use watchpost_core::Definition;
use watchpost_core::expect::DnsExpect;
use watchpost_core::spec::{DnsSpec, RecordType, Spec};

use super::dns_server::{DnsServer, Say};
use super::peer::{Peer, closed_port, hold};
use super::support::{AMPLE, SHORT, Seen, checker, checker_with_dns, definition, judged, run};

fn ask(server: impl Into<Option<SocketAddr>>, name: &str, record: RecordType) -> Definition {
    let spec = DnsSpec { name: name.to_owned(), record, server: server.into(), tcp: false };
    definition(Spec::Dns(spec), AMPLE)
}

fn over_tcp(mut definition: Definition) -> Definition {
    if let Spec::Dns(spec) = &mut definition.spec {
        spec.tcp = true;
    }
    definition
}

fn expecting(mut definition: Definition, answers: &[&str], exact: bool) -> Definition {
    let answers = answers.iter().map(ToString::to_string).collect();
    Arc::make_mut(&mut definition.expect).dns = DnsExpect { rcode: None, answers, exact };
    definition
}

fn answers(seen: &Seen) -> Vec<String> {
    seen.observation.dns.as_ref().map(|dns| dns.answers.clone()).unwrap_or_default()
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn v4(text: &str) -> RData {
    RData::from(text.parse::<IpAddr>().unwrap())
}

#[tokio::test]
async fn addresses_are_answered_in_order_and_compared() {
    let server = DnsServer::start(|_, _| Say::Records(vec![v4("192.0.2.7"), v4("192.0.2.8")])).await;
    let definition = ask(server.address, "example.org", RecordType::A);
    let seen = run(&checker(), &definition).await;
    judged(&seen, "pass");
    assert_eq!(answers(&seen), ["192.0.2.7", "192.0.2.8"]);
    assert_eq!(seen.observation.address, Some(server.address));
    assert!(seen.observation.timings.ttfb.is_some() && seen.observation.timings.total.is_some());
    let good = expecting(definition.clone(), &["192.0.2.8", "192.0.2.7"], true);
    judged(&run(&checker(), &good).await, "pass");
    let missing = expecting(definition.clone(), &["192.0.2.9"], false);
    judged(&run(&checker(), &missing).await, "fail:dns_answer@ttfb");
    let extra = expecting(definition, &["192.0.2.7"], true);
    judged(&run(&checker(), &extra).await, "fail:dns_answer@ttfb");
}

#[tokio::test]
async fn every_type_is_written_as_in_a_zone_file() {
    let host = || name("host.example.org.");
    let soa = SOA::new(host(), name("admin.example.org."), 7, 3600, 600, 86400, 60);
    let ds = NULL::with(vec![0x30, 0x39, 13, 2, 0xab, 0xcd]);
    let cases = [
        (RecordType::Aaaa, RData::from("2001:db8::1".parse::<IpAddr>().unwrap()), "2001:db8::1"),
        (RecordType::Cname, RData::CNAME(CNAME(host())), "host.example.org."),
        (RecordType::Ns, RData::NS(NS(host())), "host.example.org."),
        (RecordType::Ptr, RData::PTR(PTR(host())), "host.example.org."),
        (RecordType::Mx, RData::MX(MX::new(10, host())), "10 host.example.org."),
        (RecordType::Txt, RData::TXT(TXT::new(vec!["v=spf1 ".to_owned(), "-all".to_owned()])), "v=spf1 -all"),
        (RecordType::Srv, RData::SRV(SRV::new(1, 2, 443, host())), "1 2 443 host.example.org."),
        (RecordType::Soa, RData::SOA(soa), "host.example.org. admin.example.org. 7 3600 600 86400 60"),
        (
            RecordType::Caa,
            RData::CAA(CAA::new_issue(false, Some(name("ca.example.")), Vec::new())),
            "0 issue \"ca.example.\"",
        ),
        (RecordType::Ds, RData::Unknown { code: hickory_proto::rr::RecordType::DS, rdata: ds }, "12345 13 2 ABCD"),
    ];
    for (record, data, written) in cases {
        let server = DnsServer::start(move |_, _| Say::Records(vec![data.clone()])).await;
        let seen = run(&checker(), &ask(server.address, "example.org", record)).await;
        judged(&seen, "pass");
        assert_eq!(answers(&seen), [written]);
    }
}

#[tokio::test]
async fn a_reverse_name_is_made_of_an_address() {
    let server = DnsServer::start(|asked, _| match asked {
        "7.2.0.192.in-addr.arpa." => Say::Records(vec![RData::PTR(PTR(name("host.example.")))]),
        _ => Say::Code(ResponseCode::NXDomain),
    })
    .await;
    judged(&run(&checker(), &ask(server.address, "192.0.2.7", RecordType::Ptr)).await, "pass");
}

#[tokio::test]
async fn response_codes_are_told_and_can_be_expected() {
    let cases = [
        (ResponseCode::NXDomain, "NXDOMAIN", "fail:dns_not_found@ttfb"),
        (ResponseCode::ServFail, "SERVFAIL", "fail:dns_failure@ttfb"),
        (ResponseCode::Refused, "REFUSED", "fail:dns_failure@ttfb"),
    ];
    for (code, word, verdict) in cases {
        let server = DnsServer::start(move |_, _| Say::Code(code)).await;
        let mut definition = ask(server.address, "example.org", RecordType::A);
        let seen = run(&checker(), &definition).await;
        judged(&seen, verdict);
        assert_eq!(seen.observation.dns.as_ref().unwrap().rcode, word);
        Arc::make_mut(&mut definition.expect).dns.rcode = Some(word.to_owned());
        judged(&run(&checker(), &definition).await, "pass");
    }
}

#[tokio::test]
async fn no_record_of_the_type_is_not_found() {
    let server = DnsServer::start(|_, _| Say::Records(vec![RData::CNAME(CNAME(name("x.example.")))])).await;
    let seen = run(&checker(), &ask(server.address, "example.org", RecordType::A)).await;
    judged(&seen, "fail:dns_not_found@ttfb");
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let many: Vec<RData> = (0..200u8).map(|n| v4(&format!("192.0.2.{n}"))).collect();
    let server = DnsServer::start(move |_, _| Say::OnlyOverTcp(many.clone())).await;
    let seen = run(&checker(), &ask(server.address, "example.org", RecordType::A)).await;
    judged(&seen, "pass");
    assert_eq!(answers(&seen).len(), 200);
}

#[tokio::test]
async fn tcp_is_used_alone_when_asked_for() {
    let server = DnsServer::start(|_, _| Say::Records(vec![v4("192.0.2.7")])).await;
    let seen = run(&checker(), &over_tcp(ask(server.address, "example.org", RecordType::A))).await;
    judged(&seen, "pass");
    assert_eq!(server.asked(), 0);
    assert!(seen.observation.timings.connect.is_some());
}

#[tokio::test]
async fn garbage_is_a_protocol_error_unless_a_good_answer_follows() {
    let server = DnsServer::start(|_, _| Say::Bytes(b"what?".to_vec())).await;
    let definition = ask(server.address, "example.org", RecordType::A);
    judged(&run(&checker(), &definition).await, "fail:protocol@ttfb");
    judged(&run(&checker(), &over_tcp(definition)).await, "fail:protocol@ttfb");
    let server = DnsServer::start(|_, _| Say::First(b"forged".to_vec(), vec![v4("192.0.2.7")])).await;
    judged(&run(&checker(), &ask(server.address, "example.org", RecordType::A)).await, "pass");
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_taken() {
    let forged = {
        use hickory_proto::op::{Message, OpCode, Query};
        let mut message = Message::response(1, OpCode::Query);
        message.add_query(Query::query(name("other.example."), hickory_proto::rr::RecordType::A));
        message.to_vec().unwrap()
    };
    let server = DnsServer::start(move |_, _| Say::Bytes(forged.clone())).await;
    judged(&run(&checker(), &ask(server.address, "example.org", RecordType::A)).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn pointers_in_circles_are_a_protocol_error() {
    // A header with one question whose name points at itself.
    let circle = [&[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc0, 12, 0, 1, 0, 1]].concat();
    let server = DnsServer::start(move |_, _| Say::Bytes(circle.clone())).await;
    judged(&run(&checker(), &ask(server.address, "example.org", RecordType::A)).await, "fail:protocol@ttfb");
}

#[tokio::test]
async fn a_closed_port_is_refused_and_silence_times_out() {
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    for definition in [ask(closed, "a.example", RecordType::A), over_tcp(ask(closed, "a.example", RecordType::A))] {
        let seen = run(&checker(), &definition).await;
        judged(&seen, "fail:refused@connect");
        assert!(seen.took < SHORT, "{:?}", seen.took);
    }
    let mute = DnsServer::start(|_, _| Say::Nothing).await;
    let mut definition = ask(mute.address, "a.example", RecordType::A);
    definition.timeout = SHORT;
    judged(&run(&checker(), &definition).await, "fail:timeout@ttfb");
    let mute = Peer::start(|mut stream| async move { hold(&mut stream).await }).await;
    let mut definition = over_tcp(ask(mute.address, "a.example", RecordType::A));
    definition.timeout = SHORT;
    judged(&run(&checker(), &definition).await, "fail:timeout@ttfb");
}

#[tokio::test]
async fn without_a_server_the_systems_are_asked() {
    let server = DnsServer::start(|_, _| Say::Records(vec![v4("192.0.2.7")])).await;
    let definition = ask(None, "example.org", RecordType::A);
    let seen = run(&checker_with_dns(server.address), &definition).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.address, Some(server.address));
    judged(&run(&checker(), &definition).await, "fail:dns_failure@dns");
}

#[tokio::test]
async fn a_name_that_is_none_is_told() {
    let server = DnsServer::start(|_, _| Say::Nothing).await;
    let long = "x".repeat(64);
    judged(&run(&checker(), &ask(server.address, &long, RecordType::A)).await, "fail:dns_failure@dns");
}

#[tokio::test]
async fn a_diagnosis_asks_every_server() {
    let good = DnsServer::start(|_, _| Say::Records(vec![RData::NS(NS(name("a.root.")))])).await;
    let closed: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    let probed = probe_resolver(Some(vec![good.address, closed])).await;
    assert_eq!(probed.len(), 2);
    assert!(probed[0].answer.is_ok(), "{:?}", probed[0]);
    assert_eq!(probed[1].answer.as_ref().unwrap_err(), "refused");
}
