//! The way back: the effective document of a definition, with defaults filled in and secrets masked.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use watchpost_core::expect::{Expect, HeaderOp, JsonOp, StatusSet};
use watchpost_core::monitor::{Definition, Pace, Secret};
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{
    DnsSpec, HttpAuth, HttpMethod, HttpSpec, HttpVersion, IpVersion, Spec, TcpSpec, TlsSpec, UdpSpec, VerifyTls,
};

use super::{PrivateTargets, Settings, duration_text, size_text};

/// How secrets look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// `***`, for showing.
    Hidden,
    /// `***` and a fingerprint, so that two documents differ when a secret does: for comparing and keeping, not for
    /// showing. See [`fingerprint`].
    Fingerprint,
}

/// Three hexadecimal digits that differ (but for one case in 4,096) when the secret does. They are the beginning of a
/// SHA-256, and so few that of any list of guesses too many fit: whoever sees them learns that a secret changed, and next
/// to nothing of the secret.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"watchpost secret 1\0");
    hash.update(secret.as_bytes());
    let hex: String = hash.finalize().iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(3).collect()
}

impl Masking {
    fn text(self, secret: &str) -> String {
        match self {
            Masking::Hidden => "***".to_owned(),
            Masking::Fingerprint => format!("***{}", fingerprint(secret)),
        }
    }

    fn secret(self, secret: &Secret) -> Value {
        self.text(secret.reveal()).into()
    }
}

/// The effective document of a monitor, in the form of the configuration's monitor document. Without secrets in it,
/// and with [`Masking::Hidden`], it reads back as the same definition.
///
/// With [`Masking::Fingerprint`] it is what `watchpost_core::plan` compares, and also holds `cannot_tell_after`, which
/// a definition takes over from the settings.
#[must_use]
pub fn document(definition: &Definition, masking: Masking) -> Value {
    let mut doc = Map::new();
    doc.insert("id".into(), definition.id.as_str().into());
    doc.insert("name".into(), definition.name.clone().into());
    if let Some(group) = &definition.group {
        doc.insert("group".into(), group.clone().into());
    }
    doc.insert("tags".into(), definition.tags.clone().into());
    doc.insert(definition.kind().as_str().into(), spec(&definition.spec, masking));
    doc.insert("expect".into(), expect(&definition.expect, &definition.spec));
    match &definition.schedule {
        Schedule::Every(interval) => {
            doc.insert("interval".into(), time(*interval));
        }
        Schedule::Cron(cron) => {
            doc.insert("cron".into(), cron.expression().into());
            doc.insert("timezone".into(), cron.timezone().into());
        }
    }
    pace(definition.pace, &mut doc);
    doc.insert("timeout".into(), time(definition.timeout));
    doc.insert("fail_after".into(), definition.thresholds.fail_after.get().into());
    doc.insert("recover_after".into(), definition.thresholds.recover_after.get().into());
    doc.insert("active".into(), definition.active.into());
    doc.insert("regions".into(), json!(["local"]));
    if masking == Masking::Fingerprint {
        doc.insert("cannot_tell_after".into(), time(definition.cannot_tell_after));
    }
    Value::Object(doc)
}

fn time(duration: Duration) -> Value {
    duration_text(duration).into()
}

fn pace(pace: Pace, doc: &mut Map<String, Value>) {
    for (key, every) in [("retry", pace.retry), ("while_down", pace.while_down)] {
        if let Some(every) = every {
            doc.insert(key.into(), json!({ "every": time(every) }));
        }
    }
}

/// Leaves out what is not set.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

fn spec(spec: &Spec, masking: Masking) -> Value {
    let send = |send: &Option<Secret>| send.as_ref().map(|text| masking.secret(text));
    without_nulls(match spec {
        Spec::Http(http) => http_spec(http, masking),
        Spec::Tcp(TcpSpec { address, send: sent, expect, ip }) => {
            json!({ "address": address.to_string(), "send": send(sent), "expect": expect, "ip": ip_word(*ip) })
        }
        Spec::Tls(TlsSpec { address, server_name, verify_tls, ip }) => json!({
            "address": address.to_string(), "server_name": server_name, "verify_tls": verify(*verify_tls), "ip": ip_word(*ip),
        }),
        Spec::Udp(UdpSpec { address, send: sent, ip }) => {
            json!({ "address": address.to_string(), "send": send(sent), "ip": ip_word(*ip) })
        }
        Spec::Icmp(icmp) => {
            json!({ "host": icmp.host, "count": icmp.count, "size": icmp.size, "ip": ip_word(icmp.ip) })
        }
        Spec::Dns(DnsSpec { name, record, server, tcp }) => json!({
            "name": name, "type": record.as_str(), "server": server.map(|server| server.to_string()),
            "protocol": if *tcp { "tcp" } else { "udp" },
        }),
    })
}

fn http_spec(http: &HttpSpec, masking: Masking) -> Value {
    let headers: Map<String, Value> =
        http.headers.iter().map(|(name, value)| (name.clone(), masking.secret(value))).collect();
    let auth = http.auth.as_ref().map(|auth| match auth {
        HttpAuth::Basic { user, password } => {
            json!({ "basic": { "user": user, "password": masking.secret(password) } })
        }
        HttpAuth::Bearer(token) => json!({ "bearer": masking.secret(token) }),
    });
    json!({
        "url": url(http, masking),
        "method": match &http.method {
            HttpMethod::One(method) => method.as_str(),
            HttpMethod::HeadThenGet => "head-then-get",
        },
        "headers": headers,
        "body": http.body.as_ref().map(|body| masking.secret(body)),
        "auth": auth,
        "redirects": http.redirects,
        "verify_tls": verify(http.verify_tls),
        "body_max": size_text(http.body_max),
        "read_body": http.read_body,
        "tcp_first": http.tcp_first,
        "version": match http.version {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
        },
        "ip": ip_word(http.ip),
    })
}

