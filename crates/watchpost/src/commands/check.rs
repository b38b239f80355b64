//! `watchpost check`: one check with a full trace, by the same code that the server runs.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use watchpost_checks::Check;
use watchpost_core::observe::{DnsSeen, HttpSeen, PingSeen, TlsSeen};
use watchpost_core::ports::Clock;
use watchpost_core::result::Tick;
use watchpost_core::time::words;
use watchpost_core::{CheckResult, Definition, MonitorKey, Observation, Region, Shown, Stage, Verdict, judge};
use watchpost_engine::SystemClock;
use watchpost_wire::api::CheckOutput;

use crate::cli::CheckArgs;
use crate::commands::{Failure, LIKE_ENOUGH, Outcome, print};
use crate::{config, wiring};

/// Exit status when the target is down.
const DOWN: u8 = 1;
/// Exit status when we could not tell.
pub(super) const INCONCLUSIVE: u8 = 3;
/// Response headers shown in the trace.
const HEADERS_SHOWN: usize = 40;
/// Steps of the way shown in the trace.
const NAMES_SHOWN: usize = 12;

/// Checks a monitor or a URL once.
pub async fn run(args: CheckArgs) -> Outcome {
    let loaded = config::find_and_load(args.config.config.as_deref()).map_err(Failure::usage)?;
    let definition = target(&args.target, &loaded)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // The configuration names the files that this may fail on.
    let checker =
        wiring::checker(&loaded.settings, Arc::clone(&clock)).map_err(|e| Failure::usage(format!("{e:#}")))?;
    let began = clock.now();
    let seen = checker.check(&definition).await;
    let verdict = judge(&definition, &seen);
    let text = match args.json {
        true => json(&definition, &seen, &verdict, began)?,
        false => trace(&definition, &seen, &verdict),
    };
    print(&text)?;
    Ok(match verdict {
        Verdict::Pass | Verdict::Degraded(_) => ExitCode::SUCCESS,
        Verdict::Fail(_) => ExitCode::from(DOWN),
        Verdict::Inconclusive(_) => ExitCode::from(INCONCLUSIVE),
    })
}

/// The monitor of that id, or a monitor made up for that URL with the configuration's defaults.
fn target(text: &str, loaded: &config::Loaded) -> Result<Arc<Definition>, Failure> {
    if let Some(wanted) = loaded.monitors.iter().find(|w| w.definition.id.as_str() == text) {
        return Ok(Arc::clone(&wanted.definition));
    }
    if text.contains("://") {
        return config::monitor_for_url(text, loaded).map(Arc::new).map_err(Failure::usage);
    }
    let nearest = loaded
        .monitors
        .iter()
        .map(|w| w.definition.id.as_str())
        .map(|id| (strsim::jaro_winkler(text, id), id))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > LIKE_ENOUGH);
    let hint = match nearest {
        Some((_, id)) => format!("did you mean `{id}`?"),
        None => "write a URL such as https://example.org or tcp://host:port, or an id of the configuration".into(),
    };
    Err(Failure::usage(format!("there is no monitor `{text}`; {hint}")))
}

fn shown(verdict: &Verdict) -> Shown {
    match verdict {
        Verdict::Pass => Shown::Up,
        Verdict::Degraded(_) => Shown::Degraded,
        Verdict::Fail(_) => Shown::Down,
        Verdict::Inconclusive(_) => Shown::Unknown,
    }
}

fn json(
    definition: &Definition,
    seen: &Observation,
    verdict: &Verdict,
    tick: watchpost_core::Timestamp,
) -> Result<String, Failure> {
    let tick = Tick { monitor: MonitorKey(0), region: Region::local(), scheduled_at: tick };
    let result = CheckResult::new(tick, seen, verdict.clone());
    let output = CheckOutput::of(definition, shown(verdict), &result);
    serde_json::to_string(&output).map_err(|e| Failure::from(anyhow::Error::new(e)))
}

/// Everything that was seen, for people.
fn trace(definition: &Definition, seen: &Observation, verdict: &Verdict) -> String {
    let mut out = Vec::new();
    out.push(format!("{}  {}", definition.kind(), definition.spec.target()));
    out.push(format!("{}  {}", shown(verdict).as_str().to_uppercase(), because(verdict)));
    out.push(String::new());
    out.extend(stages(seen));
    if !seen.steps.is_empty() {
        out.push(String::new());
        out.push("way".to_owned());
        out.extend(
            seen.steps
                .iter()
                .map(|step| format!("  {:>9}  {:>9}  {}: {}", ms(step.after), ms(step.took), step.what, step.outcome)),
        );
    }
    out.extend(seen.http.as_ref().map(http).unwrap_or_default());
    out.extend(seen.tls.as_ref().map(|tls| certificate(tls, seen)).unwrap_or_default());
    out.extend(seen.ping.as_ref().map(ping).unwrap_or_default());
    out.extend(seen.dns.as_ref().map(dns).unwrap_or_default());
    if let Some(reply) = &seen.reply {
        out.push(String::new());
        out.push(format!("reply  {} bytes: {}", reply.len(), printable(&String::from_utf8_lossy(reply))));
    }
    out.join("\n")
}

