//! The small arena in which futures are played: bodies that fly, aim, shoot and ram, and bolts.

use super::ground::{FEELER_M, MovingRocks, RocksNow, STEP_S, meets, metres, strip_of};
use super::plan::{COMPASS, Leg};
use super::spec::{Agent, Behaviour, Class, TacticsSpec};
use super::{AGENTS_MAX, SALVO_MAX, SCORE_STEPS, chance};
use crate::fuel::Fuel;
use crate::kind::KernelError;

/// Most bolts in flight; a gun fired beyond it does nothing.
pub(super) const SHOTS_MAX: usize = 96;
/// Weight of avoiding rocks and walls beside the wish to move on, and sideways.
const AVOIDANCE: f32 = 0.9;
const SIDEWAYS: f32 = 0.2;
/// Share of the top speed at which an agent circles.
const CIRCLING: f32 = 0.8;
/// An agent that keeps a standoff starts to do so nearer than this many standoffs.
const KEEPING_FROM: f32 = 1.15;
/// Share of its top speed at which such an agent moves towards or away from its opponent, per standoff that it is off:
/// where it is off by a third it does nothing else.
const KEEPING_HASTE: f32 = 3.0;
/// Steps between two searches for the nearest opponent.
const LOOK_STEPS: usize = 4;
/// Steps for which an agent that roams keeps a direction.
const ROAM_STEPS: usize = 6;
/// Strips along each axis, for finding the bodies near a bolt.
const STRIPS: usize = 32;
/// Fuel steps of a body, a bolt, a test of a body or a rock, and a shot.
const BODY_STEPS: u64 = 34;
const SHOT_STEPS: u64 = 14;
const PAIR_STEPS: u64 = 3;
const ROCK_STEPS: u64 = 9;
const FIRE_STEPS: u64 = 20;
/// Stands for no agent where an agent's index is expected.
const NOBODY: u8 = u8::MAX;

/// A class in metres and seconds.
struct Sort {
    side: usize,
    behaviour: Behaviour,
    radius: f32,
    speed: f32,
    /// Share of the difference between velocity and wish that it makes up in one step.
    follow: f32,
    /// The most it turns in one step: a unit vector.
    turn: [f32; 2],
    standoff: f32,
    sight: f32,
    salvo: u8,
    fan: f32,
    cooldown: u8,
    bolt_speed: f32,
    bolt_steps: u8,
    spread: f32,
    leads: bool,
    damage: u8,
    ram: u8,
    mercy: u8,
    fragile: bool,
    plates: f32,
    hull_worth: i32,
    life_worth: i32,
}

impl Sort {
    fn of(class: &Class) -> Self {
        let [metre, second] = [1.0 / 4.0, 1.0 / 8.0];
        Self {
            side: class.second_side.into(),
            behaviour: class.behaviour,
            radius: f32::from(class.radius) / 32.0,
            speed: f32::from(class.speed) * second,
            follow: (f32::from(class.agility) * second * STEP_S).min(1.0),
            turn: small_turn((f32::from(class.turn) / 32.0 * STEP_S).min(1.0)),
            standoff: f32::from(class.standoff) * metre,
            sight: f32::from(class.sight) * metre,
            salvo: class.salvo.min(SALVO_MAX),
            fan: f32::from(class.fan) / 128.0,
            cooldown: class.cooldown,
            bolt_speed: f32::from(class.bolt_speed) * metre,
            bolt_steps: class.bolt_steps,
            spread: f32::from(class.spread) / 256.0,
            leads: class.leads,
            damage: class.damage,
            ram: class.ram,
            mercy: class.mercy,
            fragile: class.fragile,
            plates: if class.plates == i8::MAX { 2.0 } else { f32::from(class.plates) / 127.0 },
            hull_worth: class.hull_worth.into(),
            life_worth: class.life_worth.into(),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Body {
    at: [f32; 2],
    velocity: [f32; 2],
    heading: [f32; 2],
    sort: u8,
    hull: u8,
    cooldown: u8,
    mercy: u8,
    target: u8,
    /// 1 or -1: the side to which it circles and gives way.
    side: f32,
}

#[derive(Clone, Copy, Default)]
struct Shot {
    at: [f32; 2],
    velocity: [f32; 2],
    steps_left: u8,
    side: u8,
    damage: u8,
}

/// A moment of a future.
#[derive(Clone)]
pub(super) struct Moment {
    bodies: [Body; AGENTS_MAX],
    /// Living agents, one bit each.
    alive: u32,
    shots: [Shot; SHOTS_MAX],
    shot_count: usize,
    /// The first side's gain over the second, in [`SCORE_STEPS`].
    score: i32,
}

/// A step of a future, the same for all bodies.
#[derive(Clone, Copy)]
struct Now<'a> {
    step: usize,
    /// Seed of the future's random numbers.
    seed: u32,
    rocks: RocksNow<'a>,
}

/// The leg that each body flies.
pub(super) type Orders = [Leg; AGENTS_MAX];

/// A spec made ready to be played.
pub(super) struct Situation {
    sorts: Vec<Sort>,
    pub(super) ground: MovingRocks,
    /// The agents of each side, one bit each.
    sides: [u32; 2],
    start: Moment,
    seed: u32,
}

/// Indices of the set bits of a word, lowest first.
#[inline]
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        bit
    })
}

