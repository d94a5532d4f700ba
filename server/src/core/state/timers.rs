//! Timers of tasks: the end of a lease, or of a wait for one.
//!
//! Every task has at most one timer. All are kept in one heap; an entry is valid only while it equals its task's timer,
//! so moving a timer costs one push and no search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use p2c2r_protocol::{Micros, TaskNo};

use super::tasks::TaskTable;

/// The heap is swept once it has this many entries more than twice the tasks in flight. A small number, because every stale
/// entry is popped sooner or later, and popping costs more in a larger heap.
const SLACK: usize = 512;

/// The heap of timers.
#[derive(Default)]
pub struct Timers {
    moments: BinaryHeap<Reverse<(Micros, TaskNo)>>,
}

impl Timers {
    /// Sets the task's timer; `None` for no timer.
    pub fn schedule(&mut self, tasks: &mut TaskTable, no: TaskNo, at: Option<Micros>) {
        tasks.set_timer(no, at);
        let Some(at) = at else { return };
        if self.moments.len() > 2 * tasks.len() + SLACK {
            self.moments
                .retain(|Reverse((at, no))| tasks.get(*no).is_some_and(|task| task.timer() == Some(*at)));
        }
        self.moments.push(Reverse((at, no)));
    }

    /// Whether any entry is due, valid or stale.
    pub fn is_due(&self, now: Micros) -> bool {
        self.moments.peek().is_some_and(|Reverse((at, _))| *at <= now)
    }

    /// The next task whose timer is due; its entry is removed.
    pub fn due(&mut self, tasks: &TaskTable, now: Micros) -> Option<TaskNo> {
        while let Some(Reverse((at, no))) = self.moments.peek().copied() {
            if at > now {
                return None;
            }
            self.moments.pop();
            if tasks.get(no).is_some_and(|task| task.timer() == Some(at)) {
                return Some(no);
            }
        }
        None
    }

    /// The earliest valid timer.
    pub fn next(&mut self, tasks: &TaskTable) -> Option<Micros> {
        while let Some(Reverse((at, no))) = self.moments.peek().copied() {
            if tasks.get(no).is_some_and(|task| task.timer() == Some(at)) {
                return Some(at);
            }
            self.moments.pop();
        }
        None
    }
}
