//! Tasks that go well: who computes them, what they cost, who earns.

use p2c2r_offload::prelude::*;
use p2c2r_protocol::{Nanos, PassedCheck};
use p2c2r_server::config::default_prices;
use p2c2r_tasks::KindRegistry;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding, totals};
use p2c2r_tests::puzzles::PuzzleKind;

use crate::for_every_kind;

for_every_kind!(
    a_task_is_computed_by_a_worker_and_charged_once,
    equal_tasks_are_answered_from_the_cache_for_the_fee_alone_if_that_is_sound,
    patient_tasks_are_shared_by_all_workers_and_kept_for_the_next_gamer,
    two_gamers_and_four_workers_share_fairly,
    switching_off_computes_locally_and_charges_nothing,
);

fn a_task_is_computed_by_a_worker_and_charged_once(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster = Cluster::start(ClusterConfig::new(wire, kind));
    cluster.until_connected(1);
    cluster.ask(0, 7);
    let endings = cluster.until_endings(0, 1);
    let OffloadEnding::Done { place, receipt: Some(receipt), late: false, .. } = &endings[0].1 else {
        panic!("{endings:?}");
    };
    assert_eq!(place, &Place::Worker { name: "worker-0".into() });
    assert_eq!(receipt.attempts, 1);
    assert!(matches!(receipt.check, PassedCheck::Always | PassedCheck::Deep));
    assert!(receipt.price > Nanos::ZERO);

    let books = cluster.books();
    assert_eq!((books.kinds[0].tasks, books.kinds[0].by_worker, books.kinds[0].void), (1, 1, 0));
    assert_eq!(books.kinds[0].charged, receipt.price);
    assert_eq!(books.kinds[0].earned + books.kinds[0].fee, receipt.price);
    assert_eq!(books.gamers[0].available + receipt.price, Nanos::DOLLAR);
    assert_eq!(books.workers[0].set_aside, books.kinds[0].earned);

    // The game learns of the charge once the books have it.
    let price = receipt.price;
    cluster.until("the statement shows the charge", |cluster| {
        cluster.game(0).world().resource::<OffloadAccount>().charged() == Some(price)
    });
}

fn equal_tasks_are_answered_from_the_cache_for_the_fee_alone_if_that_is_sound(
    wire: ClusterWire,
    kind: PuzzleKind,
) {
    let mut cluster = Cluster::start(ClusterConfig::new(wire, kind));
    cluster.until_connected(1);
    cluster.ask(0, 7);
    cluster.until_endings(0, 1);
    cluster.ask(0, 7);
    let endings = cluster.until_endings(0, 2);
    let books = cluster.books();
    if !kind.deterministic {
        assert!(endings[1].1.is_remote(), "an outcome that may differ is computed anew: {endings:?}");
        assert_eq!((books.kinds[0].by_worker, books.kinds[0].by_cache), (2, 0));
        return;
    }
    let OffloadEnding::Done { place: Place::Cache, receipt: Some(receipt), .. } = &endings[1].1 else {
        panic!("{endings:?}");
    };
    assert_eq!((books.kinds[0].by_worker, books.kinds[0].by_cache), (1, 1));
    let OffloadEnding::Done { receipt: Some(first), .. } = &endings[0].1 else { panic!("{endings:?}") };
    assert_eq!(receipt.price, default_prices(&KindRegistry::builtin()).reuse(first.price));
    assert_eq!(books.kinds[0].charged, first.price + receipt.price);
    assert_eq!(books.kinds[0].earned + books.kinds[0].fee, books.kinds[0].charged);
}

