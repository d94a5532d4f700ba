//! The spec of the kind `path`: queries on one grid.

use bincode::{Decode, Encode};
use p2c2r_protocol::Digest;

/// A cell of the grid: column `x` from the left, row `y` from the top, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Cell {
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
}

impl Cell {
    /// The cell in column `x` of row `y`.
    pub const fn new(x: u16, y: u16) -> Self {
        Self { x, y }
    }
}

/// One path that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Query {
    /// Where it starts.
    pub from: Cell,
    /// Where it ends.
    pub to: Cell,
}

/// Many queries on one grid.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PathSpec {
    /// Digest of the grid's blob, see [`Grid::to_blob`](crate::path::Grid::to_blob).
    pub grid: Digest,
    /// The paths wanted, 1 to [`QUERIES_MAX`](crate::path::QUERIES_MAX); every cell inside the grid.
    pub queries: Vec<Query>,
}
