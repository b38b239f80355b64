use proptest::prelude::*;

use super::*;
use crate::fixture::{secs, verdict};

fn intervals(text: &str) -> Vec<Interval> {
    let one = |part: &str| {
        let (from, shown) = part.trim().split_once(' ').unwrap();
        Interval { from: secs(from.parse().unwrap()), shown: Shown::from_word(shown).unwrap() }
    };
    text.split('|').map(one).collect()
}

#[test]
fn uptime_is_up_time_by_known_time() {
    let list = intervals("100 up | 200 down | 230 unknown | 260 degraded | 300 paused | 400 maintenance | 500 up");
    let sum = account(&list, secs(0), secs(600));
    let seconds = [sum.up, sum.degraded, sum.down, sum.unknown, sum.paused, sum.maintenance].map(|d| d.as_secs());
    assert_eq!(seconds, [200, 40, 30, 130, 100, 100]);
    assert_eq!(sum.total(), Duration::from_secs(600));
    assert!((sum.availability().unwrap() - 240.0 / 270.0).abs() < 1e-12);
}

#[test]
fn a_range_begins_in_the_middle_of_what_was_shown() {
    let list = intervals("0 up | 100 down");
    let sum = account(&list, secs(50), secs(120));
    assert_eq!((sum.up.as_secs(), sum.down.as_secs()), (50, 20));
}

#[test]
fn nothing_known_has_no_ratio() {
    assert_eq!(account(&[], secs(0), secs(60)).availability(), None);
    assert_eq!(account(&intervals("0 paused"), secs(0), secs(60)).availability(), None);
    assert_eq!(Counts::default().ratio(), None);
}

#[test]
fn a_range_that_runs_backwards_is_empty() {
    assert_eq!(account(&intervals("0 up"), secs(60), secs(0)), Accounting::default());
}

#[test]
fn counts_leave_out_what_we_could_not_tell() {
    let mut counts = Counts::default();
    for (word, ticks) in [("ok", 1), ("ok", 1), ("slow", 1), ("fail", 1), ("missing", 120)] {
        counts.add(&verdict(word).unwrap(), ticks);
    }
    assert_eq!(counts, Counts { pass: 2, degraded: 1, fail: 1, inconclusive: 120 });
    assert_eq!(counts.ratio(), Some(0.75));
    assert_eq!(counts.merged(counts).ratio(), Some(0.75));
}

proptest! {
    #[test]
    fn accounting_equals_counting_every_millisecond(
        spans in prop::collection::vec((1..50_i64, 0..6_usize), 0..20), first in -50..200_i64,
        from in 0..300_i64, length in 0..300_i64
    ) {
        let mut list = Vec::new();
        let mut at = first;
        for (span, shown) in spans {
            list.push(Interval { from: Timestamp::from_millis(at), shown: Shown::ALL[shown] });
            at += span;
        }
        let mut counted = Accounting::default();
        for ms in from..from + length {
            let now = Timestamp::from_millis(ms);
            let shown = list.iter().rfind(|i| i.from <= now).map_or(Shown::Unknown, |i| i.shown);
            counted.add(shown, Duration::from_millis(1));
        }
        let range = (Timestamp::from_millis(from), Timestamp::from_millis(from + length));
        let sum = account(&list, range.0, range.1);
        prop_assert_eq!(sum, counted);
        prop_assert_eq!(sum.total(), range.1.since(range.0));
    }
}
