//! Every sort of cheat, as a worker that speaks the protocol to the coordinator's own app: it is convicted and loses its
//! pending pay, or the harm that it can do is bounded.

use p2c2r_protocol::Nanos;
use p2c2r_server::ledger::WorkerLine;
use p2c2r_tests::cluster::ClusterWire;
use p2c2r_tests::redteam::{CheatedCluster, Trick};

/// Plays until all cheats are in quarantine and their pending pay has gone back, which the books show some steps later.
/// Fails if that takes more tasks than `tasks_max`.
#[track_caller]
fn until_convicted(cheated: &mut CheatedCluster, tasks_max: u64) {
    let is_convicted = |cheats: Vec<WorkerLine>| {
        let all = cheats.iter().all(|cheat| cheat.quarantined && cheat.pending == Nanos::ZERO);
        all && !cheats.is_empty()
    };
    while !is_convicted(cheated.cheats()) {
        let asked = cheated.play();
        assert!(asked < tasks_max, "after {asked} tasks: {:?}", cheated.cheats());
    }
}

fn newcomers_that_lie_are_convicted_and_none_of_their_lies_is_used(wire: ClusterWire) {
    for trick in [Trick::Lazy, Trick::Liar(1.0), Trick::Liar(0.1), Trick::Replayer, Trick::Colluding] {
        let mut cheated = CheatedCluster::start(wire, trick, 0);
        until_convicted(&mut cheated, 400);
        assert_eq!(cheated.wrong(), 0, "{trick:?}");
    }
}

#[test]
fn newcomers_that_lie_are_convicted_and_none_of_their_lies_is_used_in_memory() {
    newcomers_that_lie_are_convicted_and_none_of_their_lies_is_used(ClusterWire::Memory);
}

#[test]
fn newcomers_that_lie_are_convicted_and_none_of_their_lies_is_used_over_udp() {
    newcomers_that_lie_are_convicted_and_none_of_their_lies_is_used(ClusterWire::Udp);
}

fn one_that_never_answers_makes_nothing_late_and_gets_little(wire: ClusterWire) {
    let mut cheated = CheatedCluster::start(wire, Trick::SlowLoris, 1);
    while cheated.play() < 60 {}
    let seen = cheated.seen_by_cheats();
    assert!((1..20).contains(&seen), "it was given {seen} of 60");
    let cheats = cheated.cheats();
    assert_eq!((cheats[0].accepted, cheats[0].pending, cheats[0].quarantined), (0, Nanos::ZERO, false));
    assert_eq!(cheated.wrong(), 0);
    assert_eq!(cheated.honest()[0].rejected, 0);
}

#[test]
fn one_that_never_answers_makes_nothing_late_and_gets_little_in_memory() {
    one_that_never_answers_makes_nothing_late_and_gets_little(ClusterWire::Memory);
}

#[test]
fn one_that_never_answers_makes_nothing_late_and_gets_little_over_udp() {
    one_that_never_answers_makes_nothing_late_and_gets_little(ClusterWire::Udp);
}

#[test]
fn one_that_lies_after_a_thousand_right_answers_is_convicted_by_its_twentieth_lie() {
    let mut cheated = CheatedCluster::start(ClusterWire::Memory, Trick::Sleeper(1_000), 0);
    until_convicted(&mut cheated, 1_200);
    let wrong = cheated.wrong();
    // At least one answer in every ten is checked, so two checks find it within twenty lies; a few more are under way by then.
    assert!(wrong <= 24, "{wrong} lies were used");
}

#[test]
fn one_that_deviates_as_little_as_it_can_is_convicted() {
    let mut cheated = CheatedCluster::start(ClusterWire::Memory, Trick::Sixteenth, 0);
    until_convicted(&mut cheated, 600);
    let wrong = cheated.wrong();
    assert!(wrong < 300, "{wrong} small lies were used");
}

#[test]
fn flipped_bits_are_found_and_none_is_used() {
    let mut cheated = CheatedCluster::start(ClusterWire::Memory, Trick::Flipping(0.01), 1);
    while cheated.play() < 400 {}
    let cheats = cheated.cheats();
    assert!(cheats[0].rejected > 0, "{cheats:?}");
    assert_eq!((cheated.wrong(), cheated.honest()[0].rejected), (0, 0));
}

#[test]
fn each_name_of_an_identity_farm_is_found_anew() {
    let mut cheated = CheatedCluster::start(ClusterWire::Memory, Trick::Farm, 0);
    for names in 1..=3 {
        let found =
            |cheated: &mut CheatedCluster| cheated.cheats().iter().filter(|cheat| cheat.rejected > 0).count();
        while found(&mut cheated) < names {
            let asked = cheated.play();
            assert!(asked < 100 * names as u64, "name {names} after {asked} tasks");
        }
        cheated.change_identities();
    }
    let wrong = cheated.wrong();
    assert!(wrong <= 3 * 24, "{wrong} lies were used under three names");
}
