//! The families of `/metrics`. docs/reference/metrics.md lists them; a test compares the two.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use watchpost_core::{Shown, Stage, Timestamp};
use watchpost_store::{MonitorView, VerdictKind};

use super::Snapshot;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut out = Out(&mut encoder);
        self.monitors(&mut out)?;
        self.stages(&mut out)?;
        self.checks(&mut out)?;
        self.engine(&mut out)?;
        self.commits(&mut out)?;
        self.store(&mut out)?;
        self.process(&mut out)
    }
}

impl Snapshot {
    fn monitors(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let up = |view: &MonitorView| match view.state.shown() {
            Shown::Up | Shown::Degraded => 1.0,
            Shown::Down | Shown::Unknown | Shown::Paused | Shown::Maintenance => 0.0,
        };
        out.gauges(
            Family::new("service_up", "1 while the monitor is up or degraded, else 0: down, unknown, paused"),
            self.monitors
                .iter()
                .map(|view| (vec![("id", view.monitor.id.as_str()), ("name", view.monitor.name.as_str())], up(view))),
        )?;
        out.gauges(
            Family::new("watchpost_monitor_state", "1 for the state that the monitor is in, 0 for the others"),
            self.monitors.iter().flat_map(|view| {
                let (id, shown) = (view.monitor.id.as_str(), view.state.shown());
                Shown::ALL.into_iter().map(move |state| {
                    (vec![("id", id), ("state", state.as_str())], f64::from(u8::from(state == shown)))
                })
            }),
        )?;
        out.gauges(
            Family::new("watchpost_monitors", "Monitors by state"),
            Shown::ALL.into_iter().map(|state| {
                let count = self.monitors.iter().filter(|view| view.state.shown() == state).count();
                (vec![("state", state.as_str())], number(count as u64))
            }),
        )
    }

    fn stages(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let last = || self.monitors.iter().filter_map(|view| Some((view.monitor.id.as_str(), view.last.as_ref()?)));
        out.gauges(
            Family::seconds("watchpost_check_duration", "Total time of the newest result"),
            last().filter_map(|(id, result)| Some((vec![("id", id)], micros(result.timings.total?)))),
        )?;
        out.gauges(
            Family::seconds("watchpost_check_stage_duration", "Time per stage of the newest result"),
            last().flat_map(|(id, result)| {
                Stage::ALL.into_iter().filter_map(move |stage| {
                    Some((vec![("id", id), ("stage", stage.as_str())], micros(result.timings.stage(stage)?)))
                })
            }),
        )?;
        out.gauges(
            Family::seconds("watchpost_check_timestamp", "When the newest check began"),
            last().map(|(id, result)| (vec![("id", id)], seconds(result.at))),
        )?;
        out.gauges(
            Family::seconds(
                "watchpost_certificate_expiry_timestamp",
                "When the certificate that the monitor saw last ends",
            ),
            last().filter_map(|(id, result)| Some((vec![("id", id)], seconds(result.tls?.not_after)))),
        )
    }

    fn checks(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        const VERDICTS: [(VerdictKind, &str); 4] = [
            (VerdictKind::Pass, "pass"),
            (VerdictKind::Degraded, "degraded"),
            (VerdictKind::Fail, "fail"),
            (VerdictKind::Inconclusive, "inconclusive"),
        ];
        out.counters(
            Family::new("watchpost_checks", "Checks that became durable since the start, by verdict"),
            VERDICTS
                .into_iter()
                .map(|(kind, word)| (vec![("verdict", word)], self.checks.get(&kind).copied().unwrap_or_default())),
        )?;
        let health = &self.health;
        out.counter("watchpost_engine_checks", "Checks ended since the start", health.checks_total)?;
        out.counter(
            "watchpost_ticks_missed",
            "Ticks that nobody ran since the start, because of a stop, a sleep or too much work",
            health.ticks_missed_total,
        )
    }

