//! Looks at what a server has kept, and says whether it can be the whole truth. Shared with the crash test.

use std::collections::BTreeMap;

use serde_json::Value;
use watchpost_core::Timestamp;

use super::fleet::Watched;
use crate::harness::Server;

/// A check that has ended is noticed within this time when nothing else is late, also by a machine that is busy.
const NOTICED_WITHIN_MS: i64 = 250;
/// Lateness within this of a tick explains why the check before it was noticed late.
const AROUND_S: i64 = 2;

/// All items of a list, page by page. `cursor` is what the list calls its place.
pub(crate) fn list(server: &Server, path: &str, cursor: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = format!("{path}?limit=1000");
    loop {
        let mut page = server.json(&next);
        items.append(page["items"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(place) => next = format!("{path}?limit=1000&{cursor}={place}"),
            None => return items,
        }
    }
}

/// A time of the API, in milliseconds.
pub(crate) fn millis(time: &Value) -> i64 {
    time.as_str().unwrap().parse::<Timestamp>().unwrap().as_millis()
}

/// A verdict and its code: `pass`, `fail:timeout`, `fault:missed_tick`.
pub(crate) fn verdict(result: &Value) -> String {
    let code = || result["reason"]["code"].as_str().unwrap();
    match result["verdict"].as_str().unwrap() {
        "pass" => "pass".to_owned(),
        "inconclusive" => format!("fault:{}", code()),
        other => format!("{other}:{}", code()),
    }
}

/// One result.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The tick it was due at; of a missed run the first.
    pub(crate) due: i64,
    /// When the check began, and when it ended at the latest.
    pub(crate) began: i64,
    ended: i64,
    pub(crate) verdict: String,
    /// Ticks that this row says nobody ran.
    pub(crate) missed: Option<i64>,
    /// It came when newer ones had been applied.
    pub(crate) late: bool,
}

/// All results of a monitor, oldest first.
pub(crate) fn history(server: &Server, watched: &Watched) -> Vec<Row> {
    let items = list(server, &format!("/api/v1/monitors/{}/results", watched.id), "before");
    let row = |item: &Value| {
        let began = millis(&item["at"]);
        let total = item["timings_us"]["total"].as_i64();
        let took = total.filter(|_| watched.timed).map(|us| us / 1_000 + 1);
        Row {
            due: millis(&item["scheduled_at"]),
            began,
            ended: began + took.unwrap_or(watched.timeout_ms),
            verdict: verdict(item),
            // A check that this machine was too busy for says so, too; but it ran, and has its time.
            missed: item["missed"].as_i64().filter(|_| total.is_none()),
            late: item["late"] == true,
        }
    };
    items.iter().rev().map(row).collect()
}

/// How late checks began, second by second: what explains a check whose end was noticed late.
#[derive(Default)]
pub(crate) struct Lateness {
    worst: BTreeMap<i64, i64>,
    all: Vec<i64>,
}

impl Lateness {
    /// Takes in the rows of a monitor.
    pub(crate) fn note(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| row.missed.is_none()) {
            let late = row.began - row.due;
            let worst = self.worst.entry(row.began.div_euclid(1_000)).or_default();
            *worst = late.max(*worst);
            self.all.push(late);
        }
    }

    fn around(&self, at: i64) -> i64 {
        let second = at.div_euclid(1_000);
        self.worst.range(second - AROUND_S..=second + AROUND_S).map(|(_, late)| *late).max().unwrap_or(0)
    }

    /// The lateness that 99 of 100 checks stayed below or at, and the worst, in milliseconds.
    pub(crate) fn p99_and_worst(&mut self) -> (i64, i64) {
        self.all.sort_unstable();
        let at = |share: usize| self.all.get((self.all.len() * share / 100).min(self.all.len().saturating_sub(1)));
        (at(99).copied().unwrap_or(0), at(100).copied().unwrap_or(0))
    }
}

/// What became of a monitor's ticks.
#[derive(Default)]
pub(crate) struct Ticks {
    /// Ticks that nobody ran and that are told as such.
    pub(crate) missed: i64,
    /// Ticks that came while the check before them still ran.
    pub(crate) covered: usize,
    /// What is wrong.
    pub(crate) wrong: Vec<String>,
}

