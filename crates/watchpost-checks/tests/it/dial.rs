//! Names: every address tried, the guard after every resolution, the cache in between.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use tokio::io::AsyncWriteExt;
use watchpost_checks::{Checker, CheckerOptions, PrivateTargets, StartsPerHost};
use watchpost_core::spec::{HttpSpec, IpVersion, Spec};

use super::dns_server::{DnsServer, Say};
use super::peer::{BlackHole, Peer, closed_port, read_head};
use super::support::{
    AMPLE, SHORT, checker, checker_with_dns, definition, get, http, http_spec, judged, options, run, tcp_spec,
};

async fn ok_peer(ip: &str, port: u16) -> Peer {
    Peer::start_at(ip.parse().unwrap(), port, |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let peer = ok_peer("127.0.0.9", 0).await;
    let dns = DnsServer::with_addresses(&["127.0.0.7", "127.0.0.8", "127.0.0.9"]).await;
    let seen = run(&checker_with_dns(dns.address), &get(&format!("http://some.example:{}/", peer.port()))).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.address, Some(peer.address));
    assert!(seen.observation.timings.dns.is_some());
    let refused = seen.observation.steps.iter().filter(|step| step.outcome == "refused").count();
    assert_eq!(refused, 2, "{:?}", seen.observation.steps);
}

#[tokio::test]
async fn a_black_hole_in_front_does_not_eat_the_deadline() {
    let peer = ok_peer("127.0.0.9", 0).await;
    let hole = BlackHole::at("127.0.0.8", peer.port());
    let dns = DnsServer::with_addresses(&["127.0.0.8", "127.0.0.9"]).await;
    let url = format!("http://some.example:{}/", peer.port());
    let seen = run(&checker_with_dns(dns.address), &http(http_spec(&url), 4 * SHORT)).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.address, Some(peer.address));
    // The time of the address that answered, without the waiting before it.
    let timings = seen.observation.timings;
    assert!(timings.connect.unwrap() < timings.total.unwrap() / 2, "{timings:?}");
    drop(hole);
}

#[tokio::test]
async fn a_black_hole_alone_times_out_in_connect() {
    let hole = BlackHole::at("127.0.0.8", 0);
    let seen = run(&checker(), &http(http_spec(&format!("http://{}/", hole.address)), SHORT)).await;
    judged(&seen, "fail:timeout@connect");
    assert_eq!(seen.observation.address, Some(hole.address));
}

#[tokio::test]
async fn when_all_addresses_fail_a_refusal_is_told_before_no_route() {
    let dns = DnsServer::with_addresses(&["fe80::1", "127.0.0.7"]).await;
    let url = format!("http://some.example:{}/", closed_port());
    judged(&run(&checker_with_dns(dns.address), &get(&url)).await, "fail:refused@connect");
    let unreachable = definition(Spec::Tcp(tcp_spec("fe80::1", 80)), AMPLE);
    judged(&run(&checker(), &unreachable).await, "fail:unreachable@connect");
}

#[tokio::test]
async fn only_the_wanted_ip_version_is_asked_for() {
    let v4 = ok_peer("127.0.0.1", 0).await;
    let v6 = ok_peer("::1", v4.port()).await;
    let dns = DnsServer::with_addresses(&["127.0.0.1", "::1"]).await;
    let checker = checker_with_dns(dns.address);
    for (ip, peer) in [(IpVersion::V4, &v4), (IpVersion::V6, &v6)] {
        let spec = HttpSpec { ip, ..http_spec(&format!("http://some.example:{}/", v4.port())) };
        let seen = run(&checker, &http(spec, AMPLE)).await;
        judged(&seen, "pass");
        assert_eq!(seen.observation.address, Some(peer.address));
    }
}

#[tokio::test]
async fn a_name_without_a_record_is_not_found() {
    let dns = DnsServer::start(|name, _| match name {
        "empty.example." => Say::Records(Vec::new()),
        _ => Say::Code(ResponseCode::NXDomain),
    })
    .await;
    let checker = checker_with_dns(dns.address);
    for host in ["gone.example", "empty.example"] {
        let seen = run(&checker, &get(&format!("http://{host}/"))).await;
        judged(&seen, "fail:dns_not_found@dns");
    }
}

#[tokio::test]
async fn a_failing_name_server_is_told_as_such() {
    let dns = DnsServer::start(|name, _| match name {
        "refused.example." => Say::Code(ResponseCode::Refused),
        _ => Say::Code(ResponseCode::ServFail),
    })
    .await;
    let checker = checker_with_dns(dns.address);
    let seen = run(&checker, &get("http://broken.example/")).await;
    judged(&seen, "fail:dns_failure@dns");
    assert!(seen.text.contains("SERVFAIL"), "{}", seen.text);
    judged(&run(&checker, &get("http://refused.example/")).await, "fail:dns_failure@dns");
}

#[tokio::test]
async fn a_mute_name_server_times_out_in_dns() {
    let dns = DnsServer::start(|_, _| Say::Nothing).await;
    let seen = run(&checker_with_dns(dns.address), &http(http_spec("http://some.example/"), SHORT)).await;
    judged(&seen, "fail:timeout@dns");
}

