//! What is checked: one variant per kind. Specs say what to send and where, never what is expected back
//! (that is [`crate::expect`]), except where a check must know when to stop reading.

use std::fmt;
use std::net::SocketAddr;

use crate::monitor::Secret;

/// What is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// An HTTP or HTTPS request.
    Http(Box<HttpSpec>),
    /// A TCP connection, optionally with a short dialogue.
    Tcp(TcpSpec),
    /// A TLS handshake and the certificate shown in it.
    Tls(TlsSpec),
    /// A UDP probe; silence is decided by ICMP.
    Udp(UdpSpec),
    /// A burst of ICMP echo requests.
    Icmp(IcmpSpec),
    /// A DNS query.
    Dns(DnsSpec),
}

/// The kind of a check, as it is written in the configuration and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `http`
    Http,
    /// `tcp`
    Tcp,
    /// `tls`
    Tls,
    /// `udp`
    Udp,
    /// `icmp`
    Icmp,
    /// `dns`
    Dns,
}

impl Kind {
    /// All kinds, in the order they are documented.
    pub const ALL: [Kind; 6] = [Kind::Http, Kind::Tcp, Kind::Tls, Kind::Udp, Kind::Icmp, Kind::Dns];

    /// The word in configuration and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Tcp => "tcp",
            Kind::Tls => "tls",
            Kind::Udp => "udp",
            Kind::Icmp => "icmp",
            Kind::Dns => "dns",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Spec {
    /// The kind of check.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Http(_) => Kind::Http,
            Spec::Tcp(_) => Kind::Tcp,
            Spec::Tls(_) => Kind::Tls,
            Spec::Udp(_) => Kind::Udp,
            Spec::Icmp(_) => Kind::Icmp,
            Spec::Dns(_) => Kind::Dns,
        }
    }

    /// The target as people write it: a URL, `host:port`, a host or a name.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Spec::Http(http) => http.url.shown(),
            Spec::Tcp(tcp) => tcp.address.to_string(),
            Spec::Tls(tls) => tls.address.to_string(),
            Spec::Udp(udp) => udp.address.to_string(),
            Spec::Icmp(icmp) => icmp.host.clone(),
            Spec::Dns(dns) => match dns.server {
                Some(server) => format!("{} {} @{server}", dns.name, dns.record.as_str()),
                None => format!("{} {}", dns.name, dns.record.as_str()),
            },
        }
    }
}

/// A host and a port. The host may be a name or an address; IPv6 addresses are kept without brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port, 1..=65535.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Which IP versions may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// Whatever resolves, every address tried in turn.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

/// What a certificate that does not verify means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyTls {
    /// It fails the check.
    #[default]
    Yes,
    /// It is noted.
    No,
    /// The request is repeated without verification; the result says so.
    Fallback,
}

/// A URL that is kept as it was written beside its parsed form.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    written: String,
    parsed: url::Url,
}

/// Why a text is not an address to check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUrl {
    /// Not a URL at all.
    #[error("not a URL: {0}; write it as https://host/path")]
    Invalid(url::ParseError),
    /// Another scheme.
    #[error("`{0}:` cannot be checked over HTTP; write http:// or https://")]
    Scheme(String),
    /// No host in it.
    #[error("the URL has no host; write it as https://host/path")]
    NoHost,
}

impl HttpUrl {
    /// Parses an `http://` or `https://` URL.
    ///
    /// # Errors
    /// When it does not parse, has another scheme, or has no host.
    pub fn parse(written: &str) -> Result<HttpUrl, NotAUrl> {
        let parsed = url::Url::parse(written).map_err(NotAUrl::Invalid)?;
        match parsed.scheme() {
            "http" | "https" => {}
            other => return Err(NotAUrl::Scheme(other.to_owned())),
        }
        match parsed.host_str() {
            None | Some("") => Err(NotAUrl::NoHost),
            Some(_) => Ok(HttpUrl { written: written.to_owned(), parsed }),
        }
    }

    /// As written, secrets included: for sending and for the file only.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// For showing: as written, with a password in it masked.
    #[must_use]
    pub fn shown(&self) -> String {
        mask_password(&self.written, &self.parsed)
    }

    /// The parsed form.
    #[must_use]
    pub fn parsed(&self) -> &url::Url {
        &self.parsed
    }
}

/// `text` as it is unless the URL carries a password, which is then replaced by `***`.
fn mask_password(text: &str, parsed: &url::Url) -> String {
    if parsed.password().is_none() {
        return text.to_owned();
    }
    let mut masked = parsed.clone();
    // Fails only for URLs without a host, which `HttpUrl::parse` refuses.
    let _ = masked.set_password(Some("***"));
    masked.to_string()
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// An HTTP(S) request.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSpec {
    /// The address; credentials in it are sent as basic auth.
    pub url: HttpUrl,
    /// The method.
    pub method: HttpMethod,
    /// Extra request headers, in order. They replace our defaults of the same name.
    pub headers: Vec<(String, Secret)>,
    /// Request body.
    pub body: Option<Secret>,
    /// The `Authorization` header to send. Dropped when a redirect leaves the origin.
    pub auth: Option<HttpAuth>,
    /// How many redirects are followed; 0: a 3xx is the final answer.
    pub redirects: u8,
    /// What a certificate that does not verify means.
    pub verify_tls: VerifyTls,
    /// Which HTTP version to speak.
    pub version: HttpVersion,
    /// Which IP version to use.
    pub ip: IpVersion,
    /// At most so many bytes of the body are read.
    pub body_max: u64,
    /// False: the status line decides and the body is left unread.
    pub read_body: bool,
    /// A bare TCP connection is made and closed before the request.
    pub tcp_first: bool,
}

