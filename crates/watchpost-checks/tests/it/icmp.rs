//! ICMP echo on loopback.

use std::time::Duration;

use watchpost_checks::probe_icmp;
use watchpost_core::Definition;
use watchpost_core::spec::{IcmpSpec, IpVersion, Spec};

use super::support::{AMPLE, SHORT, checker, definition, judged, run};

/// Whether this system lets us ping at all; says so when not.
pub(crate) async fn echo_is_allowed() -> bool {
    match probe_icmp().await {
        Ok(_) => true,
        Err(fault) => {
            println!("skipped: {}", fault.text);
            false
        }
    }
}

fn icmp(host: &str, count: u8, size: u16) -> Definition {
    let spec = IcmpSpec { host: host.to_owned(), count, size, ip: IpVersion::Any };
    definition(Spec::Icmp(spec), AMPLE)
}

#[tokio::test]
async fn loopback_answers_a_burst_over_both_ip_versions() {
    if !echo_is_allowed().await {
        return;
    }
    for host in ["127.0.0.1", "::1", "localhost"] {
        let seen = run(&checker(), &icmp(host, 3, 56)).await;
        judged(&seen, "pass");
        let ping = seen.observation.ping.unwrap();
        assert_eq!((ping.sent, ping.received), (3, 3));
        assert!(ping.rtt_min_us <= ping.rtt_avg_us && ping.rtt_avg_us <= ping.rtt_max_us, "{ping:?}");
        assert_eq!(seen.observation.timings.total, ping.rtt_avg_us);
        assert!(ping.jitter_us.is_some());
        assert!(seen.took < Duration::from_secs(2), "a burst ends with its last reply");
    }
}

#[tokio::test]
async fn payloads_of_all_sizes_come_back() {
    if !echo_is_allowed().await {
        return;
    }
    for size in [8, 1_000, 1_472] {
        judged(&run(&checker(), &icmp("127.0.0.1", 1, size)).await, "pass");
    }
}

#[tokio::test]
async fn without_an_answer_there_is_no_response_at_the_deadline() {
    if !echo_is_allowed().await {
        return;
    }
    // Requests to multicast on loopback leave, and nobody answers.
    let spec = IcmpSpec { host: "ff01::dead:beef".to_owned(), count: 2, size: 56, ip: IpVersion::V6 };
    let seen = run(&checker(), &definition(Spec::Icmp(spec), SHORT)).await;
    assert!(
        ["fail:no_response@ttfb", "fail:unreachable@connect"].contains(&seen.verdict.as_str()),
        "{} {:?}",
        seen.verdict,
        seen.observation
    );
}

#[tokio::test]
async fn what_the_system_does_not_let_us_send_is_no_failure_of_the_target() {
    if !echo_is_allowed().await {
        return;
    }
    // Broadcasting has to be asked for, which a monitor never does.
    judged(&run(&checker(), &icmp("255.255.255.255", 1, 56)).await, "fault:no_permission");
}

async fn many_at_once() {
    if !echo_is_allowed().await {
        return;
    }
    let checker = checker();
    let definition = icmp("127.0.0.1", 1, 56);
    let all = futures_util::future::join_all((0..2_000).map(|_| run(&checker, &definition))).await;
    let lost = all.iter().filter(|seen| seen.verdict != "pass").map(|seen| &seen.verdict).collect::<Vec<_>>();
    assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost.first());
}

#[tokio::test]
async fn two_thousand_monitors_of_one_host_lose_no_reply_on_one_thread() {
    many_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_monitors_of_one_host_lose_no_reply_on_two_threads() {
    many_at_once().await;
}
