//! Asking for paths and taking the answers as far as they are valid.
//!
//! A request is made for the tick at which its answer is due, [`WantedTask::due_at`]: it starts from where
//! the enemies will be then, ends where each will want to be given the ship's predicted place (see `goals`),
//! and avoids the rocks' predicted places. So an answer that took a second is as good as one that took a
//! frame, except for what the gamer has steered since.

use std::collections::VecDeque;
use std::sync::Arc;

use p2c2r_tasks::Blob;
use p2c2r_tasks::path::{Cell, Grid, PathOutcome, PathSpec, Query, QueryAnswer};

use crate::arena::{Arena, TICK};
use crate::enemies::{Enemy, EnemyId};
use crate::events::ArenaEvent;
use crate::field::Field;
use crate::goals::Goals;
use crate::layout;
use crate::plane::flattened;
use crate::record::{Record, Recorded};
use crate::rocks::Rock;
use crate::vec2::{Vec2, segment_distance_squared};
use crate::wanted::{DueOutcome, OutcomeBody, RequestId, WantedSpec, WantedTask};

/// Cells of one answer that are read; no honest path on a 256 x 256 grid turns more often.
const ANSWER_CELLS_MAX: usize = 4_096;
/// Waypoints an enemy keeps: more than it can pass before its path is stale.
const WAY_POINTS_MAX: usize = 128;
/// Seconds beyond the due tick for which the grid predicts the rocks: a part of the time for which enemies
/// follow the paths.
const ROCK_LEAD: f32 = 0.15;
/// Longest time for which the ship is assumed to fly straight on, seconds: in less than a second it can turn
/// round.
const SHIP_LEAD_MAX: f32 = 0.8;
/// Distance below which two paths count as ending at the same place, metres.
const SAME_END: f32 = 10.0;
/// Turning back is worth it only for a path shorter than this share of the present one.
const MUCH_SHORTER: f32 = 0.75;

/// A pending request.
#[derive(Clone, Debug)]
struct Pending {
    request: u32,
    asked_at: u64,
    /// Last tick at which an answer is taken.
    until: u64,
    /// The enemies, in the order of the queries.
    enemies: Vec<EnemyId>,
    /// How many queries follow those of the enemies and only pay for detours.
    spare: usize,
}

/// The occupancy grid of the last request.
#[derive(Clone, Debug)]
struct Occupancy {
    grid: Grid,
    blob: Arc<Blob>,
}

/// The arena's requests for paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pathing {
    last_taken: u32,
    /// Ticks until the next request.
    wait_ticks: u16,
    pending: VecDeque<Pending>,
    /// Kept so that an equal grid stays the same blob; not part of the digest.
    occupancy: Option<Occupancy>,
}

impl Pathing {
    /// The enemies of the last request.
    #[cfg(test)]
    pub(crate) fn pending_enemies(&self) -> &[EnemyId] {
        self.pending.back().map_or(&[], |pending| &pending.enemies)
    }

    /// Forgets the enemies of pending requests.
    pub(crate) fn begin_round(&mut self) {
        self.pending.clear();
        self.wait_ticks = 0;
    }
}

impl Arena {
    /// Takes the outcomes that are due.
    pub(crate) fn take_outcomes(&mut self, due: &[DueOutcome], events: &mut Vec<ArenaEvent>) {
        self.pathing.pending.retain(|pending| pending.until >= self.tick);
        for DueOutcome { request, outcome } in due {
            let taken = match outcome {
                OutcomeBody::Path(outcome) => {
                    self.pathing.take_pending(*request).and_then(|pending| self.take_paths(&pending, outcome))
                }
                OutcomeBody::Physics(motions) => self.windows.take(*request, motions),
                OutcomeBody::Missed => self.windows.miss(*request),
                OutcomeBody::Tactics(outcome) => self.take_plans(*request, outcome),
                OutcomeBody::None => {
                    self.pathing.take_pending(*request);
                    self.planning.fail(*request);
                    None
                }
            };
            events.push(taken.unwrap_or(ArenaEvent::OutcomeIgnored { request: *request }));
        }
    }

