//! Outcomes that are late, doubled, overtaken, for dead enemies, or invalid: the game goes on by its rules.

use p2c2r_tasks::path::{Cell, Cost, QueryAnswer};

use super::*;
use crate::dice::Dice;

/// An arena with rocks, one wave of enemies, and the request made when it started.
fn with_request() -> (Arena, WantedTask) {
    let mut arena = Arena::new(crowded());
    loop {
        let step = arena.step(Controls::default(), &[]);
        if let Some(wanted) = step.wanted.into_iter().find(|wanted| wanted.path().is_some()) {
            return (arena, wanted);
        }
    }
}

fn on_paths(arena: &Arena) -> usize {
    arena.enemies().iter().filter(|enemy| !enemy.waypoints().is_empty()).count()
}

/// Steps once with `outcome` due. Returns how many enemies follow its paths, or `None` if it was ignored.
fn give(arena: &mut Arena, outcome: &DueOutcome) -> Option<u32> {
    let step = arena.step(Controls::default(), std::slice::from_ref(outcome));
    let request = outcome.request;
    let told = step.events.iter().find_map(|event| match event {
        ArenaEvent::PathsTaken { request: taken, enemies, .. } if *taken == request => Some(Some(*enemies)),
        ArenaEvent::OutcomeIgnored { request: ignored } if *ignored == request => Some(None),
        _ => None,
    });
    told.expect("an outcome is either taken or ignored")
}

fn wait(arena: &mut Arena, ticks: u16) {
    for _ in 0..ticks {
        arena.step(Controls::default(), &[]);
    }
}

fn found(cells: Vec<Cell>) -> QueryAnswer {
    QueryAnswer::Found { cost: Cost { straight: 0, diagonal: 0 }, waypoints: cells }
}

#[test]
fn an_outcome_in_time_puts_every_enemy_on_its_path() {
    let (mut arena, wanted) = with_request();
    wait(&mut arena, 12);
    assert_eq!(give(&mut arena, &answered(&wanted)), Some(6));
    assert!(on_paths(&arena) >= 5, "an enemy may see the ship already");
}

#[test]
fn a_path_goes_stale_and_the_enemy_follows_its_nose() {
    let (mut arena, wanted) = with_request();
    give(&mut arena, &answered(&wanted));
    let fresh = arena.config().paths.fresh_ticks;
    wait(&mut arena, fresh - 2);
    assert!(on_paths(&arena) > 0);
    wait(&mut arena, 2);
    assert_eq!(on_paths(&arena), 0);
    assert!(arena.enemies().iter().all(|enemy| enemy.steering != Steering::Path));
}

#[test]
fn an_outcome_after_the_patience_is_ignored() {
    let (mut arena, wanted) = with_request();
    let patience = arena.config().paths.patience_ticks;
    let outcome = answered(&wanted);
    let mut late = arena.clone();
    wait(&mut arena, patience - 1);
    assert!(give(&mut arena, &outcome).is_some());
    wait(&mut late, patience);
    assert_eq!(give(&mut late, &outcome), None);
    assert_eq!(on_paths(&late), 0);
}

#[test]
fn doubled_unknown_and_overtaken_outcomes_are_ignored() {
    let (mut arena, first) = with_request();
    let second = loop {
        let step = arena.step(Controls::default(), &[]);
        if let Some(wanted) = step.wanted.into_iter().find(|wanted| wanted.path().is_some()) {
            break wanted;
        }
    };
    assert!(give(&mut arena, &answered(&second)).is_some());
    assert_eq!(give(&mut arena, &answered(&second)), None, "doubled");
    assert_eq!(give(&mut arena, &answered(&first)), None, "overtaken");
    for number in [0, second.request.0 + 1, u32::MAX] {
        assert_eq!(give(&mut arena, &due(RequestId(number), solve(&second))), None, "request {number}");
    }
}

#[test]
fn only_enemies_that_still_live_take_their_own_paths() {
    let (mut arena, wanted) = with_request();
    let ids: Vec<EnemyId> = arena.enemies().iter().map(|enemy| enemy.id).collect();
    arena.destroy_enemy(0, &mut Vec::new());
    arena.destroy_enemy(2, &mut Vec::new());
    let outcome = solve(&wanted);
    assert_eq!(give(&mut arena, &due(wanted.request, outcome.clone())), Some(4));
    for enemy in arena.enemies().iter().filter(|enemy| !enemy.waypoints().is_empty()) {
        let asked = ids.iter().position(|id| *id == enemy.id).unwrap();
        let QueryAnswer::Found { waypoints, .. } = &outcome.answers[asked] else { panic!("no path") };
        assert_eq!(enemy.waypoints().last().copied(), arena.field.middle(*waypoints.last().unwrap()));
    }
    while !arena.enemies().is_empty() {
        arena.destroy_enemy(0, &mut Vec::new());
    }
    give(&mut arena, &due(wanted.request, outcome));
}