fn because(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "all expectations are met".to_owned(),
        Verdict::Degraded(reason) | Verdict::Fail(reason) => format!("{} ({})", reason.text, reason.code),
        Verdict::Inconclusive(fault) => format!("could not tell: {} ({})", fault.text, fault.code),
    }
}

fn stages(seen: &Observation) -> Vec<String> {
    let row = |name: &str, us: Option<u32>| {
        let took = us.map_or_else(|| "-".to_owned(), |us| ms(Duration::from_micros(u64::from(us))));
        format!("{name:<9} {took:>10}")
    };
    let mut rows: Vec<String> =
        Stage::ALL.into_iter().map(|stage| row(stage.as_str(), seen.timings.stage(stage))).collect();
    rows.push(row("total", seen.timings.total));
    if let Some(address) = seen.address {
        // ICMP has no ports.
        let shown = if address.port() == 0 { address.ip().to_string() } else { address.to_string() };
        rows.push(format!("{:<9} {shown:>10}", "address"));
    }
    rows
}

fn ms(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..10_000 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        _ => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    }
}

fn http(http: &HttpSeen) -> Vec<String> {
    let cut = if http.truncated { ", cut at body_max" } else { "" };
    let mut rows = vec![
        String::new(),
        format!("http      {} (HTTP/{}), {} bytes of body{cut}", http.status, http.version, http.body_bytes),
        format!("          {}", printable(&http.url)),
    ];
    let headers = http.headers.iter().take(HEADERS_SHOWN);
    rows.extend(headers.map(|(name, value)| format!("          {name}: {}", printable(value))));
    rows
}

fn certificate(tls: &TlsSeen, seen: &Observation) -> Vec<String> {
    let left = tls.not_after.since(seen.started_at);
    let verified = match (tls.verified, tls.problem) {
        (true, _) => "verified".to_owned(),
        (false, Some(problem)) => format!("NOT verified: {}", problem_words(problem)),
        (false, None) => "not verified".to_owned(),
    };
    let names = tls.names.iter().take(NAMES_SHOWN).map(|n| printable(n)).collect::<Vec<_>>().join(", ");
    let remaining = if left.is_zero() { "over".to_owned() } else { format!("{} left", words(left)) };
    vec![
        String::new(),
        format!("tls       TLS {} {} {verified}", tls.version, tls.cipher),
        format!("          subject {}", printable(&tls.subject)),
        format!("          issuer  {}", printable(&tls.issuer)),
        format!("          names   {names}"),
        format!("          valid   {} to {} ({remaining})", tls.not_before, tls.not_after),
        format!("          chain of {}, sha256 {}", tls.chain, tls.fingerprint),
    ]
}

fn problem_words(problem: watchpost_core::observe::CertificateProblem) -> &'static str {
    use watchpost_core::observe::CertificateProblem;
    match problem {
        CertificateProblem::Expired => "expired",
        CertificateProblem::NotYetValid => "not valid yet",
        CertificateProblem::UnknownIssuer => "issuer not trusted",
        CertificateProblem::WrongHost => "for other names",
        CertificateProblem::Other => "cannot be used",
    }
}

fn ping(ping: &PingSeen) -> Vec<String> {
    let us = |us: Option<u32>| us.map_or_else(|| "-".to_owned(), ms_fine);
    vec![
        String::new(),
        format!("echo      {} of {} answered", ping.received, ping.sent),
        format!(
            "          round trip min {} mean {} max {}, jitter {}",
            us(ping.rtt_min_us),
            us(ping.rtt_avg_us),
            us(ping.rtt_max_us),
            us(ping.jitter_us)
        ),
    ]
}

fn ms_fine(us: u32) -> String {
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

fn dns(dns: &DnsSeen) -> Vec<String> {
    let mut rows = vec![String::new(), format!("answer    {}", dns.rcode)];
    rows.extend(dns.answers.iter().map(|answer| format!("          {}", printable(answer))));
    rows
}

/// A peer's text without what could steer a terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "{}", c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}
