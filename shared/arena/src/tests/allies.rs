//! Wingmen and bosses: what they do by rule and by plan, what is asked for them, and what plans are worth.

use p2c2r_tasks::tactics::{TacticsOutcome, TacticsSpec};

use super::determinism::scripted;
use super::horizon::Far;
use super::*;

fn allied(wingmen: u8) -> ArenaConfig {
    ArenaConfig { seed: 42, ..ArenaConfig::default() }.with_allies(wingmen)
}

/// Nobody but two wingmen, no rocks.
fn alone() -> Arena {
    let mut arena = Arena::new(empty_config().with_allies(2));
    for wingman in &mut arena.wingmen {
        wingman.mercy_ticks = 0;
    }
    arena
}

fn tactics(wanted: &WantedTask) -> Option<&TacticsSpec> {
    match &wanted.spec {
        WantedSpec::Tactics { spec } => Some(spec),
        _ => None,
    }
}

#[test]
fn within_the_horizon_plans_give_the_same_play_however_long_they_take() {
    let digest = |horizon: u16, delay_ticks: u16| {
        let mut far = Far::new(Arena::new(allied(2)), horizon, delay_ticks.into(), answered);
        let mut guided = 0;
        while far.arena.tick() < 1_200 {
            far.step(scripted(far.arena.tick()));
            guided += far.arena.wingmen().iter().filter(|wingman| wingman.guided).count();
            assert_sound(&far.arena);
        }
        assert!(guided > 60, "wingmen flew plans in {guided} ticks");
        far.arena.digest()
    };
    for horizon in [18, 42, HORIZON_TICKS_MAX] {
        let first = digest(horizon, 1);
        assert_eq!(digest(horizon, horizon), first, "horizon {horizon}");
    }
}

#[test]
fn without_answers_wingmen_go_by_rule_and_fight_all_the_same() {
    let mut played = Played::new(Arena::new(allied(1)), 12, failed);
    let (mut fired, mut away) = (0, 0.0_f32);
    for tick in 0..1_800 {
        let step = played.step(scripted(tick));
        let by_wingman =
            |event: &&ArenaEvent| matches!(event, ArenaEvent::Fired { by: Shooter::Wingman(_), .. });
        fired += step.events.iter().filter(by_wingman).count();
        assert!(played.arena.wingmen().iter().all(|wingman| !wingman.guided));
        let (ship, wingman) = (played.arena.ship(), &played.arena.wingmen()[0]);
        if played.arena.enemies().is_empty() && ship.alive && wingman.is_there() {
            away = away.max(wingman.position.distance(ship.position));
        }
        assert_sound(&played.arena);
    }
    assert!(fired > 5, "{fired} shots");
    assert!(away < 30.0, "it stays with the ship: {away} m");
    assert_eq!(played.arena.planned_rollouts(), None);
}

#[test]
fn what_is_asked_is_small_and_far_from_the_end_of_its_fuel() {
    let mut far = Far::new(Arena::new(ArenaConfig { waves: crowded().waves, ..allied(2) }), 42, 42, answered);
    far.arena.plan_deep(PlanDepth { candidates: 16, futures: 2 });
    let (mut autopilot, mut asked, mut most, mut bytes) = (Autopilot::default(), 0, 0.0_f64, 0);
    while far.arena.tick() < 3_600 {
        let controls = autopilot.controls(&far.arena);
        for wanted in far.step(controls).wanted {
            let Some(spec) = tactics(&wanted) else { continue };
            let (blobs, stop) = (Blobs::default(), Stop::never());
            let mut fuel = Tactics::fuel(spec, &blobs, &stop).expect("what is wanted is admitted");
            Tactics::run_on(spec, &blobs, &mut fuel).expect("plans never run out of fuel");
            most = most.max(fuel.spent() as f64 / fuel.limit() as f64);
            bytes = bytes.max(Tactics::encode_spec(spec).len());
            asked += 1;
        }
    }
    assert!(asked > 20 && bytes <= 1_400, "{asked} tasks, {bytes} bytes");
    assert!(most < 0.8, "{most} of the fuel");
}

