//! The autopilot plays well enough for a demo.

use super::*;

/// Steps until the round is over, at most `ticks`.
fn round(seed: u64, ticks: u64, answer: fn(&WantedTask) -> DueOutcome) -> Arena {
    let mut played = Played::new(Arena::new(ArenaConfig { seed, ..ArenaConfig::default() }), 12, answer);
    let mut autopilot = Autopilot::default();
    while played.arena.tick() < ticks && !played.arena.is_over() {
        let controls = autopilot.controls(&played.arena);
        played.step(controls);
        assert_sound(&played.arena);
    }
    played.arena
}

#[test]
fn it_survives_a_minute_and_scores() {
    for seed in 1..=8 {
        let arena = round(seed, 3_600, answered);
        assert!(!arena.is_over(), "seed {seed}: lost at tick {}", arena.tick());
        assert!(arena.score() >= 2_000 && arena.wave() >= 3, "seed {seed}: {} points", arena.score());
    }
}

#[test]
fn it_gets_on_when_no_outcome_ever_comes() {
    for seed in 1..=4 {
        let arena = round(seed, 3_600, failed);
        assert!(arena.score() >= 500, "seed {seed}: {} points", arena.score());
    }
}

#[test]
fn it_starts_the_next_round_a_while_after_the_last() {
    let mut arena = Arena::new(ArenaConfig::default());
    while !arena.is_over() {
        arena.lose_life(Vec2::ZERO, Harm::Shot, Vec2::FORWARD, &mut Vec::new());
    }
    let mut autopilot = Autopilot::default();
    let mut ticks = 0;
    while arena.is_over() {
        let controls = autopilot.controls(&arena);
        arena.step(controls, &[]);
        ticks += 1;
        assert!(ticks < 600);
    }
    assert!(ticks > 60, "the end must be seen");
    assert_eq!((arena.lives(), arena.score()), (3, 0));
}

#[test]
fn it_only_reads() {
    let mut arena = Arena::new(ArenaConfig::default());
    for _ in 0..400 {
        arena.step(Controls::default(), &[]);
    }
    let before = arena.digest();
    let (mut one, mut other) = (Autopilot::default(), Autopilot::default());
    assert_eq!(one.controls(&arena), other.controls(&arena));
    assert_eq!(arena.digest(), before);
}
