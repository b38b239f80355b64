//! Runs a target on bolero's terms, but for where its inputs come from: bolero's own engine draws its seeds from the
//! operating system, so no two runs of the tests would be alike.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bolero::bolero_engine::input::Bytes;
use bolero::bolero_engine::{Failure, Test, driver, panic};
use bolero::{Engine, TestTarget};

use crate::limits;

/// Seconds that each target runs, instead of its ordinary number of inputs.
const SECONDS: &str = "WATCHPOST_FUZZ_SECONDS";
/// The seed of a run by time, to see it again.
const SEED: &str = "WATCHPOST_FUZZ_SEED";
/// The seed of every ordinary run.
const ORDINARY_SEED: u64 = 0x5761_7463_6870_6f73;
/// How long a failing input is made shorter.
const SHRINK_TIME: Duration = Duration::from_secs(10);

/// What a target gets.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Inputs in an ordinary run.
    pub inputs: u64,
    /// Bytes of an input at most.
    pub bytes_max: usize,
}

/// Feeds a target. First come the files in `crashes/<name>`, if there are any.
///
/// # Panics
/// When the target does for an input, which is then told; and when the process has used too much memory in the end.
pub fn run(name: &'static str, effort: Effort, target: fn(&[u8])) {
    TestTarget::new(Seeded { name, effort }).for_each(target);
    limits::memory_holds(name);
}

struct Seeded {
    name: &'static str,
    effort: Effort,
}

impl<T: Test> Engine<T> for Seeded
where
    T::Value: Debug,
{
    type Output = ();

    fn run(self, mut test: T, options: driver::Options) {
        panic::set_hook();
        let forwarded = panic::forward_panic(false);
        let (seed, until) = plan();
        let mut failed = None;
        for bytes in crashes(self.name) {
            failed = failed.or_else(|| failure(&mut test, &bytes, &options));
        }
        let mut number = 0;
        while failed.is_none() && until.map_or(number < self.effort.inputs, |until| Instant::now() < until) {
            let bytes = input(seed ^ hash(self.name), number, self.effort.bytes_max);
            failed = failure(&mut test, &bytes, &options);
            number += 1;
        }
        panic::forward_panic(forwarded);
        if let Some(failure) = failed {
            panic!("{}: input {number} of seed {seed} fails; {SEED}={seed} shows it again\n{failure}", self.name);
        }
        tell(self.name, number);
    }
}

/// The seed, and until when to go on; an ordinary run ends by its number of inputs.
fn plan() -> (u64, Option<Instant>) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number(SECONDS) {
        None => (ORDINARY_SEED, None),
        Some(seconds) => {
            let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            (number(SEED).unwrap_or_else(clock), Some(Instant::now() + Duration::from_secs(seconds)))
        }
    }
}

fn tell(name: &str, inputs: u64) {
    #[expect(clippy::print_stdout, reason = "shown by `cargo test -- --nocapture`")]
    {
        println!("{name}: {inputs} inputs");
    }
}

/// What went wrong with an input, made as short as can be. Bolero's own shrinking reads its bytes another way than its
/// engine for tests does, and so often loses what it had.
fn failure<T: Test>(test: &mut T, bytes: &[u8], options: &driver::Options) -> Option<String>
where
    T::Value: Debug,
{
    let mut error = test.test(&mut Bytes::new(bytes, options)).err()?;
    let mut fails = |candidate: &[u8]| match test.test(&mut Bytes::new(candidate, options)) {
        Ok(_) => false,
        Err(other) => {
            error = other;
            true
        }
    };
    let shortest = shortened(bytes, &mut fails);
    let input = test.generate_value(&mut Bytes::new(&shortest, options));
    Some(Failure { seed: None, error, input }.to_string())
}

/// Leaves out what need not be there, first much, then little, and makes zeros of the rest where that will do.
fn shortened(bytes: &[u8], fails: &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8> {
    let until = Instant::now() + SHRINK_TIME;
    let mut shortest = bytes.to_vec();
    let mut piece = shortest.len();
    while piece > 0 {
        let mut at = 0;
        while at < shortest.len() && Instant::now() < until {
            let end = (at + piece).min(shortest.len());
            let candidate = [&shortest[..at], &shortest[end..]].concat();
            match fails(&candidate) {
                true => shortest = candidate,
                false => at += piece,
            }
        }
        piece /= 2;
    }
    for at in 0..shortest.len() {
        let before = std::mem::replace(&mut shortest[at], 0);
        if before != 0 && (Instant::now() >= until || !fails(&shortest)) {
            shortest[at] = before;
        }
    }
    // The last failure is told, so it has to be the one of the shortest.
    fails(&shortest);
    shortest
}

/// Inputs that once failed.
fn crashes(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crashes").join(name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Input number so and so. Most are short, for short ones are quick and their failures are readable.
fn input(seed: u64, number: u64, bytes_max: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let magnitude = next(&mut state) % u64::from(bytes_max.max(1).ilog2() + 1);
    let length = next(&mut state) % (2 << magnitude);
    let length = usize::try_from(length).unwrap_or(bytes_max).min(bytes_max);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next(&mut state).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, so that targets do not share their inputs.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_same_in_every_run_and_differ_from_each_other() {
        let first: Vec<_> = (0..50).map(|number| input(7, number, 64)).collect();
        let again: Vec<_> = (0..50).map(|number| input(7, number, 64)).collect();
        assert_eq!(first, again);
        assert!(first.iter().all(|bytes| bytes.len() <= 64));
        assert!(first.iter().collect::<std::collections::BTreeSet<_>>().len() > 40);
    }

    #[test]
    fn a_failing_input_is_told_in_its_shortest_form() {
        let target = |bytes: &[u8]| assert!(!bytes.contains(&0x77), "seven");
        let effort = Effort { inputs: 2_000, bytes_max: 256 };
        let said = std::panic::catch_unwind(|| run("itself", effort, target)).unwrap_err();
        let said = said.downcast_ref::<String>().unwrap();
        assert!(said.contains("seven") && said.contains("1 (0x1) bytes"), "{said}");
    }
}
