//! What the kind `path` answers: one answer per query.

use bincode::{Decode, Encode};

use super::cost::Cost;
use super::spec::Cell;

/// The answer to one query.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// No path joins the two cells, or one of them is blocked.
    Unreachable,
    /// A shortest path.
    Found {
        /// Its exact cost.
        cost: Cost,
        /// Its turning points, both ends included: each leg from one to the next is a straight or diagonal
        /// line, and no two legs in a row have the same direction. A single cell where the query starts at
        /// its goal.
        waypoints: Vec<Cell>,
    },
}

/// The answers to a spec's queries, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PathOutcome {
    /// One per query.
    pub answers: Vec<Answer>,
}