/// Outcomes of patient tasks are reused for every later gamer, also in kinds whose outcomes differ by rounding.
fn patient_tasks_are_shared_by_all_workers_and_kept_for_the_next_gamer(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster =
        Cluster::start(ClusterConfig { games: 2, workers: 3, ..ClusterConfig::new(wire, kind) }.unhurried());
    cluster.until_connected(3);
    for seed in 0..16 {
        cluster.ask_patiently(0, seed);
    }
    let endings = cluster.until_endings(0, 16);
    assert!(endings.iter().all(|(_, ending)| ending.is_remote()), "{endings:?}");
    let first: Nanos = endings.iter().map(|(_, ending)| price(ending)).sum();
    let prices = default_prices(&KindRegistry::builtin());
    let fees: Nanos = endings.iter().map(|(_, ending)| prices.reuse(price(ending))).sum();
    let helped = cluster.books().workers.iter().filter(|line| line.accepted > 0).count();
    assert!(helped > 1, "{:?}", cluster.books().workers);
    for seed in 0..16 {
        cluster.ask_patiently(1, seed);
    }
    let endings = cluster.until_endings(1, 16);
    assert!(
        endings.iter().all(|(_, ending)| matches!(ending, OffloadEnding::Done { place: Place::Cache, .. })),
        "{endings:?}"
    );
    let books = cluster.books();
    assert_eq!((books.kinds[0].by_worker, books.kinds[0].by_cache), (16, 16));
    let spent = [0, 1].map(|game| totals(cluster.game(game)).cost_nanos);
    assert_eq!(spent, [first, fees], "the next gamer pays the fee alone");
}

/// What an outcome cost.
fn price(ending: &OffloadEnding) -> Nanos {
    match ending {
        OffloadEnding::Done { receipt: Some(receipt), .. } => receipt.price,
        _ => Nanos::ZERO,
    }
}

fn two_gamers_and_four_workers_share_fairly(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster =
        Cluster::start(ClusterConfig { games: 2, workers: 4, ..ClusterConfig::new(wire, kind) }.unhurried());
    cluster.until_connected(4);
    for seed in 0..60 {
        cluster.ask(0, seed);
        cluster.ask(1, 1_000 + seed);
    }
    for game in 0..2 {
        let endings = cluster.until_endings(game, 60);
        let elsewhere: Vec<_> = endings
            .iter()
            .filter(|(_, ending)| !ending.is_remote())
            .map(|(number, ending)| (number, ending.place()))
            .collect();
        assert!(elsewhere.is_empty(), "{:?}: {elsewhere:?}", totals(cluster.game(game)));
    }
    let spent: Vec<Nanos> = (0..2).map(|game| totals(cluster.game(game)).cost_nanos).collect();
    let books = cluster.books();
    for (name, spent) in ["gamer-0", "gamer-1"].into_iter().zip(spent) {
        let account = books.gamers.iter().find(|line| line.name == name).expect("an account");
        assert_eq!(account.available + spent, Nanos::DOLLAR);
    }
    assert_eq!(books.workers.len(), 4);
    assert!(
        books.workers.iter().all(|line| line.accepted >= 5),
        "a worker was left idle: {:?}",
        books.workers
    );
    assert_eq!(books.workers.iter().map(|line| line.accepted).sum::<u64>(), 120);
}

fn switching_off_computes_locally_and_charges_nothing(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster = Cluster::start(ClusterConfig::new(wire, kind));
    cluster.until_connected(1);
    cluster.game(0).world_mut().resource_mut::<OffloadSwitch>().enabled = false;
    for seed in 0..5 {
        cluster.ask(0, seed);
    }
    let endings = cluster.until_endings(0, 5);
    assert!(endings.iter().all(|(_, ending)| ending.place() == Some(&Place::Local)), "{endings:?}");
    assert_eq!(totals(cluster.game(0)).cost_nanos, Nanos::ZERO);

    cluster.game(0).world_mut().resource_mut::<OffloadSwitch>().enabled = true;
    cluster.ask(0, 9);
    let endings = cluster.until_endings(0, 6);
    assert!(endings[5].1.is_remote(), "{endings:?}");
    let books = cluster.books();
    assert_eq!(books.kinds[0].tasks, 1);
}
