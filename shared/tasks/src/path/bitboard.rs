//! One grid as bitboards, so that a search jumps over free space a machine word at a time.
//!
//! The idea is block-based jump point search (Harabor and Grastien, "Improving Jump Point Search", 2014):
//! where a row may force a turn can be read off its neighbour rows with shifts. Here those bits are made once
//! per grid, together with bits that say from which cells a diagonal has something to find sideways. All of
//! it is word-parallel, about a microsecond per thousand cells, because a game's grid changes twice a second.

use super::grid::Grid;
use super::spec::Cell;

/// The rows (or the columns) of a grid as bit strings, with a blocked line before the first and after the
/// last: line `i` of the grid is line `i + 1` here. Bits beyond a line's length are blocked.
pub(super) struct BitRows {
    words: usize,
    free: Vec<u64>,
    /// Where a scan towards higher positions stops: blocked cells, and free ones beside which a neighbouring
    /// line opens (blocked one position before, free here), so that a shortest path may have to turn.
    ahead: Vec<u64>,
    /// The same for scans towards lower positions.
    behind: Vec<u64>,
}

impl BitRows {
    /// The rows and the columns of a grid.
    pub(super) fn of(grid: &Grid) -> (Self, Self) {
        let (width, height) = (usize::from(grid.width()), usize::from(grid.height()));
        let words = width.div_ceil(64);
        let mut free = vec![0; words * (height + 2)];
        for (y, line) in (0..grid.height()).zip(free.chunks_exact_mut(words).skip(1)) {
            for ((word, blocked), start) in line.iter_mut().zip(grid.row(y)).zip((0..).step_by(64)) {
                *word = !blocked & u64::MAX >> (64 - (width - start).min(64));
            }
        }
        let columns = Self::new(height.div_ceil(64), transpose(&free, width, height));
        (Self::new(words, free), columns)
    }

    /// Free cells.
    pub(super) fn free_cells(&self) -> u64 {
        self.free.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Places along these lines where a path may have to turn, over both directions of a scan: the work of a
    /// search grows with this number.
    pub(super) fn corners(&self) -> u64 {
        let all = self.free.iter().zip(&self.ahead).zip(&self.behind);
        all.map(|((free, ahead), behind)| {
            u64::from((free & ahead).count_ones()) + u64::from((free & behind).count_ones())
        })
        .sum()
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.free) + size_of_val(&*self.ahead) + size_of_val(&*self.behind)
    }

    fn new(words: usize, free: Vec<u64>) -> Self {
        let (mut ahead, mut behind) = (vec![u64::MAX; free.len()], vec![u64::MAX; free.len()]);
        for at in words..free.len() - words {
            let word = at % words;
            // The cell one position before (after) each cell of the word at `at`.
            let before = |at: usize| free[at] << 1 | if word > 0 { free[at - 1] >> 63 } else { 0 };
            let after = |at: usize| free[at] >> 1 | if word + 1 < words { free[at + 1] << 63 } else { 0 };
            let (above, below) = (at - words, at + words);
            ahead[at] = !free[at] | free[above] & !before(above) | free[below] & !before(below);
            behind[at] = !free[at] | free[above] & !after(above) | free[below] & !after(below);
        }
        Self { words, free, ahead, behind }
    }

    /// Whether position `at` of `line` is free.
    pub(super) fn is_free(&self, line: usize, at: usize) -> bool {
        self.free[line * self.words + at / 64] >> (at % 64) & 1 != 0
    }

    /// Where a scan from `at` ends: at `goal` if that comes first, at the next place where a path may have to
    /// turn, or `None` if a wall comes first.
    pub(super) fn land(&self, line: usize, at: usize, forward: bool, goal: Option<usize>) -> Option<usize> {
        let base = line * self.words;
        let word = at / 64;
        let stop = if forward {
            let first = self.ahead[base + word] & (u64::MAX << (at % 64) << 1);
            let rest = self.ahead[base + word + 1..base + self.words].iter();
            lowest(first, word, rest)
        } else {
            let first = self.behind[base + word] & !(u64::MAX << (at % 64));
            highest(first, word, &self.behind[base..base + word])
        };
        if let Some(goal) = goal {
            let before_stop = if forward {
                goal > at && stop.is_none_or(|stop| goal <= stop)
            } else {
                goal < at && stop.is_none_or(|stop| goal >= stop)
            };
            if before_stop {
                return Some(goal);
            }
        }
        stop.filter(|stop| self.is_free(line, *stop))
    }

