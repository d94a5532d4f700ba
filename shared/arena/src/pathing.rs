//! Asking for paths and believing the answers, as far as they make sense.

use std::collections::VecDeque;
use std::sync::Arc;

use p2c2r_tasks::Blob;
use p2c2r_tasks::path::{Answer, Cell, Grid, PathOutcome, PathSpec, Query};

use crate::arena::Arena;
use crate::enemies::{Enemy, EnemyId};
use crate::events::ArenaEvent;
use crate::field::Field;
use crate::layout;
use crate::record::{Record, Recorded};
use crate::vec2::{Vec2, segment_distance_squared};
use crate::wanted::{DueOutcome, OutcomeBody, RequestId, WantedSpec, WantedTask};

/// Cells of one answer that are looked at; no honest path on a 256 x 256 grid turns more often.
const ANSWER_CELLS_MAX: usize = 4_096;
/// Waypoints an enemy keeps: more than it can fly before its path is stale.
const WAY_POINTS_MAX: usize = 128;
/// Seconds of the rocks' flight by which the grid is ahead of them: about the middle of the time for which enemies
/// follow what is found on it.
const ROCK_LEAD: f32 = 0.45;
/// Distance below which two paths count as leading to the same place, metres.
const SAME_END: f32 = 10.0;
/// Share of the present path's length below which turning back is worth it.
const MUCH_SHORTER: f32 = 0.75;

/// A request that is under way.
#[derive(Clone, Debug)]
struct Pending {
    request: u32,
    asked_at: u64,
    /// Who asked, in the order of the queries.
    enemies: Vec<EnemyId>,
}

/// The occupancy grid of the last request.
#[derive(Clone, Debug)]
struct Occupancy {
    grid: Grid,
    blob: Arc<Blob>,
}

/// What the arena remembers of its requests for paths.
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
    /// Forgets whom requests under way were for.
    pub(crate) fn begin_round(&mut self) {
        self.pending.clear();
        self.wait_ticks = 0;
    }
}

impl Arena {
    /// Takes the outcomes that are due.
    pub(crate) fn take_outcomes(&mut self, due: &[DueOutcome], events: &mut Vec<ArenaEvent>) {
        let oldest = self.tick.saturating_sub(u64::from(self.config.paths.patience_ticks));
        self.pathing.pending.retain(|pending| pending.asked_at >= oldest);
        for DueOutcome { request, outcome } in due {
            let taken = match outcome {
                OutcomeBody::Path(outcome) => {
                    self.pathing.take_pending(*request).and_then(|pending| self.take_paths(&pending, outcome))
                }
                OutcomeBody::Physics(outcome) => self.windows.take(*request, outcome),
                OutcomeBody::None => {
                    self.pathing.take_pending(*request);
                    None
                }
            };
            events.push(taken.unwrap_or(ArenaEvent::OutcomeIgnored { request: *request }));
        }
    }

    fn take_paths(&mut self, pending: &Pending, outcome: &PathOutcome) -> Option<ArenaEvent> {
        // Requests overtaken by a later one would lead enemies back to where the ship was.
        if pending.request <= self.pathing.last_taken || outcome.answers.len() != pending.enemies.len() {
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
            let Answer::Found { waypoints, .. } = answer else { continue };
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
        self.pathing.wait_ticks = self.config.paths.period_ticks;
        let grid = self.field.occupancy(
            self.rocks.iter().map(|rock| (rock.position + rock.velocity * ROCK_LEAD, rock.radius)),
            layout::clearance(&self.config),
        );
        let before = self.pathing.occupancy.take().filter(|before| before.grid == grid);
        let occupancy = before.unwrap_or_else(|| Occupancy { blob: Blob::new(grid.to_blob()), grid });
        let ahead = self.ship.position + self.ship.velocity * self.config.paths.lead;
        let free = |point: Vec2| self.field.nearest_free(&occupancy.grid, point);
        let (mut queries, mut enemies) = (Vec::new(), Vec::new());
        if let Some(to) = free(ahead).or_else(|| free(self.ship.position)) {
            for enemy in &self.enemies {
                if let Some(from) = free(enemy.position) {
                    queries.push(Query { from, to });
                    enemies.push(enemy.id);
                }
            }
        }
        let grid = Arc::clone(&occupancy.blob);
        self.pathing.occupancy = Some(occupancy);
        if queries.is_empty() {
            return None;
        }
        let RequestId(request) = self.next_request();
        self.pathing.pending.push_back(Pending { request, asked_at: self.tick, enemies });
        Some(WantedTask {
            request: RequestId(request),
            spec: WantedSpec::Path { spec: PathSpec { grid: grid.digest(), queries }, grid },
            deadline_ticks: self.config.paths.deadline_ticks,
        })
    }
}

impl Pathing {
    fn take_pending(&mut self, request: RequestId) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.request == request.0)?;
        self.pending.remove(at)
    }
}

/// The middles of an answer's cells, unless it has none, too many, or one that the grid has not.
fn points_of(field: &Field, cells: &[Cell]) -> Option<Vec<Vec2>> {
    if cells.is_empty() || cells.len() > ANSWER_CELLS_MAX {
        return None;
    }
    cells.iter().map(|cell| field.middle(*cell)).collect()
}

impl Enemy {
    /// Follows `way` from where it is now: the enemy has moved since it asked, so it joins at the nearest
    /// stretch instead of going back to the start.
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

    /// Whether `way` turns back from the present one without being much shorter. Where two ways round a reef
    /// are about equally long, a ship that moves a little would otherwise send the enemy to and fro for ever.
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
        for Pending { request, asked_at, enemies } in pending {
            record.add(request);
            record.add(asked_at);
            record.list(enemies);
        }
    }
}
