//! The arena as a spec of the kind `tactics`: the ships, bullets and rocks near the planners.

use p2c2r_tasks::tactics::{
    AGENTS_MAX, Agent, BOLTS_MAX, Behaviour, Bolt, Class, LEAD_LEGS, Leg, POSITION_STEPS_PER_M, Planner,
    ROCKS_MAX, RoundRock, STEP_TICKS, TacticsSpec, VELOCITY_MAX,
};

use crate::arena::Arena;
use crate::bullets::{Ammunition, Bullet, Shooter};
use crate::config::ArenaConfig;
use crate::enemies::{EnemyRole, SALVO, SALVO_TURN};
use crate::planning::{Course, LEG_TICKS, Who};
use crate::vec2::Vec2;
use crate::wingmen::MERCY_TICKS;

/// Metres from a planner within which agents, bolts and rocks matter.
const OTHERS_REACH: f32 = 32.0;
const BOLTS_REACH: f32 = 24.0;
const ROCKS_REACH: f32 = 16.0;
/// Indices of the classes.
const SHIP: u8 = 0;
const WINGMAN: u8 = 1;
const RAMMER: u8 = 2;
/// Worth of a hull point and of survival: of the ship, a wingman, a rammer or gunner, and a large enemy. A
/// wingman's hull is worth more than what it destroys by being rammed: trading the two evenly soon loses it.
const SHIP_WORTH: (u8, u8) = (8, 40);
const WINGMAN_WORTH: (u8, u8) = (15, 60);
const ENEMY_WORTH: (u8, u8) = (4, 6);
const LARGE_WORTH: (u8, u8) = (3, 12);
/// Assumed random deviation of the gamer's shots, 256ths of a radian.
const SHIP_SPREAD: u8 = 26;

/// A number in its wire steps, as a byte.
fn byte(value: f32) -> u8 {
    // `as` saturates, and NaN becomes 0.
    (value + 0.5) as u8
}

/// Ticks as steps of the kind, at least one.
fn steps(ticks: u16) -> u8 {
    ticks.div_ceil(STEP_TICKS).clamp(1, u8::MAX.into()) as u8
}

/// A vector in 64ths, each part within `most`.
fn fixed(vector: Vec2, most: i16) -> [i16; 2] {
    [vector.x, vector.y].map(|part| ((part * POSITION_STEPS_PER_M) as i16).clamp(-most, most))
}

fn looks(heading: Vec2) -> [i8; 2] {
    let parts = [heading.x, heading.y].map(|part| (part * 127.0) as i8);
    if parts == [0; 2] { [0, 127] } else { parts.map(|part| part.max(-127)) }
}

