//! Draws the next action. Each seed has its own parameters (load, packet loss, which workers lie), because a world in
//! which everything happens a little never gets far into any corner (Groce and others, "Swarm testing", 2012).

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::action::{How, PacketFate, PeerChoice, Way, WorldAction, WorldSetup};
use super::kinds::{SimulatedKind, WITH_BLOB};
use super::world::{CORES_RATE, RATE_UNITS, World};
use crate::config::{Fallback, PatientFallback};

/// Nano-dollars that no world spends.
const PLENTY: i64 = 1 << 50;
/// Number of largest tasks that a gamer with scarce money can pay for, at most.
const SCARCE_TASKS: u64 = 40;
/// Number of latest specs that any gamer may submit again.
const RECENT: usize = 24;
/// Packets under way in one direction beyond which no new task is submitted until some have arrived.
const CROWDED: usize = 256;
/// An hour, in microseconds: how far clocks jump.
const HOUR_US: u64 = 3_600_000_000;

/// A pause after which the coordinator counts as idle.
const PAUSE_US: u64 = 6_000_000;
/// Microseconds by which the scheduler's clock steps back; it then stands still until time has caught up.
const BACK_US_MAX: u64 = 100_000;

/// Draws actions for one world.
pub struct Generator {
    draws: SmallRng,
    habits: Habits,
    /// The latest specs: kind, number, units, and whether it is sly.
    recent: VecDeque<(SimulatedKind, u64, u64, bool)>,
}

/// Frequencies of the actions, and their parameters.
struct Habits {
    submits: u32,
    patient: f64,
    sly: f64,
    exact: f64,
    /// Share of submits that repeat a recent spec.
    equal: f64,
    grants: u32,
    caps: u32,
    renames: u32,
    /// Share of tasks that refer to a blob, and how often a worker says that it lacks one.
    blobs: f64,
    lacks: u32,
    tight: f64,
    lost: f64,
    twice: f64,
    reordered: f64,
    cuts: u32,
    splits: u32,
    crashes: u32,
    jumps: u32,
    pauses: u32,
    cancels: u32,
    verdicts_of_operator: u32,
    /// For each worker, how often it lies, fails and stays silent.
    conduct: Vec<[f64; 3]>,
}

impl Generator {
    /// A generator, and the setup of the world it is for.
    pub fn new(seed: u64) -> (Self, WorldSetup) {
        let mut draws = SmallRng::seed_from_u64(seed);
        let setup = setup(seed, &mut draws);
        let habits = Habits::new(&setup, &mut draws);
        (Self { draws, habits, recent: VecDeque::new() }, setup)
    }

    /// What happens next.
    pub fn next(&mut self, world: &World) -> WorldAction {
        let weights = self.weights(world);
        let sum: u32 = weights.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.draws.random_range(0..sum);
        for (weight, action) in weights {
            if drawn < weight {
                return action(self, world);
            }
            drawn -= weight;
        }
        unreachable!("one of the weights was drawn")
    }

    fn weights(&self, world: &World) -> Vec<(u32, fn(&mut Self, &World) -> WorldAction)> {
        let busy = |there: usize, weight: u32| if there > 0 { weight } else { 0 };
        let habits = &self.habits;
        let under_way = world.packets(Way::Up).max(world.packets(Way::Down));
        let submits = if under_way > CROWDED { 1 } else { habits.submits };
        let missing = usize::from(world.setup().gamers + world.setup().workers).saturating_sub(world.peers());
        vec![
            (submits, Self::submit as fn(&mut Self, &World) -> WorldAction),
            (busy(world.packets(Way::Up), 300), |it, world| it.packet(Way::Up, world)),
            (busy(world.packets(Way::Down), 300), |it, world| it.packet(Way::Down, world)),
            (busy(world.held(), 200), Self::answer),
            (busy(world.checks(), 120), |it, world| WorldAction::Check { at: it.place(world.checks()) }),
            (busy(world.kernels(), 80), |it, world| WorldAction::Compute {
                at: it.place(world.kernels()),
                fails: it.draws.random_bool(0.02),
            }),
            (150, |it, _| WorldAction::Pass { us: it.time() }),
            (20, |it, _| WorldAction::Later { us: it.time() }),
            (busy(missing, 40) + 2, Self::connect),
            (12, |it, _| WorldAction::Record { entries: it.draws.random_range(1..2_000) }),
            (8, |_, _| WorldAction::Tell),
            (6, |it, world| WorldAction::Repeat {
                gamer: it.gamer(world),
                back: it.draws.random_range(0..40),
                is_changed: it.draws.random_bool(0.1),
            }),
            (habits.cancels, |it, world| WorldAction::Cancel {
                gamer: it.gamer(world),
                back: it.draws.random_range(0..20),
            }),
            (4, |it, _| WorldAction::AnswerAgain { back: it.draws.random_range(0..60) }),
            (3, |it, world| WorldAction::Forge { at: it.place(world.held()), by: it.place(world.peers()) }),
            (2, |it, world| WorldAction::Measure {
                at: it.place(world.peers()),
                rtt_us: it.draws.random_range(0..60_000),
            }),
            (1, |it, world| WorldAction::Drains { at: it.place(world.peers()) }),
            (1, |it, world| WorldAction::Quit { gamer: it.gamer(world) }),
            (habits.grants, |it, world| WorldAction::Grant {
                gamer: it.gamer(world),
                nanos: it.draws.random_range(1..worth(world.setup().units_max)),
            }),
            (habits.caps, |it, world| WorldAction::Cap {
                gamer: it.gamer(world),
                cap: it
                    .draws
                    .random_bool(0.7)
                    .then(|| worth(world.setup().units_max * it.draws.random_range(1..=SCARCE_TASKS))),
            }),
            (habits.renames, |it, world| WorldAction::Rename {
                worker: it.draws.random_range(0..world.setup().workers),
                name: it.draws.random(),
            }),
            (busy(world.held(), habits.lacks), |it, world| WorldAction::Lacks { at: it.place(world.held()) }),
            (habits.cuts, |it, world| WorldAction::Cut { at: it.place(world.peers()) }),
            (habits.splits, |it, world| {
                if world.is_split() {
                    WorldAction::Heal
                } else {
                    WorldAction::Split { peers: it.draws.random() }
                }
            }),
            (busy(usize::from(world.is_split()), 30), |_, _| WorldAction::Heal),
            (habits.jumps, Self::jump),
            (habits.pauses, |_, _| WorldAction::Pass { us: PAUSE_US }),
            (habits.verdicts_of_operator, |it, world| WorldAction::Judge {
                worker: it.draws.random_range(0..world.setup().workers),
                quarantined: it.draws.random_bool(0.1),
            }),
            (habits.crashes, |it, _| {
                if it.draws.random_bool(0.7) { WorldAction::Crash } else { WorldAction::Restart }
            }),
        ]
    }

