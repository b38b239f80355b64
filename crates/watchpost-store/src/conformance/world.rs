//! Monitors and results for tests, and everything a store shows as one comparable value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::observe::Timings;
use watchpost_core::plan::{Document, Known, Wanted};
use watchpost_core::result::{HttpFacts, Tick};
use watchpost_core::schedule::Schedule;
use watchpost_core::spec::{HostPort, IcmpSpec, IpVersion, TcpSpec};
use watchpost_core::uptime::{Counts, Interval};
use watchpost_core::{
    CheckResult, Definition, Fault, FaultCode, Incident, Monitor, MonitorId, MonitorKey, Reason, ReasonCode, Region,
    Spec, Stage, State, Timestamp, Verdict,
};

use crate::{Commit, Entry, Figures, IncidentQuery, PAGE_MAX, Redefine, ResultCursor, ResultQuery, Store, StoreError};

/// A full hour that the tests begin at.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_795_140_000);

/// So many minutes after [`BEGIN`].
#[must_use]
pub fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN.as_millis() + minutes * 60_000)
}

/// A TCP monitor as it is wanted; ids that begin with `ping` make an ICMP one.
#[must_use]
pub fn wanted(id: &str, name: &str) -> Wanted {
    let host = format!("{id}.example.org");
    let spec = match id.starts_with("ping") {
        true => Spec::Icmp(IcmpSpec { host, count: 5, size: 56, ip: IpVersion::Any }),
        false => {
            Spec::Tcp(TcpSpec { address: HostPort { host, port: 5432 }, send: None, expect: None, ip: IpVersion::Any })
        }
    };
    let definition = Definition {
        id: MonitorId::new(id),
        name: name.to_owned(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: Arc::default(),
        schedule: Schedule::Every(Duration::from_secs(60)),
        pace: Pace::default(),
        thresholds: Thresholds::default(),
        timeout: Duration::from_secs(10),
        active: true,
        cannot_tell_after: Duration::from_secs(900),
        source: Source::Api,
    };
    let document = Document::new(&[("id", id), ("name", name)].into_iter().collect());
    Wanted { definition: Arc::new(definition), document }
}

/// Makes monitors of these ids at [`BEGIN`].
///
/// # Errors
/// Those of the store.
pub async fn define(store: &dyn Store, ids: &[&str]) -> Result<Vec<MonitorKey>, StoreError> {
    let monitors = ids.iter().map(|id| (None, wanted(id, id))).collect();
    store.redefine(Redefine { at: BEGIN, monitors, ..Redefine::default() }).await
}

/// A passing result with all stages.
#[must_use]
pub fn pass(monitor: MonitorKey, at: Timestamp) -> CheckResult {
    let wobble = u32::try_from(at.as_millis().rem_euclid(977)).unwrap_or(0);
    CheckResult {
        tick: Tick { monitor, region: Region::local(), scheduled_at: at },
        at: at + Duration::from_millis(1),
        verdict: Verdict::Pass,
        timings: Timings {
            dns: Some(40),
            connect: Some(11_000 + wobble),
            tls: None,
            ttfb: Some(30_000 + wobble * 3),
            transfer: Some(100),
            total: Some(41_200 + wobble * 4),
        },
        address: Some(IpAddr::from([192, 0, 2, 7])),
        http: Some(HttpFacts { status: 200, url: Arc::from("https://example.org/") }),
        tls: None,
        ping: None,
        failing: None,
        ticks: 1,
        late: false,
    }
}

/// A failing result.
#[must_use]
pub fn fail(monitor: MonitorKey, at: Timestamp) -> CheckResult {
    CheckResult { verdict: Verdict::Fail(refused()), timings: Timings::default(), http: None, ..pass(monitor, at) }
}

/// A degraded result.
#[must_use]
pub fn slow(monitor: MonitorKey, at: Timestamp) -> CheckResult {
    let reason = Reason::new(ReasonCode::Latency, None, "took 612 ms");
    CheckResult { verdict: Verdict::Degraded(reason), ..pass(monitor, at) }
}

/// A result that could not be had, for another reason than that nobody tried.
#[must_use]
pub fn blind(monitor: MonitorKey, at: Timestamp) -> CheckResult {
    let fault = Fault::new(FaultCode::OutOfFiles, "too many open files");
    CheckResult { verdict: Verdict::Inconclusive(fault), timings: Timings::default(), ..pass(monitor, at) }
}

/// The placeholder of a run of ticks that nobody ran.
#[must_use]
pub fn missed(monitor: MonitorKey, at: Timestamp, ticks: u32) -> CheckResult {
    let fault = Fault::new(FaultCode::MissedTick, "not running");
    CheckResult { verdict: Verdict::Inconclusive(fault), timings: Timings::default(), ticks, ..pass(monitor, at) }
}

/// A reason to fail.
#[must_use]
pub fn refused() -> Reason {
    Reason::new(ReasonCode::Refused, Stage::Connect, "connection refused by 192.0.2.7")
}

/// An entry with nothing in it.
#[must_use]
pub fn entry(monitor: MonitorKey) -> Entry {
    Entry { monitor, results: Vec::new(), state: None, wake: None, changes: Vec::new(), backfilled: None }
}

/// Commits results, an entry each.
///
/// # Errors
/// Those of the store.
pub async fn commit(store: &dyn Store, results: Vec<CheckResult>) -> Result<(), StoreError> {
    let entries = results.into_iter().map(|r| Entry { results: vec![r.clone()], ..entry(r.tick.monitor) }).collect();
    store.commit(Commit { at: BEGIN, entries }).await
}

/// Everything a store shows, but its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows {
    /// [`Store::load`].
    pub states: Vec<(MonitorKey, State)>,
    /// [`crate::Catalog::known`].
    pub known: Vec<Known>,
    /// [`crate::Views::monitors`].
    pub monitors: Vec<(Monitor, State, Option<CheckResult>)>,
    /// [`crate::Views::recent`], by how many were asked for.
    pub recent: Vec<BTreeMap<MonitorKey, Vec<CheckResult>>>,
    /// All results.
    pub results: Vec<CheckResult>,
    /// All results of each monitor.
    pub by_monitor: BTreeMap<MonitorKey, Vec<CheckResult>>,
    /// All incidents.
    pub incidents: Vec<Incident>,
    /// All intervals.
    pub intervals: BTreeMap<MonitorKey, Vec<Interval>>,
    /// Counts of some ranges.
    pub counts: BTreeMap<MonitorKey, Vec<Counts>>,
    /// The figures, without the size.
    pub figures: Figures,
}