    /// Whether all positions from `low` to `high` of `line`, both included, are free.
    pub(super) fn all_free(&self, line: usize, low: usize, high: usize) -> bool {
        let row = &self.free[line * self.words..][..self.words];
        row[low / 64..=high / 64].iter().zip((low / 64 * 64..).step_by(64)).all(|(bits, start)| {
            let from = low.max(start) - start;
            let to = high.min(start + 63) - start;
            let wanted = u64::MAX << from & u64::MAX >> (63 - to);
            bits & wanted == wanted
        })
    }

    /// Cells of a line from which a scan finds a place to turn rather than a wall.
    ///
    /// Subtracting twice the turning places from all stops borrows through the cells behind each of them up
    /// to the next stop: the o^(o-2r) trick of chess programs, here for a whole line of words.
    fn seeing(&self, line: usize, forward: bool, out: &mut [u64]) {
        let range = line * self.words..(line + 1) * self.words;
        let (free, stops) =
            (&self.free[range.clone()], if forward { &self.ahead[range] } else { &self.behind[range] });
        let turned = |bits: u64| if forward { bits.reverse_bits() } else { bits };
        let (mut carry, mut borrow) = (0, false);
        for step in 0..self.words {
            let word = if forward { self.words - 1 - step } else { step };
            let (all, turning) = (turned(stops[word]), turned(stops[word] & free[word]));
            let (difference, first) = all.overflowing_sub(turning << 1 | carry);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            carry = turning >> 63;
            borrow = first || second;
            out[word] = turned(difference ^ all);
        }
    }
}

/// Lowest set bit of `first`, which is word number `word`, or of the words after it.
fn lowest<'a>(first: u64, word: usize, rest: impl Iterator<Item = &'a u64>) -> Option<usize> {
    if first != 0 {
        return Some(word * 64 + first.trailing_zeros() as usize);
    }
    let (skipped, bits) = rest.enumerate().find(|(_, bits)| **bits != 0)?;
    Some((word + 1 + skipped) * 64 + bits.trailing_zeros() as usize)
}

/// Highest set bit of `first`, which is word number `word`, or of the words before it.
fn highest(first: u64, word: usize, before: &[u64]) -> Option<usize> {
    if first != 0 {
        return Some(word * 64 + 63 - first.leading_zeros() as usize);
    }
    let (word, bits) = before.iter().enumerate().rfind(|(_, bits)| **bits != 0)?;
    Some(word * 64 + 63 - bits.leading_zeros() as usize)
}

/// One of the four diagonals.
#[derive(Clone, Copy)]
pub(super) struct Diagonal {
    /// Towards higher columns.
    pub(super) right: bool,
    /// Towards higher rows.
    pub(super) down: bool,
}

impl Diagonal {
    fn index(self) -> usize {
        usize::from(self.right) + 2 * usize::from(self.down)
    }
}

/// A grid in the form that the search reads. Rows and columns count from 1 as lines and from 0 as positions.
pub(super) struct Planes {
    /// Columns of the grid.
    pub(super) width: usize,
    /// Rows of the grid.
    pub(super) height: usize,
    /// The rows.
    pub(super) rows: BitRows,
    /// The columns.
    pub(super) columns: BitRows,
    /// Per row word and diagonal: cells from which that diagonal step is legal, and cells from which a
    /// sideways scan of that diagonal finds a place to turn. Side by side because the search reads both
    /// together.
    diagonals: Vec<[[u64; 2]; 4]>,
}

impl Planes {
    pub(super) fn new(grid: &Grid) -> Self {
        let (width, height) = (usize::from(grid.width()), usize::from(grid.height()));
        let (rows, columns) = BitRows::of(grid);
        let mut planes = Self { width, height, rows, columns, diagonals: Vec::new() };
        planes.diagonals = planes.diagonal_planes();
        planes
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.rows.bytes() + self.columns.bytes() + size_of_val(&*self.diagonals)
    }

