//! Expectations: from the document to the core's, with those refused that do not fit the kind.

use watchpost_core::expect::{
    DnsExpect, Expect, HeaderExpect, HeaderOp, JsonExpect, JsonOp, JsonPath, LatencyExpect, LossExpect, Pattern,
    StatusSet, TextExpect,
};
use watchpost_core::spec::{HttpMethod, HttpSpec, Kind, Spec};

use super::monitor::{BodyExpectDoc, DnsExpectDoc, ExpectDoc, HeaderExpectDoc, JsonExpectDoc, LatencyDoc, LossDoc};
use super::{Asked, DefaultExpectDoc};

/// Expectations of one sort on one monitor: far more than anyone reads, little enough to judge at once.
const CONDITIONS_MAX: usize = 100;

/// Response codes of DNS that can be expected (RFC 1035 section 4.1.1, RFC 2136 section 2.2).
const RCODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE",
];

/// The keys of `expect` that fit a kind.
fn fitting(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Http => &["status", "body", "json", "headers", "latency", "certificate"],
        Kind::Tls => &["latency", "certificate"],
        Kind::Icmp => &["latency", "loss"],
        Kind::Dns => &["latency", "dns"],
        Kind::Tcp | Kind::Udp => &["latency"],
    }
}

/// Checks what can be checked without a monitor.
pub(super) fn check_defaults(doc: &DefaultExpectDoc, asked: Asked<'_>) {
    let path = ["defaults", "expect"];
    if let Some(status) = &doc.status {
        asked.check(&[path[0], path[1], "status"], StatusSet::parse(&status.join(",")));
    }
    if let Some(doc) = &doc.latency {
        latency(doc, &[path[0], path[1], "latency"], asked);
    }
    if let Some(doc) = &doc.loss {
        loss(doc, &[path[0], path[1], "loss"], asked);
    }
}

/// Converts, with the defaults that fit filled in.
pub(super) fn convert(own: Option<&ExpectDoc>, defaults: &DefaultExpectDoc, spec: &Spec, asked: Asked<'_>) -> Expect {
    let kind = spec.kind();
    let empty = ExpectDoc::default();
    let doc = own.unwrap_or(&empty);
    refuse_unfitting(doc, kind, asked);
    let fits = |key: &str| fitting(kind).contains(&key);
    let mut expect = Expect::default();
    if let Some(status) = doc.status.as_ref().or(defaults.status.as_ref().filter(|_| fits("status"))) {
        let parsed = asked.check(&["expect", "status"], StatusSet::parse(&status.join(",")));
        expect.status = parsed.unwrap_or_default();
    }
    if let Some(doc) = doc.latency.as_ref().or(defaults.latency.as_ref()) {
        expect.latency = latency(doc, &["expect", "latency"], asked);
    }
    if let Some(doc) = doc.certificate.as_ref().or(defaults.certificate.as_ref().filter(|_| fits("certificate"))) {
        expect.certificate_warn = doc.warn.map(|time| time.0).filter(|time| !time.is_zero());
    }
    if let Some(doc) = doc.loss.as_ref().or(defaults.loss.as_ref().filter(|_| fits("loss"))) {
        expect.loss = loss(doc, &["expect", "loss"], asked);
    }
    if let Some(doc) = &doc.body {
        expect.body = body(doc, asked);
    }
    expect.json = doc.json.iter().enumerate().flat_map(|(i, doc)| json(doc, i, asked)).collect();
    if let Some(doc) = &doc.headers {
        for (i, (name, _)) in doc.0.iter().enumerate() {
            if doc.0[..i].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                asked.refuse(&["expect", "headers", name], format!("the header `{name}` is set twice"));
            }
        }
        expect.headers = doc.0.iter().flat_map(|(name, doc)| header(name, doc, asked)).collect();
    }
    if let Some(doc) = &doc.dns {
        expect.dns = dns(doc, asked);
    }
    if let Spec::Http(http) = spec {
        refuse_unread(&expect, http, asked);
    }
    if expect.json.len().max(expect.headers.len()) > CONDITIONS_MAX {
        asked.refuse(&["expect"], format!("more than {CONDITIONS_MAX} expectations; split the monitor"));
    }
    expect
}

fn refuse_unfitting(doc: &ExpectDoc, kind: Kind, asked: Asked<'_>) {
    let written = [
        ("status", doc.status.is_some()),
        ("body", doc.body.is_some()),
        ("json", !doc.json.is_empty()),
        ("headers", doc.headers.is_some()),
        ("latency", doc.latency.is_some()),
        ("certificate", doc.certificate.is_some()),
        ("loss", doc.loss.is_some()),
        ("dns", doc.dns.is_some()),
    ];
    for (key, _) in written.into_iter().filter(|(key, there)| *there && !fitting(kind).contains(key)) {
        let fit: Vec<String> = fitting(kind).iter().map(|key| format!("`{key}`")).collect();
        let place = asked.node.get("expect").and_then(|e| e.entry(key)).map(|entry| entry.place);
        let message = format!("`expect.{key}` does not fit a monitor of kind {kind}, which has {}", fit.join(", "));
        asked.reader.report(crate::tree::Problem { place: place.or(Some(asked.node.place)), message });
    }
}

/// An expectation on a body needs a body that is read.
fn refuse_unread(expect: &Expect, http: &HttpSpec, asked: Asked<'_>) {
    let key = if expect.body.is_empty() { "json" } else { "body" };
    if !expect.needs_body() {
        return;
    }
    if !http.read_body {
        asked
            .refuse(&["expect", key], format!("`expect.{key}` needs the body, which `read_body: false` leaves unread"));
    }
    if http.method == HttpMethod::One("HEAD".to_owned()) {
        asked.refuse(&["expect", key], format!("`expect.{key}` needs a body, and an answer to HEAD has none; use GET"));
    }
}

