//! Tests of waiting, waking and room, with the writer and the app on different threads.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use p2c2r_protocol::{Nanos, PassedCheck, TaskNo};

use super::super::entry::{ComputedFrom, Settlement, VoidReason};
use super::super::error::Breakdown;
use super::*;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_mins(10);

fn append(queue: &WriterQueue, entries: usize) {
    let voided = |no: usize| Entry::TaskVoided { task: TaskNo(no as u64), reason: VoidReason::Late };
    queue.append_all(&mut (0..entries).map(voided).collect()).unwrap();
}

/// Runs `work`, which may wait, on its own thread; the receiver gets what it returned.
fn aside<T: Send + 'static>(
    queue: &Arc<WriterQueue>,
    work: impl FnOnce(&WriterQueue) -> T + Send + 'static,
) -> std::sync::mpsc::Receiver<T> {
    let (queue, (say, heard)) = (Arc::clone(queue), channel());
    thread::spawn(move || say.send(work(&queue)));
    heard
}

fn taken(queue: &WriterQueue) -> usize {
    let mut batch = Batch::default();
    queue.take(&mut batch, None, LONG);
    batch.entries.len()
}

/// Waits until the writer waits for a first entry: it sets `idle` under the lock, which it releases only by waiting.
fn until_idle(queue: &WriterQueue) {
    while !lock(&queue.inbox).idle {
        thread::yield_now();
    }
}

#[test]
fn a_group_that_is_large_enough_is_not_waited_for() {
    let queue = Arc::new(WriterQueue::new(usize::MAX));
    let writer = aside(&queue, taken);
    until_idle(&queue);
    append(&queue, GROUP_ENTRIES_ENOUGH);
    assert_eq!(writer.recv_timeout(LONG), Ok(GROUP_ENTRIES_ENOUGH));
    append(&queue, GROUP_ENTRIES_ENOUGH + 5);
    assert_eq!(taken(&queue), GROUP_ENTRIES_ENOUGH + 5, "what came while the writer wrote");
}

#[test]
fn what_is_appended_together_takes_room_and_what_becomes_of_tasks_always_has_some() {
    let queue = WriterQueue::new(4);
    let voided = || Entry::TaskVoided { task: TaskNo(1), reason: VoidReason::Late };
    let mut entries = vec![voided(), voided(), voided()];
    queue.append_all(&mut entries).unwrap();
    assert!(entries.is_empty());
    let mut room = queue.room().unwrap();
    assert_eq!((room.admissions, room.patient, room.bytes), (1, PATIENT_TASKS_MAX, QUEUE_BYTES_MAX));
    assert!(room.take(None) && !room.take(None), "one more, and no second");
    queue.append_all(&mut vec![voided(); 5]).unwrap();
    assert_eq!(queue.room().unwrap().admissions, 0);
    let mut batch = Batch::default();
    queue.take(&mut batch, None, Duration::ZERO);
    assert_eq!(batch.entries.len(), 8);
    queue.end(LedgerState::Closed);
    assert_eq!(queue.append_all(&mut vec![voided()]), Err(LedgerStopped::Closed));
    assert!(queue.room().is_err());
}

#[test]
fn only_a_writer_that_is_far_behind_is_given_way_to() {
    let queue = Arc::new(WriterQueue::new(8));
    queue.wait_for_writer(LONG);
    append(&queue, 4);
    queue.wait_for_writer(LONG);
    append(&queue, GROUP_ENTRIES_ENOUGH);
    let (began, longest) = (Instant::now(), Duration::from_millis(5));
    queue.wait_for_writer(longest);
    assert!(began.elapsed() >= longest, "waits as long as it may");
    let app = aside(&queue, |queue| queue.wait_for_writer(LONG));
    assert_eq!(taken(&queue), 4 + GROUP_ENTRIES_ENOUGH);
    assert_eq!(app.recv_timeout(LONG), Ok(()));
    queue.wait_for_writer(LONG);
}

#[test]
fn a_writer_is_waited_for_until_it_takes_what_is_asked() {
    let queue = WriterQueue::new(8);
    append(&queue, 4);
    assert!(!queue.is_waited_for());
    append(&queue, 1);
    assert!(queue.is_waited_for(), "far behind");
    let (reply, _answer) = std::sync::mpsc::sync_channel(1);
    queue.request(WriterRequest::Flush(reply)).unwrap();
    taken(&queue);
    assert!(!queue.is_waited_for());
    let (reply, _answer) = std::sync::mpsc::sync_channel(1);
    queue.request(WriterRequest::Flush(reply)).unwrap();
    assert!(queue.is_waited_for(), "for an answer");
    taken(&queue);
    assert!(!queue.is_waited_for());
}

#[test]
fn outcomes_that_pile_up_are_a_writer_far_behind_too() {
    let queue = WriterQueue::new(usize::MAX);
    let outcome: Arc<[u8]> = vec![0; QUEUE_BYTES_MAX / 4 + 1].into();
    let settled = || {
        Entry::TaskSettled(Settlement {
            task: TaskNo(1),
            source: ComputedFrom::Coordinator,
            pay: Nanos(0),
            fee: Nanos(1),
            check: PassedCheck::Own,
            outcome: Some(Arc::clone(&outcome)),
        })
    };
    queue.append_all(&mut vec![settled()]).unwrap();
    assert!(!queue.behind.load(Ordering::Relaxed));
    queue.append_all(&mut vec![settled()]).unwrap();
    assert!(queue.behind.load(Ordering::Relaxed));
}

#[test]
fn nobody_waits_for_a_writer_that_has_stopped() {
    let queue = Arc::new(WriterQueue::new(2));
    append(&queue, 3);
    let app = aside(&queue, |queue| queue.wait_for_writer(LONG));
    queue.end(LedgerState::Broken(Breakdown::panicked()));
    assert_eq!(app.recv_timeout(LONG), Ok(()));
    queue.wait_for_writer(LONG);
}
