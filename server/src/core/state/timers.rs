//! When something is due for a task: the end of a lease, or of a wait for one.
//!
//! Every task has at most one such moment. The moments are kept in one heap; an entry counts only while it is still its
//! task's moment, so moving one costs a push and no search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use p2c2r_protocol::{Micros, TaskNo};

use super::tasks::TaskTable;

/// Entries that no longer count which the heap may hold before it is swept.
const SLACK: usize = 4_096;

/// Moments at which something is due.
#[derive(Default)]
pub struct Timers {
    moments: BinaryHeap<Reverse<(Micros, TaskNo)>>,
}

impl Timers {
    /// From now on this is the task's one moment; `None` for no moment.
    pub fn schedule(&mut self, tasks: &mut TaskTable, no: TaskNo, at: Option<Micros>) {
        tasks.set_timer(no, at);
        let Some(at) = at else { return };
        if self.moments.len() > 2 * tasks.len() + SLACK {
            self.moments
                .retain(|Reverse((at, no))| tasks.get(*no).is_some_and(|task| task.timer() == Some(*at)));
        }
        self.moments.push(Reverse((at, no)));
    }

    /// Whether a moment has come, be it that of a task that has another by now.
    pub fn is_due(&self, now: Micros) -> bool {
        self.moments.peek().is_some_and(|Reverse((at, _))| *at <= now)
    }

    /// The next task whose moment has come.
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

    /// The next moment that still counts.
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
