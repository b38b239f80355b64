//! The address guard: which addresses may be contacted. It is asked after every name resolution and after every
//! redirect, so that neither a name nor a `Location` leads around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether targets inside our own network may be contacted (`network.private_targets`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivateTargets {
    /// They may.
    #[default]
    Allow,
    /// Loopback, private, link-local, shared (CGNAT), unique local, multicast, unspecified and reserved addresses are
    /// refused, also when they hide in an IPv6 address.
    Deny,
}

/// The guard.
pub(crate) struct Guard(PrivateTargets);

impl Guard {
    pub(crate) fn new(private: PrivateTargets) -> Guard {
        Guard(private)
    }

    /// Whether the address may be contacted.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        match self.0 {
            PrivateTargets::Allow => true,
            PrivateTargets::Deny => is_public(address),
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's special-purpose registry (RFC 6890), as far as it lets one reach machines that are not public ones.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let private = v4.is_private() || v4.is_loopback() || v4.is_link_local();
    let special = a == 0                                  // this network
        || (a == 100 && (64..128).contains(&b))           // shared address space, RFC 6598
        || (a == 192 && b == 0 && c == 0)                 // protocol assignments
        || (a == 198 && (b == 18 || b == 19))             // benchmarking
        || a >= 224; // multicast, reserved, broadcast
    !(private || special)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    if let Some(v4) = embedded_v4(v6) {
        return is_public_v4(v4);
    }
    let local = (s[0] & 0xfe00) == 0xfc00                 // unique local
        || (s[0] & 0xffc0) == 0xfe80                      // link-local
        || (s[0] & 0xffc0) == 0xfec0; // site-local, deprecated
    !(local || v6.is_multicast() || v6.is_loopback() || v6.is_unspecified())
}

/// The IPv4 address that an IPv6 one leads to: mapped and compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // `::` and `::1` are IPv6 addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: bool, addresses: &[&str]) {
        let guard = Guard::new(PrivateTargets::Deny);
        for address in addresses {
            assert_eq!(guard.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn inner_addresses_are_refused() {
        check(
            false,
            &[
                "127.0.0.1",
                "127.9.9.9",
                "0.0.0.0",
                "10.1.2.3",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "169.254.169.254",
                "100.64.0.1",
                "100.127.255.255",
                "224.0.0.1",
                "255.255.255.255",
                "240.0.0.1",
                "198.18.0.1",
                "::",
                "::1",
                "fe80::1",
                "fc00::1",
                "fd12::1",
                "fec0::1",
                "ff02::1",
            ],
        );
    }

    #[test]
    fn inner_addresses_in_ipv6_clothes_are_refused() {
        check(
            false,
            &[
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::127.0.0.1",
                "64:ff9b::a00:1",
                "2002:7f00:1::",
                "2002:c0a8:1::1",
            ],
        );
    }

    #[test]
    fn public_addresses_pass() {
        check(
            true,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "172.32.0.1",
                "100.128.0.1",
                "2606:4700::1111",
                "::ffff:8.8.8.8",
                "64:ff9b::808:808",
            ],
        );
    }
}