/// The classes: ship, wingman, and the four roles of enemies.
fn classes(config: &ArenaConfig, haste: f32) -> Vec<Class> {
    let (ship, wingmen, enemies) = (&config.ship, &config.wingmen, &config.enemies);
    let base = Class {
        second_side: false,
        behaviour: Behaviour::Roam,
        radius: byte(ship.radius * 32.0),
        speed: byte(ship.thrust / ship.drag.max(0.5) * 8.0),
        agility: byte(ship.drag * 8.0),
        turn: byte(ship.turn_rate * 32.0),
        standoff: 0,
        salvo: 1,
        fan: 0,
        sight: byte(18.0 * 4.0),
        cooldown: steps(ship.cooldown_ticks),
        bolt_speed: byte(ship.bullet_speed * 4.0),
        bolt_steps: steps(ship.bullet_ticks),
        spread: SHIP_SPREAD,
        leads: true,
        damage: 1,
        ram: 0,
        mercy: steps(ship.mercy_ticks),
        fragile: false,
        plates: i8::MAX,
        hull_worth: SHIP_WORTH.0,
        life_worth: SHIP_WORTH.1,
    };
    let wingman = Class {
        behaviour: Behaviour::Circle,
        radius: byte(wingmen.radius * 32.0),
        speed: byte(wingmen.speed * 8.0),
        agility: byte(wingmen.agility * 8.0),
        turn: byte(wingmen.turn_rate * 32.0),
        standoff: byte(wingmen.standoff * 4.0),
        sight: byte(wingmen.sight * 4.0),
        cooldown: steps(wingmen.cooldown_ticks),
        bolt_speed: byte(wingmen.bullet_speed * 4.0),
        bolt_steps: steps(wingmen.bullet_ticks),
        spread: byte(wingmen.spread * 256.0),
        mercy: steps(MERCY_TICKS),
        hull_worth: WINGMAN_WORTH.0,
        life_worth: WINGMAN_WORTH.1,
        ..base
    };
    let enemy = Class {
        second_side: true,
        behaviour: Behaviour::Keep,
        radius: byte(enemies.radius * 32.0),
        speed: byte(enemies.gunner_speed * haste * 8.0),
        agility: byte(enemies.agility * 8.0),
        turn: byte(enemies.turn_rate * 32.0),
        standoff: byte(enemies.standoff * 4.0),
        sight: byte(enemies.sight * 4.0),
        cooldown: steps(enemies.cooldown_ticks),
        bolt_speed: byte(enemies.bullet_speed * 4.0),
        bolt_steps: steps(enemies.bullet_ticks),
        spread: byte(enemies.spread * 256.0),
        leads: false,
        damage: enemies.bullet_damage,
        ram: ship.ram_damage,
        mercy: 0,
        fragile: true,
        hull_worth: ENEMY_WORTH.0,
        life_worth: ENEMY_WORTH.1,
        ..base
    };
    let rammer = Class {
        behaviour: Behaviour::Hunt,
        speed: byte(enemies.rammer_speed * haste * 8.0),
        salvo: 0,
        ..enemy
    };
    let carrier = Class {
        radius: byte(enemies.carrier_radius * 32.0),
        speed: byte(enemies.carrier_speed * haste * 8.0),
        standoff: byte(enemies.carrier_distance * 4.0),
        salvo: 0,
        fragile: false,
        hull_worth: LARGE_WORTH.0,
        life_worth: LARGE_WORTH.1,
        ..enemy
    };
    let boss = Class {
        radius: byte(enemies.boss_radius * 32.0),
        speed: byte(enemies.boss_speed * haste * 8.0),
        standoff: enemy.standoff,
        turn: byte(enemies.boss_turn_rate * 32.0),
        salvo: SALVO.unsigned_abs(),
        fan: byte(SALVO_TURN * 128.0),
        cooldown: steps(enemies.boss_cooldown_ticks),
        plates: (enemies.boss_plates * 127.0).clamp(-127.0, 126.0) as i8,
        ..carrier
    };
    vec![base, wingman, rammer, enemy, carrier, boss]
}

fn class_of(role: EnemyRole) -> u8 {
    RAMMER
        + match role {
            EnemyRole::Rammer => 0,
            EnemyRole::Gunner => 1,
            EnemyRole::Carrier => 2,
            EnemyRole::Boss => 3,
        }
}

impl Arena {
    /// The spec for the planners `who`, whose plans begin at `due_at`.
    pub(crate) fn situation(&self, who: &[Who], due_at: u64) -> TacticsSpec {
        let half = (self.field.half * POSITION_STEPS_PER_M) as i16;
        let centres: Vec<Vec2> = who.iter().filter_map(|who| self.place_of(*who)).collect();
        let mut agents: Vec<(f32, Option<Who>, Agent)> = Vec::new();
        let away = |at: Vec2| {
            centres.iter().map(|centre| centre.distance_squared(at)).fold(f32::MAX, f32::min).sqrt()
        };
        let until = |ticks: u16| ticks.div_ceil(STEP_TICKS).min(u8::MAX.into()) as u8;
        let agent = |class: u8, position, velocity, heading, hull: u8, cooldown: u16| Agent {
            class,
            position: fixed(position, half),
            velocity: fixed(velocity, VELOCITY_MAX),
            heading: looks(heading),
            hull: hull.max(1),
            cooldown: until(cooldown),
            mercy: 0,
            left: true,
        };
        if self.ship.alive {
            let ship = &self.ship;
            let hull = ship.shield.saturating_add(ship.hull);
            let it = agent(SHIP, ship.position, ship.velocity, ship.heading, hull, ship.cooldown_ticks);
            let it = Agent { mercy: until(ship.invulnerable_ticks), ..it };
            agents.push((away(ship.position), None, it));
        }
        for wingman in self.wingmen.iter().filter(|wingman| wingman.is_there()) {
            let (at, velocity) = (wingman.position, wingman.velocity);
            let it = agent(WINGMAN, at, velocity, wingman.heading, wingman.hull, wingman.cooldown_ticks);
            let it = Agent { mercy: until(wingman.mercy_ticks), left: wingman.side() > 0.0, ..it };
            agents.push((away(at), Some(Who::Wingman(wingman.id)), it));
        }
        for enemy in &self.enemies {
            let (at, velocity) = (enemy.position, enemy.velocity);
            let class = class_of(enemy.role);
            let it = agent(class, at, velocity, enemy.heading, enemy.hits_left, enemy.cooldown_ticks);
            let it = Agent { left: enemy.side() > 0.0, ..it };
            agents.push((away(at), Some(Who::Enemy(enemy.id)), it));
        }
        keep_nearest(&mut agents, OTHERS_REACH, AGENTS_MAX, |(away, _, _)| *away);
        // Planners are nearest to themselves, so none is missing, and their order is that of `who`.
        let mut planners = Vec::new();
        for (number, (_, identity, _)) in agents.iter().enumerate() {
            let Some(identity) = identity.filter(|identity| who.contains(identity)) else { continue };
            let course = self.course(identity);
            let leg = |leg: usize| {
                course.map_or(Leg::Rule, |it| it.leg(self.tick + LEG_TICKS * leg as u64 + LEG_TICKS / 2))
            };
            planners
                .push(Planner { agent: number as u8, before: std::array::from_fn::<_, LEAD_LEGS, _>(leg) });
        }
        TacticsSpec {
            seed: (self.tick as u32).wrapping_mul(0x9e37_79b9) ^ self.last_request,
            half: half as u16,
            lead_steps: (due_at - self.tick).div_ceil(STEP_TICKS.into()) as u8,
            candidates: self.plan_depth().candidates,
            futures: self.plan_depth().futures,
            classes: classes(&self.config, self.haste()),
            planners,
            agents: agents.iter().map(|(_, _, agent)| *agent).collect(),
            bolts: self.bolts_near(away, half),
            rocks: self.rocks_near(away, half),
        }
    }
}

