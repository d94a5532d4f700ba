//! Which workers have room, and which records outlive a connection.

use std::time::Duration;

use p2c2r_protocol::{Device, Digest, TaskNo, WorkUnits};

use super::worker::LATE;
use super::*;

const KIND: KindId = KindId(1);
const OTHER: KindId = KindId(2);

fn workers(n: u64) -> Workers {
    let mut workers = Workers::default();
    for peer in 0..n {
        workers.join(PeerId(peer), format!("w{peer}"), AccountId(peer as i64), Micros(0));
        let kernels = vec![
            KernelOffer { kind: KIND, version: 1, device: Device::Cores },
            KernelOffer { kind: OTHER, version: 1 + peer as u16, device: Device::Cores },
        ];
        workers.offer(PeerId(peer), WorkerOffer { slots: 1, kernels, region: None }, |kernel| {
            kernel.version == 1
        });
    }
    workers
}

#[test]
fn only_matching_kernels_with_room_are_ready() {
    let mut workers = workers(3);
    assert_eq!(workers.ready(KIND).len(), 3);
    assert_eq!(workers.ready(OTHER), [PeerId(0)]);
    for task in 0..2 {
        workers.change(PeerId(0), |worker| worker.tasks.insert(TaskNo(task)));
    }
    assert_eq!(workers.ready(OTHER), [], "a window of one slot and one on the way is full");
    assert_eq!(workers.ready(KIND), [PeerId(2), PeerId(1)]);
    workers.change(PeerId(2), |worker| worker.quarantined = true);
    assert_eq!(workers.ready(KIND), [PeerId(1)]);
    workers.change(PeerId(0), |worker| worker.tasks.clear());
    assert_eq!(workers.ready(KIND), [PeerId(1), PeerId(0)]);
    workers.leave(PeerId(1), Micros(0));
    assert_eq!(workers.ready(KIND), [PeerId(0)]);
    assert!(workers.offers(OTHER));
    workers.leave(PeerId(0), Micros(0));
    assert!(!workers.offers(KIND) && !workers.offers(OTHER), "the quarantined one does not count");
}

#[test]
fn a_far_worker_gets_a_window_that_covers_its_round_trip() {
    let mut workers = workers(1);
    let window = workers
        .change(PeerId(0), |worker| {
            for _ in 0..50 {
                let turnaround = Duration::from_millis(101);
                worker.measured(KIND, WorkUnits(1_000), turnaround, Duration::from_millis(100), 1);
                worker.accepted();
            }
            worker.conduct.window()
        })
        .unwrap();
    assert!((100..=110).contains(&window), "{window} attempts of 1 ms over 100 ms");
    workers.change(PeerId(0), Worker::overloaded);
    assert_eq!(workers.get(PeerId(0)).unwrap().conduct.window(), 1);
}

#[test]
fn the_first_answer_does_not_open_a_window_for_everything_that_waits() {
    let mut workers = workers(1);
    let mut windows = Vec::new();
    for _ in 0..4 {
        let answered = |worker: &mut Worker| {
            worker.measured(KIND, WorkUnits(1), Duration::from_micros(2), Duration::ZERO, 1);
            worker.accepted();
            worker.conduct.window()
        };
        windows.extend(workers.change(PeerId(0), answered));
    }
    assert_eq!(windows, [4, 8, 16, 32]);
}

#[test]
fn slots_that_a_newcomer_announces_open_no_window() {
    let mut workers = workers(1);
    let kernels = vec![KernelOffer { kind: KIND, version: 1, device: Device::Cores }];
    workers.offer(PeerId(0), WorkerOffer { slots: 256, kernels, region: None }, |_| true);
    for task in 0..2 {
        assert!(workers.get(PeerId(0)).unwrap().has_room());
        workers.change(PeerId(0), |worker| worker.tasks.insert(TaskNo(task)));
    }
    let worker = workers.get(PeerId(0)).unwrap();
    assert!(!worker.has_room() && worker.rounds() == 2, "slots count as far as they are proven");
}

