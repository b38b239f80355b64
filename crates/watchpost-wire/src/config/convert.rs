//! A monitor's document as a definition: limits checked, defaults filled in.

use std::num::NonZeroU32;
use std::sync::Arc;

use watchpost_core::monitor::{Definition, MonitorId, Pace, Secret, Source, Thresholds};
use watchpost_core::schedule::{Cron, Schedule};
use watchpost_core::spec::{
    DnsSpec, HttpAuth, HttpMethod, HttpSpec, HttpUrl, HttpVersion, IcmpSpec, IpVersion, Spec, TcpSpec, TlsSpec,
    UdpSpec, VerifyTls,
};

use super::monitor::{AuthDoc, HttpDoc, MonitorDoc};
use super::settings::Defaults;
use super::values::Hidden;
use super::{Asked, NAME_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX, expect, target};
use crate::tree::{Node, Reader, nearest};

/// Request headers of one monitor.
const HEADERS_MAX: usize = 50;
/// Bytes of a request's body, or of what is sent over TCP.
const SENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a UDP payload that fit one datagram.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Converts; `None` when something is wrong, which is then noted.
pub(super) fn definition(
    doc: &MonitorDoc,
    node: &Node,
    (defaults, source): (&Defaults, Source),
    reader: &Reader,
) -> Option<Definition> {
    let asked = Asked { node, reader };
    let spec = spec(doc, asked);
    let schedule = schedule(doc, defaults, asked);
    let (id, name) = id_and_name(doc, spec.as_ref(), asked)?;
    let tags = doc.tags.clone().unwrap_or_else(|| defaults.tags.clone());
    check_tags(&tags, &["tags"], asked);
    let group = doc.group.clone().or_else(|| defaults.group.clone()).filter(|group| !group.is_empty());
    if let Some(group) = &group {
        check_words(group, &["group"], asked);
    }
    if doc.regions.as_ref().is_some_and(|regions| regions.iter().any(|region| region != "local") || regions.is_empty())
    {
        asked.refuse(&["regions"], "`regions` other than `local` is not supported yet in this version");
    }
    let spec = spec?;
    let expect = expect::convert(doc.expect.as_ref(), &defaults.expect.0, &spec, asked);
    let count = |results: Option<super::Results>, default| {
        results.and_then(|count| NonZeroU32::new(count.0)).unwrap_or(default)
    };
    Some(Definition {
        id,
        name,
        group,
        tags,
        spec,
        expect: Arc::new(expect),
        schedule: schedule?,
        pace: Pace {
            retry: doc.retry.map(|pace| pace.every.0).or(defaults.pace.retry),
            while_down: doc.while_down.map(|pace| pace.every.0).or(defaults.pace.while_down),
        },
        thresholds: Thresholds {
            fail_after: count(doc.fail_after, defaults.thresholds.fail_after),
            recover_after: count(doc.recover_after, defaults.thresholds.recover_after),
        },
        timeout: doc.timeout.map_or(defaults.timeout, |time| time.0),
        active: doc.active.map_or(defaults.active, |flag| flag.0),
        cannot_tell_after: defaults.cannot_tell_after,
        source,
    })
}

fn id_and_name(doc: &MonitorDoc, spec: Option<&Spec>, asked: Asked<'_>) -> Option<(MonitorId, String)> {
    let target = spec.map(Spec::target);
    let name = doc.name.clone().or_else(|| doc.id.clone()).or(target)?;
    let id = doc.id.as_deref().map_or_else(|| MonitorId::slug(&name), MonitorId::new);
    let at: &[&str] = if doc.id.is_some() { &["id"] } else { &["name"] };
    if doc.name.is_some() {
        check_words(&name, &["name"], asked);
    } else if doc.id.is_none() && !is_one_line(&name) {
        asked.refuse(at, "the target is too long for a name, or not one line; write one as `name:`");
        return None;
    }
    if doc.id.is_none() && id.as_str().chars().count() > NAME_CHARS_MAX {
        asked.refuse(at, "the id made of this name is too long; write one as `id:`");
    }
    if doc.id.is_some() {
        check_words(id.as_str(), at, asked);
    } else if id.as_str().is_empty() && !name.is_empty() {
        asked.refuse(at, format!("no id can be made of `{name}`; write one as `id:`"));
    }
    if matches!(id.as_str(), "." | "..") {
        asked.refuse(at, "`.` and `..` cannot be ids, for they mean something else in paths");
    }
    Some((id, name))
}