#[inline]
fn dot(a: [f32; 2], b: [f32; 2]) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

#[inline]
fn from_to(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [b[0] - a[0], b[1] - a[1]]
}

#[inline]
fn scaled(a: [f32; 2], by: f32) -> [f32; 2] {
    [a[0] * by, a[1] * by]
}

#[inline]
fn unit_or(a: [f32; 2], fallback: [f32; 2]) -> [f32; 2] {
    let length = dot(a, a).sqrt();
    if length > 1e-6 { scaled(a, 1.0 / length) } else { fallback }
}

#[inline]
fn turned(a: [f32; 2], turn: [f32; 2]) -> [f32; 2] {
    [a[0] * turn[0] - a[1] * turn[1], a[0] * turn[1] + a[1] * turn[0]]
}

/// The unit vector at a small angle: `2 atan(radians / 2)`.
#[inline]
fn small_turn(radians: f32) -> [f32; 2] {
    let half = radians * 0.5;
    let scale = 1.0 / (1.0 + half * half);
    [(1.0 - half * half) * scale, 2.0 * half * scale]
}

/// A random number as a share from -1 to 1.
fn either_way(dice: u32) -> f32 {
    (dice >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
}

impl Situation {
    /// `steps` is how far futures go.
    pub(super) fn new(spec: &TacticsSpec, steps: usize, fuel: &mut Fuel<'_>) -> Result<Self, KernelError> {
        let sorts: Vec<Sort> = spec.classes.iter().map(Sort::of).collect();
        let reach = sorts.iter().map(|sort| sort.radius).fold(0.0, f32::max);
        let ground = MovingRocks::new(spec, steps, reach, fuel)?;
        let (mut sides, mut bodies) = ([0; 2], [Body::default(); AGENTS_MAX]);
        for (number, agent) in spec.agents.iter().enumerate() {
            sides[sorts[usize::from(agent.class)].side] |= 1 << number;
            bodies[number] = body(agent);
        }
        let mut shots = [Shot::default(); SHOTS_MAX];
        for (shot, bolt) in shots.iter_mut().zip(&spec.bolts) {
            *shot = Shot {
                at: metres(bolt.position),
                velocity: metres(bolt.velocity),
                steps_left: bolt.steps_left,
                side: bolt.second_side.into(),
                damage: bolt.damage,
            };
        }
        let alive = sides[0] | sides[1];
        let start = Moment { bodies, alive, shots, shot_count: spec.bolts.len(), score: 0 };
        Ok(Self { sorts, ground, sides, start, seed: spec.seed })
    }

    pub(super) fn start(&self) -> Moment {
        self.start.clone()
    }

    /// Plays one step of future `future`. Losses in it count `weight` for each point of worth.
    pub(super) fn step(
        &self,
        state: &mut Moment,
        step: usize,
        future: u32,
        orders: &Orders,
        weight: i32,
        fuel: &mut Fuel<'_>,
    ) -> Result<(), KernelError> {
        let seed = self.seed ^ future.wrapping_mul(0x632b_e5ab);
        let now = Now { step, seed, rocks: self.ground.at(step) };
        let mut steps = 0;
        for number in bits(state.alive) {
            self.look_out(state, step, number, &mut steps);
            self.fly(state, now, number, orders[number], &mut steps);
        }
        for number in bits(state.alive) {
            if state.alive >> number & 1 == 1 {
                self.ram(state, number, weight);
                self.shoot(state, now, number, &mut steps);
            }
        }
        self.fly_shots(state, now, weight, &mut steps);
        fuel.spend(steps)
    }

    fn sort(&self, body: &Body) -> &Sort {
        &self.sorts[usize::from(body.sort)]
    }

    /// Updates the nearest opponent.
    fn look_out(&self, state: &mut Moment, step: usize, number: usize, steps: &mut u64) {
        let body = &state.bodies[number];
        let known = body.target != NOBODY && state.alive >> body.target & 1 == 1;
        if known && !(step + number).is_multiple_of(LOOK_STEPS) {
            return;
        }
        let (mut nearest, mut target) = (f32::MAX, NOBODY);
        let opponents = state.alive & self.sides[1 - self.sort(body).side];
        for other in bits(opponents) {
            *steps += PAIR_STEPS;
            let to = from_to(body.at, state.bodies[other].at);
            let away = dot(to, to);
            if away < nearest {
                (nearest, target) = (away, other as u8);
            }
        }
        state.bodies[number].target = target;
    }

    /// The velocity that a body's rule asks for.
    fn wish(&self, state: &Moment, now: Now<'_>, number: usize) -> [f32; 2] {
        let body = &state.bodies[number];
        let sort = self.sort(body);
        if sort.behaviour == Behaviour::Roam {
            let dice = chance(now.seed, number as u32, (now.step / ROAM_STEPS) as u32);
            if dice & 1 == 0 && sort.speed > 0.0 {
                let share = scaled(body.velocity, 1.0 / sort.speed);
                let length = dot(share, share).sqrt();
                return if length > 1.0 { scaled(share, 1.0 / length) } else { share };
            }
            return COMPASS[(dice >> 1) as usize % COMPASS.len()];
        }
        if body.target == NOBODY {
            return [0.0; 2];
        }
        let to = from_to(body.at, state.bodies[usize::from(body.target)].at);
        let straight = unit_or(to, body.heading);
        let distance = dot(to, to).sqrt();
        let on = match sort.behaviour {
            Behaviour::Circle if distance < sort.standoff => 0.0,
            Behaviour::Keep if distance < sort.standoff * KEEPING_FROM => {
                let back = if sort.plates <= 1.0 { 0.0 } else { -1.0 };
                ((distance - sort.standoff) * KEEPING_HASTE / sort.standoff.max(1.0)).clamp(back, 1.0)
            }
            _ => return straight,
        };
        let side = body.side * CIRCLING * (1.0 - on.abs());
        [straight[0] * on - straight[1] * side, straight[1] * on + straight[0] * side]
    }

    fn fly(&self, state: &mut Moment, now: Now<'_>, number: usize, order: Leg, steps: &mut u64) {
        let target = state.bodies[number].target;
        let aim = (target != NOBODY).then(|| state.bodies[usize::from(target)].at);
        let ahead =
            || aim.map(|aim| unit_or(from_to(state.bodies[number].at, aim), state.bodies[number].heading));
        let mut wish = order.direction(ahead).unwrap_or_else(|| self.wish(state, now, number));
        let body = &mut state.bodies[number];
        let sort = &self.sorts[usize::from(body.sort)];
        let side = body.side * SIDEWAYS;
        let mut feel = |out: [f32; 2], gap: f32| {
            let into = -dot(wish, out);
            if into > 0.0 {
                let much = into * (1.0 - gap / FEELER_M).clamp(0.0, 1.0) * AVOIDANCE;
                wish[0] += (out[0] - out[1] * side) * much;
                wish[1] += (out[1] + out[0] * side) * much;
            }
        };
        let mut near = now.rocks.near(body.at);
        *steps += BODY_STEPS;
        while near != 0 {
            *steps += ROCK_STEPS;
            let rock = now.rocks.rock(near.trailing_zeros());
            near &= near - 1;
            let apart = from_to(rock.at, body.at);
            let reach = rock.radius + sort.radius;
            let square = dot(apart, apart);
            if square >= (reach + FEELER_M) * (reach + FEELER_M) {
                continue;
            }
            let out = unit_or(apart, body.heading);
            let gap = square.sqrt() - reach;
            feel(out, gap);
            if gap < 0.0 {
                body.at = [rock.at[0] + out[0] * reach, rock.at[1] + out[1] * reach];
                let against = dot(from_to(rock.velocity, body.velocity), out);
                if against < 0.0 {
                    body.velocity =
                        [body.velocity[0] - out[0] * against, body.velocity[1] - out[1] * against];
                }
            }
        }
        let limit = self.ground.half - sort.radius;
        // Nobody far from the nearest wall feels any.
        if limit - body.at[0].abs().max(body.at[1].abs()) < FEELER_M {
            for out in [[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]] {
                let gap = limit + dot(body.at, out);
                if gap < FEELER_M {
                    feel(out, gap);
                }
            }
        }
        let length = dot(wish, wish).sqrt();
        let speed = if length > 1.0 { sort.speed / length } else { sort.speed };
        for (axis, wish) in wish.into_iter().enumerate() {
            body.velocity[axis] += (wish * speed - body.velocity[axis]) * sort.follow;
            body.at[axis] = (body.at[axis] + body.velocity[axis] * STEP_S).clamp(-limit, limit);
        }
        if let Some(aim) = aim {
            let aim = unit_or(from_to(body.at, aim), body.heading);
            let cross = body.heading[0] * aim[1] - body.heading[1] * aim[0];
            body.heading = if dot(body.heading, aim) >= sort.turn[0] {
                aim
            } else {
                let [x, y] = sort.turn;
                unit_or(turned(body.heading, [x, if cross >= 0.0 { y } else { -y }]), aim)
            };
        }
    }

    fn ram(&self, state: &mut Moment, number: usize, weight: i32) {
        let body = state.bodies[number];
        let sort = self.sort(&body);
        if sort.ram == 0 || body.target == NOBODY {
            return;
        }
        let target = usize::from(body.target);
        let other = state.bodies[target];
        let reach = sort.radius + self.sort(&other).radius;
        let to = from_to(body.at, other.at);
        if state.alive >> target & 1 == 1 && other.mercy == 0 && dot(to, to) < reach * reach {
            self.hurt(state, target, sort.ram, weight);
            if sort.fragile {
                self.hurt(state, number, u8::MAX, weight);
            }
        }
    }

    fn hurt(&self, state: &mut Moment, number: usize, damage: u8, weight: i32) {
        let body = &mut state.bodies[number];
        let sort = &self.sorts[usize::from(body.sort)];
        if body.mercy > 0 {
            return;
        }
        body.mercy = sort.mercy;
        let taken = body.hull.min(damage);
        body.hull -= taken;
        let mut worth = i32::from(taken) * sort.hull_worth;
        if body.hull == 0 {
            state.alive &= !(1 << number);
            worth += sort.life_worth;
        }
        state.score += if sort.side == 1 { worth * weight } else { -worth * weight };
    }

    fn shoot(&self, state: &mut Moment, now: Now<'_>, number: usize, steps: &mut u64) {
        let body = &mut state.bodies[number];
        let sort = &self.sorts[usize::from(body.sort)];
        body.cooldown = body.cooldown.saturating_sub(1);
        body.mercy = body.mercy.saturating_sub(1);
        if sort.salvo == 0 || body.cooldown > 0 || body.target == NOBODY {
            return;
        }
        let body = *body;
        let other = state.bodies[usize::from(body.target)];
        let to = from_to(body.at, other.at);
        let distance = dot(to, to).sqrt();
        if distance >= sort.sight || now.rocks.blocks(body.at, other.at, steps) {
            return;
        }
        state.bodies[number].cooldown = sort.cooldown;
        *steps += FIRE_STEPS * u64::from(sort.salvo);
        let mut aim = to;
        if sort.leads {
            let seconds = distance / sort.bolt_speed;
            aim = [to[0] + other.velocity[0] * seconds, to[1] + other.velocity[1] * seconds];
        }
        let astray = either_way(chance(now.seed, 64 + number as u32, now.step as u32)) * sort.spread;
        let heading = unit_or(aim, body.heading);
        for place in 0..sort.salvo {
            let off = (f32::from(place) - f32::from(sort.salvo - 1) * 0.5) * sort.fan;
            let heading = turned(heading, small_turn(astray + off));
            let shot = Shot {
                at: [body.at[0] + heading[0] * sort.radius, body.at[1] + heading[1] * sort.radius],
                velocity: scaled(heading, sort.bolt_speed),
                steps_left: sort.bolt_steps,
                side: sort.side as u8,
                damage: sort.damage,
            };
            if state.shot_count < SHOTS_MAX {
                state.shots[state.shot_count] = shot;
                state.shot_count += 1;
            }
        }
    }

    fn strip(&self, place: f32) -> usize {
        strip_of((place + self.ground.half) * (STRIPS as f32 / 2.0) / self.ground.half, STRIPS as u8)
    }

    fn fly_shots(&self, state: &mut Moment, now: Now<'_>, weight: i32, steps: &mut u64) {
        if state.shot_count == 0 {
            return;
        }
        // The bodies in each strip along each axis, of the sides at which bolts fly: a body that shares a strip with a
        // bolt on both axes may be in its way.
        let mut strips = [[0_u32; STRIPS]; 2];
        let mut targets = 0;
        for shot in &state.shots[..state.shot_count] {
            targets |= self.sides[1 - usize::from(shot.side)];
        }
        for number in bits(state.alive & targets) {
            let body = &state.bodies[number];
            let radius = self.sort(body).radius;
            for (strips, place) in strips.iter_mut().zip(body.at) {
                for strip in &mut strips[self.strip(place - radius)..=self.strip(place + radius)] {
                    *strip |= 1 << number;
                }
            }
        }
        let mut kept = 0;
        for at in 0..state.shot_count {
            let mut shot = state.shots[at];
            shot.steps_left = shot.steps_left.saturating_sub(1);
            let (from, way) = (shot.at, scaled(shot.velocity, STEP_S));
            shot.at = [from[0] + way[0], from[1] + way[1]];
            let in_way = |axis: usize| {
                let (a, b) = (self.strip(from[axis]), self.strip(shot.at[axis]));
                let mut word = 0;
                for strip in &strips[axis][a.min(b)..=a.max(b)] {
                    word |= strip;
                }
                word
            };
            let mut candidates = state.alive & self.sides[1 - usize::from(shot.side)];
            for axis in 0..2 {
                // Mostly none is left after the first axis.
                if candidates != 0 {
                    candidates &= in_way(axis);
                }
            }
            *steps += SHOT_STEPS;
            let mut first: Option<(f32, usize)> = None;
            for number in bits(candidates) {
                *steps += PAIR_STEPS;
                let body = &state.bodies[number];
                if let Some(share) = meets(from, way, body.at, self.sort(body).radius)
                    && first.is_none_or(|(least, _)| share < least)
                {
                    first = Some((share, number));
                }
            }
            if let Some((_, number)) = first {
                let body = &state.bodies[number];
                let against = -dot(body.heading, unit_or(way, body.heading));
                if against <= self.sort(body).plates {
                    self.hurt(state, number, shot.damage, weight);
                }
                continue;
            }
            let half = self.ground.half;
            if shot.steps_left == 0 || shot.at[0].abs() >= half || shot.at[1].abs() >= half {
                continue;
            }
            let near = now.rocks.near(from) | now.rocks.near(shot.at);
            if near == 0 || !now.rocks.touches(from, way, 0.0, near, steps) {
                state.shots[kept] = shot;
                kept += 1;
            }
        }
        state.shot_count = kept;
    }

    /// The score of a future at its end for planner `number`: the gain of its side, less a penalty for its distance
    /// from a useful range.
    pub(super) fn score(&self, state: &Moment, number: usize) -> i32 {
        let body = &state.bodies[number];
        let sort = self.sort(body);
        let gained = if sort.side == 0 { state.score } else { -state.score };
        let opponents = state.alive & self.sides[1 - sort.side];
        if state.alive >> number & 1 == 0 || opponents == 0 {
            return gained;
        }
        let mut nearest = f32::MAX;
        for other in bits(opponents) {
            let to = from_to(body.at, state.bodies[other].at);
            nearest = nearest.min(dot(to, to));
        }
        let distance = nearest.sqrt();
        let off = (distance - sort.sight * IN_SIGHT).max(0.0) + (sort.standoff - distance).max(0.0);
        gained - (off * PER_METRE) as i32
    }
}

/// Share of its sight within which a planner should have an opponent at the end of its plan.
const IN_SIGHT: f32 = 0.8;
/// Score for each metre from that range, in [`SCORE_STEPS`]: an eighth of a point of worth.
const PER_METRE: f32 = SCORE_STEPS as f32 / 8.0;

/// Largest magnitude of the penalty for distance; no two places in the largest square are 1,500 m apart.
pub(super) const DISTANCE_SCORE_MAX: i32 = 1_500 * (PER_METRE as i32);

fn body(agent: &Agent) -> Body {
    let heading = unit_or(agent.heading.map(f32::from), [0.0, 1.0]);
    Body {
        at: metres(agent.position),
        velocity: metres(agent.velocity),
        heading,
        sort: agent.class,
        hull: agent.hull,
        cooldown: agent.cooldown,
        mercy: agent.mercy,
        target: NOBODY,
        side: if agent.left { 1.0 } else { -1.0 },
    }
}
