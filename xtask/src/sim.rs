//! The seeded simulation, as long as one likes.

use std::time::Instant;

/// Runs `seeds` worlds from the seed `from` on, after those that once failed.
///
/// # Errors
/// With the seed, step and last events of the first invariant that does not hold.
pub(crate) fn run(from: u64, seeds: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let report = watchpost_sim::soak(from, seeds)?;
    println!("{report} ({:.1} s)", begun.elapsed().as_secs_f64());
    Ok(())
}
