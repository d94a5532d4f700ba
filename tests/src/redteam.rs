//! Workers that cheat, against the real scheduler with real kernels and real checks.
//!
//! Without a network or a clock a million tasks take a minute, and the same seed gives the same results. The same cheats speak
//! the protocol to the coordinator's own app, in memory and over UDP, for fewer tasks.
//!
//! | module | owns |
//! |---|---|
//! | `samples` | tasks, their right answers and wrong ones that look right |
//! | `cheat` | what a cheat answers |
//! | `field` | the scheduler, a gamer and workers, one task after the other |
//! | `protocol` | a cluster with cheats among its workers |

pub(crate) mod cheat;
mod field;
mod protocol;
pub(crate) mod samples;

pub use field::{Game, RedTeamFigures};
pub use protocol::CheatedCluster;

/// How a worker cheats, or fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trick {
    /// It does not cheat.
    Honest,
    /// It answers without work: that there is no path.
    Lazy,
    /// Detours instead of shortest paths, in this share of its answers.
    Liar(f64),
    /// This many right answers, and then only detours.
    Sleeper(u64),
    /// Two accounts that give the same detours to the same tasks, in a tenth of their answers.
    Colluding,
    /// One detour among the sixteen paths of each answer: the smallest possible lie.
    Sixteenth,
    /// It takes tasks and never answers.
    SlowLoris,
    /// It answers every task with its first answer.
    Replayer,
    /// It is honest, but one bit flips in this share of its answers.
    Flipping(f64),
    /// Right answers through probation, then only detours, and a new identity after each detection.
    Farm,
}