    fn place(&mut self, there: usize) -> u16 {
        self.draws.random_range(0..there.clamp(1, 60_000)) as u16
    }

    fn gamer(&mut self, world: &World) -> u8 {
        // Some ask for more than others.
        let gamers = world.setup().gamers;
        self.draws.random_range(0..gamers).min(self.draws.random_range(0..gamers))
    }

    fn time(&mut self) -> u64 {
        match self.draws.random_range(0..1_000) {
            0..300 => 0,
            300..900 => self.draws.random_range(0..2_000),
            900..995 => self.draws.random_range(0..30_000),
            _ => self.draws.random_range(0..2_000_000),
        }
    }

    fn jump(&mut self, world: &World) -> WorldAction {
        match self.draws.random_range(0..4) {
            0 => WorldAction::Pass { us: HOUR_US },
            // Part of an hour, so that some charges still count towards the hourly cap.
            _ if world.setup().hour_cap.is_some() => {
                WorldAction::Pass { us: self.draws.random_range(0..HOUR_US) }
            }
            1 => WorldAction::StepBack { us: self.draws.random_range(0..BACK_US_MAX) },
            _ => WorldAction::Wall { seconds: self.draws.random_range(-4_000..4_000) },
        }
    }

    fn connect(&mut self, world: &World) -> WorldAction {
        let (gamers, workers) = (world.setup().gamers, world.setup().workers);
        let number = self.draws.random_range(0..gamers + workers);
        WorldAction::Connect(if number < gamers {
            PeerChoice::Gamer(number)
        } else {
            PeerChoice::Worker(number - gamers)
        })
    }

    fn submit(&mut self, world: &World) -> WorldAction {
        let Habits { patient, sly, exact, equal, tight, blobs, .. } = self.habits;
        let budget_us = (!self.draws.random_bool(patient)).then(|| {
            let most = if self.draws.random_bool(tight) { 15_000 } else { 400_000 };
            self.draws.random_range(1_000..most)
        });
        let again: Option<usize> =
            self.draws.random_bool(equal).then(|| self.place(self.recent.len()).into());
        let asked = again.and_then(|at| self.recent.get(at).copied()).unwrap_or_else(|| {
            let units_max = world.setup().units_max;
            let kind =
                if self.draws.random_bool(exact) { SimulatedKind::Square } else { SimulatedKind::Tenfold };
            let units = self.draws.random_range(1..units_max).min(self.draws.random_range(1..units_max));
            let number = self.draws.random_range(0..WITH_BLOB);
            let number = if self.draws.random_bool(blobs) { WITH_BLOB + number } else { number };
            (kind, number, units, self.draws.random_bool(sly))
        });
        self.recent.push_front(asked);
        self.recent.truncate(RECENT);
        let (kind, number, units, is_sly) = asked;
        WorldAction::Submit {
            gamer: self.gamer(world),
            kind,
            number,
            units,
            is_sly,
            budget_us,
            cap: if self.draws.random_bool(0.02) { self.draws.random_range(0..10_000) } else { PLENTY },
        }
    }

