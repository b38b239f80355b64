//! `/metrics` through a strict reader of both formats.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::Request;
use watchpost_core::result::TlsFacts;
use watchpost_core::state::Phase;
use watchpost_core::{CheckResult, Fault, FaultCode, Verdict};
use watchpost_web::ConfigError;

use crate::world::{HOST, NOW, World, ago, definition, down, failed, result};

/// A sample's labels, in order of their names.
type Labels = BTreeMap<String, String>;

/// What was read: the families' kinds, and the samples by name and labels.
#[derive(Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Page {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

/// Reads the text format line by line and panics at anything a strict reader would refuse: a sample outside its family,
/// a family that comes twice, a series that comes twice, a label that is not escaped, a counter without `_total`.
fn read(text: &str, open: bool) -> Page {
    let mut page = Page::default();
    let (mut family, mut helped) = (String::new(), String::new());
    assert!(text.ends_with('\n'));
    let body = if open { text.strip_suffix("# EOF\n").unwrap() } else { text };
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(!words.is_empty(), "{line}");
            helped = name.to_owned();
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP comes right before TYPE");
            assert!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} comes twice");
            family = name.to_owned();
        } else if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (name, unit) = unit.split_once(' ').unwrap();
            assert!(open && name == family && name.ends_with(&format!("_{unit}")), "{line}");
        } else {
            let (name, labels, value) = sample(line);
            let kind = page.kinds[&family].as_str();
            let suffix = match (kind, open) {
                ("counter", true) => "_total",
                ("info", true) => "_info",
                ("counter" | "gauge", _) => "",
                _ => panic!("{family} is a {kind}"),
            };
            assert_eq!(name, format!("{family}{suffix}"), "a sample outside its family");
            assert!(kind != "counter" || (name.ends_with("_total") && value >= 0.0), "{line}");
            assert!(page.samples.insert((name, labels), value).is_none(), "{line} comes twice");
        }
    }
    page
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let name = &line[..end];
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
    let mut labels = Labels::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, after) = rest.split_once("=\"").unwrap();
            let (value, after) = quoted(after);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after.strip_prefix('}').unwrap();
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(!value.contains(' '), "no timestamps: {line}");
    (name.to_owned(), labels, value.parse().unwrap())
}

/// The label's value up to its closing quote, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                other => panic!("\\{other} is no escape"),
            }),
            '\n' => panic!("a bare line break"),
            c => value.push(c),
        }
    }
    panic!("no closing quote: {text}")
}

