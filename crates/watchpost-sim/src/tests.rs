use super::*;

/// Seeds in the tests; `cargo xtask sim` runs more.
const SEEDS: u64 = 200;

#[test]
fn every_invariant_holds_in_two_hundred_worlds() {
    match soak(1, SEEDS) {
        Ok(report) => {
            assert!(report.results > 20_000 && report.incidents > 1_000, "too little happened: {report}");
        }
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for seed in 1..=10 {
        let options = WorldOptions::default();
        let (first, second) = (run(seed, &options).unwrap(), run(seed, &options).unwrap());
        assert_eq!(first.lines.join("\n"), second.lines.join("\n"));
        assert_ne!(first, run(seed + 1, &options).unwrap());
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let options = WorldOptions { bug: Some(bug), ..WorldOptions::default() };
        let found = (1..=SEEDS).find_map(|seed| run(seed, &options).err());
        assert!(found.is_some(), "{bug:?} was not found");
    }
}

#[test]
fn a_violation_tells_the_seed_the_step_and_what_happened_before() {
    let options = WorldOptions { bug: Some(Bug::FaultsFail), ..WorldOptions::default() };
    let found = (1..=SEEDS).find_map(|seed| run(seed, &options).err()).unwrap();
    let said = found.to_string();
    assert!(said.starts_with(&format!("seed {} step {}: ", found.seed, found.step)), "{said}");
    assert!(said.lines().count() > 5, "{said}");
}

#[test]
fn seeds_that_once_failed_are_run_first() {
    assert_eq!(once_failed().next(), Some(52));
    assert!(once_failed().count() >= 4);
}