/// Whether a text can be a name: short, without control characters.
fn is_one_line(text: &str) -> bool {
    text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control)
}

/// Text for one line: not empty, not long, no control characters.
fn check_words(text: &str, path: &[&str], asked: Asked<'_>) {
    let key = path.first().unwrap_or(&"");
    if text.is_empty() {
        asked.refuse(path, format!("`{key}` must not be empty"));
    } else if text.chars().count() > NAME_CHARS_MAX {
        asked.refuse(path, format!("`{key}` has more than {NAME_CHARS_MAX} characters"));
    } else if text.chars().any(char::is_control) {
        asked.refuse(path, format!("`{key}` must be one line without control characters"));
    }
}

pub(super) fn check_tags(tags: &[String], path: &[&str], asked: Asked<'_>) {
    if tags.len() > TAGS_MAX {
        asked.refuse(path, format!("more than {TAGS_MAX} tags"));
    }
    for (i, tag) in tags.iter().enumerate() {
        let bad = tag.is_empty() || tag.chars().count() > TAG_CHARS_MAX || tag.chars().any(char::is_control);
        if bad {
            let at = i.to_string();
            asked.refuse(&[path, &[&*at]].concat(), format!("a tag is one line of 1 to {TAG_CHARS_MAX} characters"));
        }
    }
}

fn schedule(doc: &MonitorDoc, defaults: &Defaults, asked: Asked<'_>) -> Option<Schedule> {
    let Some(expression) = &doc.cron else {
        if doc.timezone.is_some() {
            asked.refuse(&["timezone"], "`timezone` is for `cron`; an interval has none");
        }
        return Some(Schedule::Every(doc.interval.map_or(defaults.interval, |time| time.0)));
    };
    if doc.interval.is_some() {
        asked.refuse(&["cron"], "`cron` and `interval` exclude each other; keep one");
    }
    let zone = doc.timezone.as_ref().unwrap_or(&defaults.timezone);
    let parsed = Cron::parse(expression, zone);
    let at = match &parsed {
        Err(watchpost_core::schedule::NotASchedule::Zone(_)) if doc.timezone.is_some() => "timezone",
        Ok(_) | Err(_) => "cron",
    };
    asked.check(&[at], parsed).map(Schedule::Cron)
}

fn spec(doc: &MonitorDoc, asked: Asked<'_>) -> Option<Spec> {
    let written = [
        ("http", doc.http.is_some()),
        ("tcp", doc.tcp.is_some()),
        ("tls", doc.tls.is_some()),
        ("udp", doc.udp.is_some()),
        ("icmp", doc.icmp.is_some()),
        ("dns", doc.dns.is_some()),
    ];
    let mut kinds = written.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind);
    let Some(first) = kinds.next() else {
        asked.refuse(&[], "nothing to check: a monitor has one of `http`, `tcp`, `tls`, `udp`, `icmp`, `dns`");
        return None;
    };
    if let Some(second) = kinds.next() {
        let message = format!("a monitor checks one thing: `{first}` and `{second}` are both set; make two monitors");
        asked.refuse(&[second], message);
        return None;
    }
    if let Some(http) = &doc.http {
        return http_spec(http, asked).map(|spec| Spec::Http(Box::new(spec)));
    }
    let other = other_spec(doc, asked);
    other.filter(|spec| sent_fits(spec, asked))
}

