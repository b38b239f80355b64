//! How much work and memory an input may cost. Processor time is counted, not time that passes: a busy machine must not
//! make a test fail.

use std::time::{Duration, Instant};

/// Memory of the whole process at its peak. The largest thing that any target makes of its input is a few megabytes; the
/// rest is the allocator's, and the binary itself.
const MEMORY_MAX_KIB: u64 = 768 * 1024;
/// Ticks of the processor's clock in a second, as /proc tells times (proc(5); 100 on every Linux).
const TICKS: u64 = 100;

/// Runs work that must not take this thread more than so much processor time.
///
/// # Panics
/// When it does; `what` says what it was.
pub fn within<T>(limit: Duration, what: &str, work: impl Fn() -> T) -> T {
    let began = Instant::now();
    let done = work();
    if began.elapsed() <= limit {
        return done;
    }
    // It may have been the machine. Only what takes long by the processor's own count counts.
    let Some(before) = processor_time() else { return done };
    let done = work();
    let took = processor_time().unwrap_or(before).saturating_sub(before);
    assert!(took <= limit, "{what} took {took:?} of processor time, more than {limit:?}");
    done
}

/// What this thread has used of the processor; `None` where there is no /proc.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The second field is the name, in parentheses, and may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * (1_000 / TICKS)))
}

/// Asserts that the process has stayed below its limit so far.
pub(crate) fn memory_holds(name: &str) {
    if let Some(peak) = peak_kib() {
        assert!(peak <= MEMORY_MAX_KIB, "{name}: {peak} KiB of memory at the peak, more than {MEMORY_MAX_KIB}");
    }
}

fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_too_long_is_found_out() {
        let busy = || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(300) {
                std::hint::spin_loop();
            }
        };
        within(Duration::from_secs(60), "spinning", busy);
        if processor_time().is_some() {
            assert!(std::panic::catch_unwind(|| within(Duration::ZERO, "spinning", busy)).is_err());
        }
    }

    #[test]
    fn the_peak_of_memory_is_known() {
        assert!(peak_kib().is_none_or(|kib| kib > 100));
    }
}
