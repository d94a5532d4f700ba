//! The occupancy grid that a spec's queries run on, and its compact form as a blob.

use p2c2r_protocol::limits::BLOB_BYTES_MAX;
use thiserror::Error;

use super::spec::Cell;
use super::varint;

/// Columns or rows of a grid.
pub const GRID_SIDE_MAX: u16 = 1_024;

/// First byte of a blob whose cells are plain bits.
const TAG_BITS: u8 = 0;
/// First byte of a blob whose cells are run lengths.
const TAG_RUNS: u8 = 1;
/// Bytes before the cells: tag, width, height.
const HEADER_BYTES: usize = 5;

/// Why a blob is not a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GridError {
    /// Longer than any blob may be.
    #[error("a grid of {bytes} bytes where a blob may have {BLOB_BYTES_MAX}")]
    TooLarge {
        /// Length found.
        bytes: usize,
    },
    /// Too short for its header.
    #[error("no grid header")]
    NoHeader,
    /// The first byte names no encoding.
    #[error("unknown grid encoding {0}")]
    UnknownEncoding(u8),
    /// A side is zero or above [`GRID_SIDE_MAX`].
    #[error("a grid of {width} by {height} cells where a side may be 1 to {GRID_SIDE_MAX}")]
    BadSize {
        /// Columns claimed.
        width: u16,
        /// Rows claimed.
        height: u16,
    },
    /// The cells are not exactly as many as the header says, or not in canonical form.
    #[error("the cells do not fit the size")]
    BadCells,
}

/// An occupancy grid of at most [`GRID_SIDE_MAX`] by [`GRID_SIDE_MAX`] cells, each free or blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    width: u16,
    height: u16,
    /// Rows of `words_per_row` words; bit `x % 64` of word `x / 64` says that column `x` is blocked. Bits
    /// beyond the width are zero.
    blocked: Vec<u64>,
}

impl Grid {
    /// A grid without obstacles.
    ///
    /// # Panics
    /// If a side is zero or above [`GRID_SIDE_MAX`].
    pub fn new(width: u16, height: u16) -> Self {
        assert!(
            (1..=GRID_SIDE_MAX).contains(&width) && (1..=GRID_SIDE_MAX).contains(&height),
            "a grid of {width} by {height} cells"
        );
        let words = usize::from(width).div_ceil(64) * usize::from(height);
        Self { width, height, blocked: vec![0; words] }
    }

    /// Columns.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// Whether the grid has this cell.
    pub fn contains(&self, cell: Cell) -> bool {
        cell.x < self.width && cell.y < self.height
    }

    /// Whether `cell` is an obstacle. Everything outside the grid is.
    pub fn is_blocked(&self, cell: Cell) -> bool {
        !self.contains(cell) || self.blocked[self.word(cell)] >> (cell.x % 64) & 1 == 1
    }

    /// Makes `cell` an obstacle or frees it. Outside the grid nothing changes.
    pub fn set_blocked(&mut self, cell: Cell, blocked: bool) {
        if !self.contains(cell) {
            return;
        }
        let (word, bit) = (self.word(cell), 1 << (cell.x % 64));
        if blocked {
            self.blocked[word] |= bit;
        } else {
            self.blocked[word] &= !bit;
        }
    }

    /// The words of row `y`, in the format of the field `blocked`.
    pub(super) fn row(&self, y: u16) -> &[u64] {
        let words = usize::from(self.width).div_ceil(64);
        &self.blocked[usize::from(y) * words..][..words]
    }

    fn word(&self, cell: Cell) -> usize {
        usize::from(cell.y) * usize::from(self.width).div_ceil(64) + usize::from(cell.x / 64)
    }

    /// The grid as a blob: a tag, width and height (little endian), then either row-major bits (1 is blocked,
    /// lowest bit first) or the lengths of row-major runs, free first, as LEB128; whichever is shorter. The
    /// same grid always gives the same bytes.
    ///
    /// Up to 510 by 510 cells any grid fits into a blob; a larger one does if it is not too cluttered, and
    /// is refused by [`Grid::from_blob`] and so by admission if it is.
    pub fn to_blob(&self) -> Vec<u8> {
        let cells = usize::from(self.width) * usize::from(self.height);
        let bits_len = cells.div_ceil(8);
        let mut bytes = self.header(TAG_RUNS);
        for run in self.runs() {
            varint::push(&mut bytes, run);
            if bytes.len() >= HEADER_BYTES + bits_len {
                return self.to_bits();
            }
        }
        bytes
    }

    fn header(&self, tag: u8) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend(self.width.to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes
    }

    fn to_bits(&self) -> Vec<u8> {
        let mut bytes = self.header(TAG_BITS);
        let (mut pending, mut have) = (0u128, 0);
        for y in 0..self.height {
            for (at, &word) in (0u16..).step_by(64).zip(self.row(y)) {
                pending |= u128::from(word) << have;
                have += u32::from((self.width - at).min(64));
                while have >= 8 {
                    bytes.push(pending as u8);
                    pending >>= 8;
                    have -= 8;
                }
            }
        }
        if have > 0 {
            bytes.push(pending as u8);
        }
        bytes
    }

