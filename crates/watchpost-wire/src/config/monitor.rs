//! The monitor's document: what people write in files, and later in the API.

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Count, Flag, Given, Hidden, Ordered, Percent, Size, Time, optional_text, or_text, text, texts};

/// Bounds of an interval: 100 ms (1 s is sensible) to 31 days.
pub(super) type Interval = Time<100, 2_678_400_000>;
/// Bounds of a check's deadline: 100 ms to 5 min.
pub(super) type Timeout = Time<100, 300_000>;
/// Bounds of an expected latency: 1 ms to 5 min.
pub(super) type Latency = Time<1, 300_000>;
/// Bounds of a certificate's remaining validity: up to 10 years.
pub(super) type Validity = Time<0, 315_360_000_000>;
/// Bounds of a count of results.
pub(super) type Results = Count<1, 1_000>;

/// One monitor. It has exactly one of `http`, `tcp`, `tls`, `udp`, `icmp` and `dns`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Monitor")]
pub struct MonitorDoc {
    /// Unique name for scripts and paths; any text. Default: slug of the name.
    #[schemars(schema_with = "optional_text", extend("examples" = ["plex"]))]
    pub id: Option<String>,
    /// Name that is shown. Default: the id, or the target.
    #[schemars(schema_with = "optional_text", extend("examples" = ["Plex"]))]
    pub name: Option<String>,
    /// Group it is listed in.
    #[schemars(schema_with = "optional_text", extend("examples" = ["Media"]))]
    pub group: Option<String>,
    /// Labels for filters.
    #[schemars(schema_with = "texts", extend("examples" = [["home"]]))]
    pub tags: Option<Vec<String>>,
    /// An HTTP or HTTPS request; a URL alone will do.
    pub http: Option<HttpDoc>,
    /// A TCP connection; `host:port` alone will do.
    pub tcp: Option<TcpDoc>,
    /// A TLS handshake and its certificate; `host:port` alone will do.
    pub tls: Option<TlsDoc>,
    /// A UDP probe; `host:port` alone will do.
    pub udp: Option<UdpDoc>,
    /// ICMP echo requests (ping); a host alone will do.
    pub icmp: Option<IcmpDoc>,
    /// A DNS query; a name alone will do.
    pub dns: Option<DnsDoc>,
    /// What must hold for the answer.
    pub expect: Option<ExpectDoc>,
    /// Time between checks. Not together with `cron`.
    #[schemars(extend("default" = "60s"))]
    pub interval: Option<Interval>,
    /// Times of the checks as a cron expression (minute hour day month weekday; six fields: seconds first), instead of
    /// `interval`.
    #[schemars(schema_with = "optional_text", extend("examples" = ["*/5 8-18 * * MON-FRI"]))]
    pub cron: Option<String>,
    /// IANA time zone of `cron`.
    #[schemars(schema_with = "optional_text", extend("default" = "UTC", "examples" = ["Europe/Riga"]))]
    pub timezone: Option<String>,
    /// Pace while failing, before `fail_after` is reached.
    pub retry: Option<PaceDoc>,
    /// Pace while down.
    pub while_down: Option<PaceDoc>,
    /// Deadline of one check, from its first packet to its verdict.
    #[schemars(extend("default" = "10s"))]
    pub timeout: Option<Timeout>,
    /// Consecutive failing results that make it down.
    #[schemars(extend("default" = 1))]
    pub fail_after: Option<Results>,
    /// Consecutive passing results that make it up again.
    #[schemars(extend("default" = 1))]
    pub recover_after: Option<Results>,
    /// False: paused.
    #[schemars(extend("default" = true))]
    pub active: Option<Flag>,
    /// Where it is checked from; this version knows `local` only.
    #[schemars(schema_with = "texts", extend("default" = ["local"]))]
    pub regions: Option<Vec<String>>,
}

/// A pace.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Pace")]
pub struct PaceDoc {
    /// Time between checks.
    pub every: Interval,
}

