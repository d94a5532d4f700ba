//! Waves: when enemies appear, which, how many, and where.

use crate::arena::Arena;
use crate::balance::BALANCE;
use crate::config::{ArenaConfig, WaveRules};
use crate::enemies::{Enemy, EnemyId, EnemyRole};
use crate::events::ArenaEvent;
use crate::layout;
use crate::plans::{Stress, WavePlan};
use crate::rocks::Rock;
use crate::vec2::Vec2;

/// Tries at finding a place for an enemy that is far from the ship and not on another enemy or a rock.
const PLACE_TRIES: u32 = 24;
/// Distance from the ship at which enemies appear, metres, if such a place is found.
const SHIP_DISTANCE: f32 = 18.0;

/// Enemies of a wave after the designed ones, counted from 1, without bosses and carriers.
fn enemies_of(rules: &WaveRules, wave: u32) -> u32 {
    rules
        .enemies_first
        .saturating_add(rules.enemies_step.saturating_mul(wave.saturating_sub(1)))
        .min(rules.enemies_max.max(rules.enemies_first))
}

/// In endless waves one enemy in this many is a carrier; the first comes in the first wave of that size.
const CARRIER_EVERY: u32 = 16;

/// The roles in a wave, counted from 1, in order.
fn roles_of(config: &ArenaConfig, wave: u32) -> Vec<EnemyRole> {
    let rules = &config.waves;
    if let Some(plan) = plan_of(rules, wave) {
        let scaled = |count: u32| if count == 0 { 0 } else { ((count as f32 * rules.scale) as u32).max(1) };
        let groups = [
            (EnemyRole::Boss, plan.bosses),
            (EnemyRole::Carrier, plan.carriers),
            (EnemyRole::Gunner, scaled(plan.gunners)),
            (EnemyRole::Rammer, scaled(plan.rammers)),
        ];
        return groups.into_iter().flat_map(|(role, count)| (0..count).map(move |_| role)).collect();
    }
    let is_boss_wave = rules.boss_every > 0 && wave.is_multiple_of(rules.boss_every);
    let bosses = if is_boss_wave { (wave / 10).clamp(1, BOSSES_MAX) } else { 0 };
    let role = |number: u32| match number {
        number if rules.boss_every > 0 && number.is_multiple_of(CARRIER_EVERY) => EnemyRole::Carrier,
        number if number.is_multiple_of(config.enemies.gunner_every) => EnemyRole::Gunner,
        _ => EnemyRole::Rammer,
    };
    let others = (1..=enemies_of(rules, wave)).map(role);
    (0..bosses).map(|_| EnemyRole::Boss).chain(others).collect()
}

/// Most bosses of one wave: a ship could not fly around more of them.
const BOSSES_MAX: u32 = 4;

fn plan_of(rules: &WaveRules, wave: u32) -> Option<&'static WavePlan> {
    if wave > rules.designed { None } else { BALANCE.waves.get(wave.checked_sub(1)? as usize) }
}

impl Arena {
    /// The design of the present wave, if it has one.
    pub fn wave_plan(&self) -> Option<&'static WavePlan> {
        plan_of(&self.config.waves, self.wave)
    }

    /// The kind of work that the present wave stresses: by its design, or in an endless wave light if a boss
    /// mirrors, motions if wells stir the rocks, and paths otherwise. `None` before the first wave.
    pub fn wave_stress(&self) -> Option<Stress> {
        let rules = &self.config.waves;
        if self.wave == 0 {
            return None;
        }
        Some(match self.wave_plan() {
            Some(plan) => plan.stresses,
            None if rules.boss_every > 0 && self.wave.is_multiple_of(rules.boss_every) => Stress::Light,
            None if !self.wells().is_empty() => Stress::Physics,
            None => Stress::Paths,
        })
    }

    /// Detects the end of a wave and starts the next one after the pause. Returns whether a wave started.
    pub(crate) fn run_waves(&mut self, events: &mut Vec<ArenaEvent>) -> bool {
        if self.over || !self.enemies.is_empty() {
            return false;
        }
        if self.wave_pause_ticks == 0 {
            events.push(ArenaEvent::WaveCleared { wave: self.wave });
            self.wave_pause_ticks = self.config.waves.pause_ticks;
            self.earn(self.config.waves.points, events);
            self.begin_warp(events);
            return false;
        }
        self.wave_pause_ticks -= 1;
        self.go_on_warping(events);
        if self.wave_pause_ticks > 0 {
            return false;
        }
        self.wave = self.wave.saturating_add(1);
        self.regrow_rocks();
        let roles = roles_of(&self.config, self.wave);
        let count = roles.len() as u32;
        for role in roles {
            let position = self.enemy_place();
            self.add_enemy(role, position);
        }
        events.push(ArenaEvent::WaveStarted { wave: self.wave, enemies: count });
        true
    }

    fn enemy_place(&mut self) -> Vec2 {
        let apart = self.config.enemies.radius.max(self.config.enemies.boss_radius) * 1.4;
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

    pub(crate) fn add_enemy(&mut self, role: EnemyRole, position: Vec2) -> &mut Enemy {
        self.last_enemy += 1;
        let heading = (self.ship.position - position).unit_or(Vec2::FORWARD);
        let first_shot = role.cooldown(&self.config.enemies);
        let cooldown_ticks = first_shot / 2 + self.dice.below(u32::from(first_shot)) as u16 / 2;
        self.enemies.push(Enemy::new(
            EnemyId(self.last_enemy),
            role,
            &self.config.enemies,
            position,
            heading,
            cooldown_ticks,
        ));
        let last = self.enemies.len() - 1;
        &mut self.enemies[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Difficulty;

    #[test]
    fn waves_grow_up_to_the_largest() {
        let rules = WaveRules::default();
        assert_eq!([1, 2, 3, 13, 14, u32::MAX].map(|wave| enemies_of(&rules, wave)), [6, 8, 10, 30, 30, 30]);
    }

    #[test]
    fn every_wave_names_what_it_stresses() {
        let mut arena = Arena::new(ArenaConfig::default());
        assert_eq!(arena.wave_stress(), None);
        for (wave, stress) in
            [(4, Stress::Physics), (9, Stress::Paths), (11, Stress::Paths), (15, Stress::Light)]
        {
            arena.wave = wave;
            assert_eq!(arena.wave_stress(), Some(stress), "wave {wave}");
        }
        arena.wave = 12;
        arena.enter_sector(2);
        assert_eq!(arena.wave_stress(), Some(Stress::Physics), "wells stir the rocks");
    }

    #[test]
    fn every_fifth_wave_has_a_boss_and_every_designed_one_a_lesson_of_its_own() {
        for config in Difficulty::ALL.map(ArenaConfig::of) {
            for wave in 1..=40 {
                let roles = roles_of(&config, wave);
                let bosses = roles.iter().filter(|role| **role == EnemyRole::Boss).count();
                assert_eq!(bosses > 0, wave % 5 == 0, "wave {wave}: {roles:?}");
                assert!(roles.len() > bosses, "wave {wave}: {roles:?}");
            }
        }
        for stress in [Stress::Paths, Stress::Physics, Stress::Light] {
            assert!(BALANCE.waves.iter().filter(|plan| plan.stresses == stress).count() >= 2, "{stress:?}");
        }
        for (index, plan) in BALANCE.waves.iter().enumerate() {
            assert!(
                BALANCE.waves[..index]
                    .iter()
                    .all(|other| other.name != plan.name && other.teaches != plan.teaches)
            );
        }
    }
}
