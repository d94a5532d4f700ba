//! The kernel: a grid prepared once, then a search per query.

use std::cell::RefCell;

use super::components::Components;
use super::grid::{Grid, GridError};
use super::outcome::Answer;
use super::planes::Planes;
use super::search::{self, Scratch};
use super::spec::{Cell, Query};

/// A grid's blob in the form that kernel, checks and admission work on.
pub(super) struct Prepared {
    pub(super) planes: Planes,
    components: Components,
    /// See [`Planes::corners`].
    pub(super) corners: u64,
    /// Free cells.
    pub(super) free: u64,
}

impl Prepared {
    pub(super) fn from_blob(bytes: &[u8]) -> Result<Self, GridError> {
        Ok(Self::new(&Grid::from_blob(bytes)?))
    }

    fn new(grid: &Grid) -> Self {
        let planes = Planes::new(grid);
        let (free, words) = planes.row_words();
        let components = Components::new(free, words);
        let free = free.iter().map(|word| u64::from(word.count_ones())).sum();
        let corners = planes.corners();
        Self { planes, components, corners, free }
    }

    /// Whether any path joins the two cells, which are inside the grid.
    pub(super) fn joined(&self, query: Query) -> bool {
        let place = |cell: Cell| (usize::from(cell.y) + 1, usize::from(cell.x));
        self.planes.is_free(query.from)
            && self.planes.is_free(query.to)
            && self.components.joined(place(query.from), place(query.to))
    }

    /// Answers one query, whose cells are inside the grid.
    pub(super) fn solve(&self, query: Query) -> Answer {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        if !self.joined(query) {
            return Answer::Unreachable;
        }
        SCRATCH.with_borrow_mut(|scratch| search::solve(&self.planes, query, scratch))
    }
}