/// An HTTP or HTTPS request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Http")]
#[schemars(transform = or_text)]
pub struct HttpDoc {
    /// The address, kept as it is written. A user and password in it are sent as basic authentication.
    #[schemars(schema_with = "text", extend("examples" = ["https://plex.example.org"]))]
    pub url: Hidden,
    /// The method, or `head-then-get`: HEAD, and GET when that fails in any way.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "GET"))]
    pub method: Option<String>,
    /// Request headers; they replace ours of the same name.
    #[serde(default)]
    pub headers: Option<Ordered<Hidden>>,
    /// Request body.
    #[serde(default)]
    pub body: Option<Hidden>,
    /// Credentials.
    #[serde(default)]
    pub auth: Option<AuthDoc>,
    /// Redirects that are followed at most; 0: a redirect is the answer.
    #[serde(default)]
    #[schemars(extend("default" = 10))]
    pub redirects: Option<Count<0, 50>>,
    /// `true`: a certificate that does not verify fails the check. `false`: it is only noted. `fallback`: the request is
    /// repeated without verification, and the result says so.
    #[serde(default)]
    #[schemars(schema_with = "verify_tls", extend("default" = true))]
    pub verify_tls: Option<String>,
    /// At most so much of the body is read.
    #[serde(default)]
    #[schemars(extend("default" = "1MiB"))]
    pub body_max: Option<Size<1, 16_777_216>>,
    /// False: the status decides and the body is left unread.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub read_body: Option<Flag>,
    /// A bare TCP connection is made and closed before the request.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub tcp_first: Option<Flag>,
    /// HTTP version: `auto`, `1.1` or `2`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "auto"))]
    pub version: Option<String>,
    /// IP version: `any`, `4` or `6`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "any"))]
    pub ip: Option<String>,
}

fn verify_tls(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "enum": [true, false, "true", "false", "fallback", null] })
}

/// Credentials of a request: one of the two.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Auth")]
pub struct AuthDoc {
    /// User and password (RFC 7617).
    pub basic: Option<BasicDoc>,
    /// A token, sent as `Authorization: Bearer` (RFC 6750). Secret: `bearer_file` reads it from a file.
    pub bearer: Option<Hidden>,
}

/// User and password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Basic")]
pub struct BasicDoc {
    /// User.
    #[schemars(schema_with = "text")]
    pub user: String,
    /// Password. Secret: `password_file` reads it from a file.
    pub password: Hidden,
}

/// A TCP connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Tcp")]
#[schemars(transform = or_text)]
pub struct TcpDoc {
    /// `host:port`; an IPv6 address in brackets.
    #[schemars(schema_with = "text", extend("examples" = ["db.example.org:5432", "[::1]:22"]))]
    pub address: String,
    /// Sent once the connection stands.
    #[serde(default)]
    pub send: Option<Hidden>,
    /// Must be in what is received.
    #[serde(default)]
    #[schemars(schema_with = "optional_text")]
    pub expect: Option<String>,
    /// IP version: `any`, `4` or `6`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "any"))]
    pub ip: Option<String>,
}

/// A TLS handshake.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Tls")]
#[schemars(transform = or_text)]
pub struct TlsDoc {
    /// `host:port`; the port is 443 unless written.
    #[schemars(schema_with = "text", extend("examples" = ["mail.example.org:993"]))]
    pub address: String,
    /// The name asked for and looked for in the certificate. Default: the host.
    #[serde(default)]
    #[schemars(schema_with = "optional_text")]
    pub server_name: Option<String>,
    /// `true`: a certificate that does not verify fails the check. `false` or `fallback`: it is only noted.
    #[serde(default)]
    #[schemars(schema_with = "verify_tls", extend("default" = true))]
    pub verify_tls: Option<String>,
    /// IP version: `any`, `4` or `6`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "any"))]
    pub ip: Option<String>,
}

/// A UDP probe: an answer is up, a closed port down, and silence is decided by ICMP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Udp")]
#[schemars(transform = or_text)]
pub struct UdpDoc {
    /// `host:port`; an IPv6 address in brackets.
    #[schemars(schema_with = "text", extend("examples" = ["localhost:34197"]))]
    pub address: String,
    /// What is sent. Default: four zero bytes.
    #[serde(default)]
    pub send: Option<Hidden>,
    /// IP version: `any`, `4` or `6`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "any"))]
    pub ip: Option<String>,
}

/// A burst of echo requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Icmp")]
#[schemars(transform = or_text)]
pub struct IcmpDoc {
    /// Name or address.
    #[schemars(schema_with = "text", extend("examples" = ["192.168.1.1"]))]
    pub host: String,
    /// Echo requests in a burst.
    #[serde(default)]
    #[schemars(extend("default" = 3))]
    pub count: Option<Count<1, 100>>,
    /// Payload bytes of each.
    #[serde(default)]
    #[schemars(extend("default" = 56))]
    pub size: Option<Count<8, 1_472>>,
    /// IP version: `any`, `4` or `6`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "any"))]
    pub ip: Option<String>,
}

