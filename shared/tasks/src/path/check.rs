//! Judges an answer from a stranger: the always-on check and the sampled deep check.

use super::bitboard::Diagonal;
use super::cost::Cost;
use super::kernel::PreparedGrid;
use super::outcome::{PathOutcome, QueryAnswer, straight_or_diagonal};
use super::spec::{Cell, PathSpec, Query};
use crate::fuel::Fuel;
use crate::kind::CheckError;
use crate::picking;

/// The always-on check of every answer: walks every path, a word of the grid at a time.
pub(super) fn check(
    prepared: &PreparedGrid,
    spec: &PathSpec,
    outcome: &PathOutcome,
) -> Result<(), CheckError> {
    if outcome.answers.len() != spec.queries.len() {
        return Err(CheckError::new(
            "path.answer_count",
            format!("{} answers to {} queries", outcome.answers.len(), spec.queries.len()),
        ));
    }
    for (number, (query, answer)) in spec.queries.iter().zip(&outcome.answers).enumerate() {
        check_answer(prepared, *query, answer)
            .map_err(|(check, what)| CheckError::new(check, format!("query {number}: {what}")))?;
    }
    Ok(())
}

fn check_answer(
    prepared: &PreparedGrid,
    query: Query,
    answer: &QueryAnswer,
) -> Result<(), (&'static str, String)> {
    let QueryAnswer::Found { cost, waypoints } = answer else {
        if prepared.joined(query) {
            return Err(("path.unreachable", "a path exists".into()));
        }
        return Ok(());
    };
    if waypoints.first() != Some(&query.from) || waypoints.last() != Some(&query.to) {
        return Err(("path.ends", "the path does not join the cells asked for".into()));
    }
    let bound =
        Cost::octile(query.from.x.abs_diff(query.to.x).into(), query.from.y.abs_diff(query.to.y).into());
    if *cost < bound {
        return Err(("path.cost_bound", format!("{cost:?} is below the bound {bound:?}")));
    }
    if !prepared.planes.is_free(query.from) {
        return Err(("path.step_legal", "the start is blocked".into()));
    }
    let (mut sum, mut heading) = (Cost::ZERO, None);
    for (leg, pair) in waypoints.windows(2).enumerate() {
        if pair[0] == pair[1] {
            return Err(("path.canonical", format!("leg {leg} has no length")));
        }
        let Some((direction, steps)) = legal_leg(prepared, pair[0], pair[1]) else {
            return Err(("path.step_legal", format!("leg {leg} from {:?} to {:?}", pair[0], pair[1])));
        };
        if heading == Some(direction) {
            return Err(("path.canonical", format!("leg {leg} goes on in the direction before it")));
        }
        heading = Some(direction);
        sum = sum + Cost::octile(steps * direction.0.unsigned_abs(), steps * direction.1.unsigned_abs());
    }
    if sum != *cost {
        return Err(("path.cost_sum", format!("{cost:?} is claimed, the legs add up to {sum:?}")));
    }
    Ok(())
}

/// Direction and steps of a leg, if the grid allows it. `from` is inside the grid.
fn legal_leg(prepared: &PreparedGrid, from: Cell, to: Cell) -> Option<((i32, i32), u32)> {
    let planes = &prepared.planes;
    if !planes.contains(to) {
        return None;
    }
    let (direction, steps) = straight_or_diagonal(from, to)?;
    let ((mut x, mut y), to) = ((usize::from(from.x), usize::from(from.y)), (to.x.into(), to.y.into()));
    let legal = match direction {
        (_, 0) => planes.rows.all_free(y + 1, x.min(to.0), x.max(to.0)),
        (0, _) => planes.columns.all_free(x + 1, y.min(to.1), y.max(to.1)),
        (right, down) => (0..steps).all(|_| {
            let legal = planes.diagonal(x, y, Diagonal { right: right > 0, down: down > 0 }).0;
            if legal {
                x = x.wrapping_add_signed(right as isize);
                y = y.wrapping_add_signed(down as isize);
            }
            legal
        }),
    };
    legal.then_some((direction, steps))
}

/// Solves the query that `seed` picks again, so a path that is not shortest is caught with a chance of one in
/// the number of queries. `fuel` is the whole task's: an honest answer took less.
pub(super) fn deep_check(
    prepared: &PreparedGrid,
    spec: &PathSpec,
    outcome: &PathOutcome,
    seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<(), CheckError> {
    let number = picking::one_of(spec.queries.len(), seed);
    let (Some(query), Some(answer)) = (spec.queries.get(number), outcome.answers.get(number)) else {
        return Err(CheckError::new("path.answer_count", "no answer to the query picked"));
    };
    let cost = |answer: &QueryAnswer| match answer {
        QueryAnswer::Unreachable => None,
        QueryAnswer::Found { cost, .. } => Some(*cost),
    };
    let solved = prepared.solve(*query, fuel);
    let solved =
        solved.map_err(|error| CheckError::new("path.optimal", format!("query {number}: {error}")))?;
    let (claimed, right) = (cost(answer), cost(&solved));
    if claimed != right {
        let what = format!("query {number}: {claimed:?} is claimed, {right:?} is the least");
        return Err(CheckError::new("path.optimal", what));
    }
    Ok(())
}
