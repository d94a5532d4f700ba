//! The kind `path`: the paths of all enemies.

use std::sync::Arc;

use p2c2r_arena::OutcomeBody;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::path::{Path, PathOutcome};

use super::{RequestDue, RequestState, Wanted};

impl Wanted for Path {
    const PRICE_CAP: Nanos = Nanos(100_000);

    fn answer(outcome: &Arc<PathOutcome>, _: &RequestDue) -> RequestState {
        RequestState::Ready(OutcomeBody::Path(Arc::clone(outcome)))
    }
}
