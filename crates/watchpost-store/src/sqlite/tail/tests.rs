//! A tail against a sorted list.

use proptest::prelude::*;

use super::*;
use crate::conformance::world::{minute, missed, pass};

const KEY: MonitorKey = MonitorKey(7);

proptest! {
    #[test]
    fn rows_put_in_any_order_come_out_in_order(ticks in proptest::collection::vec((0..300_i64, any::<bool>()), 0..200)) {
        let mut tail = Tail::new(KEY, None);
        let mut list: Vec<CheckResult> = Vec::new();
        for (n, measured) in ticks {
            let row = if measured { pass(KEY, minute(n)) } else { missed(KEY, minute(n), 1) };
            let would = tail.would_change(&row).unwrap();
            tail.insert(&row).unwrap();
            prop_assert_eq!(merge(&mut list, row), would);
        }
        prop_assert_eq!(tail.len(), list.len());
        for count in [1, 33, 1_000] {
            let (recent, complete) = tail.recent(count).unwrap();
            prop_assert!(complete);
            prop_assert_eq!(&recent, &list[list.len().saturating_sub(count)..]);
        }
        prop_assert_eq!(tail.rows_between(i64::MIN, i64::MAX).unwrap(), list);
    }
}

#[test]
fn sixty_results_take_little_memory() {
    let mut tail = Tail::new(KEY, None);
    (0..60).for_each(|n| tail.insert(&pass(KEY, minute(n))).unwrap());
    let bytes: usize = tail.sealed.iter().map(|run| run.bytes.len()).sum();
    assert!(bytes < 32 * 14, "{bytes}");
    assert_eq!((tail.sealed.len(), tail.open.len()), (1, 28));
}