    fn take_paths(&mut self, pending: &Pending, outcome: &PathOutcome) -> Option<ArenaEvent> {
        // The answer to a request older than one already answered would lead enemies back to where the ship was.
        if pending.request <= self.pathing.last_taken
            || outcome.answers.len() != pending.enemies.len() + pending.spare
        {
            return None;
        }
        self.pathing.last_taken = pending.request;
        let age_ticks = self.tick - pending.asked_at;
        let enemies = self.follow(pending, outcome);
        let request = RequestId(pending.request);
        Some(ArenaEvent::PathsTaken { request, enemies, age_ticks: age_ticks as u32 })
    }

    /// Puts the enemies that asked and still live on their paths. Returns how many.
    fn follow(&mut self, pending: &Pending, outcome: &PathOutcome) -> u32 {
        let fresh_ticks = self.config.paths.fresh_ticks;
        let mut followers = 0;
        for (id, answer) in pending.enemies.iter().zip(&outcome.answers) {
            let Ok(index) = self.enemies.binary_search_by_key(id, |enemy| enemy.id) else { continue };
            let QueryAnswer::Found { waypoints, .. } = answer else { continue };
            if let Some(way) = points_of(&self.field, waypoints) {
                self.enemies[index].take_way(&way, fresh_ticks);
                followers += 1;
            }
        }
        followers
    }

    /// Asks for paths if it is time, and at once if `now`.
    pub(crate) fn want_paths(&mut self, now: bool) -> Option<WantedTask> {
        self.pathing.wait_ticks = self.pathing.wait_ticks.saturating_sub(1);
        if self.over || self.enemies.is_empty() || (self.pathing.wait_ticks > 0 && !now) {
            return None;
        }
        let rules = &self.config.paths;
        let ahead_ticks = rules.deadline_ticks.max(self.horizon.paths);
        let seconds = f32::from(ahead_ticks) * TICK;
        self.pathing.wait_ticks = rules.period_ticks;
        let rocks: Vec<(Vec2, f32)> = self
            .rocks
            .iter()
            .filter(|rock| !rock.is_fragment())
            .map(|rock| (self.rock_in_future(rock, seconds + ROCK_LEAD), rock.radius))
            .collect();
        let grid = self.field.occupancy(rocks.iter().copied(), layout::clearance(&self.config));
        let before = self.pathing.occupancy.take().filter(|before| before.grid == grid);
        let occupancy = before.unwrap_or_else(|| Occupancy { blob: Blob::new(grid.to_blob()), grid });
        let lead = (rules.lead + f32::from(ahead_ticks - rules.deadline_ticks) * TICK)
            .min(SHIP_LEAD_MAX.max(rules.lead));
        let patience = rules.patience_ticks + (ahead_ticks - rules.deadline_ticks);
        let until = self.tick + u64::from(patience);
        let ahead = self.ship.position + self.ship.velocity * lead;
        let haste = self.haste();
        let free = |point: Vec2| self.field.nearest_free(&occupancy.grid, point);
        let mut asked = Vec::new();
        let mut spare = Vec::new();
        if let Some(ship) = free(ahead).or_else(|| free(self.ship.position)) {
            let rules = &self.config.enemies;
            let goals = Goals::new(&self.field, &occupancy.grid, rules, &rocks, ahead, ship);
            for enemy in &self.enemies {
                let start = enemy.in_future(rules, haste, seconds);
                let from = free(start).or_else(|| free(enemy.position)).filter(|from| goals.reaches(*from));
                if let Some(from) = from {
                    asked.push((Query { from, to: goals.of(enemy, start) }, enemy.id));
                }
            }
            let needed = goals.pay_for(&occupancy.grid, &mut asked);
            spare = vec![Query { from: ship, to: ship }; needed];
        }
        let grid = Arc::clone(&occupancy.blob);
        self.pathing.occupancy = Some(occupancy);
        if asked.is_empty() {
            return None;
        }
        let (mut queries, enemies): (Vec<Query>, _) = asked.into_iter().unzip();
        let RequestId(request) = self.next_request();
        let pending = Pending { request, asked_at: self.tick, until, enemies, spare: spare.len() };
        self.pathing.pending.push_back(pending);
        queries.append(&mut spare);
        Some(WantedTask {
            request: RequestId(request),
            spec: WantedSpec::Path { spec: PathSpec { grid: grid.digest(), queries }, grid },
            deadline_ticks: ahead_ticks,
            due_at: self.tick + u64::from(ahead_ticks),
        })
    }

