//! Checks what must hold of money and tasks, from effects and verdicts alone.

use std::collections::{HashMap, HashSet};

use p2c2r_protocol::{Attempt, Nanos, TaskId, TaskNo};
use p2c2r_server::ledger::{AccountId, Admission, ComputedFrom, Entry, Settlement};

use super::CREDIT;

/// The auditor's own books.
#[derive(Default)]
pub(super) struct Auditor {
    pub open: HashMap<TaskNo, Admission>,
    pub newest: HashMap<TaskNo, Attempt>,
    /// Attempts of workers that have not ended.
    pub running: HashMap<TaskNo, Vec<(Attempt, AccountId)>>,
    pub passed: HashSet<(TaskNo, Attempt)>,
    /// Tasks that have taken the place of an equal one: the task's own number, by the number that workers use for it.
    pub successors: HashMap<TaskNo, TaskNo>,
    /// Tasks that ended in this event.
    pub just_ended: Vec<Admission>,
    /// Attempts handed out in this event.
    pub just_assigned: HashSet<(TaskNo, Attempt)>,
    pub held: HashMap<AccountId, Nanos>,
    pub charged: HashMap<AccountId, Nanos>,
    pub ended: HashSet<TaskId>,
    pub admitted: usize,
    pub by_workers: usize,
    pub begun: usize,
    /// Units of attempts handed out while nobody had the task, and while somebody had.
    pub first_units: u64,
    pub second_units: u64,
}

impl Auditor {
    pub fn book(&mut self, entry: &Entry) {
        match entry {
            Entry::TaskAdmitted(admission) => {
                let before = self.open.insert(admission.task, admission.clone());
                assert!(before.is_none(), "a number is given to one task");
                self.admitted += 1;
                let held = self.held.entry(admission.gamer).or_default();
                *held += admission.price;
                let spent = *held + self.charged.get(&admission.gamer).copied().unwrap_or_default();
                assert!(spent <= CREDIT, "nobody spends what he does not have: {spent}");
            }
            Entry::AttemptStarted { task, attempt, worker } => self.start(*task, *attempt, *worker),
            Entry::AttemptEnded { task, attempt, .. } => {
                self.running.entry(*task).or_default().retain(|(other, _)| other != attempt);
            }
            Entry::TaskSettled(settlement) => self.settle(settlement),
            Entry::TaskVoided { task, .. } => self.charge(*task, Nanos::ZERO),
            Entry::OutcomeDisputed { .. }
            | Entry::TrustChanged { .. }
            | Entry::WorkerConvicted { .. }
            | Entry::WorkerForgiven { .. } => {}
        }
    }

    fn start(&mut self, task: TaskNo, attempt: Attempt, worker: Option<AccountId>) {
        let called = self.called(task);
        let admission = &self.open.get(&task).expect("only open tasks are attempted");
        let before = self.newest.insert(task, attempt);
        assert!(before.is_none_or(|before| before < attempt), "attempts are numbered upwards");
        let running = self.running.entry(task).or_default();
        let Some(worker) = worker else {
            assert!(running.is_empty(), "nobody else has what is computed here");
            return;
        };
        assert!(running.iter().all(|(_, other)| *other != worker), "nobody is asked twice at a time");
        if self.just_assigned.contains(&(called, attempt)) {
            let units = if running.is_empty() { &mut self.first_units } else { &mut self.second_units };
            *units += admission.units.0;
        } else {
            self.take_place(task);
        }
        let running = self.running.entry(task).or_default();
        assert!(
            self.second_units * 100 <= self.first_units * 7,
            "second attempts are 7 % of the work at most"
        );
        running.push((attempt, worker));
        assert!(running.len() <= 2, "two attempts at a time at most");
    }

    /// The task has an attempt that was not handed out for it, so it has just taken the place of an equal one. Workers go on
    /// using that one's number.
    fn take_place(&mut self, task: TaskNo) {
        let key = self.open[&task].key;
        let before = self.just_ended.iter().rfind(|before| before.key == key);
        let before = before.expect("only what was handed out for an equal task is taken over").task;
        let called = self.called(before);
        self.successors.insert(called, task);
    }

    /// The number that workers use for a task.
    fn called(&self, task: TaskNo) -> TaskNo {
        self.successors.iter().find(|(_, own)| **own == task).map_or(task, |(called, _)| *called)
    }

    fn settle(&mut self, settlement: &Settlement) {
        let (task, charged) = (settlement.task, settlement.pay + settlement.fee);
        match settlement.source {
            ComputedFrom::Worker { attempt, .. } => {
                assert!(
                    self.passed.contains(&(self.called(task), attempt)),
                    "only accepted answers are paid"
                );
                self.by_workers += 1;
            }
            ComputedFrom::Begun => {
                assert!(self.newest.contains_key(&task), "only what was begun is charged");
                assert!(charged > Nanos::ZERO && settlement.outcome.is_none());
                self.begun += 1;
            }
            ComputedFrom::Coordinator | ComputedFrom::Cache => {}
        }
        assert!(settlement.pay == Nanos::ZERO || matches!(settlement.source, ComputedFrom::Worker { .. }));
        let price = self.open.get(&task).expect("a task ends once").price;
        let is_less =
            matches!(settlement.source, ComputedFrom::Begun | ComputedFrom::Cache) && charged < price;
        assert!(charged == price || is_less && charged > Nanos::ZERO, "{charged}");
        self.charge(task, charged);
    }

    fn charge(&mut self, task: TaskNo, charged: Nanos) {
        let admission = self.open.remove(&task).expect("a task ends once");
        *self.held.entry(admission.gamer).or_default() -= admission.price;
        *self.charged.entry(admission.gamer).or_default() += charged;
        self.running.remove(&task);
        self.just_ended.push(admission);
    }
}
