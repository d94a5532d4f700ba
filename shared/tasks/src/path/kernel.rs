//! Shortest paths on a grid.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::cost::Cost;
use super::grid::Grid;
use super::outcome::Answer;
use super::spec::{Cell, Query};

/// Solves one query.
pub(super) fn solve(grid: &Grid, query: Query) -> Answer {
    if grid.is_blocked(query.from) || grid.is_blocked(query.to) {
        return Answer::Unreachable;
    }
    let mut best = BTreeMap::from([(query.from, (Cost::ZERO, query.from))]);
    let mut open = BinaryHeap::from([Reverse((Cost::ZERO, query.from))]);
    while let Some(Reverse((cost, cell))) = open.pop() {
        if cell == query.to {
            return Answer::Found { cost, waypoints: trace(&best, query) };
        }
        if best[&cell].0 < cost {
            continue;
        }
        for (dx, dy) in [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)] {
            let at = |dx, dy| Cell { x: cell.x.wrapping_add_signed(dx), y: cell.y.wrapping_add_signed(dy) };
            let next = at(dx, dy);
            if [next, at(dx, 0), at(0, dy)].into_iter().any(|cell| grid.is_blocked(cell)) {
                continue;
            }
            let step = Cost::octile(dx.unsigned_abs().into(), dy.unsigned_abs().into());
            let next_cost = cost + step;
            if best.get(&next).is_none_or(|(known, _)| next_cost < *known) {
                best.insert(next, (next_cost, cell));
                open.push(Reverse((next_cost, next)));
            }
        }
    }
    Answer::Unreachable
}

fn trace(best: &BTreeMap<Cell, (Cost, Cell)>, query: Query) -> Vec<Cell> {
    let mut waypoints = vec![query.to];
    let (mut cell, mut direction) = (query.to, None);
    while cell != query.from {
        let before = best[&cell].1;
        let step = (before.x.wrapping_sub(cell.x), before.y.wrapping_sub(cell.y));
        if direction.is_some_and(|last| last != step) {
            waypoints.push(cell);
        }
        direction = Some(step);
        cell = before;
    }
    if query.from != query.to {
        waypoints.push(query.from);
    }
    waypoints.reverse();
    waypoints
}
