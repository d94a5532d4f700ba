//! The spec of the kind `tactics`: a situation, the agents that plan in it, and how deep.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::plan::{LEAD_LEGS, LEG_STEPS, Leg, Plan};
use super::{AGENTS_MAX, BOLTS_MAX, CLASSES_MAX, PLANNERS_MAX, ROCKS_MAX, count_width};
use crate::physics::bits::{BitReader, BitWriter, unzigzag, zigzag};

/// How an agent behaves that flies no plan, or a leg by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Goes on as it does and turns at random now and then: for an agent whose intentions are unknown.
    Roam,
    /// Goes straight at the nearest opponent.
    Hunt,
    /// Comes as near as its standoff to the nearest opponent, and circles around it there.
    Circle,
    /// The same, and backs off from a nearer opponent, unless it has plates.
    Keep,
}

/// Properties that agents of one sort share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// Whether it is of the second of the two sides.
    pub second_side: bool,
    /// How it behaves by rule.
    pub behaviour: Behaviour,
    /// Radius, 32nds of a metre, at least 1.
    pub radius: u8,
    /// Top speed, eighths of a metre a second.
    pub speed: u8,
    /// How fast its velocity follows its wish, eighths of the difference per second.
    pub agility: u8,
    /// How fast its hull turns to the nearest opponent, 32nds of a radian per second.
    pub turn: u8,
    /// Distance it would rather keep from opponents, quarters of a metre.
    pub standoff: u8,
    /// Bolts of one salvo, 0 to [`SALVO_MAX`](super::SALVO_MAX); 0 for no gun.
    pub salvo: u8,
    /// Angle between the bolts of a salvo, 128ths of a radian.
    pub fan: u8,
    /// How far it sees to shoot, quarters of a metre.
    pub sight: u8,
    /// From one salvo to the next, in [`STEP_TICKS`](super::STEP_TICKS), at least 1 where it has a gun.
    pub cooldown: u8,
    /// Speed of a bolt, quarters of a metre a second.
    pub bolt_speed: u8,
    /// How long a bolt flies, in [`STEP_TICKS`](super::STEP_TICKS).
    pub bolt_steps: u8,
    /// Random deviation of a shot, 256ths of a radian either way.
    pub spread: u8,
    /// Whether it aims at where its target will be.
    pub leads: bool,
    /// Damage of a bolt.
    pub damage: u8,
    /// Damage of touching its target.
    pub ram: u8,
    /// Whether it does not survive ramming.
    pub fragile: bool,
    /// Cosine of the angle from its heading within which bolts do nothing, 127ths; 127 for no plates.
    pub plates: i8,
    /// How long it is invulnerable after damage, in [`STEP_TICKS`](super::STEP_TICKS).
    pub mercy: u8,
    /// What a point of its hull is worth.
    pub hull_worth: u8,
    /// What its survival is worth.
    pub life_worth: u8,
}

/// A body in the situation that moves and acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    /// Index into [`TacticsSpec::classes`].
    pub class: u8,
    /// Where, [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub position: [i16; 2],
    /// In the same steps a second.
    pub velocity: [i16; 2],
    /// Where its hull points, any length but 0.
    pub heading: [i8; 2],
    /// Damage it still takes, at least 1.
    pub hull: u8,
    /// Until its next shot, in [`STEP_TICKS`](super::STEP_TICKS).
    pub cooldown: u8,
    /// How long it is still invulnerable, in [`STEP_TICKS`](super::STEP_TICKS).
    pub mercy: u8,
    /// Whether it circles and gives way to its left.
    pub left: bool,
}

/// A bolt in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bolt {
    /// Whether the second side fired it.
    pub second_side: bool,
    /// Where, [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub position: [i16; 2],
    /// In the same steps a second.
    pub velocity: [i16; 2],
    /// How long it still flies, in [`STEP_TICKS`](super::STEP_TICKS).
    pub steps_left: u8,
    /// Damage to what it hits.
    pub damage: u8,
}

/// A round rock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoundRock {
    /// Where, [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub position: [i16; 2],
    /// In the same steps a second.
    pub velocity: [i16; 2],
    /// Radius, 32nds of a metre, at least 1.
    pub radius: u8,
}

/// An agent for which a plan is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Planner {
    /// Index into [`TacticsSpec::agents`].
    pub agent: u8,
    /// Legs it flies until its plan begins.
    pub before: [Leg; LEAD_LEGS],
}

/// Plans that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TacticsSpec {
    /// Seed of all random numbers.
    pub seed: u32,
    /// Half the edge of the square that nobody leaves, [`POSITION_STEPS_PER_M`](super::POSITION_STEPS_PER_M).
    pub half: u16,
    /// Until the plans begin, in [`STEP_TICKS`](super::STEP_TICKS), 0 to [`LEAD_STEPS_MAX`](super::LEAD_STEPS_MAX).
    pub lead_steps: u8,
    /// Plans that are tried for each planner, 1 to [`CANDIDATES_MAX`](super::CANDIDATES_MAX).
    pub candidates: u16,
    /// Futures in which each of them is tried, 1 to [`FUTURES_MAX`](super::FUTURES_MAX).
    pub futures: u8,
    /// Sorts of agents.
    pub classes: Vec<Class>,
    /// All agents near enough to matter.
    pub agents: Vec<Agent>,
    /// Bolts in flight.
    pub bolts: Vec<Bolt>,
    /// Rocks in the way.
    pub rocks: Vec<RoundRock>,
    /// Agents that plan, in rising order.
    pub planners: Vec<Planner>,
}

