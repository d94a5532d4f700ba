//! Workers that lie, repeat themselves, mix answers up, come late or are of another build: the gamer gets right
//! outcomes and pays once for each, and nobody earns by it.

use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::KindRegistry;
use p2c2r_tests::cluster::rogue::RogueTrick;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding};
use p2c2r_tests::puzzles::PuzzleKind;

use crate::for_every_kind;

for_every_kind!(
    garbage_is_no_outcome,
    an_oversized_outcome_is_none,
    a_truncated_outcome_is_none,
    the_outcome_of_another_task_is_none,
    answers_to_attempts_that_were_never_given_change_nothing,
    repeated_answers_are_paid_once,
    reordered_answers_are_all_taken,
    an_answer_after_its_lease_is_none,
    a_build_that_does_not_fit_is_refused_and_the_game_plays_locally,
);

/// What a rogue may get out of its two tasks.
struct Allowed {
    accepted: u64,
    /// Whether its other answers are evidence against it.
    convicting: bool,
}

fn garbage_is_no_outcome(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Garbage, Allowed { accepted: 0, convicting: true });
}

fn an_oversized_outcome_is_none(wire: ClusterWire, kind: PuzzleKind) {
    // The rogue's own link refuses to send it, so the leases run out.
    play(wire, kind, RogueTrick::Oversized, Allowed { accepted: 0, convicting: false });
}

fn a_truncated_outcome_is_none(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Truncated, Allowed { accepted: 0, convicting: true });
}

fn the_outcome_of_another_task_is_none(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Copied, Allowed { accepted: 1, convicting: true });
}

fn answers_to_attempts_that_were_never_given_change_nothing(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Forged, Allowed { accepted: 2, convicting: false });
}

fn repeated_answers_are_paid_once(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Repeated, Allowed { accepted: 2, convicting: false });
}

fn reordered_answers_are_all_taken(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Reordered, Allowed { accepted: 2, convicting: false });
}

fn an_answer_after_its_lease_is_none(wire: ClusterWire, kind: PuzzleKind) {
    play(wire, kind, RogueTrick::Late, Allowed { accepted: 0, convicting: false });
}

/// Two tasks meet a rogue, and an honest worker comes later.
fn play(wire: ClusterWire, kind: PuzzleKind, trick: RogueTrick, allowed: Allowed) {
    let mut config = ClusterConfig::new(wire, kind).unhurried();
    config.workers = 0;
    let mut cluster = Cluster::start(config);
    let rogue = cluster.add_rogue(trick);
    cluster.until_connected(1);
    for seed in [7, 8] {
        cluster.ask(0, seed);
    }
    cluster.until("the rogue has both tasks", |cluster| cluster.rogue_has_seen(rogue) >= 2);
    cluster.add_worker();
    let endings = cluster.until_endings(0, 2);
    cluster.until("the rogue has said all it has to say", |cluster| !cluster.rogue_is_waiting(rogue));
    cluster.until("nothing is open at the coordinator", |cluster| {
        cluster.game(0).world().resource::<OffloadAccount>().held() == Some(Nanos::ZERO)
    });
    // What came last is on its way for a few steps more.
    cluster.steps(20);
    assert_eq!(cluster.endings(0).len(), 2);
    let (mut prices, mut by_worker) = (Nanos::ZERO, 0);
    for (number, ending) in &endings {
        let OffloadEnding::Done { receipt: Some(receipt), place, late: false, .. } = ending else {
            panic!("task {number}: {ending:?}");
        };
        prices += receipt.price;
        by_worker += u64::from(ending.is_remote());
        // The coordinator itself computes a task that was answered wrongly, and one that was not answered if the
        // honest worker has not joined yet.
        let made_good = allowed.accepted < 2 && *place == Place::Coordinator;
        assert!(ending.is_remote() || made_good, "{ending:?}");
    }
    let books = cluster.books();
    assert_eq!((books.kinds[0].tasks, books.kinds[0].void), (2, 0));
    assert_eq!(books.kinds[0].charged, prices, "charged once each");
    assert_eq!((books.kinds[0].by_worker, books.kinds[0].by_coordinator), (by_worker, 2 - by_worker));
    assert_eq!(books.attempts.accepted, 2, "{:?}", books.attempts);
    let account = books.workers.iter().find(|line| line.name.starts_with("rogue")).expect("it joined");
    assert_eq!(account.accepted, allowed.accepted, "{account:?}");
    assert_eq!(account.set_aside > Nanos::ZERO, allowed.accepted > 0, "{account:?}");
    assert_eq!(books.attempts.rejected > 0, allowed.convicting, "{:?}", books.attempts);
}

fn a_build_that_does_not_fit_is_refused_and_the_game_plays_locally(wire: ClusterWire, kind: PuzzleKind) {
    let coordinator_kinds = kind.in_a_newer_build();
    let (ours, theirs) = (KindRegistry::builtin().identity(), coordinator_kinds.identity());
    let mut cluster = Cluster::start(ClusterConfig { coordinator_kinds, ..ClusterConfig::new(wire, kind) });
    cluster.until("the game can say which builds do not fit", |cluster| {
        let mode = cluster.game(0).world().resource::<OffloadState>().mode.to_string();
        mode.contains(&ours.text) && mode.contains(&theirs.text)
    });
    cluster.ask(0, 7);
    let endings = cluster.until_endings(0, 1);
    assert!(
        matches!(&endings[0].1, OffloadEnding::Done { place: Place::Local, late: false, .. }),
        "{endings:?}"
    );
    let books = cluster.books();
    assert!(books.kinds.is_empty() && books.gamers.is_empty() && books.workers.is_empty());
}