/// As written, but for a password in it.
fn url(http: &HttpSpec, masking: Masking) -> String {
    let Some(password) = http.url.parsed().password() else { return http.url.written().to_owned() };
    match masking {
        Masking::Hidden => http.url.shown(),
        Masking::Fingerprint => {
            let mut masked = http.url.parsed().clone();
            // Cannot fail: an http URL has a host.
            let _ = masked.set_password(Some(&masking.text(password)));
            masked.to_string()
        }
    }
}

fn verify(verify: VerifyTls) -> Value {
    match verify {
        VerifyTls::Yes => true.into(),
        VerifyTls::No => false.into(),
        VerifyTls::Fallback => "fallback".into(),
    }
}

fn ip_word(ip: IpVersion) -> &'static str {
    match ip {
        IpVersion::Any => "any",
        IpVersion::V4 => "4",
        IpVersion::V6 => "6",
    }
}

fn expect(expect: &Expect, spec: &Spec) -> Value {
    let mut doc = Map::new();
    if matches!(spec, Spec::Http(_)) || expect.status != StatusSet::default() {
        doc.insert("status".into(), expect.status.to_string().into());
    }
    if !expect.body.is_empty() {
        let matches: Vec<&str> = expect.body.matches.iter().map(|pattern| pattern.as_str()).collect();
        let body = json!({ "contains": expect.body.contains, "matches": matches, "lacks": expect.body.lacks });
        doc.insert("body".into(), body);
    }
    if !expect.json.is_empty() {
        doc.insert("json".into(), expect.json.iter().map(|json| json_op(json.path.as_str(), &json.op)).collect());
    }
    if !expect.headers.is_empty() {
        doc.insert("headers".into(), headers(expect));
    }
    let latency = expect.latency;
    if latency.degraded.or(latency.down).is_some() {
        let latency = json!({ "degraded": latency.degraded.map(time), "down": latency.down.map(time) });
        doc.insert("latency".into(), without_nulls(latency));
    }
    if let Some(warn) = expect.certificate_warn {
        doc.insert("certificate".into(), json!({ "warn": time(warn) }));
    }
    if matches!(spec, Spec::Icmp(_)) {
        let share = |percent: u8| format!("{percent}%");
        doc.insert("loss".into(), json!({ "degraded": share(expect.loss.degraded), "down": share(expect.loss.down) }));
    }
    if expect.dns != watchpost_core::expect::DnsExpect::default() {
        let dns = json!({ "rcode": expect.dns.rcode, "answers": expect.dns.answers, "exact": expect.dns.exact });
        doc.insert("dns".into(), without_nulls(dns));
    }
    Value::Object(doc)
}

fn json_op(path: &str, op: &JsonOp) -> Value {
    without_nulls(match op {
        JsonOp::Exists(exists) => json!({ "path": path, "exists": exists }),
        // A null here is a value, not an absent key.
        JsonOp::Equals(value) => return json!({ "path": path, "equals": value }),
        JsonOp::Matches(pattern) => json!({ "path": path, "matches": pattern.as_str() }),
        JsonOp::Contains(text) => json!({ "path": path, "contains": text }),
        JsonOp::Between { min, max } => json!({ "path": path, "min": min, "max": max }),
    })
}

/// Conditions by header, as they are written.
fn headers(expect: &Expect) -> Value {
    let mut headers = Map::new();
    for header in &expect.headers {
        let (key, value) = match &header.op {
            HeaderOp::Exists(exists) => ("exists", Value::from(*exists)),
            HeaderOp::Equals(text) => ("equals", text.clone().into()),
            HeaderOp::Matches(pattern) => ("matches", pattern.as_str().into()),
            HeaderOp::Contains(text) => ("contains", text.clone().into()),
        };
        let entry = headers.entry(header.name.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(entry) = entry {
            entry.insert(key.to_owned(), value);
        }
    }
    Value::Object(headers)
}

/// The effective settings in the form of the configuration document, without `monitors` and `defaults`: what defaults
/// say is in every monitor's document already.
#[must_use]
pub fn settings_document(settings: &Settings) -> Value {
    let listen: Vec<String> = settings.server.listen.iter().map(ToString::to_string).collect();
    let ca_files: Vec<String> = settings.network.ca_files.iter().map(|file| file.display().to_string()).collect();
    json!({
        "server": without_nulls(json!({ "listen": listen, "base_url": settings.server.base_url })),
        "log": without_nulls(json!({
            "level": settings.log.level,
            "format": if settings.log.json { "json" } else { "text" },
            "file": settings.log.file.as_ref().map(|file| file.display().to_string()),
        })),
        "storage": {
            "url": format!("sqlite://{}", settings.storage.file.display()),
            "keep": { "results": time(settings.storage.keep_results), "history": time(settings.storage.keep_history) },
            "size_max": settings.storage.size_max.map(size_text),
        },
        "network": {
            "ca_files": ca_files,
            "private_targets": match settings.network.private_targets {
                PrivateTargets::Allow => "allow",
                PrivateTargets::Deny => "deny",
            },
        },
        "alerting": { "cannot_tell_after": time(settings.defaults.cannot_tell_after) },
    })
}
