//! UDP probes (MIGRATION.md S1.8 to S1.11).

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use watchpost_core::observe::{Echo, UdpSeen};
use watchpost_core::spec::{IpVersion, Spec, UdpSpec};
use watchpost_core::{Definition, Secret};

use super::icmp::echo_is_allowed;
use super::support::{SHORT, checker, definition, host_port, judged, run};

/// A UDP service that answers everything with this, or says nothing.
struct UdpPeer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    task: AbortHandle,
}

impl Drop for UdpPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl UdpPeer {
    async fn start(ip: &str, port: u16, answer: Option<Vec<u8>>) -> UdpPeer {
        let ip: IpAddr = ip.parse().unwrap();
        let socket = UdpSocket::bind((ip, port)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_535];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                keep.lock().unwrap().push(buffer[..length].to_vec());
                if let Some(answer) = &answer {
                    let _ = socket.send_to(answer, from).await;
                }
            }
        });
        UdpPeer { address, heard, task: task.abort_handle() }
    }
}

/// A port that nobody listens on.
fn closed_udp_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn udp(host: &str, port: u16) -> Definition {
    let spec = UdpSpec { address: host_port(host, port), send: None, ip: IpVersion::Any };
    definition(Spec::Udp(spec), 2 * SHORT)
}

#[tokio::test]
async fn a_reply_is_up_with_its_time() {
    for ip in ["127.0.0.1", "::1"] {
        let peer = UdpPeer::start(ip, 0, Some(b"hello".to_vec())).await;
        let seen = run(&checker(), &udp(ip, peer.address.port())).await;
        judged(&seen, "pass");
        assert_eq!(seen.observation.udp, Some(UdpSeen::Reply { bytes: 5 }));
        assert_eq!(*peer.heard.lock().unwrap(), [vec![0; 4]]);
        assert!(seen.observation.timings.total.is_some());
        assert!(seen.took < SHORT);
    }
}

#[tokio::test]
async fn the_given_payload_is_sent() {
    let peer = UdpPeer::start("127.0.0.1", 0, Some(vec![1])).await;
    let spec = UdpSpec {
        address: host_port("127.0.0.1", peer.address.port()),
        send: Some(Secret::new("status")),
        ip: IpVersion::Any,
    };
    judged(&run(&checker(), &definition(Spec::Udp(spec), 2 * SHORT)).await, "pass");
    assert_eq!(*peer.heard.lock().unwrap(), [b"status".to_vec()]);
}

#[tokio::test]
async fn a_closed_port_is_refused_at_once() {
    let port = closed_udp_port();
    let seen = run(&checker(), &udp("127.0.0.1", port)).await;
    judged(&seen, "fail:refused@connect");
    assert_eq!(seen.observation.udp, Some(UdpSeen::Refused));
    assert!(seen.took < SHORT);
}

#[tokio::test]
async fn silence_is_up_when_the_host_answers_ping() {
    if !echo_is_allowed().await {
        return;
    }
    let peer = UdpPeer::start("127.0.0.1", 0, None).await;
    let seen = run(&checker(), &udp("127.0.0.1", peer.address.port())).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.udp, Some(UdpSeen::Silent { ping: Echo::Answered }));
    assert_eq!(seen.observation.timings.total, None, "no reply, no time");
    assert!(seen.took >= SHORT && seen.took < SHORT + Duration::from_millis(300), "{:?}", seen.took);
}

#[tokio::test]
async fn a_refusal_on_one_address_of_localhost_does_not_beat_the_other() {
    let peer = UdpPeer::start("127.0.0.1", 0, Some(vec![1])).await;
    let seen = run(&checker(), &udp("localhost", peer.address.port())).await;
    judged(&seen, "pass");
    assert_eq!(seen.observation.address, Some(peer.address));
    if echo_is_allowed().await {
        let mute = UdpPeer::start("127.0.0.1", 0, None).await;
        let seen = run(&checker(), &udp("localhost", mute.address.port())).await;
        judged(&seen, "pass");
        assert_eq!(seen.observation.udp, Some(UdpSeen::Silent { ping: Echo::Answered }));
    }
}

#[tokio::test]
async fn localhost_is_refused_when_nobody_listens_on_any_of_its_addresses() {
    let port = closed_udp_port();
    judged(&run(&checker(), &udp("localhost", port)).await, "fail:refused@connect");
}

#[tokio::test]
async fn an_unknown_name_and_no_way_there_are_told() {
    judged(&run(&checker(), &udp("fe80::1", 9)).await, "fail:unreachable@connect");
    judged(&run(&checker(), &udp("no-such-host.invalid", 9)).await, "fail:dns_not_found@dns");
}
