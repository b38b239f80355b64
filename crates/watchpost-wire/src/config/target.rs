//! Targets as people write them: `host:port`, hosts, names, servers, and URLs for a check by hand.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use watchpost_core::monitor::{Definition, MonitorId, Source};
use watchpost_core::spec::{HostPort, RecordType, Spec};

use super::settings::Defaults;
use crate::tree::{Format, Tree, nearest};

/// Echo requests in a burst unless written.
pub(super) const ICMP_COUNT: u8 = 3;
/// Payload bytes of an echo request unless written, as `ping` sends.
pub(super) const ICMP_SIZE: u16 = 56;
/// Characters of a host name (RFC 1035 section 2.3.4).
const HOST_CHARS_MAX: usize = 253;

/// `host:port`, `[::1]:port`, each also with `kind://` in front.
pub(super) fn host_port(text: &str, kind: &str, default_port: Option<u16>) -> Result<HostPort, String> {
    let example = format!(
        "write for example db.example.org:{} or [::1]:{}",
        default_port.unwrap_or(5432),
        default_port.unwrap_or(5432)
    );
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(kind) => rest.trim_end_matches('/'),
        Some((scheme, _)) => return Err(format!("`{scheme}://` is not an address of a {kind} monitor; {example}")),
        None => text,
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (address, after) = bracketed.split_once(']').ok_or_else(|| format!("`[` without `]`; {example}"))?;
            address.parse::<Ipv6Addr>().map_err(|_| format!("`{address}` is not an IPv6 address; {example}"))?;
            (address, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or_else(|| example.clone())?)
        }
        None if rest.parse::<Ipv6Addr>().is_ok() => {
            return Err(format!(
                "an IPv6 address needs brackets and a port: [{rest}]:{}",
                default_port.unwrap_or(5432)
            ));
        }
        None => rest.rsplit_once(':').unwrap_or((rest, "")),
    };
    let port = match (port, default_port) {
        ("", Some(port)) => port,
        ("", None) => return Err(format!("`{text}` has no port; {example}")),
        (digits, _) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(port @ 1..) => port,
            Ok(0) | Err(_) => return Err(format!("the port `{digits}` is not between 1 and 65535")),
        },
        (other, _) => return Err(format!("`{other}` is not a port; {example}")),
    };
    Ok(HostPort { host: check_host(host)?, port })
}

/// A host without a port, also with `icmp://` in front or an IPv6 address in brackets.
pub(super) fn host(text: &str) -> Result<String, String> {
    let rest = without_scheme(text, "icmp").trim_end_matches('/');
    let bare = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(rest);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    match rest.rsplit_once(':') {
        Some((name, _)) => Err(format!("ICMP has no ports; write `{name}`")),
        None => check_host(rest),
    }
}

/// What follows `kind://`, in whatever case it is written (RFC 3986 section 3.1).
fn without_scheme<'t>(text: &'t str, kind: &str) -> &'t str {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(kind) => rest,
        Some(_) | None => text,
    }
}

/// Names are taken as they are, also with underscores and outside ASCII; only what cannot be a name is refused.
fn check_host(host: &str) -> Result<String, String> {
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/\\@?#[]:%<>\"'`|^{}".contains(c);
    let address = host.parse::<IpAddr>().is_ok();
    match !host.is_empty() && host.chars().count() <= HOST_CHARS_MAX && (address || !host.contains(strange)) {
        true => Ok(host.to_owned()),
        false => Err(format!("`{}` is not a host name or address", host.escape_debug())),
    }
}

/// A DNS name, also with `dns://` in front.
pub(super) fn dns_name(text: &str) -> Result<String, String> {
    let name = without_scheme(text, "dns").trim_end_matches('/');
    if name == "." {
        return Ok(name.to_owned());
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    let labels = bare.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/\\@?#[]:%".contains(c);
    match labels && bare.len() <= HOST_CHARS_MAX && !bare.contains(strange) {
        true => Ok(name.to_owned()),
        false => Err(format!("`{}` is not a DNS name", name.escape_debug())),
    }
}

/// A record type by its mnemonic.
pub(super) fn record_type(text: &str) -> Result<RecordType, String> {
    RecordType::from_mnemonic(text).ok_or_else(|| {
        let all = RecordType::ALL.map(RecordType::as_str);
        let hint = nearest(text, all).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        format!("`{}` is none of the record types {}{hint}", text.escape_debug(), all.join(", "))
    })
}

/// A server's address, port 53 unless written.
pub(super) fn dns_server(text: &str) -> Result<SocketAddr, String> {
    const DNS_PORT: u16 = 53;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DNS_PORT));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        Ok(_) | Err(_) => Err(format!(
            "`{}` is not the address of a server; write for example 1.1.1.1, 1.1.1.1:53 or [::1]:53",
            text.escape_debug()
        )),
    }
}

/// A text that cannot be checked by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotATarget(String);

/// The monitor for a URL given by hand, with the configuration's defaults: `http://`, `https://`, `tcp://host:port`,
/// `tls://host:port`, `udp://host:port`, `icmp://host` or `dns://name`. Its id and name are the target.
///
/// # Errors
/// When the URL has another scheme or does not parse.
pub fn monitor_for_url(url: &str, defaults: &Defaults) -> Result<Definition, NotATarget> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    let kind = match &*scheme {
        "http" | "https" => "http",
        kind @ ("tcp" | "tls" | "udp" | "icmp" | "dns") => kind,
        _ => {
            let known =
                "https://, http://, tcp://host:port, tls://host:port, udp://host:port, icmp://host or dns://name";
            return Err(NotATarget(format!("`{}` is not a URL to check; it begins with {known}", url.escape_debug())));
        }
    };
    // By way of a document, so that the very rules of the file apply.
    let document = serde_json::json!({ kind: url, "id": "by-hand" }).to_string();
    let read = Tree::parse_text("", Format::Json, &document).and_then(|tree| super::read_monitor(&tree, defaults));
    let definition = read.map_err(|problems| {
        NotATarget(problems.list().iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; "))
    })?;
    let shown = match &definition.spec {
        Spec::Http(http) => http.url.shown(),
        _ => url.to_owned(),
    };
    Ok(Definition { id: MonitorId::new(&shown), name: shown, source: Source::Api, active: true, ..definition })
}