    fn packet(&mut self, way: Way, world: &World) -> WorldAction {
        let Habits { lost, twice, reordered, .. } = self.habits;
        let at = if self.draws.random_bool(reordered) { self.place(world.packets(way)) } else { 0 };
        let fate = match self.draws.random::<f64>() {
            drawn if drawn < lost => PacketFate::IsLost,
            drawn if drawn < lost + twice => PacketFate::ArrivesTwice,
            _ => PacketFate::Arrives,
        };
        WorldAction::Packet { way, at, fate }
    }

    fn answer(&mut self, world: &World) -> WorldAction {
        let at = self.place(world.held());
        let [lies, fails, silent] =
            world.holder(at).and_then(|worker| self.habits.conduct.get(worker)).copied().unwrap_or_default();
        let how = match self.draws.random::<f64>() {
            drawn if drawn < lies => How::Wrongly,
            drawn if drawn < lies + fails => {
                if self.draws.random_bool(0.5) {
                    How::Fails
                } else {
                    How::Overloaded
                }
            }
            drawn if drawn < lies + fails + silent => How::Silent,
            _ => How::Rightly,
        };
        WorldAction::Answer { at, how }
    }
}

/// Nano-dollars that suffice for a task of `units`, rounding included.
fn worth(units: u64) -> i64 {
    (units * CORES_RATE / RATE_UNITS) as i64 + 2
}

fn setup(seed: u64, draws: &mut SmallRng) -> WorldSetup {
    let units_max = *pick(draws, &[40, 1_500, 20_000]);
    WorldSetup {
        seed,
        gamers: draws.random_range(1..6),
        workers: draws.random_range(1..8),
        credit: if draws.random_bool(0.3) {
            worth(units_max * draws.random_range(1..=SCARCE_TASKS))
        } else {
            PLENTY / 1_024
        },
        fallback: *pick(draws, &[Fallback::Compute, Fallback::Compute, Fallback::Queue, Fallback::Refuse]),
        threads: draws.random_range(1..4),
        cache_entries: *pick(draws, &[0, 5, 1_000]),
        // What the two smallest budgets save up in half a minute is soon used up.
        checking_percent: *pick(draws, &[0.1, 0.3, 10.0, 400.0]),
        units_max,
        hour_cap: draws.random_bool(0.2).then(|| worth(units_max * draws.random_range(2..=SCARCE_TASKS))),
        patient_fallback: *pick(draws, &[PatientFallback::Queue, PatientFallback::Compute]),
    }
}

fn pick<'a, T>(draws: &mut SmallRng, of: &'a [T]) -> &'a T {
    &of[draws.random_range(0..of.len())]
}

impl Habits {
    fn new(setup: &WorldSetup, draws: &mut SmallRng) -> Self {
        let mut sometimes = |share: f64, most: u32| {
            if draws.random_bool(share) { draws.random_range(1..=most) } else { 0 }
        };
        let (cuts, splits, crashes, jumps, cancels, verdicts_of_operator) = (
            sometimes(0.7, 4),
            sometimes(0.4, 3),
            sometimes(0.5, 1),
            sometimes(0.3, 2),
            sometimes(0.7, 12),
            sometimes(0.3, 1),
        );
        let mut share = |of_worlds: f64, most: f64| {
            if draws.random_bool(of_worlds) { draws.random_range(0.0..most) } else { 0.0 }
        };
        let (lost, twice, reordered, tight) =
            (share(0.5, 0.05), share(0.5, 0.05), share(0.7, 0.5), share(0.6, 0.8));
        let (patient, sly, equal) = (share(0.8, 0.3), share(0.7, 0.8), share(0.7, 0.8));
        let conduct =
            (0..setup.workers).map(|_| [share(0.3, 0.3), share(0.3, 0.1), share(0.4, 0.2)]).collect();
        let blobs = share(0.5, 0.6);
        let mut seldom = |share: f64| u32::from(draws.random_bool(share));
        let (renames, lacks) = (seldom(0.3), 4 * seldom(0.6));
        let caps = if setup.hour_cap.is_some() { 2 * seldom(0.7) } else { 0 };
        // With an hourly cap it takes hours until many tasks have been submitted.
        let jumps = if setup.hour_cap.is_some() { jumps + 8 } else { jumps };
        Self {
            submits: draws.random_range(20..200),
            patient,
            sly,
            exact: *pick(draws, &[0.0, 0.5, 1.0, 1.0]),
            equal,
            // Gamers with plenty of money get no grants.
            grants: if setup.credit < PLENTY / 1_024 { 30 } else { 0 },
            caps,
            renames,
            blobs,
            lacks,
            tight,
            lost,
            twice,
            reordered,
            cuts,
            splits,
            crashes,
            jumps,
            pauses: if setup.patient_fallback == PatientFallback::Compute { 10 } else { 0 },
            cancels,
            verdicts_of_operator,
            conduct,
        }
    }
}