/// The request method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// One request with this method (RFC 9110 section 9).
    One(String),
    /// HEAD, and when it fails in any way (also 405, 501 and 5xx) GET, whose answer decides.
    HeadThenGet,
}

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuth {
    /// RFC 7617.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// RFC 6750.
    Bearer(Secret),
}

/// Which HTTP version to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// What ALPN agrees on over TLS; HTTP/1.1 in clear.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; in clear with prior knowledge.
    Http2,
}

/// A TCP connection with an optional short dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSpec {
    /// Where to connect.
    pub address: HostPort,
    /// Sent after the connection stands.
    pub send: Option<Secret>,
    /// Read until this text was seen, the peer closed, or time is up.
    pub expect: Option<String>,
    /// Which IP version to use.
    pub ip: IpVersion,
}

/// A TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSpec {
    /// Where to connect.
    pub address: HostPort,
    /// The name sent in SNI and looked for in the certificate; default the host.
    pub server_name: Option<String>,
    /// What a certificate that does not verify means.
    pub verify_tls: VerifyTls,
    /// Which IP version to use.
    pub ip: IpVersion,
}

/// A UDP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSpec {
    /// Where to send.
    pub address: HostPort,
    /// What to send; default four zero bytes.
    pub send: Option<Secret>,
    /// Which IP version to use.
    pub ip: IpVersion,
}

/// A burst of echo requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSpec {
    /// Name or address.
    pub host: String,
    /// Echo requests in the burst, 1..=100.
    pub count: u8,
    /// Payload bytes of each, 8..=1472.
    pub size: u16,
    /// Which IP version to use.
    pub ip: IpVersion,
}

/// A DNS query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// The name asked for.
    pub name: String,
    /// The record type asked for.
    pub record: RecordType,
    /// The server asked; the system's resolver when absent.
    pub server: Option<SocketAddr>,
    /// Ask over TCP instead of UDP.
    pub tcp: bool,
}

/// DNS record types that can be asked for (RFC 1035, 3596, 2782, 8659, 4034, 9460).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Certification authority authorisation.
    Caa,
    /// Canonical name.
    Cname,
    /// Mail exchange.
    Mx,
    /// Name server.
    Ns,
    /// Pointer.
    Ptr,
    /// Start of authority.
    Soa,
    /// Service location.
    Srv,
    /// Text.
    Txt,
    /// Delegation signer.
    Ds,
    /// HTTPS service binding.
    Https,
}

impl RecordType {
    /// All types, in the order they are documented.
    pub const ALL: [RecordType; 12] = [
        RecordType::A,
        RecordType::Aaaa,
        RecordType::Caa,
        RecordType::Cname,
        RecordType::Mx,
        RecordType::Ns,
        RecordType::Ptr,
        RecordType::Soa,
        RecordType::Srv,
        RecordType::Txt,
        RecordType::Ds,
        RecordType::Https,
    ];

    /// The type's mnemonic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Caa => "CAA",
            RecordType::Cname => "CNAME",
            RecordType::Mx => "MX",
            RecordType::Ns => "NS",
            RecordType::Ptr => "PTR",
            RecordType::Soa => "SOA",
            RecordType::Srv => "SRV",
            RecordType::Txt => "TXT",
            RecordType::Ds => "DS",
            RecordType::Https => "HTTPS",
        }
    }

    /// From its mnemonic, without case.
    #[must_use]
    pub fn from_mnemonic(text: &str) -> Option<RecordType> {
        RecordType::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_kept_as_written_and_shown_without_its_password() {
        let url = HttpUrl::parse("https://Example.org:443/a?b=c").unwrap();
        assert_eq!(
            (url.written(), url.shown().as_str()),
            ("https://Example.org:443/a?b=c", "https://Example.org:443/a?b=c")
        );
        let secret = HttpUrl::parse("https://user:hunter2@example.org/").unwrap();
        assert_eq!(secret.shown(), "https://user:***@example.org/");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(secret.written().contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_requested_is_refused_with_the_remedy() {
        let error = |text| HttpUrl::parse(text).unwrap_err().to_string();
        assert_eq!(error("example.org"), "not a URL: relative URL without a base; write it as https://host/path");
        assert_eq!(error("ftp://example.org/"), "`ftp:` cannot be checked over HTTP; write http:// or https://");
        assert_eq!(error("http://"), "not a URL: empty host; write it as https://host/path");
    }

    #[test]
    fn ipv6_hosts_are_written_in_brackets() {
        let shown = |host: &str| HostPort { host: host.to_owned(), port: 5432 }.to_string();
        assert_eq!([shown("::1"), shown("db"), shown("10.0.0.1")], ["[::1]:5432", "db:5432", "10.0.0.1:5432"]);
    }

    #[test]
    fn a_dns_target_names_record_and_server() {
        let dns = |server: Option<&str>| {
            let server = server.map(|s| s.parse().unwrap());
            Spec::Dns(DnsSpec { name: "example.org".to_owned(), record: RecordType::Aaaa, server, tcp: false }).target()
        };
        assert_eq!(dns(None), "example.org AAAA");
        assert_eq!(dns(Some("192.0.2.53:53")), "example.org AAAA @192.0.2.53:53");
    }

    #[test]
    fn record_types_are_read_as_they_are_written() {
        for record in RecordType::ALL {
            assert_eq!(RecordType::from_mnemonic(&record.as_str().to_lowercase()), Some(record));
        }
        assert_eq!(RecordType::from_mnemonic("ANY"), None);
    }
}