/// A DNS query.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Dns")]
#[schemars(transform = or_text)]
pub struct DnsDoc {
    /// The name asked for.
    #[schemars(schema_with = "text", extend("examples" = ["example.org"]))]
    pub name: String,
    /// Record type: A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, DS or HTTPS.
    #[serde(default, rename = "type")]
    #[schemars(schema_with = "optional_text", extend("default" = "A"))]
    pub record: Option<String>,
    /// Address of the server asked, with an optional port. Default: the system's resolver.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("examples" = ["1.1.1.1", "[::1]:53"]))]
    pub server: Option<String>,
    /// `udp` or `tcp`.
    #[serde(default)]
    #[schemars(schema_with = "optional_text", extend("default" = "udp"))]
    pub protocol: Option<String>,
}

/// What must hold. An expectation that does not fit the kind of monitor is refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Expect")]
pub struct ExpectDoc {
    /// http: accepted final status codes, such as `200-399`, `2xx` or `200,204`.
    #[schemars(schema_with = "texts", extend("default" = "200-399"))]
    pub status: Option<Vec<String>>,
    /// http: what the body must contain; a text alone is `contains`.
    pub body: Option<BodyExpectDoc>,
    /// http: what the body must hold as JSON; all of them.
    pub json: Vec<JsonExpectDoc>,
    /// http: what response headers must hold, by name; a text alone is `equals`.
    pub headers: Option<Ordered<HeaderExpectDoc>>,
    /// Bounds of the total time; of the mean round trip for icmp.
    pub latency: Option<LatencyDoc>,
    /// http, tls: the certificate; a duration alone is `warn`.
    pub certificate: Option<CertificateDoc>,
    /// icmp: bounds of the lost share.
    pub loss: Option<LossDoc>,
    /// dns: the answer.
    pub dns: Option<DnsExpectDoc>,
}

/// On the body as text; all must hold. Each takes one or a list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "BodyExpect")]
#[schemars(transform = or_text)]
pub struct BodyExpectDoc {
    /// It contains this.
    #[schemars(schema_with = "texts")]
    pub contains: Vec<String>,
    /// It matches this regular expression.
    #[schemars(schema_with = "texts")]
    pub matches: Vec<String>,
    /// It does not contain this.
    #[schemars(schema_with = "texts")]
    pub lacks: Vec<String>,
}

/// On the first value that a path selects; without a condition it must be there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "JsonExpect")]
pub struct JsonExpectDoc {
    /// JSONPath (RFC 9535).
    #[schemars(schema_with = "text", extend("examples" = ["$.db.state"]))]
    pub path: String,
    /// It equals this value.
    #[serde(default)]
    pub equals: Given,
    /// Its text matches this regular expression.
    #[serde(default)]
    #[schemars(schema_with = "optional_text")]
    pub matches: Option<String>,
    /// Its text or list contains this.
    #[serde(default)]
    #[schemars(schema_with = "optional_text")]
    pub contains: Option<String>,
    /// It is there; false: it is not.
    #[serde(default)]
    pub exists: Option<Flag>,
    /// It is a number, at least this.
    #[serde(default)]
    pub min: Option<f64>,
    /// It is a number, at most this.
    #[serde(default)]
    pub max: Option<f64>,
}

/// On one response header; all conditions must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "HeaderExpect")]
#[schemars(transform = or_text)]
pub struct HeaderExpectDoc {
    /// It equals this, case included.
    #[schemars(schema_with = "optional_text")]
    pub equals: Option<String>,
    /// It matches this regular expression.
    #[schemars(schema_with = "optional_text")]
    pub matches: Option<String>,
    /// It contains this, case included.
    #[schemars(schema_with = "optional_text")]
    pub contains: Option<String>,
    /// It is there; false: it is not.
    pub exists: Option<Flag>,
}

/// On the time taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Latency")]
pub struct LatencyDoc {
    /// Longer is degraded.
    pub degraded: Option<Latency>,
    /// Longer is down.
    pub down: Option<Latency>,
}

/// On the certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Certificate")]
#[schemars(transform = or_text)]
pub struct CertificateDoc {
    /// Degraded when it is valid for less than this.
    pub warn: Option<Validity>,
}

/// On the lost share of a burst.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Loss")]
pub struct LossDoc {
    /// From this share on it is degraded.
    #[schemars(extend("default" = "100%"))]
    pub degraded: Option<Percent>,
    /// From this share on it is down.
    #[schemars(extend("default" = "100%"))]
    pub down: Option<Percent>,
}

/// On the answer to a DNS query.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "DnsExpect")]
pub struct DnsExpectDoc {
    /// Response code, such as `NXDOMAIN`. Default: `NOERROR` with at least one record.
    #[schemars(schema_with = "optional_text", extend("default" = "NOERROR"))]
    pub rcode: Option<String>,
    /// Each of these is among the answers.
    #[schemars(schema_with = "texts")]
    pub answers: Vec<String>,
    /// Nothing but `answers` is answered.
    #[schemars(extend("default" = false))]
    pub exact: Option<Flag>,
}
