//! Asking far ahead: the same play however long answers take within the horizon, and what a long horizon
//! costs.

use super::determinism::scripted;
use super::*;

/// Horizons of a nearby answer, of one from the other side of the earth, and the longest.
const HORIZONS: [u16; 3] = [6, 42, HORIZON_TICKS_MAX];

/// An arena whose answers come a fixed number of ticks after the request, and are given to it at the step for
/// which they are meant.
pub(super) struct Far {
    pub(super) arena: Arena,
    delay_ticks: u64,
    answer: fn(&WantedTask) -> DueOutcome,
    under_way: Vec<(u64, DueOutcome)>,
}

impl Far {
    pub(super) fn new(
        mut arena: Arena,
        horizon: u16,
        delay_ticks: u64,
        answer: fn(&WantedTask) -> DueOutcome,
    ) -> Self {
        arena.look_ahead(Horizon { paths: horizon, motions: horizon, plans: horizon });
        Self { arena, delay_ticks, answer, under_way: Vec::new() }
    }

    pub(super) fn step(&mut self, controls: Controls) -> Step {
        let tick = self.arena.tick() + 1;
        let due = self.under_way.extract_if(.., |(at, _)| *at <= tick).map(|(_, due)| due);
        let due: Vec<DueOutcome> = due.collect();
        let step = self.arena.step(controls, &due);
        for wanted in &step.wanted {
            assert!(tick + u64::from(wanted.deadline_ticks) <= wanted.due_at);
            let at = wanted.due_at.max(tick + self.delay_ticks);
            self.under_way.push((at, (self.answer)(wanted)));
        }
        step
    }
}

#[test]
fn within_the_horizon_it_makes_no_difference_how_long_answers_take() {
    let digest = |horizon: u16, delay_ticks: u16| {
        let arena = Arena::new(ArenaConfig { seed: 42, ..ArenaConfig::default() });
        let mut far = Far::new(arena, horizon, delay_ticks.into(), answered);
        while far.arena.tick() < 1_200 {
            far.step(scripted(far.arena.tick()));
        }
        assert_eq!(far.arena.physics().inline_windows, 0, "horizon {horizon}, after {delay_ticks} ticks");
        assert!(far.arena.physics().windows > 5 && !far.arena.enemies().is_empty());
        far.arena.digest()
    };
    let mut digests = Vec::new();
    for horizon in HORIZONS {
        let first = digest(horizon, 1);
        for delay in [horizon / 2, horizon] {
            assert_eq!(digest(horizon, delay), first, "horizon {horizon}, after {delay} ticks");
        }
        digests.push(first);
    }
    digests.dedup();
    assert_eq!(digests.len(), HORIZONS.len(), "how far ahead is asked does make one");
}

#[test]
fn a_longer_horizon_makes_windows_longer_and_fewer_and_all_its_answers_come_in_time() {
    let mut before = u64::MAX;
    for horizon in [0, 42, HORIZON_TICKS_MAX] {
        let mut far = Far::new(Arena::new(ArenaConfig::default()), horizon, horizon.into(), answered);
        let mut autopilot = Autopilot::default();
        while far.arena.tick() < 1_800 {
            let controls = autopilot.controls(&far.arena);
            far.step(controls);
        }
        let physics = far.arena.physics();
        assert!(
            physics.windows < before && physics.inline_windows + physics.missed_windows == 0,
            "{physics:?}"
        );
        assert!(physics.windows * u64::from(horizon) < 1_800);
        before = physics.windows;
    }
}

/// The largest share of its fuel that the kernel takes for a window of motions while the autopilot plays.
fn fuel_share(config: ArenaConfig, horizon: u16, ticks: u64) -> f64 {
    let mut far = Far::new(Arena::new(config), horizon, horizon.into(), answered);
    let (mut autopilot, mut most, mut windows) = (Autopilot::default(), 0.0_f64, 0);
    while far.arena.tick() < ticks {
        let controls = autopilot.controls(&far.arena);
        for wanted in far.step(controls).wanted {
            let Some(spec) = wanted.physics() else { continue };
            let (blobs, stop) = (Blobs::default(), Stop::never());
            let mut fuel = Physics::fuel(spec, &blobs, &stop).expect("what the arena wants is admitted");
            Physics::run_on(spec, &blobs, &mut fuel).expect("a window of play never runs out of fuel");
            most = most.max(fuel.spent() as f64 / fuel.limit() as f64);
            windows += 1;
        }
    }
    assert!(windows > 2, "{windows} windows");
    most
}

#[test]
fn windows_of_any_horizon_stay_away_from_the_end_of_their_fuel() {
    for horizon in [0, 42, HORIZON_TICKS_MAX] {
        for (config, ticks) in [(ArenaConfig::default(), 3_600), (ArenaConfig::stress(), 600)] {
            let most = fuel_share(config, horizon, ticks);
            assert!(most < 0.85, "horizon {horizon}: {most}");
        }
    }
}