    /// Where the rock will be in `seconds` if nothing happens to it: along its trajectory as far as that is
    /// known, and straight on after it.
    fn rock_in_future(&self, rock: &Rock, seconds: f32) -> Vec2 {
        let at = self.tick + u64::from((seconds / TICK) as u16);
        let Some(known_until) = self.windows.known_until().filter(|_| rock.is_carried()) else {
            return self.loose_motion(rock, at).map_or(rock.position, |motion| flattened(motion.position));
        };
        let Some(motion) = self.carried_motion(rock, at.min(known_until)) else { return rock.position };
        let beyond = at.saturating_sub(known_until) as f32 * TICK;
        let limit = self.field.half - rock.radius;
        let place = flattened(motion.position) + flattened(motion.velocity) * beyond;
        Vec2::new(place.x.clamp(-limit, limit), place.y.clamp(-limit, limit))
    }
}

impl Pathing {
    fn take_pending(&mut self, request: RequestId) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.request == request.0)?;
        self.pending.remove(at)
    }
}

/// The centres of an answer's cells; `None` if it has none, too many, or one outside the grid.
fn points_of(field: &Field, cells: &[Cell]) -> Option<Vec<Vec2>> {
    if cells.is_empty() || cells.len() > ANSWER_CELLS_MAX {
        return None;
    }
    cells.iter().map(|cell| field.middle(*cell)).collect()
}

impl Enemy {
    /// Follows `way` from the enemy's present place: it has moved since the request, so it joins at the
    /// nearest segment instead of going back to the start.
    fn take_way(&mut self, way: &[Vec2], fresh_ticks: u16) {
        let mut nearest: Option<(f32, usize)> = None;
        for (index, stretch) in way.windows(2).enumerate() {
            let away = segment_distance_squared(stretch[0], stretch[1], self.position);
            if nearest.is_none_or(|(least, _)| away <= least) {
                nearest = Some((away, index + 1));
            }
        }
        let next = nearest.map_or(0, |(_, index)| index);
        self.fresh_ticks = fresh_ticks;
        if !self.would_dither(&way[next..]) {
            self.way = way[next..].iter().take(WAY_POINTS_MAX).copied().collect();
        }
    }

    /// Whether `way` turns back from the present one without being much shorter. Otherwise, with two paths of
    /// similar length round a reef, a ship that moves a little would send the enemy to and fro forever.
    fn would_dither(&self, way: &[Vec2]) -> bool {
        let (Some(old), Some(new)) = (self.way.first(), way.first()) else { return false };
        let (Some(old_end), Some(new_end)) = (self.way.last(), way.last()) else { return false };
        let back = (*old - self.position).dot(*new - self.position) < 0.0;
        let same_end = old_end.distance(*new_end) < SAME_END;
        let rest = |way: &[Vec2]| {
            let legs: f32 = way.windows(2).map(|leg| leg[0].distance(leg[1])).sum();
            way.first().map_or(0.0, |first| first.distance(self.position)) + legs
        };
        back && same_end && rest(way) > MUCH_SHORTER * (rest(&self.way) + old_end.distance(*new_end))
    }
}

impl Recorded for Pathing {
    fn record(&self, record: &mut Record) {
        let Self { last_taken, wait_ticks, pending, occupancy: _ } = self;
        record.add(last_taken);
        record.add(wait_ticks);
        record.add(&(pending.len() as u64));
        for Pending { request, asked_at, until, enemies, spare } in pending {
            record.add(request);
            record.add(&(*spare as u64));
            record.each([asked_at, until]);
            record.list(enemies);
        }
    }
}