impl Arena {
    fn place_of(&self, who: Who) -> Option<Vec2> {
        match who {
            Who::Wingman(id) => self.wingmen.iter().find(|wingman| wingman.id == id).map(|it| it.position),
            Who::Enemy(id) => {
                let index = self.enemies.binary_search_by_key(&id, |enemy| enemy.id).ok()?;
                Some(self.enemies[index].position)
            }
        }
    }

    fn course(&self, who: Who) -> Option<Course> {
        match who {
            Who::Wingman(id) => self.wingmen.iter().find(|wingman| wingman.id == id).map(|it| it.course),
            Who::Enemy(id) => {
                let index = self.enemies.binary_search_by_key(&id, |enemy| enemy.id).ok()?;
                Some(self.enemies[index].course)
            }
        }
    }

    fn bolts_near(&self, away: impl Fn(Vec2) -> f32, half: i16) -> Vec<Bolt> {
        let bolt = |bullet: &Bullet| Bolt {
            second_side: matches!(bullet.shooter, Shooter::Enemy(_)),
            position: fixed(bullet.position, half),
            velocity: fixed(bullet.velocity, VELOCITY_MAX),
            steps_left: steps(bullet.ticks_left),
            damage: match bullet.shooter {
                Shooter::Enemy(_) => self.config.enemies.bullet_damage,
                _ if bullet.ammunition == Ammunition::Missile => self.config.ship.missile_hits,
                _ => 1,
            },
        };
        let flying = self.bullets.iter().filter(|bullet| bullet.ticks_left > 0);
        let mut bolts: Vec<_> = flying.map(|bullet| (away(bullet.position), bolt(bullet))).collect();
        keep_nearest(&mut bolts, BOLTS_REACH, BOLTS_MAX, |(away, _)| *away);
        bolts.into_iter().map(|(_, bolt)| bolt).collect()
    }

    fn rocks_near(&self, away: impl Fn(Vec2) -> f32, half: i16) -> Vec<RoundRock> {
        let rock = |rock: &crate::rocks::Rock| RoundRock {
            position: fixed(rock.position, half),
            velocity: fixed(rock.velocity, VELOCITY_MAX),
            radius: byte(rock.radius * 32.0).max(1),
        };
        let solid = self.rocks.iter().filter(|it| !it.is_fragment());
        let mut rocks: Vec<_> = solid.map(|it| (away(it.position) - it.radius, rock(it))).collect();
        keep_nearest(&mut rocks, ROCKS_REACH, ROCKS_MAX, |(away, _)| *away);
        rocks.into_iter().map(|(_, rock)| rock).collect()
    }
}

/// Keeps the entries within reach, at most the `most` nearest of them, in their order.
fn keep_nearest<T>(list: &mut Vec<T>, reach: f32, most: usize, away: impl Fn(&T) -> f32) {
    list.retain(|it| away(it) < reach);
    if list.len() <= most {
        return;
    }
    let mut distances: Vec<f32> = list.iter().map(&away).collect();
    distances.sort_by(f32::total_cmp);
    let farthest = distances[most - 1];
    list.retain(|it| away(it) <= farthest);
    // Of several at equal distance the first are kept.
    list.truncate(most);
}
