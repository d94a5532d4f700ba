//! A run of the scheduler on disk: `--record` writes what came in and what was to be done, `replay` runs it again and says
//! where it differs.
//!
//! A recording holds what peers sent, accounts' names and the seed of the checks: it is readable by its owner only.

mod file;
mod replay;

pub use file::{Header, Recorder, RecordingError};
pub use replay::{Replayed, replay};
