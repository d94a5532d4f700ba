//! What the budget of checking lets begin, and in which order.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Attempt, Device, Digest, KindId, Micros, PeerId, TaskNo, WorkUnits};
use p2c2r_tasks::{Blobs, CheckError, KernelError, SpecError, Stop, TaskJob};

use super::{CheckStart, Checking, DRAWN, LATER, NEWCOMERS, PLACES};
use crate::core::receipts::WorkerTimes;
use crate::core::state::draws::CheckDraws;
use crate::core::work::{Cause, Check, Checked, Depth};
use crate::ledger::AccountId;

struct Nothing;
impl TaskJob for Nothing {
    fn blob_refs(&self) -> &[Digest] {
        &[]
    }
    fn admit(&self, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1))
    }
    fn run(&self, _: &Blobs, _: &Stop) -> Result<Vec<u8>, KernelError> {
        Ok(Vec::new())
    }
    fn check(&self, _: &Blobs, _: &[u8]) -> Result<(), CheckError> {
        Ok(())
    }
    fn deep_check(&self, _: &Blobs, _: &[u8], _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}

fn check(task: u64, units: u64) -> Check {
    Check {
        cause: Cause::Answer,
        task: TaskNo(task),
        in_books: TaskNo(task),
        attempt: Attempt(1),
        heard_at: Micros(1),
        worker: PeerId(1),
        account: AccountId(1),
        device: Device::Cores,
        times: WorkerTimes::default(),
        kind: KindId(1),
        job: Arc::new(Nothing),
        blobs: Blobs::default(),
        units: WorkUnits(units),
        outcome: Arc::from([7]),
        depth: Depth::Deep(0),
        reserved: Duration::ZERO,
    }
}

fn ended(checking: &mut Checking, check: Check, took: Duration) {
    checking.ended(&Checked { check, verdict: Ok(()), looked_right: true, left: None, took });
}

/// A budget of a tenth of a core that is used up for the next 37 seconds.
fn used_up() -> Checking {
    let mut checking = Checking::new(10.0);
    let CheckStart::Begins(first) = checking.ask(check(1, 1), false, Micros(0)) else {
        panic!("nothing was used")
    };
    ended(&mut checking, first, Duration::from_millis(6_700));
    checking
}

/// A moment at which everything is saved up again.
const MUCH_LATER: Micros = Micros(100_000_000);

fn waits(checking: &mut Checking, check: Check, is_proven: bool) -> bool {
    matches!(checking.ask(check, is_proven, Micros(0)), CheckStart::Waits)
}

/// The tasks of those that wait, in the order in which they begin, each of which takes what is expected.
fn order(checking: &mut Checking, count: usize) -> Vec<u64> {
    let mut begin = || {
        let begun = checking.next(MUCH_LATER, |_| true)?;
        let (task, took) = (begun.task.0, begun.reserved);
        ended(checking, begun, took);
        Some(task)
    };
    (0..count).map_while(|_| begin()).collect()
}

#[test]
fn checks_take_no_more_than_their_share_of_time() {
    let mut checking = Checking::new(10.0);
    let (mut done, mut now) = (0, Micros(0));
    for task in 1..=4_000 {
        match checking.ask(check(task, 1_000), true, now) {
            CheckStart::Begins(begun) => {
                ended(&mut checking, begun, Duration::from_millis(1));
                done += 1;
            }
            CheckStart::Waits => {}
            CheckStart::NoRoom => panic!("there is room"),
        }
    }
    assert_eq!(done, 3_000, "what idle half a minute saves up");
    while let Some(due) = checking.due() {
        assert!(due > now);
        now = due;
        let Some(begun) = checking.next(now, |_| true) else { continue };
        ended(&mut checking, begun, Duration::from_millis(1));
        done += 1;
    }
    assert_eq!((done, checking.waiting()), (4_000, 0));
    let seconds = now.0 as f64 / 1e6;
    assert!((9.9..10.1).contains(&seconds), "{seconds}");
    assert_eq!(checking.taken(), Duration::from_secs(4));
}

