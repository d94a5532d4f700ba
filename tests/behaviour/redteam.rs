//! Workers that cheat are found within as many answers as spot checks should take, and no honest worker is convicted.

use std::time::Duration;

use p2c2r_server::config::TrustRules;
use p2c2r_server::ledger;
use p2c2r_tests::cluster::rogue::RogueTrick as Rogue;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding};
use p2c2r_tests::puzzles::PATH;
use p2c2r_tests::redteam::{Game, RedTeamFigures, Trick};

/// Answers and time after which five per cent of a worker's answers are checked.
const SETTLED: (u64, Duration) = (500, Duration::from_mins(10));

#[test]
fn newcomers_that_lie_are_found_with_their_first_lie_and_convicted_with_the_second() {
    for trick in [Trick::Lazy, Trick::Liar(1.0), Trick::Replayer, Trick::Liar(0.1)] {
        for seed in 0..6 {
            let figures = Game::of(trick, 600, seed).play();
            assert_eq!((figures.found_after, figures.wrong), (Some(1), 0), "{trick:?}, seed {seed}");
            // Beside honest workers it is asked last from then on and seldom lies again, so conviction is tested alone.
            let alone = Game { workers: 1, ..Game::of(trick, 600, seed) }.play();
            let convicted = alone.convicted_after;
            assert!(convicted.is_some_and(|answers| answers <= 100), "{trick:?}, seed {seed}: {convicted:?}");
            assert_eq!(alone.wrong, 0, "{trick:?}, seed {seed}");
        }
    }
}

#[test]
fn a_proven_worker_that_begins_to_lie_is_found_as_soon_as_one_check_in_twenty_finds_it() {
    let mut found: Vec<u64> = (0..60)
        .map(|seed| {
            let mut game = Game::of(Trick::Liar(1.0), 3_000, seed).trusted(SETTLED.0, SETTLED.1);
            game.rules.spare_percent = 0.0;
            let figures = game.play();
            assert_eq!(figures.honest_convicted, 0, "seed {seed}");
            // What it lied about until it was found has reached the game, and nothing after that.
            let after = figures.found_after.unwrap_or_else(|| panic!("seed {seed}: not found"));
            assert!(figures.wrong < after, "seed {seed}: {} wrong, found after {after}", figures.wrong);
            after
        })
        .collect();
    found.sort_unstable();
    assert!(found[59] <= 90, "{found:?}");
    assert!((5..30).contains(&found[30]), "checks are neither seldom nor always: {found:?}");
}

#[test]
fn a_tenth_of_workers_that_lie_spoils_next_to_nothing() {
    for trick in [Trick::Liar(1.0), Trick::Liar(0.1), Trick::Colluding, Trick::Lazy] {
        let figures = Game::of(trick, 12_000, 3).play();
        assert!(figures.accepted > 10_000, "{figures:?}");
        assert!(figures.wrong * 10_000 <= figures.accepted, "{trick:?}: {figures:?}");
        assert_eq!(figures.honest_convicted, 0);
    }
}

/// While checks have time to spare, more answers are checked than trust asks for, as far as that stays below five per cent of
/// the paid work.
#[test]
fn time_that_checks_have_to_spare_goes_into_more_of_them() {
    let sum = |trick, tasks, trusted: (u64, Duration), games: u64| {
        (0..games).fold(RedTeamFigures::default(), |mut sum, seed| {
            let figures = Game::of(trick, tasks, seed).trusted(trusted.0, trusted.1).play();
            assert_eq!(figures.honest_convicted, 0, "{trick:?}, seed {seed}");
            sum.add(&figures);
            sum
        })
    };
    let new = (0, Duration::ZERO);
    let liars = sum(Trick::Liar(1.0), 1_000, SETTLED, 20);
    assert!(liars.wrong <= 2 * 20, "a proven worker that begins to lie: {liars:?}");
    for (trick, tasks) in [(Trick::Farm, 1_500), (Trick::Sixteenth, 800), (Trick::Liar(0.01), 3_000)] {
        let figures = sum(trick, tasks, new, 4);
        assert_eq!(figures.wrong, 0, "{trick:?}: {figures:?}");
    }
    let known = sum(Trick::Honest, 2_000, (1_000_000, Duration::from_hours(24 * 30)), 1);
    let share = known.checked_units / known.paid_units as f64;
    assert!((0.02..0.05).contains(&share), "{share}");
}

