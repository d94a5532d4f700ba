//! Where each enemy wants its path to lead: rammers to the ship, gunners to where they will see it from the distance they
//! keep, carriers to where it does not see them, far away.
//!
//! Only goals and enemies that are connected to the ship's place are asked about: whoever is shut in or out by rocks has
//! no path, and the task is not made to look for one.

use p2c2r_tasks::path::{Cell, Grid, Query};

use crate::config::EnemyRules;
use crate::enemies::{Enemy, EnemyRole};
use crate::field::{Field, StepCounts};
use crate::vec2::{Vec2, segment_distance_squared};

/// Places around the ship among which gunners and carriers choose.
const PLACES: u32 = 16;
/// Radius of what must fit between the ship and a place from which it is seen, metres.
const SIGHT_RADIUS: f32 = 0.3;
/// What being seen there is worth to a carrier, metres of way.
const SEEN_COST: f32 = 20.0;

/// A search of the whole grid in squared cells for each that there is, and the share of such a search that every query
/// pays for: what `shared/tasks/src/path/units.rs` has for grids like these.
const WHOLE_PER_CELL: f32 = 8.0;
const DETOUR_SHARE: f32 = 0.04;
/// How much more than is paid for a task may take, below what its fuel allows.
const PAID: f32 = 2.0;
/// Length of a way in cells for each step along rows and columns, of which diagonal ways take more.
const WAY_PER_STEP: f32 = 0.8;

/// A place around the ship.
struct Place {
    cell: Cell,
    at: Vec2,
    /// Whether no rock stands between it and the ship.
    sees: bool,
}

/// The goals of one request.
pub(crate) struct Goals {
    ship: Cell,
    /// From the ship to each cell.
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

    /// Whether an enemy in this cell can get to the ship.
    pub(crate) fn reaches(&self, cell: Cell) -> bool {
        self.steps.to(cell).is_some()
    }

    /// Leaves out of `asked` (queries, and what goes with each) those with the longest detours, as many as it takes for the
    /// task to get by with what its units pay for. Units follow from distances as the crow flies, but a search grows with
    /// the way that it finds: where a ship hides behind a long wall, and all enemies stand on its other side, a task would
    /// end by its fuel and help nobody.
    pub(crate) fn pay_for<T>(&self, asked: &mut Vec<(Query, T)>) {
        let whole = WHOLE_PER_CELL * self.steps.reached() as f32;
        let excess = |query: &Query| {
            let (dx, dy) = (query.from.x.abs_diff(query.to.x), query.from.y.abs_diff(query.to.y));
            let straight = f32::from(dx) * f32::from(dx) + f32::from(dy) * f32::from(dy);
            let steps = |cell: Cell| f32::from(self.steps.to(cell).unwrap_or(0));
            // Between two places neither of which is the ship's this is the least that their ways to it tell.
            let way = (steps(query.from) - steps(query.to)).abs() * WAY_PER_STEP;
            let search = (way * way).max(straight).min(whole);
            search - PAID * (straight + whole * DETOUR_SHARE)
        };
        let mut sum: f32 = asked.iter().map(|(query, _)| excess(query)).sum();
        while sum > 0.0 {
            let worst = asked
                .iter()
                .enumerate()
                .map(|(index, (query, _))| (index, excess(query)))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((index, most)) = worst else { return };
            asked.remove(index);
            sum -= most;
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
