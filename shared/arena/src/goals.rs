//! Where each enemy's path should lead: rammers to the ship, gunners to a place that sees it from the
//! distance they keep, carriers to a far place that does not see it.
//!
//! Only goals and enemies that are connected to the ship's place become queries: an enemy enclosed by rocks
//! has no path, and the task does not search for one.

use p2c2r_tasks::path::{Cell, Grid, QUERIES_MAX, Query, Reckoning};

use crate::config::EnemyRules;
use crate::enemies::{Enemy, EnemyRole};
use crate::field::{Field, StepCounts};
use crate::vec2::{Vec2, segment_distance_squared};

/// Places around the ship among which gunners and carriers choose.
const PLACES: u32 = 16;
/// Radius of what must fit between the ship and a place from which it is seen, metres.
const SIGHT_RADIUS: f32 = 0.3;
/// Cost of being seen for a carrier, metres of path.
const SEEN_COST: f32 = 20.0;

/// A place around the ship.
struct Place {
    cell: Cell,
    at: Vec2,
    /// Whether the place sees the ship: no rock stands between.
    sees: bool,
}

/// The goals of one request.
pub(crate) struct Goals {
    ship: Cell,
    /// Steps from the ship to each cell.
    steps: StepCounts,
    firing: Vec<Place>,
    hiding: Vec<Place>,
}

impl Goals {
    /// Goals around a ship at `ahead`, whose nearest free cell is `ship`, among `rocks` (centre and radius) with the free
    /// cells `grid`.
    pub(crate) fn new(
        field: &Field,
        grid: &Grid,
        rules: &EnemyRules,
        rocks: &[(Vec2, f32)],
        ahead: Vec2,
        ship: Cell,
    ) -> Self {
        let steps = field.steps(grid, ship);
        let around = |distance: f32| {
            let turn = Vec2::small_turn(std::f32::consts::TAU / PLACES as f32);
            let mut direction = Vec2::FORWARD;
            let mut places = Vec::new();
            for _ in 0..PLACES {
                direction = direction.turned(turn).unit_or(Vec2::FORWARD);
                let at = ahead + direction * distance;
                if at.x.abs() >= field.half || at.y.abs() >= field.half {
                    continue;
                }
                let cell = field.cell_at(at);
                if steps.to(cell).is_some() {
                    let blocks = |(centre, radius): &(Vec2, f32)| {
                        let reach = radius + SIGHT_RADIUS;
                        segment_distance_squared(ahead, at, *centre) < reach * reach
                    };
                    places.push(Place { cell, at, sees: !rocks.iter().any(blocks) });
                }
            }
            places
        };
        let mut firing = around(rules.standoff);
        firing.retain(|place| place.sees);
        Self { ship, firing, hiding: around(rules.carrier_distance), steps }
    }

    /// Whether an enemy in this cell can reach the ship.
    pub(crate) fn reaches(&self, cell: Cell) -> bool {
        self.steps.to(cell).is_some()
    }

    /// How many queries from a cell to itself a task with the queries `asked` needs, so that its fuel
    /// suffices. Units follow from straight-line distances, but a search grows with the path that it finds:
    /// if the ship is behind a long wall and all enemies are on its other side, the task would run out of
    /// fuel and help nobody. Removes the queries with the longest detours from `asked` if the task has no
    /// room for enough.
    pub(crate) fn pay_for<T>(&self, grid: &Grid, asked: &mut Vec<(Query, T)>) -> usize {
        let reckoning = Reckoning::of(grid);
        let steps = |cell: Cell| u32::from(self.steps.to(cell).unwrap_or(0));
        let search = |(query, _): &(Query, T)| {
            // A path between any two places can lead past the ship, so the shortest is no longer than that.
            let most = reckoning.search_steps_max(*query, steps(query.from) + steps(query.to));
            (most, reckoning.paid_steps(*query))
        };
        let mut searches: Vec<(u64, u64)> = asked.iter().map(search).collect();
        loop {
            let room = QUERIES_MAX.saturating_sub(asked.len());
            let most: u64 = searches.iter().map(|(most, _)| most).sum();
            let paid = searches.iter().map(|(_, paid)| paid).sum::<u64>() + reckoning.reserve_steps();
            let relief = reckoning.relief_steps();
            let needed = most.saturating_sub(paid).div_ceil(relief) as usize;
            // When there are so many queries that none can be added, few searches take the possible maximum.
            if needed <= room || most / 2 <= paid + relief * room as u64 {
                return needed.min(room);
            }
            let worst =
                searches.iter().enumerate().max_by_key(|(_, (most, paid))| most.saturating_sub(*paid));
            let Some((worst, _)) = worst else { return 0 };
            asked.remove(worst);
            searches.remove(worst);
        }
    }

    /// Where an enemy that will be at `from` wants to go.
    pub(crate) fn of(&self, enemy: &Enemy, from: Vec2) -> Cell {
        let nearest = |places: &[Place], cost: fn(&Place) -> f32| {
            let far = |place: &Place| place.at.distance(from) + cost(place);
            places.iter().min_by(|a, b| far(a).total_cmp(&far(b))).map(|place| place.cell)
        };
        let found = match enemy.role {
            EnemyRole::Rammer | EnemyRole::Boss => None,
            EnemyRole::Gunner => nearest(&self.firing, |_| 0.0),
            EnemyRole::Carrier => nearest(&self.hiding, |place| if place.sees { SEEN_COST } else { 0.0 }),
        };
        found.unwrap_or(self.ship)
    }
}