/// What the check of every answer finds was never believed, so that hardware which flips a bit now and then keeps its work.
#[test]
fn flipped_bits_that_the_check_of_every_answer_finds_do_not_convict() {
    let play = |seed| Game { workers: 1, ..Game::of(Trick::Flipping(5e-4), 4_000, seed) }.play();
    let figures: Vec<RedTeamFigures> = (0..20).map(play).collect();
    let count = |is: fn(&RedTeamFigures) -> bool| figures.iter().filter(|figures| is(figures)).count();
    let (found, convicted) = (count(|it| it.found_after.is_some()), count(|it| it.convicted_after.is_some()));
    assert!(found >= 12 && convicted <= 2, "{found} of 20 found and {convicted} convicted");
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let play = || {
        let mut figures = Game::of(Trick::Liar(0.01), 2_000, 9).play();
        figures.checking = Duration::ZERO;
        figures
    };
    let figures = play();
    assert!(figures.accepted > 1_900);
    assert_eq!(figures, play());
}

#[test]
fn a_crowd_of_newcomers_is_checked_within_the_budget_or_not_believed() {
    let game = Game::of(Trick::Liar(0.5), 1_000, 1);
    let plenty = game.play();
    // Less than one check a second.
    let scarce = Game { rules: TrustRules { budget_percent: 0.000_5, ..game.rules }, ..game }.play();
    assert_eq!((scarce.wrong, scarce.failed), (0, 0), "{scarce:?}");
    assert!(scarce.by_coordinator > 500, "the rest is done here: {scarce:?}");
    assert!(scarce.checked_units < plenty.checked_units / 2.0, "{scarce:?} {plenty:?}");
    assert!(scarce.accepted > 0 && plenty.by_coordinator < 50, "{scarce:?} {plenty:?}");
}

/// No honest worker is ever convicted, and known ones cost little to check.
#[test]
#[ignore = "a million tasks take minutes"]
fn no_honest_worker_is_convicted_in_a_million_tasks() {
    let figures = Game::of(Trick::Honest, 1_000_000, 1).play();
    assert_eq!((figures.honest_convicted, figures.wrong, figures.failed), (0, 0, 0), "{figures:?}");
    assert_eq!(figures.accepted, 1_000_000);
    assert!(figures.checked_units < 0.05 * figures.paid_units as f64, "{figures:?}");
}

#[test]
#[ignore = "a million tasks take minutes"]
fn flipping_bits_seldom_convict_and_spoil_next_to_nothing() {
    let (mut accepted, mut wrong) = (0, 0);
    for seed in 0..10 {
        let figures = Game::of(Trick::Flipping(1e-4), 100_000, seed).play();
        (accepted, wrong) = (accepted + figures.accepted, wrong + figures.wrong);
        assert_eq!(figures.honest_convicted, 0);
    }
    assert!(wrong * 10_000 < accepted, "{wrong} of {accepted}");
}

#[test]
fn an_always_liar_and_a_tenth_liar_are_put_into_quarantine_over_udp() {
    // A lie anywhere in a path is found by any check of it.
    let mut config = ClusterConfig::new(ClusterWire::Udp, PATH).unhurried();
    config.workers = 0;
    let mut cluster = Cluster::start(config);
    let (always, tenth) =
        (cluster.add_rogue(Rogue::Lies { every: 1 }), cluster.add_rogue(Rogue::Lies { every: 10 }));
    cluster.until_connected(2);
    let quarantined = |cluster: &Cluster| {
        let known = ledger::workers(&cluster.db(), |_| None).expect("a ledger that can be read");
        known.workers.iter().filter(|worker| worker.quarantined).count()
    };
    let mut asked = 0;
    while quarantined(&cluster) < 2 {
        assert!(asked < 1_000, "both lie, and are given work until they are found out");
        for _ in 0..10 {
            cluster.ask(0, 1_000 + asked);
            asked += 1;
        }
        let before = asked as usize;
        // A wrong outcome would fail here.
        let endings = cluster.until_endings(0, before);
        assert!(
            endings.iter().all(|(_, ending)| matches!(ending, OffloadEnding::Done { late: false, .. })),
            "{endings:?}"
        );
    }
    assert!(cluster.rogue_has_seen(always) < cluster.rogue_has_seen(tenth));
    cluster.add_worker();
    cluster.until_connected(3);
    cluster.ask(0, 7);
    cluster.until_endings(0, asked as usize + 1);
    let books = cluster.books();
    let honest = books.workers.iter().find(|line| line.name.starts_with("worker")).expect("it joined");
    assert_eq!(honest.rejected, 0);
    for rogue in books.workers.iter().filter(|line| line.name.starts_with("rogue")) {
        assert_eq!(rogue.set_aside.0, 0, "what was pending went back: {rogue:?}");
    }
}
