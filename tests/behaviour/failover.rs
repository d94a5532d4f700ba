//! Workers and coordinators that come and go: the game goes on, and nobody pays twice.

use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_server::config::Fallback;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding, is_remote, totals};
use p2c2r_tests::puzzles::PuzzleKind;

use crate::for_every_kind;

for_every_kind!(
    a_worker_killed_mid_task_is_replaced_and_the_task_charged_once,
    without_workers_the_coordinator_computes,
    without_workers_a_queueing_coordinator_delivers_when_one_returns,
    without_workers_a_refusing_coordinator_leaves_the_game_local,
    a_killed_coordinator_leaves_the_game_local_and_takes_it_back,
    patient_tasks_end_once_and_are_charged_once_across_a_coordinator_restart,
    patient_tasks_survive_the_death_of_coordinator_worker_and_game,
);

/// Steps until the coordinator has handed worker 0 its task, which that worker then never gets to see.
fn ask_and_kill(cluster: &mut Cluster) {
    cluster.freeze_worker(0);
    cluster.ask(0, 7);
    cluster.steps(4);
    cluster.kill_worker(0);
}

fn a_worker_killed_mid_task_is_replaced_and_the_task_charged_once(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster =
        Cluster::start(ClusterConfig { fallback: Fallback::Queue, ..ClusterConfig::new(wire, kind) });
    cluster.until_connected(1);
    ask_and_kill(&mut cluster);
    cluster.add_worker();
    let endings = cluster.until_endings(0, 1);
    let OffloadEnding::Done { place, receipt: Some(receipt), late: false, .. } = &endings[0].1 else {
        panic!("{endings:?}");
    };
    assert_eq!(place, &Place::Worker { name: "worker-1".into() });
    assert_eq!(receipt.attempts, 2);
    let price = receipt.price;
    let books = cluster.books();
    assert_eq!((books.kinds[0].tasks, books.kinds[0].charged), (1, price));
    assert_eq!(books.attempts.accepted, 1);
    assert_eq!(books.attempts.lost + books.attempts.expired, 1);
    let earned = |name: &str| {
        books.workers.iter().find(|line| line.name == name).map_or(Nanos::ZERO, |line| line.set_aside)
    };
    assert_eq!(earned("worker-0"), Nanos::ZERO);
    assert_eq!(earned("worker-1") + books.fee, price);
}

fn without_workers_the_coordinator_computes(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster = Cluster::start(ClusterConfig { workers: 0, ..ClusterConfig::new(wire, kind) });
    cluster.until_connected(0);
    cluster.ask(0, 7);
    let endings = cluster.until_endings(0, 1);
    assert!(matches!(&endings[0].1, OffloadEnding::Done { place: Place::Coordinator, .. }), "{endings:?}");
    let books = cluster.books();
    assert_eq!((books.kinds[0].by_coordinator, books.kinds[0].earned), (1, Nanos::ZERO));
}

fn without_workers_a_queueing_coordinator_delivers_when_one_returns(wire: ClusterWire, kind: PuzzleKind) {
    let config = ClusterConfig { fallback: Fallback::Queue, ..ClusterConfig::new(wire, kind) };
    let mut cluster = Cluster::start(config.unhurried());
    cluster.until_connected(1);
    cluster.stop_worker(0);
    cluster.until_connected(0);
    for seed in 0..5 {
        cluster.ask_patiently(0, seed);
    }
    cluster.steps(100);
    assert!(cluster.endings(0).is_empty());
    cluster.start_worker(0);
    let endings = cluster.until_endings(0, 5);
    assert!(endings.iter().all(|(_, ending)| ending.is_remote()), "{endings:?}");
    assert_eq!(cluster.books().kinds[0].tasks, 5);
}

fn without_workers_a_refusing_coordinator_leaves_the_game_local(wire: ClusterWire, kind: PuzzleKind) {
    let mut cluster = Cluster::start(ClusterConfig {
        workers: 0,
        fallback: Fallback::Refuse,
        ..ClusterConfig::new(wire, kind)
    });
    cluster.until_connected(0);
    cluster.ask(0, 7);
    let endings = cluster.until_endings(0, 1);
    assert!(
        matches!(&endings[0].1, OffloadEnding::Done { place: Place::Local, late: false, .. }),
        "{endings:?}"
    );
    assert_eq!(totals(cluster.game(0)).kinds[kind.name].rejected, 1);
    assert!(cluster.books().kinds.is_empty());
}