    fn engine(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let health = &self.health;
        out.gauge("watchpost_engine_monitors", "Monitors known to the engine", number(health.monitors as u64))?;
        out.gauge("watchpost_engine_monitors_active", "Of them not paused", number(health.active as u64))?;
        out.gauge("watchpost_checks_in_flight", "Checks running", number(health.in_flight as u64))?;
        out.gauge("watchpost_checks_waiting", "Checks due that wait for a place", number(health.waiting as u64))?;
        out.gauge("watchpost_results_queued", "Results not durable yet", number(health.results_queued as u64))?;
        out.gauges(
            Family::seconds("watchpost_check_lateness", "Lateness of check starts over the last minute"),
            [("50", health.lateness_p50), ("99", health.lateness_p99)]
                .map(|(percentile, late)| (vec![("percentile", percentile)], late.as_secs_f64())),
        )?;
        out.counter("watchpost_panics", "Task panics caught since the start", health.panics_total)?;
        out.gauge("watchpost_stopping", "1 while draining for the stop", flag(health.stopping))
    }

    fn commits(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let health = &self.health;
        out.counter("watchpost_commits", "Commits since the start", health.commits_total)?;
        out.counter(
            "watchpost_commit_failures",
            "Commits that failed and were tried again since the start",
            health.commit_failures_total,
        )?;
        out.counter(
            "watchpost_results_dropped",
            "Results lost since the start, because the store was away too long",
            health.results_dropped_total,
        )?;
        out.gauges(
            Family::seconds("watchpost_commit_duration", "How long the newest commit took"),
            [(vec![], health.commit_took.as_secs_f64())],
        )
    }

    fn store(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let figures = &self.figures;
        out.gauges(
            Family { unit: Some(Unit::Bytes), ..Family::new("watchpost_store", "Bytes that the store takes on disk") },
            [(vec![], number(figures.bytes))],
        )?;
        out.gauge("watchpost_store_results", "Results kept", number(figures.results))?;
        out.gauge("watchpost_incidents_open", "Open incidents", number(figures.incidents_open))?;
        out.gauge(
            "watchpost_store_up",
            "1 while the store takes results, 0 while it fails",
            flag(self.health.store_error.is_none()),
        )
    }

    fn process(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let standing = &self.standing;
        out.info("watchpost_build", "Version of the program", &[("version", &standing.version)])?;
        let seconds_of = |at: Option<Timestamp>| at.map(|at| (vec![], seconds(at)));
        out.gauges(
            Family::seconds("watchpost_start_timestamp", "When the process was started"),
            seconds_of(Some(standing.started_at)),
        )?;
        out.gauges(
            Family::seconds("watchpost_uptime", "How long ago that is"),
            [(vec![], self.now.since(standing.started_at).as_secs_f64())],
        )?;
        out.gauge(
            "watchpost_config_last_reload_successful",
            "1 while the configuration file is in use as it stands, 0 while what it holds was refused",
            flag(standing.error.is_none()),
        )?;
        out.gauges(
            Family::seconds(
                "watchpost_config_last_reload_success_timestamp",
                "When the configuration in use was taken over",
            ),
            seconds_of(standing.loaded_at),
        )?;
        out.counter("watchpost_config_generations", "Configurations taken over since the start", standing.generation)?;
        out.gauge("watchpost_live_streams", "Live streams open", number(self.streams as u64))
    }
}

/// Seconds since 1970 UTC.
fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any year in use stay below 2^53")]
    let millis = at.as_millis() as f64;
    millis / 1e3
}

fn micros(micros: u32) -> f64 {
    f64::from(micros) / 1e6
}

fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes stay below 2^53")]
    let number = count as f64;
    number
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

/// A family's name, words and unit. The unit becomes the name's ending.
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
}

impl Family {
    fn new(name: &'static str, help: &'static str) -> Family {
        Family { name, help, unit: None }
    }

    fn seconds(name: &'static str, help: &'static str) -> Family {
        Family { unit: Some(Unit::Seconds), ..Family::new(name, help) }
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes families.
struct Out<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Out<'_, '_> {
    fn gauges<'l>(&mut self, family: Family, rows: impl IntoIterator<Item = (Labels<'l>, f64)>) -> Result<(), Error> {
        let Family { name, help, unit } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in rows {
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) -> Result<(), Error> {
        self.gauges(Family::new(name, help), [(vec![], value)])
    }

    fn counters<'l>(&mut self, family: Family, rows: impl IntoIterator<Item = (Labels<'l>, u64)>) -> Result<(), Error> {
        let Family { name, help, unit } = family;
        let mut metric = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in rows {
            match labels.is_empty() {
                true => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                false => {
                    metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
                }
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) -> Result<(), Error> {
        self.counters(Family::new(name, help), [(vec![], value)])
    }

    fn info(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }
}