    /// Lengths of the row-major runs, the first one free (and perhaps empty).
    fn runs(&self) -> Vec<u32> {
        let mut runs = vec![0u32];
        let mut blocked = false;
        for y in 0..self.height {
            let row = self.row(y);
            let mut x = 0;
            while x < self.width {
                let end = run_end(row, x, self.width, blocked);
                if let Some(last) = runs.last_mut() {
                    *last += u32::from(end - x);
                }
                if end < self.width {
                    runs.push(0);
                    blocked = !blocked;
                }
                x = end;
            }
        }
        runs
    }

    /// Cells of the grid that a blob claims to be; 0 if it has no header.
    pub(super) fn claimed_cells(bytes: &[u8]) -> usize {
        let side = |at: usize| {
            bytes.get(at..at + 2).map_or(0, |pair| usize::from(u16::from_le_bytes([pair[0], pair[1]])))
        };
        side(1) * side(3)
    }

    /// Reads what [`Grid::to_blob`] wrote; hostile bytes give an error and never a large allocation.
    pub fn from_blob(bytes: &[u8]) -> Result<Self, GridError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(GridError::TooLarge { bytes: bytes.len() });
        }
        let (header, cells) = bytes.split_at_checked(HEADER_BYTES).ok_or(GridError::NoHeader)?;
        let &[tag, w0, w1, h0, h1] = header else { return Err(GridError::NoHeader) };
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let sides = 1..=GRID_SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(GridError::BadSize { width, height });
        }
        let mut grid = Self::new(width, height);
        match tag {
            TAG_BITS => grid.read_bits(cells)?,
            TAG_RUNS => grid.read_runs(cells)?,
            other => return Err(GridError::UnknownEncoding(other)),
        }
        Ok(grid)
    }

    fn read_bits(&mut self, bytes: &[u8]) -> Result<(), GridError> {
        let cells = usize::from(self.width) * usize::from(self.height);
        let padding = bytes.len() * 8 - cells.min(bytes.len() * 8);
        if bytes.len() != cells.div_ceil(8)
            || bytes.last().is_some_and(|last| last.leading_zeros() < padding as u32)
        {
            return Err(GridError::BadCells);
        }
        let (mut pending, mut have, mut next) = (0u128, 0u32, bytes.iter());
        let words = usize::from(self.width).div_ceil(64);
        for row in self.blocked.chunks_exact_mut(words) {
            for (at, word) in (0u16..).step_by(64).zip(row) {
                let want = u32::from((self.width - at).min(64));
                while have < want {
                    pending |= u128::from(*next.next().unwrap_or(&0)) << have;
                    have += 8;
                }
                *word = pending as u64 & (u64::MAX >> (64 - want));
                pending >>= want;
                have -= want;
            }
        }
        Ok(())
    }

    fn read_runs(&mut self, bytes: &[u8]) -> Result<(), GridError> {
        let width = u32::from(self.width);
        let cells = width * u32::from(self.height);
        let words = usize::from(self.width).div_ceil(64);
        let (mut at, mut blocked, mut rest) = (0, false, bytes);
        while !rest.is_empty() {
            let next = || {
                let (&byte, after) = rest.split_first().ok_or(GridError::BadCells)?;
                rest = after;
                Ok(byte)
            };
            let run = varint::read(next, || GridError::BadCells)?;
            if run > cells - at || (run == 0 && at > 0) {
                return Err(GridError::BadCells);
            }
            let end = at + run;
            while at < end {
                let (y, x) = (at / width, at % width);
                let stop = width.min(x + end - at);
                if blocked {
                    fill(&mut self.blocked[y as usize * words..][..words], x, stop);
                }
                at += stop - x;
            }
            blocked = !blocked;
        }
        if at == cells { Ok(()) } else { Err(GridError::BadCells) }
    }
}

/// First column from `x` on whose state is not `blocked`, or `width`.
fn run_end(row: &[u64], x: u16, width: u16, blocked: bool) -> u16 {
    let flip = if blocked { u64::MAX } else { 0 };
    let mut word = usize::from(x / 64);
    let mut bits = (row[word] ^ flip) & (u64::MAX << (x % 64));
    loop {
        if bits != 0 {
            return ((word * 64) as u16 + bits.trailing_zeros() as u16).min(width);
        }
        word += 1;
        match row.get(word) {
            Some(&next) => bits = next ^ flip,
            None => return width,
        }
    }
}

/// Sets the bits `from..to` of a row.
fn fill(row: &mut [u64], from: u32, to: u32) {
    for (start, word) in (0u32..).step_by(64).zip(row) {
        let (low, high) = (from.max(start), to.min(start + 64));
        if low < high {
            *word |= (u64::MAX >> (64 - (high - low))) << (low - start);
        }
    }
}