#[test]
fn a_horizon_that_grows_misses_one_window_and_no_more() {
    let mut far = Far::new(Arena::new(ArenaConfig::default()), 0, 40, |wanted| match wanted.physics() {
        Some(_) if wanted.deadline_ticks < 40 => {
            DueOutcome { request: wanted.request, outcome: OutcomeBody::Missed }
        }
        _ => answered(wanted),
    });
    far.delay_ticks = 0;
    while far.arena.physics().missed_windows == 0 {
        far.step(Controls::default());
    }
    far.arena.look_ahead(Horizon { paths: 42, motions: 42, plans: 42 });
    // Requests from before the horizon grew are missed too.
    while far.arena.tick() < 600 {
        far.step(Controls::default());
    }
    let physics = far.arena.physics();
    assert!(physics.missed_windows <= 2 && physics.windows > 5, "{physics:?}");
    assert_eq!((physics.loose, physics.inline_windows), (0, 0));
}

#[test]
fn rocks_fly_on_evenly_through_windows_that_nobody_computed() {
    let mut far = Far::new(Arena::new(ArenaConfig::default()), 42, 0, |wanted| match wanted.physics() {
        Some(_) => DueOutcome { request: wanted.request, outcome: OutcomeBody::Missed },
        None => answered(wanted),
    });
    let cap = far.arena.config().rocks.speed_cap;
    while far.arena.tick() < 900 {
        let before: Vec<(RockId, Vec2)> =
            far.arena.rocks().iter().map(|rock| (rock.id, rock.position)).collect();
        far.step(scripted(far.arena.tick()));
        assert_sound(&far.arena);
        for rock in far.arena.rocks() {
            let Ok(at) = before.binary_search_by_key(&rock.id, |(id, _)| *id) else { continue };
            let moved = rock.position.distance(before[at].1);
            assert!(moved < cap / 60.0 + 0.01, "{:?} moved {moved} m in a tick", rock.id);
        }
    }
    let physics = far.arena.physics();
    assert_eq!((physics.carried, physics.windows), (0, 0));
    assert!(physics.missed_windows > 10);
}

/// Mean and largest distance from the ends of the paths that enemies take to the ship's place at that moment.
fn miss(horizon: u16) -> (f32, f32) {
    let (mut sum, mut most, mut count) = (0.0, 0.0_f32, 0.0);
    for seed in 1..=3 {
        let arena = Arena::new(ArenaConfig { seed, ..ArenaConfig::default() });
        let mut far = Far::new(arena, horizon, 0, answered);
        let (mut autopilot, mut alive_ticks) = (Autopilot::default(), 0);
        while far.arena.tick() < 2_400 {
            let controls = autopilot.controls(&far.arena);
            let step = far.step(controls);
            let taken = step.events.iter().any(|event| matches!(event, ArenaEvent::PathsTaken { .. }));
            let ship = far.arena.ship();
            alive_ticks = if ship.alive { alive_ticks + 1 } else { 0 };
            // A new ship appears somewhere else than where the last was lost.
            if !taken || alive_ticks <= HORIZON_TICKS_MAX {
                continue;
            }
            let fresh_ticks = far.arena.config().paths.fresh_ticks - 1;
            for enemy in far.arena.enemies().iter().filter(|enemy| enemy.fresh_ticks == fresh_ticks) {
                let Some(end) = enemy.waypoints().last() else { continue };
                let away = end.distance(ship.position);
                (sum, most, count) = (sum + away, most.max(away), count + 1.0);
            }
        }
    }
    assert!(count > 50.0, "{count} paths");
    (sum / count, most)
}

#[test]
fn a_path_ends_within_the_ships_flight_of_where_the_ship_is() {
    let rules = ShipRules::default();
    let top_speed = rules.thrust / rules.drag;
    let mut before = 0.0;
    for horizon in HORIZONS {
        let (mean, most) = miss(horizon);
        let seconds = f32::from(horizon.max(PathRules::default().deadline_ticks)) / 60.0;
        // The predicted and the actual flight, the cells that a goal may be moved by, and the distance
        // between two ends for which no enemy turns back.
        let bound = top_speed * (seconds + seconds.min(0.8)) + 8.0 + 10.0;
        assert!(most <= bound, "horizon {horizon}: {most} m of {bound}");
        assert!(mean < top_speed * seconds * 0.6 + 2.0, "horizon {horizon}: {mean} m on average");
        assert!(mean >= before * 0.7, "what is asked for farther ahead is less certain");
        before = mean;
    }
}

#[test]
fn paths_from_far_away_still_bring_enemies_to_the_ship_sooner_than_noses() {
    let ticks = |horizon: u16, answer: fn(&WantedTask) -> DueOutcome| {
        let mut sum = 0;
        for seed in 1..=4 {
            let config = ArenaConfig {
                seed,
                ship: ShipRules { invulnerable_ticks: 600, ..ShipRules::default() },
                ..ArenaConfig::default()
            };
            let mut far = Far::new(Arena::new(config), horizon, horizon.into(), answer);
            while far.arena.tick() < 1_000 {
                far.arena.ship.invulnerable_ticks = 600;
                far.step(Controls::default());
                let ship = far.arena.ship().position;
                let away = |enemy: &&Enemy| enemy.position.distance(ship) > 10.0;
                sum += far.arena.enemies().iter().filter(away).count();
            }
        }
        sum
    };
    let without = ticks(6, failed);
    for (horizon, percent) in [(6, 80), (42, 85), (HORIZON_TICKS_MAX, 100)] {
        let with = ticks(horizon, answered);
        assert!(
            with * 100 < without * percent,
            "horizon {horizon}: {with} enemy ticks, {without} without paths"
        );
    }
}
