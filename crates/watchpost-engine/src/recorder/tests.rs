use serde_json::json;
use watchpost_core::plan::{Document, Known, plan};
use watchpost_core::result::Tick;
use watchpost_core::{Change, Fault, FaultCode, Observation, Reason, ReasonCode, Region, Verdict};

use super::*;
use crate::timetable::tests::monitor as every;
use std::time::Duration;

fn monitor(key: u32, secs: u64) -> Arc<Monitor> {
    every(key, Duration::from_secs(secs))
}

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn recorder() -> Recorder {
    let mut recorder = Recorder::default();
    recorder.admit([Held { monitor: monitor(1, 60), state: State::fresh(true, secs(0)) }]);
    recorder
}

fn arrival(tick: i64, verdict: Verdict) -> Arrival {
    let monitor = monitor(1, 60);
    let identity = Tick { monitor: monitor.key, region: Region::local(), scheduled_at: secs(tick) };
    let result = CheckResult::new(identity, &Observation::begin(secs(tick)), verdict.clone());
    Arrival { monitor, event: Event::Checked { scheduled_at: secs(tick), verdict }, result: Some(result) }
}

fn fail() -> Verdict {
    Verdict::Fail(Reason::new(ReasonCode::Refused, None, "connection refused"))
}

fn wanted(monitor: &Arc<Monitor>, document: &serde_json::Value) -> Wanted {
    Wanted { definition: Arc::clone(&monitor.definition), document: Document::new(document) }
}

fn known(monitor: &Arc<Monitor>, document: &serde_json::Value) -> Known {
    Known {
        key: monitor.key,
        id: monitor.id.clone(),
        name: monitor.name.clone(),
        kind: monitor.kind().to_string(),
        target: monitor.spec.target(),
        document: Document::new(document),
    }
}

#[test]
fn results_of_an_unchanged_monitor_wait_and_carry_no_state() {
    let mut recorder = recorder();
    recorder.absorb(arrival(60, Verdict::Pass), secs(60));
    assert!(recorder.urgent(), "the first result is news");
    recorder.take(secs(60)).unwrap();
    recorder.absorb(arrival(120, Verdict::Pass), secs(120));
    assert!(!recorder.urgent());
    let batch = recorder.take(secs(121)).unwrap();
    assert_eq!((batch.results, batch.commit.entries[0].state.clone()), (1, None));
    assert!(recorder.take(secs(122)).is_none(), "what is taken is gone");
}

#[test]
fn a_failing_result_says_how_far_it_is() {
    let mut recorder = recorder();
    recorder.absorb(arrival(60, Verdict::Pass), secs(60));
    recorder.absorb(arrival(120, fail()), secs(120));
    recorder.absorb(arrival(180, fail()), secs(180));
    recorder.absorb(arrival(240, fail()), secs(240));
    let batch = recorder.take(secs(240)).unwrap();
    let failing: Vec<_> = batch.commit.entries.iter().map(|e| e.results[0].failing.map(|f| (f.count, f.of))).collect();
    assert_eq!(failing, [None, Some((1, 3)), Some((2, 3)), None]);
    let went_down = |c: &Change| matches!(c, Change::WentDown { .. });
    assert!(batch.commit.entries[3].changes.iter().any(went_down));
    assert!(batch.news[3].changes.iter().any(went_down), "what is committed is what is told");
}

#[test]
fn another_figure_in_the_same_complaint_is_no_change() {
    let slow = |ms: u32| Verdict::Degraded(Reason::new(ReasonCode::Latency, None, format!("took {ms} ms")));
    let mut recorder = recorder();
    recorder.absorb(arrival(60, slow(300)), secs(60));
    recorder.take(secs(60)).unwrap();
    recorder.absorb(arrival(120, slow(301)), secs(120));
    assert!(!recorder.urgent());
    recorder.absorb(arrival(180, fail()), secs(180));
    assert!(recorder.urgent());
}

#[test]
fn a_check_begun_before_its_expectations_were_edited_does_not_count() {
    let mut recorder = recorder();
    let mut old = arrival(60, fail());
    let mut definition = (*old.monitor.definition).clone();
    Arc::make_mut(&mut definition.expect).latency.down = Some(Duration::from_millis(1));
    old.monitor = Arc::new(Monitor { key: old.monitor.key, definition: Arc::new(definition) });
    assert_eq!(recorder.absorb(old, secs(60)), Absorbed::Ignored);
}