fn other_spec(doc: &MonitorDoc, asked: Asked<'_>) -> Option<Spec> {
    let at = |kind: &'static str, key: &'static str| [kind, key];
    if let Some(tcp) = &doc.tcp {
        let address = asked.check(&at("tcp", "address"), target::host_port(&tcp.address, "tcp", None))?;
        let (send, expect) = (tcp.send.as_ref().map(secret), tcp.expect.clone().filter(|text| !text.is_empty()));
        return Some(Spec::Tcp(TcpSpec { address, send, expect, ip: ip(tcp.ip.as_deref(), "tcp", asked)? }));
    }
    if let Some(tls) = &doc.tls {
        let address = asked.check(&at("tls", "address"), target::host_port(&tls.address, "tls", Some(443)))?;
        let server_name = tls.server_name.clone().filter(|name| !name.is_empty());
        let verify_tls = verify(tls.verify_tls.as_deref(), "tls", asked)?;
        return Some(Spec::Tls(TlsSpec { address, server_name, verify_tls, ip: ip(tls.ip.as_deref(), "tls", asked)? }));
    }
    if let Some(udp) = &doc.udp {
        let address = asked.check(&at("udp", "address"), target::host_port(&udp.address, "udp", None))?;
        let send = udp.send.as_ref().map(secret);
        return Some(Spec::Udp(UdpSpec { address, send, ip: ip(udp.ip.as_deref(), "udp", asked)? }));
    }
    if let Some(icmp) = &doc.icmp {
        let host = asked.check(&at("icmp", "host"), target::host(&icmp.host))?;
        let count = icmp.count.and_then(|count| u8::try_from(count.0).ok()).unwrap_or(target::ICMP_COUNT);
        let size = icmp.size.and_then(|size| u16::try_from(size.0).ok()).unwrap_or(target::ICMP_SIZE);
        return Some(Spec::Icmp(IcmpSpec { host, count, size, ip: ip(icmp.ip.as_deref(), "icmp", asked)? }));
    }
    let dns = doc.dns.as_ref()?;
    let name = asked.check(&at("dns", "name"), target::dns_name(&dns.name))?;
    let record = asked.check(&at("dns", "type"), target::record_type(dns.record.as_deref().unwrap_or("A")))?;
    let server = match dns.server.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(asked.check(&at("dns", "server"), target::dns_server(text))?),
        None => None,
    };
    let tcp = word(dns.protocol.as_deref().unwrap_or("udp"), &["udp", "tcp"], &at("dns", "protocol"), asked)? == "tcp";
    Some(Spec::Dns(DnsSpec { name, record, server, tcp }))
}

fn sent_fits(spec: &Spec, asked: Asked<'_>) -> bool {
    let (kind, send, max) = match spec {
        Spec::Tcp(tcp) => ("tcp", &tcp.send, SENT_BYTES_MAX),
        Spec::Udp(udp) => ("udp", &udp.send, DATAGRAM_BYTES_MAX),
        Spec::Http(_) | Spec::Tls(_) | Spec::Icmp(_) | Spec::Dns(_) => return true,
    };
    let fits = send.as_ref().is_none_or(|text| text.reveal().len() <= max);
    if !fits {
        asked.refuse(&[kind, "send"], format!("`send` has more than {max} bytes"));
    }
    fits
}

fn http_spec(doc: &HttpDoc, asked: Asked<'_>) -> Option<HttpSpec> {
    let url = asked.check(&["http", "url"], HttpUrl::parse(&doc.url.0));
    let method = method(doc.method.as_deref().unwrap_or("GET"), asked);
    let verify_tls = verify(doc.verify_tls.as_deref(), "http", asked);
    let version =
        match word(doc.version.as_deref().unwrap_or("auto"), &["auto", "1.1", "2"], &["http", "version"], asked) {
            Some("1.1") => Some(HttpVersion::Http1),
            Some("2") => Some(HttpVersion::Http2),
            Some(_) => Some(HttpVersion::Auto),
            None => None,
        };
    let ip = ip(doc.ip.as_deref(), "http", asked);
    let headers = headers(doc, asked);
    let auth = match &doc.auth {
        Some(auth) => Some(self::auth(auth, asked)?),
        None => None,
    };
    if doc.body.as_ref().is_some_and(|body| body.0.len() > SENT_BYTES_MAX) {
        asked.refuse(&["http", "body"], format!("`body` has more than {SENT_BYTES_MAX} bytes"));
    }
    if doc.body.is_some() && matches!(&method, Some(HttpMethod::HeadThenGet)) {
        asked.refuse(&["http", "body"], "`body` cannot be sent with HEAD; write another `method`");
    }
    let default_max = 1 << 20;
    Some(HttpSpec {
        url: url?,
        method: method?,
        headers,
        body: doc.body.as_ref().map(secret),
        auth,
        redirects: doc.redirects.and_then(|count| u8::try_from(count.0).ok()).unwrap_or(10),
        verify_tls: verify_tls?,
        version: version?,
        ip: ip?,
        body_max: doc.body_max.map_or(default_max, |size| size.0),
        read_body: doc.read_body.is_none_or(|flag| flag.0),
        tcp_first: doc.tcp_first.is_some_and(|flag| flag.0),
    })
}

