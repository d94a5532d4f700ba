//! Waves: when enemies appear, how many, and where.

use crate::arena::Arena;
use crate::config::WaveRules;
use crate::enemies::{Enemy, EnemyId, EnemyRole};
use crate::events::ArenaEvent;
use crate::layout;
use crate::rocks::Rock;
use crate::vec2::Vec2;

/// Tries at a place for one enemy that is far from the ship and not on another enemy or a rock.
const PLACE_TRIES: u32 = 24;
/// Distance from the ship at which enemies appear, metres, if such a place is found.
const SHIP_DISTANCE: f32 = 18.0;

/// Enemies of a wave, counted from 1.
fn enemies_of(rules: &WaveRules, wave: u32) -> u32 {
    rules
        .enemies_first
        .saturating_add(rules.enemies_step.saturating_mul(wave.saturating_sub(1)))
        .min(rules.enemies_max.max(rules.enemies_first))
}

impl Arena {
    /// Notices the end of a wave and starts the next one after the pause. Returns whether a wave started.
    pub(crate) fn run_waves(&mut self, events: &mut Vec<ArenaEvent>) -> bool {
        if self.over || !self.enemies.is_empty() {
            return false;
        }
        if self.wave_pause_ticks == 0 {
            events.push(ArenaEvent::WaveCleared { wave: self.wave });
            self.wave_pause_ticks = self.config.waves.pause_ticks;
            self.earn(self.config.waves.points, events);
            return false;
        }
        self.wave_pause_ticks -= 1;
        if self.wave_pause_ticks > 0 {
            return false;
        }
        self.wave = self.wave.saturating_add(1);
        self.regrow_rocks();
        let count = enemies_of(&self.config.waves, self.wave);
        for number in 1..=count {
            let role = if number % self.config.enemies.gunner_every == 0 {
                EnemyRole::Gunner
            } else {
                EnemyRole::Rammer
            };
            let position = self.enemy_place();
            self.add_enemy(role, position);
        }
        events.push(ArenaEvent::WaveStarted { wave: self.wave, enemies: count });
        true
    }

    fn enemy_place(&mut self) -> Vec2 {
        let apart = self.config.enemies.radius * 2.2;
        let mut place = Vec2::ZERO;
        for _ in 0..PLACE_TRIES {
            place = layout::lane_point(&self.config, &mut self.dice);
            let far = place.distance_squared(self.ship.position) >= SHIP_DISTANCE * SHIP_DISTANCE;
            let free = |enemy: &Enemy| enemy.position.distance_squared(place) >= apart * apart;
            let open = |rock: &Rock| !rock.blocks(place, place, self.config.enemies.radius);
            if far && self.enemies.iter().all(free) && self.rocks.iter().all(open) {
                break;
            }
        }
        place
    }

    pub(crate) fn add_enemy(&mut self, role: EnemyRole, position: Vec2) {
        self.last_enemy += 1;
        let heading = (self.ship.position - position).unit_or(Vec2::FORWARD);
        let first_shot = self.config.enemies.cooldown_ticks;
        let cooldown_ticks = first_shot / 2 + self.dice.below(u32::from(first_shot)) as u16 / 2;
        self.enemies.push(Enemy::new(
            EnemyId(self.last_enemy),
            role,
            &self.config.enemies,
            position,
            heading,
            cooldown_ticks,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_grow_up_to_the_largest() {
        let rules = WaveRules::default();
        assert_eq!([1, 2, 3, 13, 14, u32::MAX].map(|wave| enemies_of(&rules, wave)), [6, 8, 10, 30, 30, 30]);
    }
}
