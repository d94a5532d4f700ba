//! The same inputs give the same state, bit for bit; golden digests say so for every machine that runs them.

use super::*;

const MINUTE: u64 = 60 * TICKS_PER_SECOND as u64;

const GOLDEN_WITHOUT_OUTCOMES: &str = "bc43061a5cd245f88afbba942fe06edc12361bd93f4d8417f473f8b9a61b71bb";
const GOLDEN_WITH_OUTCOMES: &str = "d607e6700175e2ca57b3982480db613a74bfd2372d6089aa8a7ad08e47368c1e";
const GOLDEN_AUTOPILOT: &str = "24ba31e41bc4269cd507c6e17afdae6ea3ea3328a50e295bf9516468fe74b189";

/// Controls that turn, burn, boost, brake, fire, launch and restart without looking at the arena.
pub(super) fn scripted(tick: u64) -> Controls {
    Controls {
        turn: [1, 1, 0, -1, 0, -1, 0][(tick / 23 % 7) as usize],
        thrust: [1, 0, 1, -1, 0][(tick / 31 % 5) as usize],
        fire: tick % 40 < 25,
        missile: tick % 200 == 90,
        boost: tick % 120 < 45,
        restart: tick.is_multiple_of(600),
    }
}

fn scripted_minute(answer: fn(&WantedTask) -> DueOutcome) -> Arena {
    let mut played = Played::new(Arena::new(ArenaConfig { seed: 42, ..ArenaConfig::default() }), 12, answer);
    while played.arena.tick() < MINUTE {
        played.step(scripted(played.arena.tick()));
    }
    played.arena
}

fn on_another_thread(wanted: &WantedTask) -> DueOutcome {
    let wanted = wanted.clone();
    std::thread::spawn(move || answered(&wanted)).join().unwrap()
}

/// Changes only with the rules and their numbers: then record the new digest in the same commit.
#[test]
fn a_scripted_minute_without_outcomes_has_its_golden_digest() {
    let arena = scripted_minute(failed);
    assert!(arena.wave() > 0 && arena.score() > 0, "the script must get something done");
    assert_eq!(arena.digest().to_string(), GOLDEN_WITHOUT_OUTCOMES);
}

/// Changes with the rules, and with the path kernel's choice among equally short paths, which raises the
/// kernel's version.
#[test]
fn a_scripted_minute_with_the_kernels_outcomes_has_its_golden_digest() {
    let arena = scripted_minute(answered);
    assert_eq!(arena.digest().to_string(), GOLDEN_WITH_OUTCOMES);
    assert_eq!(scripted_minute(answered).digest(), arena.digest());
}

#[test]
fn where_outcomes_are_computed_makes_no_difference() {
    assert_eq!(scripted_minute(on_another_thread).digest(), scripted_minute(answered).digest());
}

#[test]
fn the_autopilots_minute_has_its_golden_digest() {
    let mut played = Played::new(Arena::new(ArenaConfig::default()), 12, failed);
    let mut autopilot = Autopilot::default();
    while played.arena.tick() < MINUTE {
        let controls = autopilot.controls(&played.arena);
        played.step(controls);
    }
    assert_eq!(played.arena.digest().to_string(), GOLDEN_AUTOPILOT);
}

#[test]
fn a_clone_goes_on_like_the_original() {
    let mut first = scripted_minute(answered);
    let mut second = first.clone();
    for tick in 0..300 {
        assert_eq!(first.step(scripted(tick), &[]).events, second.step(scripted(tick), &[]).events);
    }
    assert_eq!(first.digest(), second.digest());
}

#[test]
fn the_digest_sees_every_part_of_the_state() {
    let arena = {
        let mut played = Played::new(Arena::new(ArenaConfig::default()), 12, answered);
        let mut autopilot = Autopilot::default();
        let busy = |arena: &Arena| {
            !arena.bullets().is_empty() && arena.enemies().iter().any(|enemy| !enemy.waypoints().is_empty())
        };
        while played.arena.tick() < 200 || !busy(&played.arena) {
            let controls = autopilot.controls(&played.arena);
            played.step(controls);
        }
        played.arena
    };
    let nudge = |at: &mut f32| *at += 1e-3;
    let changes: [fn(&mut Arena, fn(&mut f32)); 43] = [
        |arena, _| arena.config.seed += 1,
        |arena, nudge| nudge(&mut arena.config.paths.lead),
        |arena, _| _ = arena.dice.below(2),
        |arena, _| arena.tick += 1,
        |arena, nudge| nudge(&mut arena.ship.velocity.x),
        |arena, _| arena.ship.cooldown_ticks += 1,
        |arena, _| arena.ship.alive ^= true,
        |arena, _| arena.ship.shield += 1,
        |arena, _| arena.ship.hull += 1,
        |arena, _| arena.ship.missiles += 1,
        |arena, _| arena.ship.boost_ticks += 1,
        |arena, _| arena.ship.drained ^= true,
        |arena, _| arena.bullets[0].ammunition = Ammunition::Missile,
        |arena, _| arena.bullets[0].reflected ^= true,
        |arena, _| {
            let kind = PickupKind::Hull;
            arena.pickups.push(Pickup { id: PickupId(1), kind, position: Vec2::ZERO, ticks_left: 9 });
        },
        |arena, nudge| nudge(&mut arena.enemies[0].position.y),
        |arena, _| arena.enemies[0].stuck_ticks += 1,
        |arena, _| arena.enemies[0].launched ^= true,
        |arena, _| arena.enemies[0].cooldown_ticks += 1,
        |arena, _| arena.enemies.iter_mut().for_each(|enemy| enemy.way.clear()),
        |arena, _| arena.bullets[0].ticks_left += 1,
        |arena, _| arena.bullets.clear(),
        |arena, nudge| nudge(&mut arena.rocks[3].radius),
        |arena, _| arena.rocks[3].motion.velocity[0] += 1e-3,
        |arena, _| arena.rocks[3].loosen(7),
        |arena, _| arena.windows.begin_round(arena.tick, 30),
        |arena, _| arena.look_ahead(Horizon { paths: 20, ..Horizon::default() }),
        |arena, _| arena.rocks[3].hits_left += 1,
        |arena, _| arena.pathing.begin_round(),
        |arena, _| arena.config.wingmen.flying += 1,
        |arena, _| arena.wingmen = Arena::new(ArenaConfig::default().with_allies(1)).wingmen,
        |arena, _| arena.plan_deep(PlanDepth { candidates: 9, futures: 2 }),
        |arena, _| arena.score += 1,
        |arena, _| arena.lives += 1,
        |arena, _| arena.next_life_at += 1,
        |arena, _| arena.wave += 1,
        |arena, _| arena.over ^= true,
        |arena, _| arena.round += 1,
        |arena, _| arena.warp_ticks += 1,
        |arena, _| arena.sector.number += 1,
        |arena, _| arena.sector.seed += 1,
        |arena, _| arena.sector.wells.push(Well::new(&arena.config.sectors, Vec2::ZERO)),
        |arena, _| arena.last_enemy += 1,
    ];
    let mut digests = vec![arena.digest()];
    for change in changes {
        let mut changed = arena.clone();
        change(&mut changed, nudge);
        digests.push(changed.digest());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn both_zeros_are_one_value_to_the_digest() {
    let (mut plus, mut minus) = (empty(), empty());
    plus.ship.velocity = Vec2::new(0.0, 0.0);
    minus.ship.velocity = Vec2::new(-0.0, -0.0);
    assert_eq!(plus.digest(), minus.digest());
}
