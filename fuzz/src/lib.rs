//! Generated input for every parser we wrote by hand. The targets are in `tests/it`, a file per sort of input; here is
//! what they share:
//!
//! * [`run`] feeds a target bytes: a fixed number of inputs from a fixed seed in an ordinary run of the tests, so that it
//!   is the same run everywhere; new ones for as long as is asked for with `WATCHPOST_FUZZ_SECONDS`. What fails is made
//!   as short as can be.
//! * [`Choices`] turns those bytes into decisions, and so into input that gets past the first character.
//! * [`within`] holds work to an amount of processor time, and every target is held to an amount of memory.

mod choices;
mod engine;
mod limits;

pub use choices::Choices;
pub use engine::{Effort, run};
pub use limits::within;
