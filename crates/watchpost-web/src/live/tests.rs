use super::*;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_795_000_000)
    }
}

fn hub(capacity: usize) -> LiveHub {
    LiveHub::with_capacity(Arc::new(Still), capacity)
}

fn positions(read: Read) -> Vec<u64> {
    match read {
        Read::Events(events) => events.into_iter().map(|(position, _)| position).collect(),
        Read::Lost(_) => panic!("lost"),
    }
}

#[test]
fn a_reader_gets_what_came_after_its_place_and_no_more_than_it_asks_for() {
    let hub = hub(8);
    for _ in 0..5 {
        hub.redefined();
    }
    assert_eq!(positions(hub.after(0, 100)), [1, 2, 3, 4, 5]);
    assert_eq!(positions(hub.after(3, 100)), [4, 5]);
    assert_eq!(positions(hub.after(1, 2)), [2, 3]);
    assert_eq!(positions(hub.after(5, 100)), [0_u64; 0]);
}

#[test]
fn a_reader_that_fell_behind_the_ring_is_told_so() {
    let hub = hub(3);
    for _ in 0..5 {
        hub.redefined();
    }
    assert_eq!(positions(hub.after(2, 100)), [3, 4, 5]);
    assert!(matches!(hub.after(1, 100), Read::Lost(5)));
    assert!(matches!(hub.after(9, 100), Read::Lost(5)));
}

#[test]
fn only_a_place_of_this_life_that_is_still_there_is_resumed() {
    let hub = hub(3);
    for _ in 0..5 {
        hub.redefined();
    }
    assert_eq!(hub.resume(&hub.cursor(4)), Some(4));
    assert_eq!(hub.resume(&hub.cursor(2)), Some(2));
    assert_eq!(hub.resume(&hub.cursor(1)), None, "already gone");
    assert_eq!(hub.resume(&hub.cursor(6)), None, "not yet given out");
    assert_eq!(hub.resume("1-4"), None, "of another process");
    assert_eq!(hub.resume("x"), None);
}