fn latency(doc: &LatencyDoc, path: &[&str], asked: Asked<'_>) -> LatencyExpect {
    let expect = LatencyExpect { degraded: doc.degraded.map(|t| t.0), down: doc.down.map(|t| t.0) };
    if let (Some(degraded), Some(down)) = (expect.degraded, expect.down)
        && degraded >= down
    {
        asked.refuse(&[path, &["degraded"]].concat(), "`degraded` must be shorter than `down`");
    }
    expect
}

fn loss(doc: &LossDoc, path: &[&str], asked: Asked<'_>) -> LossExpect {
    let down = doc.down.map_or(100, |percent| percent.0);
    // Where only `down` is written, there is no share that is degraded.
    let expect = LossExpect { degraded: doc.degraded.map_or(down, |percent| percent.0), down };
    if doc.degraded.is_some() && expect.degraded > expect.down {
        asked.refuse(&[path, &["degraded"]].concat(), "`degraded` must not be more than `down`");
    }
    expect
}

fn body(doc: &BodyExpectDoc, asked: Asked<'_>) -> TextExpect {
    let mut matches = Vec::new();
    for (i, text) in doc.matches.iter().enumerate() {
        matches.extend(asked.check(&["expect", "body", "matches", &i.to_string()], pattern(text)));
    }
    for (key, texts) in [("contains", &doc.contains), ("lacks", &doc.lacks)] {
        if texts.iter().any(String::is_empty) {
            asked.refuse(&["expect", "body", key], "an empty text is in every body");
        }
    }
    TextExpect { contains: doc.contains.clone(), matches, lacks: doc.lacks.clone() }
}

/// A pattern; what is wrong with it is said in one line.
fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|e| {
        let said = e.to_string();
        let last = said.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
        format!("not a regular expression: {}", last.trim_start_matches("not a regular expression: "))
    })
}

fn json(doc: &JsonExpectDoc, i: usize, asked: Asked<'_>) -> Vec<JsonExpect> {
    let at = i.to_string();
    let Some(path) = asked.check(&["expect", "json", &at, "path"], JsonPath::parse(&doc.path)) else {
        return Vec::new();
    };
    let mut ops = Vec::new();
    ops.extend(doc.exists.map(|flag| JsonOp::Exists(flag.0)));
    ops.extend(doc.equals.0.clone().map(JsonOp::Equals));
    if let Some(text) = &doc.matches {
        ops.extend(asked.check(&["expect", "json", &at, "matches"], pattern(text)).map(JsonOp::Matches));
    }
    ops.extend(doc.contains.clone().map(JsonOp::Contains));
    if doc.min.is_some() || doc.max.is_some() {
        if let (Some(min), Some(max)) = (doc.min, doc.max)
            && min > max
        {
            asked.refuse(&["expect", "json", &at, "min"], "`min` is more than `max`");
        }
        ops.push(JsonOp::Between { min: doc.min, max: doc.max });
    }
    if ops.is_empty() {
        ops.push(JsonOp::Exists(true));
    }
    if ops.len() > 1 && doc.exists.is_some_and(|flag| !flag.0) {
        asked.refuse(&["expect", "json", &at, "exists"], "what is not there cannot hold anything else");
    }
    ops.into_iter().map(|op| JsonExpect { path: path.clone(), op }).collect()
}

fn header(name: &str, doc: &HeaderExpectDoc, asked: Asked<'_>) -> Vec<HeaderExpect> {
    if !super::convert::is_token(name) {
        asked.refuse(&["expect", "headers", name], format!("`{name}` is not the name of a header"));
    }
    let mut ops = Vec::new();
    ops.extend(doc.exists.map(|flag| HeaderOp::Exists(flag.0)));
    ops.extend(doc.equals.clone().map(HeaderOp::Equals));
    if let Some(text) = &doc.matches {
        ops.extend(asked.check(&["expect", "headers", name, "matches"], pattern(text)).map(HeaderOp::Matches));
    }
    ops.extend(doc.contains.clone().map(HeaderOp::Contains));
    if ops.is_empty() {
        ops.push(HeaderOp::Exists(true));
    }
    if ops.len() > 1 && doc.exists.is_some_and(|flag| !flag.0) {
        asked.refuse(&["expect", "headers", name, "exists"], "what is not there cannot hold anything else");
    }
    ops.into_iter().map(|op| HeaderExpect { name: name.to_ascii_lowercase(), op }).collect()
}

fn dns(doc: &DnsExpectDoc, asked: Asked<'_>) -> DnsExpect {
    let rcode = doc.rcode.as_ref().map(|text| text.to_ascii_uppercase());
    if let Some(code) = rcode.as_deref().filter(|code| !RCODES.contains(code)) {
        let message = format!("`{code}` is not a response code; expected one of {}", RCODES.join(", "));
        asked.refuse(&["expect", "dns", "rcode"], message);
    }
    let exact = doc.exact.is_some_and(|flag| flag.0);
    if exact && doc.answers.is_empty() {
        asked.refuse(&["expect", "dns", "exact"], "`exact` needs `answers`");
    }
    if !doc.answers.is_empty() && rcode.as_deref().is_some_and(|code| code != "NOERROR") {
        asked.refuse(&["expect", "dns", "answers"], "an answer with an error code has no records to compare");
    }
    DnsExpect { rcode, answers: doc.answers.clone(), exact }
}
