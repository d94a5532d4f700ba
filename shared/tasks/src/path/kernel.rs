//! The kernel: a grid prepared once, then a search per query.

use std::cell::RefCell;

use super::bitboard::{BitRows, Planes};
use super::components::Components;
use super::grid::{Grid, GridError};
use super::outcome::QueryAnswer;
use super::search::{self, Scratch};
use super::spec::{Cell, Query};
use crate::blobs;
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// What admission needs to know of a grid: cheaper to make than the prepared grid, and a few bytes to keep.
#[derive(Clone, Copy)]
pub(super) struct Survey {
    width: u16,
    height: u16,
    /// See [`BitRows::corners`], rows and columns together.
    pub(super) corners: u64,
    /// Free cells.
    pub(super) free: u64,
}

impl Survey {
    pub(super) fn from_blob(bytes: &[u8]) -> Result<Self, GridError> {
        Ok(Self::of_grid(&Grid::from_blob(bytes)?))
    }

    pub(super) fn of_grid(grid: &Grid) -> Self {
        let (rows, columns) = BitRows::of(grid);
        Self::of(grid, &rows, &columns)
    }

    fn of(grid: &Grid, rows: &BitRows, columns: &BitRows) -> Self {
        let corners = rows.corners() + columns.corners();
        Self { width: grid.width(), height: grid.height(), corners, free: rows.free_cells() }
    }

    /// Whether the grid has this cell.
    pub(super) fn contains(&self, cell: Cell) -> bool {
        cell.x < self.width && cell.y < self.height
    }

    /// Columns or rows, whichever are more.
    pub(super) fn longer_side(&self) -> u64 {
        self.width.max(self.height).into()
    }

    /// Cells of the grid.
    pub(super) fn cells(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A grid's blob in the form that kernel and checks work on.
pub(super) struct PreparedGrid {
    pub(super) planes: Planes,
    components: Components,
    pub(super) survey: Survey,
}

impl blobs::Prepared for PreparedGrid {
    fn bytes(&self) -> usize {
        self.planes.bytes() + self.components.bytes()
    }
}

impl PreparedGrid {
    pub(super) fn from_blob(bytes: &[u8]) -> Result<Self, GridError> {
        let grid = Grid::from_blob(bytes)?;
        let planes = Planes::new(&grid);
        let (free, words) = planes.row_words();
        let components = Components::new(free, words);
        let survey = Survey::of(&grid, &planes.rows, &planes.columns);
        Ok(Self { planes, components, survey })
    }

    /// Whether any path joins the two cells, which are inside the grid.
    pub(super) fn joined(&self, query: Query) -> bool {
        let place = |cell: Cell| (usize::from(cell.y) + 1, usize::from(cell.x));
        self.planes.is_free(query.from)
            && self.planes.is_free(query.to)
            && self.components.joined(place(query.from), place(query.to))
    }

    /// Answers one query, whose cells are inside the grid.
    pub(super) fn solve(&self, query: Query, fuel: &mut Fuel<'_>) -> Result<QueryAnswer, KernelError> {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        if !self.joined(query) {
            return Ok(QueryAnswer::Unreachable);
        }
        SCRATCH.with_borrow_mut(|scratch| search::solve(&self.planes, query, scratch, fuel))
    }
}
