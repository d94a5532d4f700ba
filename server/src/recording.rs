//! Records a run of the scheduler: `--record` writes its events and effects to a file, and `replay` feeds the events to it
//! again and says where the effects differ.
//!
//! A recording holds what peers sent, accounts' names and the seed of the checks: it is readable by its owner only.

mod file;
mod replay;

pub use file::{Header, Recorder, RecordingError};
pub use replay::{Replayed, replay};