#[tokio::test]
async fn no_name_server_at_all_is_a_failure_with_words() {
    let seen = run(&checker(), &get("http://some.example/")).await;
    judged(&seen, "fail:dns_failure@dns");
}

#[tokio::test]
async fn a_name_server_that_never_answers_aaaa_does_not_hold_up_a() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let dns = DnsServer::start(|_, record| match record {
        RecordType::A => Say::Records(vec![RData::from("127.0.0.1".parse::<IpAddr>().unwrap())]),
        _ => Say::Nothing,
    })
    .await;
    let url = format!("http://some.example:{}/", peer.port());
    let seen = run(&checker_with_dns(dns.address), &http(http_spec(&url), AMPLE)).await;
    judged(&seen, "pass");
    assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
}

#[tokio::test]
async fn answers_are_kept_for_their_time_and_shared() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let dns = DnsServer::with_addresses(&["127.0.0.1"]).await;
    let checker = checker_with_dns(dns.address);
    let definition = get(&format!("http://some.example:{}/", peer.port()));
    let all = futures_util::future::join_all((0..50).map(|_| run(&checker, &definition))).await;
    assert!(all.iter().all(|seen| seen.verdict == "pass"));
    judged(&run(&checker, &definition).await, "pass");
    assert_eq!(dns.asked(), 2, "one question for A and one for AAAA");
}

#[tokio::test]
async fn an_answer_that_is_too_old_is_asked_for_again() {
    let dns = DnsServer::start(|_, record| match record {
        RecordType::A => Say::For(0, vec![RData::from("127.0.0.1".parse::<IpAddr>().unwrap())]),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let peer = ok_peer("127.0.0.1", 0).await;
    let checker = checker_with_dns(dns.address);
    let spec = HttpSpec { ip: IpVersion::V4, ..http_spec(&format!("http://some.example:{}/", peer.port())) };
    let definition = http(spec, AMPLE);
    // An answer is used for a second at least; checking goes on until it is asked for again.
    let began = std::time::Instant::now();
    while dns.asked() < 2 {
        judged(&run(&checker, &definition).await, "pass");
        assert!(began.elapsed() < AMPLE, "never asked again");
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn a_huge_answer_is_cut_to_a_sane_number_of_addresses() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let dns = DnsServer::start(|_, record| match record {
        RecordType::A => Say::OnlyOverTcp(
            (0..2_000u32).map(|n| RData::from(IpAddr::from((0x7f00_0001 + n).to_be_bytes()))).collect(),
        ),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let seen = run(&checker_with_dns(dns.address), &get(&format!("http://some.example:{}/", peer.port()))).await;
    judged(&seen, "pass");
    assert!(seen.observation.steps[0].outcome.split(", ").count() <= 16);
}

fn denying(dns: Option<&DnsServer>) -> Checker {
    let nameservers = Some(dns.map(|dns| vec![dns.address]).unwrap_or_default());
    Checker::new(CheckerOptions { private_targets: PrivateTargets::Deny, nameservers, ..options() }).unwrap()
}

#[tokio::test]
async fn private_addresses_are_denied_however_they_are_written() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let port = peer.port();
    let checker = denying(None);
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"] {
        let seen = run(&checker, &get(&format!("http://{host}:{port}/"))).await;
        judged(&seen, "fail:address_denied@connect");
    }
    assert_eq!(peer.accepted(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_denied_after_resolution() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let dns = DnsServer::with_addresses(&["127.0.0.1", "::ffff:127.0.0.1"]).await;
    let seen = run(&denying(Some(&dns)), &get(&format!("http://rebind.example:{}/", peer.port()))).await;
    judged(&seen, "fail:address_denied@connect");
    assert_eq!(peer.accepted(), 0);
}

#[tokio::test]
async fn the_guard_stands_before_every_kind_of_check() {
    use watchpost_core::spec::{DnsSpec, IcmpSpec, RecordType, UdpSpec};
    let checker = denying(None);
    let address = super::support::host_port("127.0.0.1", 9);
    let specs = [
        Spec::Tcp(tcp_spec("127.0.0.1", 9)),
        Spec::Tls(super::support::tls_spec("127.0.0.1", 9)),
        Spec::Udp(UdpSpec { address, send: None, ip: IpVersion::Any }),
        Spec::Icmp(IcmpSpec { host: "127.0.0.1".to_owned(), count: 1, size: 56, ip: IpVersion::Any }),
        Spec::Dns(DnsSpec {
            name: "example.org".to_owned(),
            record: RecordType::A,
            server: Some("127.0.0.1:53".parse().unwrap()),
            tcp: false,
        }),
    ];
    for spec in specs {
        judged(&run(&checker, &definition(spec, AMPLE)).await, "fail:address_denied@connect");
    }
}

#[tokio::test]
async fn too_many_starts_of_one_host_are_our_own_overload() {
    let peer = ok_peer("127.0.0.1", 0).await;
    let starts_per_host = StartsPerHost { per_second: 1, burst: 1 };
    let checker = Checker::new(CheckerOptions { starts_per_host, ..options() }).unwrap();
    let definition = http(http_spec(&peer.url("/")), SHORT);
    judged(&run(&checker, &definition).await, "pass");
    judged(&run(&checker, &definition).await, "fault:overloaded");
}
