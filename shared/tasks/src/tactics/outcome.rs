//! The outcome of the kind `tactics`: the score of every plan that was tried.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::plan::{self, Plan};
use super::{CANDIDATES_MAX, PLANNERS_MAX, count_width};
use crate::physics::bits::{BitReader, BitWriter, unzigzag, zigzag};

/// Scores of all candidates of all planners, in their order: sums over the futures. The plan to fly is the
/// first with the best score; it is not sent, so nobody can claim another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TacticsOutcome {
    /// For each planner the score of each candidate. A point of hull of worth 1, lost when the plan begins, counts
    /// [`SCORE_STEPS`](super::SCORE_STEPS).
    pub scores: Vec<Vec<i32>>,
}

impl TacticsOutcome {
    /// Number and legs of the plan for planner `planner`, from the spec's seed and the plan that it flies
    /// [already](super::TacticsSpec::present); `None` if there is no such planner, or no score.
    pub fn plan(&self, seed: u32, planner: usize, present: Plan) -> Option<(usize, Plan)> {
        let scores = self.scores.get(planner).filter(|scores| !scores.is_empty())?;
        let best = plan::best(scores);
        Some((best, plan::candidate(seed, planner, present, best, scores)))
    }
}

impl Encode for TacticsOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let mut bits = BitWriter::default();
        let planners = &self.scores[..self.scores.len().min(PLANNERS_MAX + 1)];
        bits.put(planners.len() as u32, count_width(PLANNERS_MAX + 1));
        for scores in planners {
            let scores = &scores[..scores.len().min(CANDIDATES_MAX + 1)];
            bits.put(scores.len() as u32, count_width(CANDIDATES_MAX + 1));
            // A planner's scores are close together: the first is sent, and the others as differences from
            // it.
            let first = scores.first().copied().unwrap_or_default();
            bits.put(zigzag(first), 32);
            bits.column(scores.iter().skip(1).map(|score| zigzag(score.wrapping_sub(first))));
        }
        encoder.writer().write(&bits.finish())
    }
}

impl<Context> Decode<Context> for TacticsOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(decoder);
        let planners = bits.take(count_width(PLANNERS_MAX + 1))? as usize;
        if planners > PLANNERS_MAX {
            return Err(DecodeError::Other("too many planners"));
        }
        let mut scores = Vec::new();
        for _ in 0..planners {
            let count = bits.take(count_width(CANDIDATES_MAX + 1))? as usize;
            if count > CANDIDATES_MAX {
                return Err(DecodeError::Other("too many candidates"));
            }
            let first = unzigzag(bits.take(32)?);
            if count == 0 {
                if first != 0 {
                    return Err(DecodeError::Other("a score of no candidate"));
                }
                scores.push(Vec::new());
                continue;
            }
            let others = bits.column(count - 1, u32::MAX)?;
            let others = others.into_iter().map(|off| first.wrapping_add(unzigzag(off)));
            scores.push(std::iter::once(first).chain(others).collect());
        }
        bits.finish()?;
        Ok(Self { scores })
    }
}

bincode::impl_borrow_decode!(TacticsOutcome);
