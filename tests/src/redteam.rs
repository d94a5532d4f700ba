//! Workers that cheat, against the real scheduler with real kernels and real checks, without a network or a clock: so fast
//! that a million tasks take a minute, and the same for the same seed.
//!
//! | module | owns |
//! |---|---|
//! | `samples` | tasks, their right answers and wrong ones that look right |
//! | `field` | the scheduler, a gamer and workers, one task after the other |

mod field;
mod samples;

pub use field::{Game, RedTeamFigures};

/// How a worker cheats, or fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trick {
    /// It does not.
    Honest,
    /// It answers what takes no work: that there is no path.
    Lazy,
    /// Detours instead of shortest paths, in this share of its answers.
    Liar(f64),
    /// Right answers, so many, and then only detours.
    Sleeper(u64),
    /// Two accounts that give the same detours to the same tasks, in a tenth of their answers.
    Colluding,
    /// One detour among the paths of each answer: as little wrong as can be.
    Hugger,
    /// It takes tasks and keeps silent.
    SlowLoris,
    /// It answers everything with its first answer.
    Replayer,
    /// It is honest, and one bit of such a share of its answers flips.
    Flipping(f64),
    /// Right answers through probation, then only detours, and a new identity as soon as one is found out.
    Farm,
}