impl Shows {
    /// Asserts that both are the same, and names what is not.
    ///
    /// # Panics
    /// When something differs.
    pub fn assert_same(&self, other: &Shows, when: &str) {
        assert_eq!(self.known, other.known, "known, {when}");
        assert_eq!(self.states, other.states, "states, {when}");
        assert_eq!(self.intervals, other.intervals, "intervals, {when}");
        assert_eq!(self.incidents, other.incidents, "incidents, {when}");
        assert_eq!(self.figures, other.figures, "figures, {when}");
        assert_eq!(self.counts, other.counts, "counts, {when}");
        let brief = |rows: &[CheckResult]| -> Vec<String> {
            let words = |r: &CheckResult| {
                let kind = crate::VerdictKind::of(&r.verdict);
                format!("{:?} {:?} {kind:?} {}", r.tick.monitor, r.tick.scheduled_at, r.tick.region.as_str())
            };
            rows.iter().map(words).collect()
        };
        assert_eq!(brief(&self.results), brief(&other.results), "results, {when}");
        for (one, two) in self.by_monitor.iter().zip(&other.by_monitor) {
            assert_eq!(brief(one.1), brief(two.1), "results of {:?}, {when}", one.0);
        }
        for (key, rows) in self.recent.iter().flatten() {
            let others = other.recent.iter().flatten().filter(|(k, _)| *k == key).map(|(_, rows)| brief(rows));
            assert!(
                others.into_iter().any(|other| other == brief(rows)),
                "recent of {key:?}, {when}: {:?}",
                brief(rows)
            );
        }
        let last = |shows: &Shows| -> Vec<_> { shows.monitors.iter().map(|m| (m.0.key, m.2.clone())).collect() };
        assert_eq!(last(self), last(other), "monitors, {when}");
        assert!(self == other, "something else differs, {when}");
    }
}

/// Reads everything a store shows of these monitors.
///
/// # Errors
/// Those of the store.
pub async fn shows(store: &dyn Store, keys: &[MonitorKey]) -> Result<Shows, StoreError> {
    let view = |v: crate::MonitorView| (Monitor::clone(&v.monitor), v.state, v.last);
    let mut recent = Vec::new();
    for count in [1, 3, 100] {
        recent.push(store.recent(Some(keys.to_vec()), count).await?);
    }
    let (mut by_monitor, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for key in keys {
        by_monitor.insert(*key, walk(store, &ResultQuery { monitor: Some(*key), limit: 7, ..all() }).await?);
        counts.insert(*key, some_counts(store, *key).await?);
    }
    Ok(Shows {
        states: store.load().await?,
        known: store.known().await?,
        monitors: store.monitors().await?.into_iter().map(view).collect(),
        recent,
        results: walk(store, &all()).await?,
        by_monitor,
        incidents: store.incidents(IncidentQuery { limit: PAGE_MAX, ..IncidentQuery::default() }).await?.items,
        intervals: store.intervals(Some(keys.to_vec()), Timestamp::from_millis(i64::MIN)).await?,
        counts,
        figures: Figures { bytes: 0, ..store.figures().await? },
    })
}

async fn some_counts(store: &dyn Store, key: MonitorKey) -> Result<Vec<Counts>, StoreError> {
    let ranges = [(-600, 6_000), (0, 60), (17, 43), (30, 150), (60, 180), (59, 61), (61, 60)];
    let mut counts = Vec::new();
    for (from, until) in ranges {
        counts.push(store.counts(key, minute(from), minute(until)).await?);
    }
    Ok(counts)
}

/// A query for everything.
#[must_use]
pub fn all() -> ResultQuery {
    ResultQuery { limit: PAGE_MAX, ..ResultQuery::default() }
}

/// All pages of a query, joined.
///
/// # Errors
/// Those of the store.
///
/// # Panics
/// When a page breaks its limit, or the last one is not the last.
pub async fn walk(store: &dyn Store, query: &ResultQuery) -> Result<Vec<CheckResult>, StoreError> {
    let mut items = Vec::new();
    let mut after: Option<ResultCursor> = query.after;
    loop {
        let page = store.results(ResultQuery { after, ..query.clone() }).await?;
        assert!(page.next.is_none() || page.items.len() >= query.limit, "a page that is not the last is full");
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// Looks at the store before and after a compaction, which must not show.
///
/// # Errors
/// Those of the store.
///
/// # Panics
/// When a compaction shows.
pub async fn shows_always(store: &dyn Store, keys: &[MonitorKey]) -> Result<Shows, StoreError> {
    let before = shows(store, keys).await?;
    store.compact(Timestamp::MAX).await?;
    shows(store, keys).await?.assert_same(&before, "after a compaction");
    store.compact(Timestamp::MAX).await?;
    shows(store, keys).await?.assert_same(&before, "after a second compaction");
    Ok(before)
}