/// Plans to stay where one is: of all candidates the second is made the best.
fn resting(wanted: &WantedTask) -> DueOutcome {
    let Some(spec) = tactics(wanted) else { return answered(wanted) };
    let scores = (0..spec.candidates).map(|number| i32::from(number == 1)).collect();
    let outcome = TacticsOutcome { scores: vec![scores; spec.planners.len()] };
    DueOutcome { request: wanted.request, outcome: OutcomeBody::Tactics(Arc::new(outcome)) }
}

#[test]
fn a_boss_flies_its_plan_and_goes_by_rule_behind_its_end() {
    let mut arena = Arena::new(empty_config().with_allies(0));
    arena.add_enemy(EnemyRole::Boss, Vec2::new(0.0, 20.0));
    let mut played = Played::new(arena, 18, resting);
    let planned = (0..120).filter(|_| {
        played.step(Controls::default());
        played.arena.enemies().iter().any(|boss| boss.steering == Steering::Plan)
    });
    assert!(planned.count() > 60);
    played.answer = failed;
    for _ in 0..200 {
        played.step(Controls::default());
    }
    assert!(played.arena.enemies().iter().all(|boss| boss.steering != Steering::Plan));
}

#[test]
fn an_answer_that_makes_no_sense_or_that_nobody_waits_for_is_ignored() {
    let mut arena = alone();
    arena.add_enemy(EnemyRole::Gunner, Vec2::new(0.0, 20.0));
    let wanted = arena.step(Controls::default(), &[]).wanted;
    let request = wanted.iter().find(|wanted| tactics(wanted).is_some()).expect("plans are wanted").request;
    let give = |arena: &mut Arena, request, scores: Vec<Vec<i32>>| {
        let outcome = OutcomeBody::Tactics(Arc::new(TacticsOutcome { scores }));
        arena.step(Controls::default(), &[DueOutcome { request, outcome }]).events
    };
    let ignored = |request| ArenaEvent::OutcomeIgnored { request };
    for scores in [vec![], vec![vec![1; 8]], vec![vec![1; 8]; 3]] {
        let mut arena = arena.clone();
        assert!(give(&mut arena, request, scores).contains(&ignored(request)));
    }
    let stray = RequestId(99);
    assert!(give(&mut arena, stray, vec![vec![1; 8]; 2]).contains(&ignored(stray)));
    let taken = give(&mut arena, request, vec![vec![1; 8], vec![]]);
    assert!(
        taken.iter().any(|event| matches!(event, ArenaEvent::PlansTaken { planners: 1, .. })),
        "{taken:?}"
    );
    assert!(give(&mut arena, request, vec![vec![1; 8]; 2]).contains(&ignored(request)));
}

#[test]
fn a_wingman_that_is_hit_too_often_is_lost_and_comes_back_to_the_ship() {
    let mut arena = alone();
    let (hull, at) = (arena.config().wingmen.hull, arena.wingmen[0].position);
    let mut events = Vec::new();
    for _ in 0..hull {
        arena.wingmen[0].mercy_ticks = 0;
        arena.hurt_wingman(0, 1, &mut events);
    }
    assert!(events.contains(&ArenaEvent::WingmanLost { at }) && !arena.wingmen()[0].is_there());
    arena.hurt_wingman(0, 1, &mut events);
    let away = arena.config().wingmen.away_ticks;
    let returned = (1..=away).find(|_| {
        let step = arena.step(Controls::default(), &[]);
        step.events.iter().any(|event| matches!(event, ArenaEvent::WingmanReturned { .. }))
    });
    assert_eq!(returned, Some(away));
    assert!(arena.wingmen()[0].is_there() && arena.wingmen()[0].hull == hull);
    assert!(arena.wingmen()[0].position.distance(arena.ship().position) < 6.0);
}

