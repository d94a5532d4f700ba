//! The kind `physics`: the motions of all rocks in the window after this one.

use std::sync::Arc;

use p2c2r_protocol::Nanos;
use p2c2r_tasks::physics::{Physics, PhysicsOutcome};

use super::{RequestDue, RequestState, Wanted};

impl Wanted for Physics {
    const PRICE_CAP: Nanos = Nanos(100_000);

    fn answer(outcome: &Arc<PhysicsOutcome>, expected: &RequestDue) -> RequestState {
        expected.prepare(outcome)
    }
}