/// Every tick of the monitor's grid from its first result to its last is there once: as a result, in a run of missed
/// ones, or because the check before it still ran.
pub(crate) fn ticks(watched: &Watched, rows: &[Row], lateness: &Lateness) -> Ticks {
    let every = watched.interval_ms;
    let mut told = Ticks::default();
    let Some(phase) = phase(rows, every) else {
        told.wrong.push(format!("{}: has no results", watched.id));
        return told;
    };
    for pair in rows.windows(2) {
        let (row, next) = (&pair[0], &pair[1]);
        let last = row.due + (row.missed.unwrap_or(1) - 1) * every;
        if next.due <= last {
            told.wrong.push(format!("{}: {next:?} is told twice, by {row:?} too", watched.id));
        }
        // A missed run is no check that could cover the ticks after it.
        let until = row.missed.map_or(row.ended + NOTICED_WITHIN_MS + lateness.around(row.ended), |_| last);
        let mut tick = phase + ((last - phase).div_euclid(every) + 1) * every;
        while tick < next.due {
            if tick <= until {
                told.covered += 1;
            } else {
                told.wrong.push(format!("{}: nobody accounts for {tick}, between {row:?} and {next:?}", watched.id));
            }
            tick += every;
        }
    }
    for row in rows.iter().filter(|row| row.missed.is_some()) {
        told.missed += row.missed.unwrap_or(0);
        if row.due.rem_euclid(every) != phase {
            told.wrong.push(format!("{}: a missed run off the grid: {row:?}", watched.id));
        }
    }
    told
}

/// Where the grid lies: checks out of turn and prompt ones are off it, so it is where most are.
fn phase(rows: &[Row], every: i64) -> Option<i64> {
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.missed.is_none()) {
        *seen.entry(row.due.rem_euclid(every)).or_default() += 1;
    }
    seen.into_iter().max_by_key(|(_, count)| *count).map(|(phase, _)| phase)
}

/// A check that could not be given its time: the machine's doing, and no verdict on the target.
pub(crate) const TOO_BUSY: &str = "fault:overloaded";

/// Rows whose verdict is none that the monitor may have.
pub(crate) fn verdicts(watched: &Watched, rows: &[Row]) -> Vec<String> {
    let wrong = |row: &&Row| match row.missed {
        Some(_) => !["fault:missed_tick", TOO_BUSY].contains(&row.verdict.as_str()),
        None => row.verdict != TOO_BUSY && !watched.may.contains(&row.verdict.as_str()),
    };
    rows.iter().filter(wrong).map(|row| format!("{}: {row:?}, may be {:?}", watched.id, watched.may)).collect()
}

/// From when until when an incident lasted; `None`: open.
pub(crate) type Span = (i64, Option<i64>);

/// The incidents that these results make, by the rule in the guide: so many failures in a row open one at the first
/// tick after which all was seen, so many passes close it. What we could not tell neither counts nor resets.
pub(crate) fn incidents_of(watched: &Watched, rows: &[Row]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut failing, mut passes, mut down, mut blind) = (None::<(i64, u32)>, 0, false, false);
    for row in rows.iter().filter(|row| !row.late) {
        let failed = row.verdict.starts_with("fail:");
        if row.verdict.starts_with("fault:") {
            blind = true;
            continue;
        }
        let saw_all = !std::mem::take(&mut blind);
        if down {
            passes = if failed { 0 } else { passes + 1 };
            if passes >= watched.recover_after {
                (down, passes) = (false, 0);
                spans.last_mut().unwrap().1 = Some(row.due);
            }
        } else if failed {
            let (since, failures) = failing.unwrap_or((row.due, 0));
            let (since, failures) = (if saw_all { since } else { row.due }, failures + 1);
            failing = Some((since, failures));
            if failures >= watched.fail_after {
                (down, failing) = (true, None);
                spans.push((since, None));
            }
        } else {
            failing = None;
        }
    }
    spans
}

/// The incidents that the server tells of, by monitor, oldest first.
pub(crate) fn incidents(server: &Server) -> BTreeMap<String, Vec<Span>> {
    let mut by_monitor: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for item in list(server, "/api/v1/incidents", "cursor") {
        let closed = Some(&item["closed_at"]).filter(|at| !at.is_null()).map(millis);
        let span = (millis(&item["since"]), closed);
        by_monitor.entry(item["monitor"].as_str().unwrap().to_owned()).or_default().push(span);
    }
    by_monitor.values_mut().for_each(|spans| spans.sort_unstable());
    by_monitor
}

/// What no crash may leave behind: outages that overlap, or one that is open and not the newest.
pub(crate) fn torn(monitor: &str, spans: &[Span]) -> Option<String> {
    let whole = |pair: &[Span]| pair[0].1.is_some_and(|closed| closed <= pair[1].0);
    let pair = spans.windows(2).find(|pair| !whole(pair))?;
    Some(format!("{monitor}: {pair:?} overlap, or an open incident lies before a newer one"))
}