#[test]
fn enemies_are_after_wingmen_too_and_wingmen_shoot_them() {
    let mut arena = alone();
    arena.ship.position = Vec2::new(0.0, -30.0);
    arena.wingmen[0].position = Vec2::new(-10.0, 10.0);
    arena.wingmen[1].position = Vec2::new(10.0, 10.0);
    arena.add_enemy(EnemyRole::Rammer, Vec2::new(-10.0, 22.0));
    arena.add_enemy(EnemyRole::Gunner, Vec2::new(10.0, 24.0));
    let mut fired_at_wingman = false;
    let mut killed = 0;
    for _ in 0..600 {
        for event in arena.step(Controls::default(), &[]).events {
            match event {
                ArenaEvent::Fired { by: Shooter::Enemy(_), heading, .. } => {
                    fired_at_wingman |= heading.y < 0.0;
                }
                ArenaEvent::EnemyDestroyed { .. } => killed += 1,
                _ => {}
            }
        }
    }
    assert!(fired_at_wingman && killed == 2, "{killed} killed");
}

/// How a duel ends: a wingman alone against rammers and gunners, no ship. Won if they are all gone within a minute and the
/// wingman has not been lost.
fn duel(seed: u64, depth: Option<PlanDepth>, horizon: u16) -> bool {
    let config =
        ArenaConfig { seed, pickups: PickupRules { chance: 0.0, ..PickupRules::default() }, ..allied(1) };
    let mut arena = Arena::new(config);
    arena.ship.alive = false;
    arena.ship.away_ticks = u16::MAX;
    arena.wingmen[0].position = Vec2::ZERO;
    for (number, role) in DUELLISTS.into_iter().enumerate() {
        let out = arena.dice.direction();
        arena.add_enemy(role, out * (16.0 + 2.0 * number as f32));
    }
    let answer: fn(&WantedTask) -> DueOutcome = if depth.is_some() { answered } else { by_rule };
    let mut far = Far::new(arena, horizon, 1, answer);
    far.arena.plan_deep(depth.unwrap_or_default());
    for _ in 0..3_600 {
        let events = far.step(Controls::default()).events;
        if events.iter().any(|event| matches!(event, ArenaEvent::WingmanLost { .. })) {
            return false;
        }
        if far.arena.enemies().is_empty() {
            return true;
        }
    }
    false
}

const DUELLISTS: [EnemyRole; 10] = [
    EnemyRole::Rammer,
    EnemyRole::Gunner,
    EnemyRole::Rammer,
    EnemyRole::Gunner,
    EnemyRole::Rammer,
    EnemyRole::Gunner,
    EnemyRole::Rammer,
    EnemyRole::Gunner,
    EnemyRole::Rammer,
    EnemyRole::Gunner,
];

/// Everything but plans.
fn by_rule(wanted: &WantedTask) -> DueOutcome {
    if tactics(wanted).is_some() { failed(wanted) } else { answered(wanted) }
}

/// Duels won of a hundred.
fn won(depth: Option<PlanDepth>, horizon: u16) -> usize {
    (0..100).filter(|seed| duel(*seed, depth, horizon)).count()
}

/// The figures of `docs/PERFORMANCE.md`.
#[test]
#[ignore = "takes minutes"]
fn of_a_hundred_duels_more_are_won_the_deeper_is_planned() {
    let depth = |candidates, futures| Some(PlanDepth { candidates, futures });
    let rule = won(None, 18);
    let mut table = format!("by rule: {rule} of 100\n");
    let words = |candidates, futures, near, far| {
        format!("{candidates} x {futures}: {near} of 100 next door, {far} at 0.7 s\n")
    };
    let mut found = Vec::new();
    for (candidates, futures) in [(8, 2), (16, 2), (32, 2), (64, 4), (128, 8)] {
        let near = won(depth(candidates, futures), 18);
        let far = won(depth(candidates, futures), 42);
        table.push_str(&words(candidates, futures, near, far));
        found.push((near, far));
    }
    // Passing tests are silent, and the figures are what this one is for.
    std::fs::write(std::env::temp_dir().join("p2c2r-duels.txt"), table).expect("a temporary folder");
    let local = found[0].0;
    assert!(
        found[3].0 > local && found[3].1 > local,
        "borrowed plans are better than those made here: {found:?}"
    );
}