#[test]
fn time_to_spare_goes_into_as_many_checks_as_the_work_pays_for_and_none_that_an_answer_waits_long_for() {
    let mut checking = Checking::new(10.0);
    let (kind, now) = (KindId(1), Micros(0));
    let afforded = |checking: &Checking, units| checking.affordable_share(kind, WorkUnits(units), 0.04);
    assert!(afforded(&checking, 5_000) >= 1.0, "none was measured yet");
    assert!(afforded(&checking, 5_001) <= 0.0, "as long as the task at most, which is too long to wait for");
    for (task, units, took_us) in [(1, 1_000, 90), (2, 1_000_000, 9_000), (3, 50_000, 4_900), (4, 60, 4)] {
        let CheckStart::Begins(begun) = checking.ask(check(task, units), true, now) else {
            panic!("time is left")
        };
        ended(&mut checking, begun, Duration::from_micros(took_us));
    }
    assert!(
        (afforded(&checking, 1_000) - 0.4).abs() < 1e-3,
        "40 us for a check of 100, handing it over included"
    );
    assert!(afforded(&checking, 1_000_000) <= 0.0, "it takes 9 ms");
    assert!((0.4..0.41).contains(&afforded(&checking, 50_000)));
    assert!((0.17..0.18).contains(&afforded(&checking, 60)), "most of it is for handing it over");
    assert!(checking.affords_all(kind, WorkUnits(5_000)) && !checking.affords_all(kind, WorkUnits(5_001)));
    // A quarter of what was saved up goes into such checks, and the rest is for what trust asks for.
    let mut spent = 0;
    while checking.has_time_to_spare(now) {
        let CheckStart::Begins(begun) = checking.ask(check(5, 1_000), true, now) else {
            panic!("time is left")
        };
        ended(&mut checking, begun, Duration::from_millis(1));
        spent += 1;
    }
    assert!((720..=750).contains(&spent), "{spent}");
    assert!(checking.has_time_to_spare(Micros(1_000_000)), "and it comes back");
}

#[test]
fn a_check_that_computes_all_again_says_nothing_of_how_long_a_deep_one_takes() {
    let mut checking = Checking::new(10.0);
    for (task, depth, took) in [(1, Depth::Deep(0), 50), (2, Depth::Again(0), 1_000)] {
        let check = Check { depth, ..check(task, 1_000) };
        let CheckStart::Begins(begun) = checking.ask(check, true, Micros(0)) else { panic!("time is left") };
        ended(&mut checking, begun, Duration::from_micros(took));
    }
    let CheckStart::Begins(deep) = checking.ask(check(3, 1_000), true, Micros(0)) else {
        panic!("time is left")
    };
    assert_eq!(deep.reserved, Duration::from_micros(50));
}

#[test]
fn one_costly_check_is_paid_for_before_the_next_begins() {
    let mut checking = Checking::new(10.0);
    let CheckStart::Begins(costly) = checking.ask(check(1, 10), true, Micros(0)) else {
        panic!("nothing was used")
    };
    ended(&mut checking, costly, Duration::from_secs(5));
    assert!(matches!(checking.ask(check(2, 10), true, Micros(10)), CheckStart::Waits));
    let due = checking.due().unwrap();
    assert!((19_900_000..20_100_000).contains(&due.0), "{due:?}");
    assert!(checking.next(Micros(due.0 - 100), |_| true).is_none());
    assert!(checking.next(due, |_| true).is_some());
}

/// Otherwise whoever fills one lane keeps the others from ever being checked.
#[test]
fn half_of_the_time_is_for_proven_workers_and_a_quarter_each_for_newcomers_and_what_is_made_later() {
    let mut checking = used_up();
    let disputed = |task| Check { cause: Cause::Disputed { is_accepted: true }, ..check(task, 1_000) };
    for n in 0..100 {
        assert!(waits(&mut checking, check(1_000 + n, 1_000), true));
        assert!(waits(&mut checking, check(2_000 + n, 1_000), false));
        assert!(waits(&mut checking, disputed(3_000 + n), true));
    }
    let begun = order(&mut checking, 80);
    let of = |lane: u64| begun.iter().copied().filter(|task| task / 1_000 == lane).collect::<Vec<_>>();
    assert_eq!((of(1).len(), of(2).len(), of(3).len()), (40, 20, 20));
    assert!(of(1).is_sorted() && of(2).is_sorted() && of(3).is_sorted(), "each in turn");
    assert_eq!(order(&mut checking, 1_000).len(), 220, "all of them");
    assert_eq!((checking.due(), checking.lanes.each_ref().map(|lane| lane.bytes)), (None, [0; 4]));
}

#[test]
fn a_lane_that_had_nothing_waiting_has_no_time_saved_up_against_the_others() {
    let mut checking = used_up();
    (0..200).for_each(|n| assert!(waits(&mut checking, check(1_000 + n, 1_000), true)));
    order(&mut checking, 100);
    (0..100).for_each(|n| assert!(checking.push(NEWCOMERS, check(2_000 + n, 1_000)).is_none()));
    let newcomers = order(&mut checking, 60).into_iter().filter(|task| *task >= 2_000).count();
    assert!((19..=21).contains(&newcomers), "one to two: {newcomers}");
}