#[test]
fn outcomes_of_the_last_round_are_ignored_in_the_next() {
    let (mut arena, wanted) = with_request();
    while !arena.is_over() {
        arena.lose_life(Vec2::ZERO, Harm::Shot, Vec2::FORWARD, &mut Vec::new());
    }
    arena.step(Controls { restart: true, ..Controls::default() }, &[]);
    assert_eq!(give(&mut arena, &answered(&wanted)), None);
}

/// Invalid outcomes of every shape lead to the same game as no answer at all.
#[test]
fn nonsense_steers_nobody() {
    let shapes: [fn(&WantedTask) -> DueOutcome; 6] = [
        |wanted| due(wanted.request, PathOutcome { answers: Vec::new() }),
        |wanted| {
            let mut outcome = solve(wanted);
            outcome.answers.push(QueryAnswer::Unreachable);
            due(wanted.request, outcome)
        },
        |wanted| {
            let mut outcome = solve(wanted);
            outcome.answers.iter_mut().for_each(|answer| *answer = QueryAnswer::Unreachable);
            due(wanted.request, outcome)
        },
        |wanted| {
            let mut outcome = solve(wanted);
            outcome.answers.iter_mut().for_each(|answer| *answer = found(Vec::new()));
            due(wanted.request, outcome)
        },
        |wanted| {
            let mut outcome = solve(wanted);
            for answer in &mut outcome.answers {
                let QueryAnswer::Found { waypoints, .. } = answer else { continue };
                waypoints.push(Cell::new(80, 3));
            }
            due(wanted.request, outcome)
        },
        |wanted| {
            let mut outcome = solve(wanted);
            outcome.answers.iter_mut().for_each(|answer| *answer = found(vec![Cell::new(1, 1); 70_000]));
            due(wanted.request, outcome)
        },
    ];
    let play = |answer: fn(&WantedTask) -> DueOutcome| {
        let mut arena = Arena::new(crowded());
        let mut autopilot = Autopilot::default();
        let mut due = Vec::new();
        while arena.tick() < 900 {
            let wanted = arena.step(autopilot.controls(&arena), &due).wanted;
            due = wanted.iter().filter(|wanted| wanted.path().is_some()).map(answer).collect();
        }
        (arena.score, arena.lives, arena.wave, arena.ship, arena.enemies, arena.bullets, arena.rocks)
    };
    let without = play(failed);
    assert!(without.0 > 0 && !without.4.is_empty(), "the run must show something");
    for (number, shape) in shapes.into_iter().enumerate() {
        assert!(play(shape) == without, "shape {number}");
    }
    assert!(play(answered) != without, "answers that make sense must matter");
}

/// Legal cells anywhere, wrong ids, any order, several a tick.
#[test]
fn random_outcomes_never_break_the_rules() {
    for seed in 0..6 {
        let mut arena = Arena::new(ArenaConfig { seed, ..crowded() });
        let mut dice = Dice::new(seed);
        let mut autopilot = Autopilot::default();
        let mut asked = Vec::new();
        for _ in 0..1_500 {
            let outcomes: Vec<DueOutcome> = (0..dice.below(3))
                .map(|_| {
                    let answers = (0..dice.below(9))
                        .map(|_| {
                            let cells = (0..dice.below(12))
                                .map(|_| Cell::new(dice.below(82) as u16, dice.below(81) as u16));
                            found(cells.collect())
                        })
                        .collect();
                    let known = asked.get(dice.below(8) as usize).copied();
                    due(known.unwrap_or(RequestId(dice.below(50))), PathOutcome { answers })
                })
                .collect();
            let controls = autopilot.controls(&arena);
            let step = arena.step(controls, &outcomes);
            asked.extend(step.wanted.iter().map(|wanted| wanted.request));
            asked.drain(..asked.len().saturating_sub(8));
            assert_sound(&arena);
        }
        assert!(arena.score() > 0, "seed {seed}");
    }
}