fn secret(text: &Hidden) -> Secret {
    Secret::new(&text.0)
}

fn method(text: &str, asked: Asked<'_>) -> Option<HttpMethod> {
    const METHOD_CHARS_MAX: usize = 32;
    let upper = text.to_ascii_uppercase();
    match &*upper {
        "HEAD-THEN-GET" => Some(HttpMethod::HeadThenGet),
        "CONNECT" | "TRACE" => {
            asked.refuse(&["http", "method"], format!("the method {upper} cannot be checked with"));
            None
        }
        method if is_token(method) && method.len() <= METHOD_CHARS_MAX => Some(HttpMethod::One(upper)),
        _ => {
            asked.refuse(
                &["http", "method"],
                format!("`{text}` is not a method; write for example GET, POST or head-then-get"),
            );
            None
        }
    }
}

/// A token (RFC 9110 section 5.6.2), as methods and names of headers are.
pub(super) fn is_token(text: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(part)
}

fn headers(doc: &HttpDoc, asked: Asked<'_>) -> Vec<(String, Secret)> {
    let pairs = doc.headers.as_ref().map_or(&[][..], |headers| headers.0.as_slice());
    if pairs.len() > HEADERS_MAX {
        asked.refuse(&["http", "headers"], format!("more than {HEADERS_MAX} headers"));
    }
    for (i, (name, value)) in pairs.iter().enumerate() {
        let path = ["http", "headers", name];
        if !is_token(name) {
            asked.refuse(&path, "this is not the name of a header");
        } else if value.0.chars().any(|c| c.is_control() && c != '\t') {
            asked.refuse(&path, format!("the header `{name}` must be one line without control characters"));
        } else if pairs[..i].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            asked.refuse(&path, format!("the header `{name}` is set twice"));
        } else if ["content-length", "transfer-encoding", "connection"].contains(&&*name.to_ascii_lowercase()) {
            asked.refuse(&path, format!("the header `{name}` is set by the request itself"));
        }
    }
    pairs.iter().map(|(name, value)| (name.clone(), secret(value))).collect()
}

fn auth(doc: &AuthDoc, asked: Asked<'_>) -> Option<HttpAuth> {
    match (&doc.basic, &doc.bearer) {
        (Some(basic), None) => {
            if basic.user.contains(':') {
                asked.refuse(&["http", "auth", "basic", "user"], "a user must not contain a colon (RFC 7617)");
            }
            Some(HttpAuth::Basic { user: basic.user.clone(), password: secret(&basic.password) })
        }
        (None, Some(token)) => {
            if token.0.is_empty() || token.0.chars().any(|c| c.is_control() || c == ' ') {
                asked.refuse(&["http", "auth", "bearer"], "a bearer token is one word");
            }
            Some(HttpAuth::Bearer(secret(token)))
        }
        (Some(_), Some(_)) | (None, None) => {
            asked.refuse(&["http", "auth"], "write one of `basic: { user: U, password: P }` and `bearer: TOKEN`");
            None
        }
    }
}

fn verify(text: Option<&str>, kind: &'static str, asked: Asked<'_>) -> Option<VerifyTls> {
    match word(text.unwrap_or("true"), &["true", "false", "fallback"], &[kind, "verify_tls"], asked)? {
        "false" => Some(VerifyTls::No),
        "fallback" => Some(VerifyTls::Fallback),
        _ => Some(VerifyTls::Yes),
    }
}

fn ip(text: Option<&str>, kind: &'static str, asked: Asked<'_>) -> Option<IpVersion> {
    match word(text.unwrap_or("any"), &["any", "4", "6"], &[kind, "ip"], asked)? {
        "4" => Some(IpVersion::V4),
        "6" => Some(IpVersion::V6),
        _ => Some(IpVersion::Any),
    }
}

/// One of a few words.
fn word(text: &str, words: &[&'static str], path: &[&str], asked: Asked<'_>) -> Option<&'static str> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    if found.is_none() {
        let hint =
            nearest(text, words.iter().copied()).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        let message = format!("`{}` is none of {}{hint}", text.escape_debug(), words.join(", "));
        asked.refuse(path, message);
    }
    found.copied()
}
