//! What the budget of checking lets begin, and in which order.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Attempt, Device, Digest, KindId, Micros, PeerId, TaskNo, WorkUnits};
use p2c2r_tasks::{Blobs, CheckError, KernelError, SpecError, Stop, TaskJob};

use super::{CheckStart, Checking, DISPUTED_MAX, WAITING_MAX};
use crate::core::receipts::WorkerTimes;
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
    checking.ended(&Checked { check, verdict: Ok(()), left: None, took });
}

#[test]
fn checks_take_no_more_than_their_share_of_time() {
    let mut checking = Checking::new(10.0);
    let (mut done, mut now) = (0, Micros(0));
    for task in 1..=6_000 {
        match checking.ask(check(task, 1_000), true, now) {
            CheckStart::Begins(begun) => {
                ended(&mut checking, begun, Duration::from_millis(1));
                done += 1;
            }
            CheckStart::Waits => {}
            CheckStart::NoRoom(_) => panic!("there is room"),
        }
    }
    assert_eq!(done, 3_000, "what idle half a minute saves up");
    while let Some(due) = checking.due() {
        assert!(due > now);
        now = due;
        let Some(begun) = checking.next(now) else { continue };
        ended(&mut checking, begun, Duration::from_millis(1));
        done += 1;
    }
    assert_eq!((done, checking.waiting()), (6_000, 0));
    let seconds = now.0 as f64 / 1e6;
    assert!((29.9..30.2).contains(&seconds), "{seconds}");
    assert_eq!(checking.taken(), Duration::from_secs(6));
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
    assert!(checking.next(Micros(due.0 - 100)).is_none());
    assert!(checking.next(due).is_some());
}

#[test]
fn proven_workers_come_before_newcomers_and_each_in_turn() {
    let mut checking = Checking::new(10.0);
    let CheckStart::Begins(first) = checking.ask(check(1, 10), false, Micros(0)) else {
        panic!("nothing was used")
    };
    ended(&mut checking, first, Duration::from_secs(4));
    for (task, is_proven) in [(2, false), (3, false), (4, true), (5, true)] {
        assert!(matches!(checking.ask(check(task, 10), is_proven, Micros(0)), CheckStart::Waits));
    }
    assert_eq!(checking.give_up(TaskNo(2), Attempt(1)).map(|given_up| given_up.task), Some(TaskNo(2)));
    assert!(checking.give_up(TaskNo(2), Attempt(1)).is_none());
    let mut order = Vec::new();
    while let Some(begun) = checking.next(Micros(100_000_000)) {
        order.push(begun.task.0);
        ended(&mut checking, begun, Duration::from_nanos(1));
    }
    assert_eq!(order, [4, 5, 3]);
    assert_eq!((checking.due(), checking.bytes), (None, 0));
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
fn what_waits_is_bounded() {
    let mut checking = Checking::new(10.0);
    let CheckStart::Begins(first) = checking.ask(check(1, 10), true, Micros(0)) else {
        panic!("nothing was used")
    };
    ended(&mut checking, first, Duration::from_secs(4));
    for task in 0..WAITING_MAX as u64 {
        assert!(matches!(checking.ask(check(2 + task, 10), false, Micros(0)), CheckStart::Waits));
    }
    assert!(matches!(checking.ask(check(9_999, 10), true, Micros(0)), CheckStart::NoRoom(_)));
}

/// Otherwise whoever fills the queue hides a wrong answer that was accepted.
#[test]
fn an_answer_that_another_one_contradicts_waits_where_all_other_places_are_taken() {
    let mut checking = Checking::new(10.0);
    let CheckStart::Begins(first) = checking.ask(check(1, 10), true, Micros(0)) else {
        panic!("nothing was used")
    };
    ended(&mut checking, first, Duration::from_secs(4));
    while matches!(checking.ask(check(2, 10), true, Micros(0)), CheckStart::Waits) {}
    let disputed = |task| Check { cause: Cause::Disputed { is_accepted: true }, ..check(task, 10) };
    for task in 0..DISPUTED_MAX as u64 {
        assert!(matches!(checking.ask(disputed(10_000 + task), true, Micros(0)), CheckStart::Waits));
    }
    assert!(matches!(checking.ask(disputed(20_000), true, Micros(0)), CheckStart::NoRoom(_)));
    let begun = std::iter::from_fn(|| checking.next(Micros(100_000_000)).inspect(|_| checking.left_us = 1.0));
    let of_disputes = begun.filter(|check| check.task.0 >= 10_000).count();
    assert_eq!(of_disputes, DISPUTED_MAX, "each is looked at");
}
