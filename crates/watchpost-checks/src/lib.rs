//! Checks: one file per protocol. They measure and report what they saw; the core judges.

use watchpost_core::ports::BoxFuture;
use watchpost_core::{Definition, Observation};

/// Runs checks. The real one speaks the protocols; the simulation has a network of its own.
pub trait Check: Send + Sync + 'static {
    /// Runs one check to its end, which comes at the definition's timeout at the latest. Never fails: what goes wrong
    /// is part of the observation.
    fn check<'a>(&'a self, definition: &'a Definition) -> BoxFuture<'a, Observation>;
}