impl TacticsSpec {
    /// Rollouts of a planner: candidates times futures.
    pub fn rollouts(&self) -> u32 {
        u32::from(self.candidates) * u32::from(self.futures)
    }

    /// The plan a planner flies already, from where the new plan is to begin: the remaining legs, then the
    /// rule.
    pub fn present(&self, planner: usize) -> Plan {
        let flown = (usize::from(self.lead_steps) + LEG_STEPS / 2) / LEG_STEPS;
        let before = self.planners.get(planner).map_or([Leg::Rule; LEAD_LEGS], |planner| planner.before);
        std::array::from_fn(|leg| before.get(flown + leg).copied().unwrap_or(Leg::Rule))
    }

    fn to_bits(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(self.seed, 32);
        bits.put(self.half.into(), 16);
        bits.put(self.lead_steps.into(), 8);
        bits.put(self.candidates.into(), 16);
        bits.put(self.futures.into(), 8);
        // A list over its limit is cut to a count that no decoder accepts.
        let counts = [
            (self.classes.len(), CLASSES_MAX),
            (self.agents.len(), AGENTS_MAX),
            (self.bolts.len(), BOLTS_MAX),
            (self.rocks.len(), ROCKS_MAX),
            (self.planners.len(), PLANNERS_MAX),
        ];
        for (count, max) in counts {
            bits.put(count.min(max + 1) as u32, count_width(max + 1));
        }
        self.classes.iter().take(CLASSES_MAX + 1).for_each(|class| class.put(&mut bits));
        let agents = || self.agents.iter().take(AGENTS_MAX + 1);
        bits.column(agents().map(|agent| agent.class.into()));
        put_motions(&mut bits, agents().map(|agent| (agent.position, agent.velocity)));
        for axis in 0..2 {
            bits.column(agents().map(|agent| zigzag(agent.heading[axis].into())));
        }
        bits.column(agents().map(|agent| agent.hull.into()));
        bits.column(agents().map(|agent| agent.cooldown.into()));
        bits.column(agents().map(|agent| agent.mercy.into()));
        bits.column(agents().map(|agent| agent.left.into()));
        let bolts = || self.bolts.iter().take(BOLTS_MAX + 1);
        bits.column(bolts().map(|bolt| bolt.second_side.into()));
        put_motions(&mut bits, bolts().map(|bolt| (bolt.position, bolt.velocity)));
        bits.column(bolts().map(|bolt| bolt.steps_left.into()));
        bits.column(bolts().map(|bolt| bolt.damage.into()));
        let rocks = || self.rocks.iter().take(ROCKS_MAX + 1);
        put_motions(&mut bits, rocks().map(|rock| (rock.position, rock.velocity)));
        bits.column(rocks().map(|rock| rock.radius.into()));
        for planner in self.planners.iter().take(PLANNERS_MAX + 1) {
            bits.put(planner.agent.into(), 8);
            planner.before.iter().for_each(|leg| bits.put(leg.number().into(), Leg::BITS));
        }
        bits.finish()
    }
}

/// Appends positions and velocities, column by column.
fn put_motions(bits: &mut BitWriter, motions: impl Iterator<Item = ([i16; 2], [i16; 2])> + Clone) {
    for axis in 0..2 {
        bits.column(motions.clone().map(|(position, _)| zigzag(position[axis].into())));
        bits.column(motions.clone().map(|(_, velocity)| zigzag(velocity[axis].into())));
    }
}

/// Reads what [`put_motions`] wrote.
fn take_motions<D: Decoder>(
    bits: &mut BitReader<'_, D>,
    count: usize,
) -> Result<Vec<([i16; 2], [i16; 2])>, DecodeError> {
    let mut motions = vec![([0; 2], [0; 2]); count];
    for axis in 0..2 {
        let positions = bits.column(count, u16::MAX.into())?;
        let velocities = bits.column(count, u16::MAX.into())?;
        for ((motion, position), velocity) in motions.iter_mut().zip(positions).zip(velocities) {
            motion.0[axis] = unzigzag(position) as i16;
            motion.1[axis] = unzigzag(velocity) as i16;
        }
    }
    Ok(motions)
}

impl Class {
    fn put(&self, bits: &mut BitWriter) {
        bits.put(self.second_side.into(), 1);
        bits.put(self.behaviour as u32, 2);
        bits.put(self.leads.into(), 1);
        bits.put(self.fragile.into(), 1);
        bits.put(zigzag(self.plates.into()), 8);
        self.bytes().iter().for_each(|byte| bits.put((*byte).into(), 8));
    }

