use super::system::Hosts;
use super::*;

fn addresses(hosts: &Hosts, name: &str) -> Vec<String> {
    hosts.get(name).iter().map(ToString::to_string).collect()
}

#[test]
fn the_hosts_file_is_read_as_its_manual_says() {
    let hosts =
        Hosts::parse("127.0.0.1 localhost Box.lan # me\n::1\tlocalhost\n\n# no\nbad line\n10.0.0.7 nas nas.lan");
    assert_eq!(addresses(&hosts, "localhost"), ["127.0.0.1", "::1"]);
    assert_eq!(addresses(&hosts, "box.lan"), ["127.0.0.1"]);
    assert_eq!(addresses(&hosts, "nas."), ["10.0.0.7"]);
    assert!(addresses(&hosts, "me").is_empty());
}

#[tokio::test]
async fn an_address_needs_no_name_server_and_takes_no_time() {
    let resolver = Resolver::new(Some(Vec::new()));
    for (written, address) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("::1", "::1")] {
        let resolved = resolver.resolve(written, IpVersion::Any).await.unwrap();
        assert_eq!(resolved.addresses[0].to_string(), address);
        assert!(!resolved.asked);
    }
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses_without_a_name_server() {
    let resolver = Resolver::new(Some(Vec::new()));
    let all = resolver.resolve("localhost", IpVersion::Any).await.unwrap().addresses;
    assert!(all.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)) && all.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST)));
    let v6 = resolver.resolve("LOCALHOST", IpVersion::V6).await.unwrap().addresses;
    assert_eq!(*v6, [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
}

#[tokio::test]
async fn an_address_of_the_other_version_is_not_found() {
    let resolver = Resolver::new(Some(Vec::new()));
    let found = resolver.resolve("127.0.0.1", IpVersion::V6).await;
    assert!(matches!(found, Err(Cause::Target(FailureKind::NameNotFound))), "{found:?}");
}

#[test]
fn an_international_name_is_sent_in_ascii() {
    assert_eq!(ascii_host("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
    assert_eq!(ascii_host("Example.ORG.").as_deref(), Some("example.org"));
    assert_eq!(ascii_host("a b"), None);
}