#[test]
fn a_replay_is_ignored_and_an_older_tick_is_late() {
    let mut recorder = recorder();
    recorder.absorb(arrival(120, Verdict::Pass), secs(120));
    assert_eq!(recorder.absorb(arrival(120, Verdict::Pass), secs(121)), Absorbed::Ignored);
    let late = recorder.absorb(arrival(60, fail()), secs(122));
    assert!(matches!(late, Absorbed::Late(result) if result.late));
    assert_eq!(recorder.take(secs(123)).unwrap().results, 1);
}

#[test]
fn a_result_of_another_target_than_the_present_one_is_ignored() {
    let mut recorder = recorder();
    let mut other = arrival(60, fail());
    let mut definition = (*other.monitor.definition).clone();
    definition.spec = watchpost_core::Spec::Icmp(watchpost_core::spec::IcmpSpec {
        host: "h".into(),
        count: 1,
        size: 56,
        ip: watchpost_core::spec::IpVersion::Any,
    });
    other.monitor = Arc::new(Monitor { key: other.monitor.key, definition: Arc::new(definition) });
    assert_eq!(recorder.absorb(other, secs(60)), Absorbed::Ignored);
}

#[test]
fn a_store_that_is_away_costs_plain_results_but_never_a_change() {
    let mut recorder = recorder();
    recorder.absorb(arrival(1, Verdict::Pass), secs(1));
    recorder.pending.results = PENDING_MAX;
    assert_eq!(recorder.absorb(arrival(2, Verdict::Pass), secs(2)), Absorbed::Dropped);
    assert!(matches!(recorder.absorb(arrival(3, fail()), secs(3)), Absorbed::Applied(_)));
}

#[test]
fn a_removed_monitor_closes_its_incident_even_when_it_was_never_defined_in_this_life() {
    let gone = monitor(1, 60);
    let mut first = recorder();
    for tick in [60, 120, 180] {
        first.absorb(arrival(tick, fail()), secs(tick));
    }
    let state = first.held(gone.key).unwrap().state.clone();
    let mut recorder = Recorder::new(vec![(gone.key, state)]);
    let plan = plan(vec![known(&gone, &json!({}))], Vec::new());
    let (edit, batch) = recorder.redefine(&plan, Vec::new(), secs(300));
    assert_eq!(edit.removed, [gone.key]);
    assert!(matches!(edit.entries[0].changes[..], [Change::Shown { .. }, Change::Closed { .. }]));
    assert!(batch.news.is_empty() && recorder.held(gone.key).is_none());
}

#[test]
fn pausing_and_resuming_follow_the_definition() {
    let monitor = monitor(1, 60);
    let mut off = (*monitor.definition).clone();
    off.active = false;
    let off = Arc::new(Monitor { key: monitor.key, definition: Arc::new(off) });
    let mut recorder = recorder();
    let change = |recorder: &mut Recorder, from: &Arc<Monitor>, to: &Arc<Monitor>| {
        let to = [wanted(to, &json!({ "active": to.active }))];
        let plan = plan(vec![known(from, &json!({ "active": from.active }))], to.to_vec());
        recorder.redefine(&plan, to.to_vec(), secs(100)).0
    };
    change(&mut recorder, &monitor, &off);
    assert_eq!(recorder.held(monitor.key).unwrap().state.phase, Phase::Paused);
    let edit = change(&mut recorder, &off, &monitor);
    assert_eq!(recorder.held(monitor.key).unwrap().state.phase, Phase::Unknown);
    assert_eq!(edit.monitors[0].0, Some(monitor.key));
}

#[test]
fn what_was_pending_goes_into_the_edits_transaction() {
    let mut recorder = recorder();
    recorder.absorb(arrival(60, Verdict::Pass), secs(60));
    let monitor = monitor(1, 60);
    let to = [wanted(&monitor, &json!({}))];
    let plan = plan(vec![known(&monitor, &json!({}))], to.to_vec());
    let (edit, batch) = recorder.redefine(&plan, to.to_vec(), secs(61));
    assert_eq!((edit.entries.len(), batch.news.len(), recorder.pending()), (1, 1, 0));
}

#[test]
fn a_blind_spell_sets_a_deadline_in_its_entry() {
    let mut recorder = recorder();
    let fault = Fault::new(FaultCode::OutOfFiles, "out of file handles");
    recorder.absorb(arrival(60, Verdict::Inconclusive(fault)), secs(60));
    let batch = recorder.take(secs(60)).unwrap();
    assert_eq!(batch.commit.entries[0].wake, Some(secs(60 + 900)));
}