    fn bytes(&self) -> [u8; 17] {
        [
            self.radius,
            self.speed,
            self.agility,
            self.turn,
            self.standoff,
            self.salvo,
            self.fan,
            self.sight,
            self.cooldown,
            self.bolt_speed,
            self.bolt_steps,
            self.spread,
            self.damage,
            self.ram,
            self.mercy,
            self.hull_worth,
            self.life_worth,
        ]
    }

    fn take<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Self, DecodeError> {
        let second_side = bits.take(1)? == 1;
        let behaviour = match bits.take(2)? {
            0 => Behaviour::Roam,
            1 => Behaviour::Hunt,
            2 => Behaviour::Circle,
            _ => Behaviour::Keep,
        };
        let (leads, fragile) = (bits.take(1)? == 1, bits.take(1)? == 1);
        let plates = unzigzag(bits.take(8)?) as i8;
        let mut byte = || bits.take(8).map(|byte| byte as u8);
        Ok(Self {
            second_side,
            behaviour,
            leads,
            fragile,
            plates,
            radius: byte()?,
            speed: byte()?,
            agility: byte()?,
            turn: byte()?,
            standoff: byte()?,
            salvo: byte()?,
            fan: byte()?,
            sight: byte()?,
            cooldown: byte()?,
            bolt_speed: byte()?,
            bolt_steps: byte()?,
            spread: byte()?,
            damage: byte()?,
            ram: byte()?,
            mercy: byte()?,
            hull_worth: byte()?,
            life_worth: byte()?,
        })
    }
}

fn take_agents<D: Decoder>(bits: &mut BitReader<'_, D>, count: usize) -> Result<Vec<Agent>, DecodeError> {
    let small = u32::from(u8::MAX);
    let classes = bits.column(count, small)?;
    let motions = take_motions(bits, count)?;
    let headings = [bits.column(count, small)?, bits.column(count, small)?];
    let (hulls, cooldowns) = (bits.column(count, small)?, bits.column(count, small)?);
    let (mercies, lefts) = (bits.column(count, small)?, bits.column(count, 1)?);
    let agent = |number: usize| Agent {
        class: classes[number] as u8,
        position: motions[number].0,
        velocity: motions[number].1,
        heading: [0, 1].map(|axis: usize| unzigzag(headings[axis][number]) as i8),
        hull: hulls[number] as u8,
        cooldown: cooldowns[number] as u8,
        mercy: mercies[number] as u8,
        left: lefts[number] == 1,
    };
    Ok((0..count).map(agent).collect())
}

impl Encode for TacticsSpec {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encoder.writer().write(&self.to_bits())
    }
}

impl<Context> Decode<Context> for TacticsSpec {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(decoder);
        let (seed, half) = (bits.take(32)?, bits.take(16)? as u16);
        let (lead_steps, candidates) = (bits.take(8)? as u8, bits.take(16)? as u16);
        let futures = bits.take(8)? as u8;
        let mut counts = [0; 5];
        let most = [CLASSES_MAX, AGENTS_MAX, BOLTS_MAX, ROCKS_MAX, PLANNERS_MAX];
        for (count, max) in counts.iter_mut().zip(most) {
            *count = bits.take(count_width(max + 1))? as usize;
            if *count > max {
                return Err(DecodeError::Other("a list over its limit"));
            }
        }
        let [classes, agents, bolts, rocks, planners] = counts;
        let classes = (0..classes).map(|_| Class::take(&mut bits)).collect::<Result<Vec<_>, _>>()?;
        let agents = take_agents(&mut bits, agents)?;
        let sides = bits.column(bolts, 1)?;
        let motions = take_motions(&mut bits, bolts)?;
        let steps = bits.column(bolts, u8::MAX.into())?;
        let damages = bits.column(bolts, u8::MAX.into())?;
        let bolt = |number: usize| Bolt {
            second_side: sides[number] == 1,
            position: motions[number].0,
            velocity: motions[number].1,
            steps_left: steps[number] as u8,
            damage: damages[number] as u8,
        };
        let bolts = (0..bolts).map(bolt).collect();
        let motions = take_motions(&mut bits, rocks)?;
        let radii = bits.column(rocks, u8::MAX.into())?;
        let rocks = motions.into_iter().zip(radii);
        let rock = |((position, velocity), radius)| RoundRock { position, velocity, radius: radius as u8 };
        let rocks = rocks.map(rock).collect();
        let mut planner = || {
            let agent = bits.take(8)? as u8;
            let mut before = [Leg::Rule; LEAD_LEGS];
            for leg in &mut before {
                *leg = Leg::of(bits.take(Leg::BITS)? as u8).ok_or(DecodeError::Other("no such leg"))?;
            }
            Ok::<_, DecodeError>(Planner { agent, before })
        };
        let planners = (0..planners).map(|_| planner()).collect::<Result<Vec<_>, _>>()?;
        bits.finish()?;
        Ok(Self { seed, half, lead_steps, candidates, futures, classes, agents, bolts, rocks, planners })
    }
}

bincode::impl_borrow_decode!(TacticsSpec);
