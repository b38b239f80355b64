//! Echo requests and replies on the wire: ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4).

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
/// The token that follows the header.
const TOKEN: usize = 8;

/// Bytes of payload in the largest echo request that is sent.
pub(crate) const PAYLOAD_MAX: usize = 1_472;

/// An echo request with `size` bytes of payload (8 at least), which begin with the token.
pub(crate) fn request(v6: bool, ident: u16, token: u64, size: u16) -> Vec<u8> {
    let size = usize::from(size).clamp(TOKEN, PAYLOAD_MAX);
    let mut packet = vec![0u8; HEADER + size];
    packet[0] = if v6 { 128 } else { 8 };
    packet[4..6].copy_from_slice(&ident.to_be_bytes());
    // The token decides; the sequence number is for those who look at the wire.
    packet[6..8].copy_from_slice(&token.to_be_bytes()[6..]);
    packet[HEADER..HEADER + TOKEN].copy_from_slice(&token.to_be_bytes());
    for (n, byte) in packet[HEADER + TOKEN..].iter_mut().enumerate() {
        *byte = u8::try_from(n % 256).unwrap_or_default();
    }
    if !v6 {
        // The kernel fills in ICMPv6's, which covers the addresses too.
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = packet.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The token of an echo reply; `None` for anything else. A raw IPv4 socket hands over the IP header as well.
pub(crate) fn reply(v6: bool, with_ip_header: bool, bytes: &[u8]) -> Option<u64> {
    let icmp = match with_ip_header {
        true => bytes.get(usize::from(bytes.first()? & 0x0f) * 4..)?,
        false => bytes,
    };
    let wanted = if v6 { 129 } else { 0 };
    if icmp.first() != Some(&wanted) || icmp.get(1) != Some(&0) {
        return None;
    }
    icmp.get(HEADER..HEADER + TOKEN)?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_size_and_a_valid_checksum() {
        let packet = request(false, 7, 0x0102_0304_0506_0708, 56);
        assert_eq!(packet.len(), 64);
        assert_eq!(checksum(&packet), 0);
        assert_eq!(packet[0], 8);
    }

    #[test]
    fn a_reply_gives_its_token_back() {
        let mut packet = request(false, 7, 42, 8);
        packet[0] = 0;
        assert_eq!(reply(false, false, &packet), Some(42));
        let mut with_header = vec![0x45];
        with_header.resize(20, 0);
        with_header.extend(&packet);
        assert_eq!(reply(false, true, &with_header), Some(42));
    }

    #[test]
    fn requests_scraps_and_other_messages_are_no_replies() {
        let request = request(false, 7, 42, 8);
        assert_eq!(reply(false, false, &request), None);
        for length in 0..16 {
            assert_eq!(reply(false, false, &vec![0; length]), None, "{length}");
        }
        assert_eq!(reply(false, true, &[0x4f]), None);
        assert_eq!(reply(true, false, &[0; 16]), None);
    }
}