#[test]
fn whoever_comes_back_under_another_name_has_the_record_of_its_account() {
    let mut workers = workers(2);
    for incident in 1..=3 {
        workers.change(PeerId(0), |worker| worker.failed(Micros(incident * 10), Micros(incident * 10)));
    }
    let until = workers.next_end_of_rest().unwrap();
    workers.leave(PeerId(0), Micros(30));
    assert_eq!(workers.next_end_of_rest(), None);
    workers.join(PeerId(7), "renamed".into(), AccountId(0), Micros(31));
    let kernels = vec![KernelOffer { kind: KIND, version: 1, device: Device::Cores }];
    workers.offer(PeerId(7), WorkerOffer { slots: 1, kernels, region: None }, |_| true);
    assert_eq!(workers.ready(KIND), [PeerId(1)], "it rests");
    let predict = |workers: &Workers, peer| {
        workers.get(PeerId(peer)).unwrap().predict(KIND, WorkUnits(100), Duration::ZERO)
    };
    assert_eq!(predict(&workers, 7).finish, predict(&workers, 1).finish);
    assert_eq!(predict(&workers, 7).rank, 8 * predict(&workers, 1).rank, "behind others");
    workers.end_rests(Micros(until.0 - 1));
    assert_eq!(workers.ready(KIND), [PeerId(1)]);
    workers.end_rests(until);
    assert_eq!(workers.ready(KIND), [PeerId(1), PeerId(7)]);
}

#[test]
fn records_are_bounded_and_those_of_workers_that_left_longest_ago_go_first() {
    let mut workers = Workers::default();
    let mut visit = |account| {
        workers.join(PeerId(1), "w".into(), AccountId(account), Micros(0));
        workers.leave(PeerId(1), Micros(0));
    };
    let newest = 2 * RECORDS_MAX as i64 - 1;
    (0..newest).for_each(&mut visit);
    // The oldest of those that have a record comes back, and leaves again.
    let again = newest - RECORDS_MAX as i64;
    visit(again);
    visit(newest);
    assert_eq!((workers.records.len(), workers.record_order.len()), (RECORDS_MAX, RECORDS_MAX));
    let has = |account| workers.records.contains_key(&AccountId(account));
    assert!(has(newest) && has(again) && !has(again + 1));
}

#[test]
fn blobs_are_sent_once_until_the_worker_says_otherwise() {
    let mut workers = workers(1);
    let digest = Digest::of(b"grid");
    let sends =
        |workers: &mut Workers| workers.change(PeerId(0), |worker| worker.sends_blob(digest, 4)).unwrap();
    assert!(sends(&mut workers) && !sends(&mut workers));
    workers.change(PeerId(0), |worker| worker.lacks_blobs(&[digest]));
    assert!(sends(&mut workers));
}

#[test]
fn an_attempt_given_up_on_its_way_there_and_back_says_nothing_of_its_workers_speed() {
    let ms = Duration::from_millis;
    let mut workers = workers(1);
    let predicted =
        |workers: &Workers| workers.get(PeerId(0)).unwrap().predict(KIND, WorkUnits(1_000), ms(100));
    workers.change(PeerId(0), |worker| {
        (0..50).for_each(|_| worker.measured(KIND, WorkUnits(1_000), ms(101), ms(100), 1));
    });
    let before = predicted(&workers);
    workers.change(PeerId(0), |worker| worker.expired(KIND, WorkUnits(1_000), ms(100), ms(100), 1));
    assert_eq!(predicted(&workers), before, "its answer may have been on its way");
    workers.change(PeerId(0), |worker| worker.expired(KIND, WorkUnits(1_000), ms(110), ms(100), 1));
    assert!(predicted(&workers).finish > before.finish, "it takes ten milliseconds at least");
}

#[test]
fn whoever_is_late_is_chosen_behind_others_until_something_comes_from_it() {
    let mut workers = workers(1);
    let rank = |workers: &Workers| {
        workers.get(PeerId(0)).unwrap().predict(KIND, WorkUnits(1_000), Duration::ZERO).rank
    };
    workers.change(PeerId(0), |worker| worker.given(TaskNo(1)));
    let before = rank(&workers);
    workers.change(PeerId(0), Worker::noticed_late);
    assert_eq!(rank(&workers), before * LATE);
    workers.change(PeerId(0), Worker::heard);
    assert_eq!(rank(&workers), before);
    workers.change(PeerId(0), Worker::noticed_late);
    workers.change(PeerId(0), |worker| {
        worker.tasks.clear();
        worker.given(TaskNo(2));
    });
    assert_eq!(rank(&workers), before, "what was late is taken from it, and need not be answered");
}