#[test]
fn answers_out_of_fuel_take_a_quarter_of_the_time_and_nothing_that_was_saved_up_for_others() {
    let mut checking = Checking::new(10.0);
    let (costly, small) = (Duration::from_millis(12), Duration::from_millis(7));
    let (mut done, mut others) = (0, 0);
    for n in 0..600 {
        let now = Micros(n * 100_000);
        let empty = Check { outcome: Arc::from([]), ..check(1_000 + n, 1_000) };
        if let CheckStart::Begins(begun) = checking.ask(empty, true, now) {
            ended(&mut checking, begun, costly);
            done += 1;
        }
        while let Some(begun) = checking.next(now, |_| true) {
            ended(&mut checking, begun, costly);
            done += 1;
        }
        if let CheckStart::Begins(begun) = checking.ask(check(2_000 + n, 1_000), false, now) {
            ended(&mut checking, begun, small);
            others += 1;
        }
    }
    assert_eq!(others, 600, "seven per cent of a core are left at any time");
    let taken = costly * done;
    let expected = Duration::from_secs(1) + Duration::from_mins(1) / 40;
    assert!(taken.abs_diff(expected) <= costly * 2, "a second that was saved up, and 2.5 %: {taken:?}");
}

#[test]
fn always_on_checks_take_nothing_of_the_time_of_deep_ones() {
    let mut checking = Checking::new(10.0);
    for task in 1..=1_000 {
        let always = Check { depth: Depth::Always, ..check(task, 1_000) };
        ended(&mut checking, always, Duration::from_millis(1));
    }
    assert!(matches!(checking.ask(check(1_001, 1_000), true, Micros(0)), CheckStart::Begins(_)));
    assert_eq!(checking.taken(), Duration::ZERO);
}

#[test]
fn what_waits_is_bounded_and_whoever_fills_one_lane_leaves_the_others_their_places() {
    let mut checking = used_up();
    for task in 0..PLACES[NEWCOMERS] as u64 {
        assert!(waits(&mut checking, check(2 + task, 10), false));
    }
    assert!(matches!(checking.ask(check(9_999, 10), false, Micros(0)), CheckStart::NoRoom));
    for task in 0..PLACES[DRAWN] as u64 {
        assert!(waits(&mut checking, check(10_000 + task, 10), true));
    }
    assert!(matches!(checking.ask(check(20_000, 10), true, Micros(0)), CheckStart::NoRoom));
    assert_eq!(
        checking.lanes[LATER].waiting.len(),
        1,
        "one that was drawn and has no place is looked at later"
    );
    let disputed = |task| Check { cause: Cause::Disputed { is_accepted: true }, ..check(task, 10) };
    for task in 1..PLACES[LATER] as u64 {
        assert!(waits(&mut checking, disputed(30_000 + task), true));
    }
    assert!(matches!(checking.ask(disputed(40_000), true, Micros(0)), CheckStart::NoRoom));
    let mut few = used_up();
    let large = |_: &usize| {
        let check = Check { outcome: vec![7; 60_000].into(), ..check(5, 10) };
        waits(&mut few, check, true)
    };
    let room = (0..PLACES[DRAWN]).take_while(large);
    assert_eq!(room.count(), 8 * 1024 * 1024 / 60_000, "by bytes as well");
}

/// A worker that always lies must not escape because there is too much to check.
#[test]
fn a_drawn_answer_that_its_task_does_not_wait_for_is_checked_later_one_of_each_worker_and_kind() {
    let mut checking = used_up();
    let of = |account, kind, task| {
        // An odd seed is no lot for the second of two.
        let depth = Depth::Deep(1);
        Check { account: AccountId(account), kind: KindId(kind), depth, ..check(task, 10) }
    };
    for (account, kind, task) in [(1, 1, 11), (1, 1, 12), (1, 2, 13), (2, 1, 14), (2, 1, 15)] {
        assert!(waits(&mut checking, of(account, kind, task), true));
        assert!(waits(&mut checking, of(account, kind, task + 100), false));
    }
    for task in [11, 12, 111, 12] {
        checking.give_up(TaskNo(task), Attempt(1));
    }
    // The tasks of the others have ended in the meantime.
    let begun = std::iter::from_fn(|| checking.next(MUCH_LATER, |_| false)).map(|check| check.task.0);
    assert_eq!(begun.collect::<Vec<_>>(), [11, 13, 14]);
    assert_eq!((checking.waiting(), checking.lanes.each_ref().map(|lane| lane.bytes)), (0, [0; 4]));
}

/// Whoever knew which answer it is could lie in all others.
#[test]
fn each_drawn_answer_that_there_was_no_time_for_is_as_likely_to_be_the_one_that_is_checked_later() {
    let mut draws = CheckDraws::new([7; 32]);
    let mut taken = [0; 4];
    for _ in 0..4_000 {
        let mut checking = used_up();
        for task in 0..4 {
            let depth = Depth::Deep(draws.draw(1.0, None).unwrap());
            assert!(waits(&mut checking, Check { depth, ..check(task, 10) }, true));
            checking.give_up(TaskNo(task), Attempt(1));
        }
        taken[order(&mut checking, 2)[0] as usize] += 1;
        assert_eq!(checking.waiting(), 0);
    }
    assert!(taken.iter().all(|times| (900..1_100).contains(times)), "{taken:?}");
}
