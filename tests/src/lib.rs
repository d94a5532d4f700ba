//! The test harness: a cluster of real coordinator, worker and game apps that a test steps, and the
//! benches.
//!
//! | module | owns |
//! |---|---|
//! | [`cluster`] | n games, one coordinator and m workers in one thread, in memory or over UDP |
//! | [`joining`] | connect tokens for the programs of harness and bench |
//! | [`fuzzing`] | the fuzz targets, shared with the folder `fuzz` |
//! | [`programs`] | the real programs as child processes |
//! | [`puzzles`] | seeded tasks and their right answers |
//! | [`redteam`] | workers that cheat, against the scheduler alone |
//! | [`bench`](mod@bench) | the benches |

pub mod bench;
pub mod cluster;
pub mod fuzzing;
pub mod joining;
pub mod programs;
pub mod puzzles;
pub mod redteam;