    fn diagonal_planes(&self) -> Vec<[[u64; 2]; 4]> {
        let words = self.rows.words;
        let free = &self.rows.free;
        let mut planes = vec![[[0; 2]; 4]; free.len()];
        let (mut sees_left, mut sees_right) = (vec![0; words], vec![0; words]);
        for y in 1..=self.height {
            self.rows.seeing(y, false, &mut sees_left);
            self.rows.seeing(y, true, &mut sees_right);
            for (word, (sees_left, sees_right)) in sees_left.iter().zip(&sees_right).enumerate() {
                let at = y * words + word;
                let left = |at: usize| free[at] << 1 | if word > 0 { free[at - 1] >> 63 } else { 0 };
                let right = |at: usize| free[at] >> 1 | if word + 1 < words { free[at + 1] << 63 } else { 0 };
                for (index, plane) in planes[at].iter_mut().enumerate() {
                    let vertical = if index & 2 == 0 { at - words } else { at + words };
                    let (beside, corner, sees) = if index & 1 == 0 {
                        (left(at), left(vertical), sees_left)
                    } else {
                        (right(at), right(vertical), sees_right)
                    };
                    *plane = [free[at] & free[vertical] & beside & corner, *sees];
                }
            }
        }
        self.add_vertical_sight(&mut planes);
        planes
    }

    /// Adds the cells from which a scan along the column finds a place to turn, a whole word of columns at a
    /// time: from row to row the sight ends at a stop and begins at a place to turn.
    fn add_vertical_sight(&self, planes: &mut [[[u64; 2]; 4]]) {
        let (words, free) = (self.rows.words, &self.rows.free);
        for word in 0..words {
            // Cells of row `y` with a neighbour column that is free in this row and blocked in row `from`.
            let opens = |y: usize, from: usize| {
                let open = |word: usize| free[y * words + word] & !free[from * words + word];
                let from_left = open(word) << 1 | if word > 0 { open(word - 1) >> 63 } else { 0 };
                let from_right = open(word) >> 1 | if word + 1 < words { open(word + 1) << 63 } else { 0 };
                free[y * words + word] & (from_left | from_right)
            };
            let (mut up, mut down) = (0, 0);
            for y in 1..=self.height {
                let at = y * words + word;
                planes[at][0][1] |= up;
                planes[at][1][1] |= up;
                let turning = opens(y, y + 1);
                up = turning | free[at] & up;
            }
            for y in (1..=self.height).rev() {
                let at = y * words + word;
                planes[at][2][1] |= down;
                planes[at][3][1] |= down;
                let turning = opens(y, y - 1);
                down = turning | free[at] & down;
            }
        }
    }

    /// Whether `cell`, inside the grid, is free.
    pub(super) fn is_free(&self, cell: Cell) -> bool {
        self.rows.is_free(usize::from(cell.y) + 1, usize::from(cell.x))
    }

    /// Whether the grid has this cell.
    pub(super) fn contains(&self, cell: Cell) -> bool {
        usize::from(cell.x) < self.width && usize::from(cell.y) < self.height
    }

    /// Whether the step along `diagonal` from column `x` of row `y` is legal, and whether a sideways scan
    /// from there would find a place to turn.
    pub(super) fn diagonal(&self, x: usize, y: usize, diagonal: Diagonal) -> (bool, bool) {
        let [legal, sight] = self.diagonals[(y + 1) * self.rows.words + x / 64][diagonal.index()];
        (legal >> (x % 64) & 1 != 0, sight >> (x % 64) & 1 != 0)
    }

    /// Words of the rows, with the blocked rows around, and how many make a row.
    pub(super) fn row_words(&self) -> (&[u64], usize) {
        (&self.rows.free, self.rows.words)
    }
}

/// The columns of a grid, given its rows, both with blocked lines around.
fn transpose(rows: &[u64], width: usize, height: usize) -> Vec<u64> {
    let (words, column_words) = (width.div_ceil(64), height.div_ceil(64));
    let mut columns = vec![0; column_words * (width + 2)];
    let mut block = [0; 64];
    for (below, top) in (0..height).step_by(64).enumerate() {
        let tall = (height - top).min(64);
        for (beside, left) in (0..width).step_by(64).enumerate() {
            block.fill(0);
            for (line, bits) in block.iter_mut().take(tall).enumerate() {
                *bits = rows[(top + line + 1) * words + beside];
            }
            transpose_block(&mut block);
            for (line, bits) in block.iter().take(width - left).enumerate() {
                columns[(left + line + 1) * column_words + below] = *bits;
            }
        }
    }
    columns
}

/// Swaps rows and columns of 64 by 64 bits, halving the blocks it swaps from 32 down to 1.
fn transpose_block(block: &mut [u64; 64]) {
    let (mut half, mut mask) = (32, u64::from(u32::MAX));
    while half > 0 {
        for pair in (0..64).filter(|line| line & half == 0) {
            let swap = (block[pair] >> half ^ block[pair + half]) & mask;
            block[pair] ^= swap << half;
            block[pair + half] ^= swap;
        }
        half /= 2;
        mask ^= mask << half;
    }
}