async fn scrape(world: &World, open: bool) -> Page {
    let accept = if open { "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" } else { "text/plain" };
    let request = Request::get("/metrics").header("host", HOST).header("accept", accept).body(Body::empty()).unwrap();
    let answer = world.ask(request).await;
    assert_eq!(answer.status, 200);
    let kind = match open {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    assert_eq!(answer.header("content-type"), kind);
    read(answer.text(), open)
}

const HARD: &str = "a\"b\\c\nd, e=\"f\"} 1 ü";

fn world() -> World {
    let world = World::with(&["db", "web", "mail", HARD]);
    world.put("db", down(), 600);
    world.put("mail", Phase::Unknown, 600);
    world.result("db", 60, failed());
    let tls = Some(TlsFacts { not_after: NOW, verified: true });
    world.keep(&CheckResult { tls, ..result(&world.monitor("web"), ago(30), Verdict::Pass) });
    world
}

#[tokio::test]
async fn both_formats_tell_the_same() {
    let world = world();
    let (open, classic) = (scrape(&world, true).await, scrape(&world, false).await);
    assert_eq!(open.samples, classic.samples);
    assert_eq!(open.kinds["watchpost_checks"], "counter");
    assert_eq!(classic.kinds["watchpost_checks_total"], "counter");
    assert_eq!(
        (open.kinds["watchpost_build"].as_str(), classic.kinds["watchpost_build_info"].as_str()),
        ("info", "gauge")
    );
}

#[tokio::test]
async fn services_that_are_down_or_unknown_are_not_up() {
    let page = scrape(&world(), false).await;
    let up = |id: &str| page.value("service_up", &[("id", id), ("name", &format!("The {id}"))]);
    assert_eq!((up("web"), up("db"), up("mail")), (Some(1.0), Some(0.0), Some(0.0)));
    let state = |id: &str, state: &str| page.value("watchpost_monitor_state", &[("id", id), ("state", state)]);
    assert_eq!((state("db", "down"), state("db", "up"), state("mail", "unknown")), (Some(1.0), Some(0.0), Some(1.0)));
    assert_eq!(page.value("watchpost_monitors", &[("state", "up")]), Some(2.0));
}

#[tokio::test]
async fn labels_of_any_text_come_through() {
    let page = scrape(&world(), false).await;
    assert_eq!(page.value("service_up", &[("id", HARD), ("name", &format!("The {HARD}"))]), Some(1.0));
}

#[tokio::test]
async fn times_are_in_seconds() {
    let page = scrape(&world(), true).await;
    assert_eq!(page.value("watchpost_check_duration_seconds", &[("id", "web")]), Some(0.002));
    assert_eq!(
        page.value("watchpost_check_stage_duration_seconds", &[("id", "web"), ("stage", "connect")]),
        Some(0.001_5)
    );
    assert_eq!(page.value("watchpost_check_stage_duration_seconds", &[("id", "web"), ("stage", "tls")]), None);
    assert_eq!(page.value("watchpost_certificate_expiry_timestamp_seconds", &[("id", "web")]), Some(1_795_143_600.0));
    assert_eq!(page.value("watchpost_uptime_seconds", &[]), Some(60.0));
}

#[tokio::test]
async fn checks_are_counted_by_verdict_once_they_are_durable() {
    let world = world();
    let missed = Verdict::Inconclusive(Fault::new(FaultCode::MissedTick, "not running"));
    let fault = Verdict::Inconclusive(Fault::new(FaultCode::OutOfFiles, "out of file handles"));
    world.publish("db", &[Verdict::Pass, failed(), Verdict::Pass, missed, fault]);
    let page = scrape(&world, true).await;
    let checks = |verdict| page.value("watchpost_checks_total", &[("verdict", verdict)]);
    assert_eq!((checks("pass"), checks("fail"), checks("inconclusive")), (Some(2.0), Some(1.0), Some(1.0)));
    assert_eq!(checks("degraded"), Some(0.0));
}

#[tokio::test]
async fn troubles_of_our_own_are_shown() {
    let world = world();
    world.told.health.lock().unwrap().store_error = Some("disk full".to_owned());
    world.told.standing.lock().unwrap().error = Some(ConfigError { at: NOW, text: "bad".to_owned() });
    let page = scrape(&world, false).await;
    assert_eq!(page.value("watchpost_store_up", &[]), Some(0.0));
    assert_eq!(page.value("watchpost_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(
        page.value("watchpost_config_last_reload_success_timestamp_seconds", &[]),
        Some(ago(60).as_millis() as f64 / 1e3)
    );
}

#[tokio::test]
async fn ten_thousand_monitors_are_scraped_in_one_go() {
    let world = World::new();
    world.define((0..10_000).map(|number| definition(&format!("m{number}"))).collect());
    let page = scrape(&world, false).await;
    assert_eq!(page.value("watchpost_monitors", &[("state", "up")]), Some(10_000.0));
    assert!(page.samples.len() > 70_000);
}

#[tokio::test]
async fn every_family_is_in_the_reference_and_nothing_else() {
    let reference = include_str!("../../../../docs/reference/metrics.md");
    let written: BTreeSet<&str> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split(['`', '{']).next())
        .collect();
    let page = scrape(&world(), false).await;
    let served: BTreeSet<&str> = page.kinds.keys().map(String::as_str).collect();
    assert_eq!(written, served);
}
