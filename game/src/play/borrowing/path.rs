//! The kind `path`: the ways of all enemies.

use std::sync::Arc;

use p2c2r_arena::OutcomeBody;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::path::{Path, PathOutcome};

use super::Wanted;

impl Wanted for Path {
    const PRICE_CAP: Nanos = Nanos(100_000);

    fn body(outcome: &Arc<PathOutcome>) -> OutcomeBody {
        OutcomeBody::Path(Arc::clone(outcome))
    }
}
