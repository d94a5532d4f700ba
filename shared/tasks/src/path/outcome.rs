//! The outcome of the kind `path`: one answer per query, with its compact encoding.
//!
//! A path is its start and then a byte or two per leg. A hundred cells of way with six turns take some twelve
//! bytes.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::QUERIES_MAX;
use super::cost::Cost;
use super::spec::Cell;
use super::varint;

/// The answer to one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryAnswer {
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
///
/// On the wire, all numbers LEB128: how many answers; for each 0 if unreachable, else one more than the
/// number of waypoints, the cost's two counts, the first cell, and per leg `1 + direction + 8 (steps - 1)`,
/// or 0 and a cell where a leg has no such form (which no check accepts, but a value of this type may hold).
/// Every value has exactly one encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathOutcome {
    /// One per query.
    pub answers: Vec<QueryAnswer>,
}

impl PathOutcome {
    /// Most bytes that the encoding of a kernel's outcome takes: a leg of up to 1,024 steps has two bytes,
    /// everything else is a fixed count of numbers.
    pub(super) fn encoded_bytes_max(&self) -> usize {
        let waypoints = |answer: &QueryAnswer| match answer {
            QueryAnswer::Unreachable => 0,
            QueryAnswer::Found { waypoints, .. } => waypoints.len(),
        };
        5 + self.answers.iter().map(|answer| 21 + 2 * waypoints(answer)).sum::<usize>()
    }
}

/// Steps of the eight directions, in the order of their numbers on the wire.
const DIRECTIONS: [(i32, i32); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];

/// Direction number and steps of a straight or diagonal leg of at least one step.
fn leg(from: Cell, to: Cell) -> Option<(u32, u32)> {
    let (dx, dy) = (i32::from(to.x) - i32::from(from.x), i32::from(to.y) - i32::from(from.y));
    if dx != 0 && dy != 0 && dx.abs() != dy.abs() {
        return None;
    }
    let direction = DIRECTIONS.iter().position(|step| *step == (dx.signum(), dy.signum()))?;
    Some((direction as u32, dx.unsigned_abs().max(dy.unsigned_abs())))
}

fn push_cell(bytes: &mut Vec<u8>, cell: Cell) {
    varint::push(bytes, cell.x.into());
    varint::push(bytes, cell.y.into());
}

impl Encode for PathOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(16 * self.answers.len() + 8);
        varint::push(&mut bytes, self.answers.len() as u32);
        for answer in &self.answers {
            let QueryAnswer::Found { cost, waypoints } = answer else {
                bytes.push(0);
                continue;
            };
            varint::push(&mut bytes, waypoints.len() as u32 + 1);
            varint::push(&mut bytes, cost.straight);
            varint::push(&mut bytes, cost.diagonal);
            if let Some(first) = waypoints.first() {
                push_cell(&mut bytes, *first);
            }
            for pair in waypoints.windows(2) {
                if let Some((direction, steps)) = leg(pair[0], pair[1]) {
                    varint::push(&mut bytes, 1 + direction + 8 * (steps - 1));
                } else {
                    bytes.push(0);
                    push_cell(&mut bytes, pair[1]);
                }
            }
        }
        encoder.writer().write(&bytes)
    }
}

impl<Context> Decode<Context> for PathOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = number(decoder)? as usize;
        if count > QUERIES_MAX {
            return Err(DecodeError::Other("more answers than a spec may have queries"));
        }
        // A claimed count reserves nothing: vectors grow with the bytes that are really there.
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(match number(decoder)? {
                0 => QueryAnswer::Unreachable,
                more => {
                    let cost = Cost { straight: number(decoder)?, diagonal: number(decoder)? };
                    QueryAnswer::Found { cost, waypoints: waypoints(decoder, more - 1)? }
                }
            });
        }
        Ok(Self { answers })
    }
}

bincode::impl_borrow_decode!(PathOutcome);

fn number<D: Decoder>(decoder: &mut D) -> Result<u32, DecodeError> {
    let next = || {
        decoder.claim_bytes_read(1)?;
        let mut byte = [0];
        decoder.reader().read(&mut byte)?;
        Ok(byte[0])
    };
    varint::read(next, || DecodeError::Other("a number out of range or not in its shortest form"))
}

fn coordinate<D: Decoder>(decoder: &mut D) -> Result<u16, DecodeError> {
    u16::try_from(number(decoder)?).map_err(|_| DecodeError::Other("a coordinate above 65,535"))
}

fn cell<D: Decoder>(decoder: &mut D) -> Result<Cell, DecodeError> {
    Ok(Cell { x: coordinate(decoder)?, y: coordinate(decoder)? })
}

fn waypoints<D: Decoder>(decoder: &mut D, count: u32) -> Result<Vec<Cell>, DecodeError> {
    let mut waypoints = Vec::new();
    if count == 0 {
        return Ok(waypoints);
    }
    let mut at = cell(decoder)?;
    waypoints.push(at);
    for _ in 1..count {
        at = match number(decoder)? {
            0 => {
                let next = cell(decoder)?;
                if leg(at, next).is_some() {
                    return Err(DecodeError::Other("a leg that has a shorter form"));
                }
                next
            }
            code => {
                let (dx, dy) = DIRECTIONS[(code - 1) as usize % 8];
                let steps = i64::from((code - 1) / 8 + 1);
                let moved = |from: u16, by: i32| {
                    u16::try_from(i64::from(from) + i64::from(by) * steps)
                        .map_err(|_| DecodeError::Other("a leg that leaves every grid"))
                };
                Cell { x: moved(at.x, dx)?, y: moved(at.y, dy)? }
            }
        };
        waypoints.push(at);
    }
    Ok(waypoints)
}

/// A leg's direction as steps of -1, 0 or 1 and its length, if it is a straight or diagonal line.
pub(super) fn straight_or_diagonal(from: Cell, to: Cell) -> Option<((i32, i32), u32)> {
    leg(from, to).map(|(direction, steps)| (DIRECTIONS[direction as usize], steps))
}
