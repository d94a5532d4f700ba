//! Wingmen and bosses: what they do by rule and by plan, what is asked for them, and how much plans help.

use std::fmt::Write as _;
use std::ops::Range;

use p2c2r_tasks::tactics::{TacticsOutcome, TacticsSpec};

use super::determinism::scripted;
use super::horizon::Far;
use super::*;
use crate::duels::{FAR_TICKS, NEAR_TICKS, WON};

fn allied(wingmen: u8) -> ArenaConfig {
    ArenaConfig { seed: 42, ..ArenaConfig::default() }.with_allies(wingmen)
}

/// An arena with only two wingmen and no rocks.
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
fn a_new_round_does_not_show_the_plans_of_the_last() {
    let mut far = Far::new(Arena::new(allied(2)), 18, 1, answered);
    while far.arena.planned_rollouts().is_none() {
        assert!(far.arena.tick() < 1_200, "no plan was taken");
        far.step(scripted(far.arena.tick()));
    }
    far.arena.begin_round();
    assert_eq!(far.arena.planned_rollouts(), None);
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

/// Plans to stay in place: the second candidate gets the best score.
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
    arena.config.wingmen.holds_fire_ticks = 0;
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

#[test]
fn nobody_is_fought_for_who_does_not_fire() {
    let shots = |controls: fn(u64) -> Controls, has_ship: bool| {
        let mut arena = alone();
        arena.ship.position = Vec2::new(0.0, -30.0);
        if !has_ship {
            (arena.ship.alive, arena.ship.away_ticks) = (false, u16::MAX);
        }
        arena.wingmen[0].position = Vec2::new(-10.0, 10.0);
        arena.wingmen[1].position = Vec2::new(10.0, 10.0);
        arena.add_enemy(EnemyRole::Rammer, Vec2::new(-10.0, 22.0));
        arena.add_enemy(EnemyRole::Gunner, Vec2::new(10.0, 24.0));
        let by_wingman =
            |event: &&ArenaEvent| matches!(event, ArenaEvent::Fired { by: Shooter::Wingman(_), .. });
        (0..300)
            .map(|tick| arena.step(controls(tick), &[]).events.iter().filter(by_wingman).count())
            .sum::<usize>()
    };
    assert_eq!(shots(|_| Controls::default(), true), 0);
    let now_and_then = |tick: u64| Controls { fire: tick.is_multiple_of(240), ..Controls::default() };
    assert!(shots(now_and_then, true) > 0, "they fight beside who fights");
    assert!(shots(|_| Controls::default(), false) > 0, "and go on without the ship");
}

/// Whether a wingman alone, without a ship, wins a duel against rammers and gunners: all are gone within a
/// minute and it has not been lost.
fn duel(seed: u64, depth: Option<PlanDepth>, horizon: u16) -> bool {
    let config =
        ArenaConfig { seed, pickups: PickupRules { chance: 0.0, ..PickupRules::default() }, ..allied(1) };
    let mut arena = Arena::new(config);
    arena.ship.alive = false;
    arena.ship.away_ticks = u16::MAX;
    arena.wingmen[0].position = Vec2::ZERO;
    for number in 0..DUELLISTS {
        let role = if number % 2 == 0 { EnemyRole::Rammer } else { EnemyRole::Gunner };
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

/// Enough that a wingman by rule seldom survives them, and one that plans often does.
const DUELLISTS: usize = 18;

/// Answers everything but plans.
fn by_rule(wanted: &WantedTask) -> DueOutcome {
    if tactics(wanted).is_some() { failed(wanted) } else { answered(wanted) }
}

/// Seeds of the duels. Plans, depths and numbers were tuned on other seeds.
const DUELS: Range<u64> = 7_000..7_100;

/// Which of a hundred duels were won.
fn won(depth: Option<PlanDepth>, horizon: u16) -> Vec<bool> {
    let seeds: Vec<u64> = DUELS.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let fight = |seeds: &[u64]| seeds.iter().map(|seed| duel(*seed, depth, horizon)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let shares = seeds.chunks(seeds.len().div_ceil(threads));
        let fights: Vec<_> = shares.map(|share| scope.spawn(move || fight(share))).collect();
        fights.into_iter().flat_map(|fight| fight.join().expect("a duel ends")).collect()
    })
}

/// The 95 % confidence interval of the chance to win, in per cent (Wilson).
fn interval(won: usize, of: usize) -> (f64, f64) {
    let (of, z) = (of as f64, 1.96);
    let share = won as f64 / of;
    let middle = share + z * z / (2.0 * of);
    let reach = z * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).sqrt();
    let percent = |part: f64| 100.0 * part / (1.0 + z * z / of);
    (percent(middle - reach), percent(middle + reach))
}

/// The one-sided sign test on pairs: how likely chance alone gives one side at least as many of the duels
/// that only one of the two won.
fn by_chance(better: &[bool], worse: &[bool]) -> f64 {
    let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
    let (gained, lost) = (only(better, worse), only(worse, better));
    let all = gained + lost;
    let mut ways = 1.0;
    let mut sum = 0.0;
    for count in 0..=all {
        if count >= gained {
            sum += ways;
        }
        ways *= (all - count) as f64 / (count + 1) as f64;
    }
    sum / 2.0_f64.powi(all as i32)
}

#[test]
fn the_sign_test_counts_what_only_one_of_two_won() {
    let duels = |text: &str| text.bytes().map(|byte| byte == b'+').collect::<Vec<_>>();
    assert!((by_chance(&duels("++++-"), &duels("----+")) - 6.0 / 32.0).abs() < 1e-9);
    assert!((by_chance(&duels("+++++++"), &duels("++-----")) - 1.0 / 32.0).abs() < 1e-9);
    assert!((by_chance(&duels("+-"), &duels("+-")) - 1.0).abs() < 1e-9);
}

#[test]
fn the_interval_is_wilsons() {
    let (low, high) = interval(8, 10);
    assert!((low - 49.0).abs() < 0.1 && (high - 94.3).abs() < 0.1, "{low} to {high}");
}

/// Produces the figures of `docs/PERFORMANCE.md`. Each depth fights the same duels, so they are compared pair
/// by pair.
#[test]
#[ignore = "takes many minutes"]
fn of_a_hundred_duels_more_are_won_the_deeper_is_planned() {
    let count = |duels: &[bool]| duels.iter().filter(|won| **won).count();
    let mut table = String::new();
    let mut fight = |what: &str, depth: Option<PlanDepth>, horizon: u16| {
        let duels = won(depth, horizon);
        let (low, high) = interval(count(&duels), duels.len());
        let seconds = f32::from(horizon) / TICKS_PER_SECOND as f32;
        let _ = writeln!(table, "{what}, {seconds} s ahead: {} ({low:.0} to {high:.0})", count(&duels));
        // The output of a passing test is hidden, so the figures go to a file.
        std::fs::write(std::env::temp_dir().join("p2c2r-duels.txt"), &table).expect("a temporary folder");
        duels
    };
    let rule = fight("by rule", None, NEAR_TICKS);
    let [local, default, rich, max] = [(8, 2), (8, 8), (16, 8), (32, 16)].map(|(candidates, futures)| {
        let depth = Some(PlanDepth { candidates, futures });
        [NEAR_TICKS, FAR_TICKS].map(|horizon| fight(&format!("{candidates} x {futures}"), depth, horizon))
    });
    let pairs = [
        ("local, rule", &local[0], &rule),
        ("default, local", &default[0], &local[0]),
        ("rich, local", &rich[0], &local[0]),
        ("max, local", &max[0], &local[0]),
        ("rich at 0.7 s, rule", &rich[1], &rule),
        ("rich at 0.7 s, local there", &rich[1], &local[1]),
        // A hundred duels do not tell these two apart.
        ("max at 0.7 s, local here", &max[1], &local[0]),
    ];
    let chances = pairs.map(|(names, better, worse)| format!("{names}: {:.4}\n", by_chance(better, worse)));
    table.push_str(&chances.concat());
    std::fs::write(std::env::temp_dir().join("p2c2r-duels.txt"), &table).expect("a temporary folder");
    // The figures that displays use.
    let found: Vec<[usize; 2]> = std::iter::once([count(&rule); 2])
        .chain([&local, &default, &rich, &max].map(|duels| [count(&duels[0]), count(&duels[1])]))
        .collect();
    let said = WON.map(|(_, won)| won.map(usize::from));
    assert_eq!(found, said, "\n{table}");
    for (names, better, worse) in &pairs[..6] {
        let chance = by_chance(better, worse);
        assert!(chance < 0.05, "{names}: {chance} by chance\n{table}");
    }
}
