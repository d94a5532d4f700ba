//! Where each enemy wants its path to lead: rammers to the ship, gunners to where they will see it from the distance they
//! keep, carriers to where it does not see them, far away.
//!
//! Only goals and enemies that are connected to the ship's place are asked about: whoever is shut in or out by rocks has
//! no path, and the task is not made to look for one.

use p2c2r_tasks::path::{Cell, Grid};

use crate::config::EnemyRules;
use crate::enemies::{Enemy, EnemyRole};
use crate::field::Field;
use crate::vec2::{Vec2, segment_distance_squared};

/// Places around the ship among which gunners and carriers choose.
const PLACES: u32 = 16;
/// Radius of what must fit between the ship and a place from which it is seen, metres.
const SIGHT_RADIUS: f32 = 0.3;
/// What being seen there is worth to a carrier, metres of way.
const SEEN_COST: f32 = 20.0;

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
    /// Cells that are connected to the ship's are free here.
    reach: Grid,
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
        let reach = field.reach(grid, ship);
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
                if !reach.is_blocked(cell) {
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
        Self { ship, firing, hiding: around(rules.carrier_distance), reach }
    }

    /// Whether an enemy in this cell can get to the ship.
    pub(crate) fn reaches(&self, cell: Cell) -> bool {
        !self.reach.is_blocked(cell)
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
