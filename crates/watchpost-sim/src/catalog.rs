//! The configuration that people of this world edit.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use watchpost_core::expect::{Expect, LatencyExpect};
use watchpost_core::monitor::{Pace, Source, Thresholds};
use watchpost_core::plan::{Document, Wanted};
use watchpost_core::schedule::{Cron, Schedule};
use watchpost_core::spec::{HostPort, IcmpSpec, IpVersion, Spec, TcpSpec};
use watchpost_core::{Definition, MonitorId};

use crate::faults::Edit;
use crate::rng::Rng;

/// Monitors at most: few, so that each meets many troubles.
const MONITORS_MAX: usize = 8;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    id: String,
    target: u64,
    icmp: bool,
    /// Seconds; `None`: by cron, every minute in Riga.
    every: Option<u64>,
    fail_after: u32,
    recover_after: u32,
    retry: Option<u64>,
    while_down: Option<u64>,
    active: bool,
}

/// All entries, and those that were taken out.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    lines: Vec<Line>,
    removed: Vec<Line>,
    made: u64,
}

impl Catalog {
    /// A first configuration.
    #[must_use]
    pub(crate) fn draw(rng: &mut Rng) -> Catalog {
        let mut catalog = Catalog { lines: Vec::new(), removed: Vec::new(), made: 0 };
        for _ in 0..rng.within(2, 5) {
            let line = catalog.fresh(rng);
            catalog.lines.push(line);
        }
        catalog
    }

    fn fresh(&mut self, rng: &mut Rng) -> Line {
        self.made += 1;
        let mut line = Line {
            id: format!("m{}", self.made),
            target: self.made,
            icmp: rng.chance(200),
            every: None,
            fail_after: 1,
            recover_after: 1,
            retry: None,
            while_down: None,
            active: true,
        };
        thresholds(&mut line, rng);
        pace(&mut line, rng);
        line
    }

    /// Makes an edit; says what it was.
    pub(crate) fn edit(&mut self, edit: Edit, rng: &mut Rng) -> String {
        if edit == Edit::Add || self.lines.is_empty() {
            return self.add(rng);
        }
        let last = i64::try_from(self.lines.len()).unwrap_or(1) - 1;
        let place = usize::try_from(rng.within(0, last)).unwrap_or(0);
        if edit == Edit::Remove {
            let line = self.lines.remove(place);
            let said = format!("remove {}", line.id);
            self.removed.push(line);
            return said;
        }
        self.made += 1;
        let made = self.made;
        let Some(line) = self.lines.get_mut(place) else { return String::new() };
        let before = line.id.clone();
        match edit {
            Edit::Rename => line.id = format!("m{made}"),
            Edit::Thresholds => thresholds(line, rng),
            Edit::Pace => pace(line, rng),
            Edit::Target => line.target = made,
            Edit::Switch => line.active = !line.active,
            Edit::Rekind => line.icmp = !line.icmp,
            Edit::Remove | Edit::Add => {}
        }
        format!("{edit:?} {before}: {line:?}")
    }

    fn add(&mut self, rng: &mut Rng) -> String {
        let back = if rng.chance(700) { self.removed.pop() } else { None };
        if self.lines.len() >= MONITORS_MAX {
            return "nothing to add".to_owned();
        }
        let line = back.unwrap_or_else(|| self.fresh(rng));
        let said = format!("add {line:?}");
        self.lines.push(Line { active: true, ..line });
        said
    }

    /// What the configuration asks for.
    #[must_use]
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        self.lines.iter().map(wanted).collect()
    }
}

fn thresholds(line: &mut Line, rng: &mut Rng) {
    line.fail_after = rng.pick(&[1, 1, 2, 3, 4]).max(1);
    line.recover_after = rng.pick(&[1, 1, 2, 3]).max(1);
}

fn pace(line: &mut Line, rng: &mut Rng) {
    line.every = rng.pick(&[Some(2), Some(5), Some(10), Some(20), Some(60), None]);
    line.retry = rng.pick(&[None, None, Some(1), Some(3)]);
    line.while_down = rng.pick(&[None, None, Some(7), Some(90)]);
}

fn wanted(line: &Line) -> Wanted {
    let ip = IpVersion::Any;
    let host = format!("host-{}", line.target);
    let spec = match line.icmp {
        true => Spec::Icmp(IcmpSpec { host, count: 1, size: 56, ip }),
        false => Spec::Tcp(TcpSpec { address: HostPort { host, port: 1 }, send: None, expect: None, ip }),
    };
    let schedule = match (line.every, Cron::parse("* * * * *", "Europe/Riga")) {
        (None, Ok(cron)) => Schedule::Cron(cron),
        (every, _) => Schedule::Every(Duration::from_secs(every.unwrap_or(60))),
    };
    let times = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let latency = LatencyExpect { degraded: Some(Duration::from_millis(500)), down: None };
    let definition = Definition {
        id: MonitorId::new(&line.id),
        name: line.id.clone(),
        group: None,
        tags: Vec::new(),
        spec,
        expect: Arc::new(Expect { latency, ..Expect::default() }),
        schedule,
        pace: Pace { retry: line.retry.map(Duration::from_secs), while_down: line.while_down.map(Duration::from_secs) },
        thresholds: Thresholds { fail_after: times(line.fail_after), recover_after: times(line.recover_after) },
        timeout: Duration::from_secs(4),
        active: line.active,
        cannot_tell_after: Duration::from_secs(40),
        source: Source::Api,
    };
    // The keys are those that the engine knows: a change of `name` alone does not touch the checks.
    let document = json!({
        "name": line.id, "target": definition.spec.target(), "icmp": line.icmp, "every": line.every,
        "thresholds": [line.fail_after, line.recover_after], "pace": [line.retry, line.while_down],
        "active": line.active,
    });
    Wanted { definition: Arc::new(definition), document: Document::new(&document) }
}