fn a_killed_coordinator_leaves_the_game_local_and_takes_it_back(wire: ClusterWire, kind: PuzzleKind) {
    let config = match wire {
        ClusterWire::Memory => ClusterConfig::new(wire, kind),
        // A busy machine may take longer than a second for the kernel itself.
        ClusterWire::Udp => ClusterConfig::new(wire, kind).unhurried(),
    };
    let mut cluster = Cluster::start(config);
    cluster.until_connected(1);
    cluster.ask(0, 1);
    cluster.until_endings(0, 1);
    cluster.kill_coordinator();
    cluster.ask(0, 2);
    cluster.until("the game has noticed", |cluster| !is_remote(cluster.game(0)));
    let endings = cluster.until_endings(0, 2);
    assert!(
        matches!(&endings[1].1, OffloadEnding::Done { place: Place::Local, late: false, .. }),
        "{endings:?}"
    );

    cluster.start_coordinator();
    cluster.until_connected(1);
    cluster.ask(0, 3);
    let endings = cluster.until_endings(0, 3);
    assert!(endings[2].1.is_remote(), "{endings:?}");
    let books = cluster.books();
    assert_eq!(books.kinds[0].by_worker, 2);
}

/// Steps until money is held for what game 0 asks.
fn until_held(cluster: &mut Cluster) {
    cluster.until("the holds are in the books", |cluster| {
        let account = *cluster.game(0).world().resource::<OffloadAccount>();
        account.held().is_some_and(|held| held > Nanos::ZERO)
    });
}

fn patient_tasks_end_once_and_are_charged_once_across_a_coordinator_restart(
    wire: ClusterWire,
    kind: PuzzleKind,
) {
    let mut cluster = Cluster::start(ClusterConfig {
        workers: 0,
        fallback: Fallback::Queue,
        ..ClusterConfig::new(wire, kind)
    });
    cluster.until_connected(0);
    for seed in 0..3 {
        cluster.ask_patiently(0, seed);
    }
    until_held(&mut cluster);
    cluster.steps(10);
    cluster.kill_coordinator();
    cluster.start_coordinator();
    cluster.add_worker();
    let endings = cluster.until_endings(0, 3);
    assert!(endings.iter().all(|(_, ending)| matches!(ending, OffloadEnding::Done { .. })), "{endings:?}");
    // Tasks that the game computed itself meanwhile are taken back, or done by the coordinator, once it has rejoined.
    cluster.until("nothing is held any more", |cluster| cluster.books().gamers[0].set_aside == Nanos::ZERO);
    let books = cluster.books();
    assert!(books.kinds[0].tasks - books.kinds[0].void <= 3, "{:?}", books.kinds);
}

fn patient_tasks_survive_the_death_of_coordinator_worker_and_game(wire: ClusterWire, kind: PuzzleKind) {
    for comes_back_late in [false, true] {
        let config = ClusterConfig { fallback: Fallback::Queue, ..ClusterConfig::new(wire, kind) };
        let mut cluster = Cluster::start(config);
        cluster.until_connected(1);
        cluster.freeze_worker(0);
        for seed in 0..3 {
            cluster.ask_patiently(0, seed);
        }
        until_held(&mut cluster);
        cluster.steps(10);
        cluster.kill_game(0);
        cluster.kill_worker(0);
        cluster.kill_coordinator();
        cluster.start_coordinator();
        cluster.add_worker();
        if comes_back_late {
            cluster.until("everything is done", |cluster| cluster.books().attempts.accepted == 3);
        }
        cluster.start_game(0);
        let endings = cluster.until_endings(0, 3);
        assert!(endings.iter().all(|(_, ending)| ending.is_remote()), "{endings:?}");
        let prices = endings.iter().map(|(_, ending)| match ending {
            OffloadEnding::Done { receipt: Some(receipt), .. } => receipt.price,
            other => panic!("{other:?}"),
        });
        let paid: Nanos = prices.sum();
        cluster
            .until("nothing is held any more", |cluster| cluster.books().gamers[0].set_aside == Nanos::ZERO);
        let line = cluster.books().kinds[0].clone();
        assert_eq!((line.tasks, line.by_worker, line.void, line.charged), (3, 3, 0, paid));
        cluster.kill_game(0);
        cluster.start_game(0);
        cluster.until_connected(1);
        cluster.steps(50);
        assert!(cluster.endings(0).is_empty(), "what has been delivered is not delivered again");
    }
}
