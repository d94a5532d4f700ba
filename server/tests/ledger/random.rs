//! Random entries, groups, restarts and passing time against an auditor that knows the rules but not the
//! ledger: one entry after the other, a map of accounts and a list of tasks.

use std::collections::{HashMap, HashSet};

use p2c2r_protocol::{Attempt, Nanos, PassedCheck, Role, TaskNo};
use p2c2r_server::ledger::{
    AccountId, ComputedFrom, Entry, Ledger, LedgerOptions, Settlement, Verdict, VoidReason,
};
use proptest::prelude::*;

use super::lab::{Lab, account_of, admitted, append, ended, patient, started};

const GAMERS: [&str; 2] = ["ada", "grace"];
const WORKERS: [&str; 2] = ["bob", "eve"];

#[derive(Clone, Debug)]
enum Op {
    Admit { gamer: usize, game_task: u64, price: i64, patient: bool },
    Start { back: usize, attempt: u32, worker: usize },
    End { back: usize, attempt: u32, verdict: u8 },
    Settle { back: usize, attempt: u32, worker: usize, pay: i64, fee: i64, source: u8 },
    Void { back: usize },
    Repeat { back: usize },
    Flush,
    Restart,
    Pass { seconds: u64 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (back, attempt, peer) = (0..6_usize, 0..4_u32, 0..2_usize);
    let op = prop_oneof![
        6 => (peer.clone(), 0..60_u64, -1..50_i64, any::<bool>())
            .prop_map(|(gamer, game_task, price, patient)| Op::Admit { gamer, game_task, price, patient }),
        8 => (back.clone(), attempt.clone(), peer.clone())
            .prop_map(|(back, attempt, worker)| Op::Start { back, attempt, worker }),
        4 => (back.clone(), attempt.clone(), 0..6_u8)
            .prop_map(|(back, attempt, verdict)| Op::End { back, attempt, verdict }),
        6 => (back.clone(), attempt, peer, -1..40_i64, -1..10_i64, 0..5_u8).prop_map(
            |(back, attempt, worker, pay, fee, source)| Op::Settle { back, attempt, worker, pay, fee, source }
        ),
        1 => back.clone().prop_map(|back| Op::Void { back }),
        2 => (0..40_usize).prop_map(|back| Op::Repeat { back }),
        3 => Just(Op::Flush),
        1 => Just(Op::Restart),
        1 => (1..5_000_u64).prop_map(|seconds| Op::Pass { seconds }),
    ];
    proptest::collection::vec(op, 1..120)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    available: i64,
    held: i64,
    turnover: i64,
    accepted: u64,
    rejected: u64,
}

struct Task {
    gamer: AccountId,
    price: i64,
    patient: bool,
    open: bool,
    tries: HashMap<u32, (AccountId, Try)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Try {
    Running,
    Accepted,
    Unneeded,
    Over,
}

/// The independent auditor.
#[derive(Default)]
struct Auditor {
    roles: HashMap<AccountId, Role>,
    sums: HashMap<AccountId, Sums>,
    fee: i64,
    used: HashSet<(AccountId, u64)>,
    tasks: HashMap<u64, Task>,
}

impl Auditor {
    fn sums(&mut self, account: AccountId) -> &mut Sums {
        self.sums.entry(account).or_default()
    }

    fn saw(&mut self, entry: &Entry) {
        match entry {
            Entry::TaskAdmitted(admission) => {
                let (gamer, price) = (admission.gamer, admission.price.0);
                if price < 0 || self.tasks.contains_key(&admission.task.0) {
                    return;
                }
                if self.used.insert((gamer, admission.game_task.0)) {
                    let patient = admission.patient.is_some();
                    self.tasks.insert(
                        admission.task.0,
                        Task { gamer, price, patient, open: true, tries: HashMap::new() },
                    );
                    self.sums(gamer).available -= price;
                    self.sums(gamer).held += price;
                }
            }
            Entry::AttemptStarted { task, attempt, worker } => {
                let Some(found) = self.tasks.get_mut(&task.0).filter(|found| found.open) else { return };
                if attempt.0 > 0 {
                    found.tries.entry(attempt.0).or_insert((worker.unwrap(), Try::Running));
                }
            }
            Entry::AttemptEnded { task, attempt, verdict, .. } => self.ended(task.0, attempt.0, verdict),
            Entry::TaskSettled(settlement) => self.settled(settlement),
            Entry::TaskVoided { task, .. } => self.void(task.0),
            Entry::OutcomeDisputed { .. }
            | Entry::TrustChanged { .. }
            | Entry::WorkerConvicted { .. }
            | Entry::WorkerForgiven { .. } => unreachable!("no operation here judges workers"),
        }
    }

    fn ended(&mut self, task: u64, attempt: u32, verdict: &Verdict) {
        let Some((worker, made)) = self.tasks.get_mut(&task).and_then(|found| found.tries.get_mut(&attempt))
        else {
            return;
        };
        if !matches!(made, Try::Running | Try::Unneeded) {
            return;
        }
        *made = match verdict {
            Verdict::Accepted => Try::Accepted,
            Verdict::Unneeded => Try::Unneeded,
            _ => Try::Over,
        };
        let worker = *worker;
        match verdict {
            Verdict::Accepted => self.sums(worker).accepted += 1,
            Verdict::Rejected { .. } => self.sums(worker).rejected += 1,
            _ => {}
        }
    }

    fn settled(&mut self, settlement: &Settlement) {
        let Some(task) = self.tasks.get_mut(&settlement.task.0).filter(|task| task.open) else { return };
        let (pay, fee) = (settlement.pay.0, settlement.fee.0);
        let payee = match settlement.source {
            ComputedFrom::Worker { worker, attempt } => match task.tries.get(&attempt.0) {
                Some((found, Try::Running | Try::Accepted)) if *found == worker => Some((worker, attempt.0)),
                _ => return self.void(settlement.task.0),
            },
            _ if pay != 0 => return self.void(settlement.task.0),
            _ => None,
        };
        if pay < 0 || fee < 0 || pay + fee > task.price {
            return self.void(settlement.task.0);
        }
        let (gamer, price) = (task.gamer, task.price);
        task.open = false;
        let mut accepted = None;
        for (number, (worker, made)) in &mut task.tries {
            if *made == Try::Running {
                let this = payee == Some((*worker, *number));
                *made = if this { Try::Accepted } else { Try::Unneeded };
                accepted = accepted.or(this.then_some(*worker));
            }
        }
        let sums = self.sums(gamer);
        sums.held -= price;
        sums.available += price - pay - fee;
        sums.turnover += pay + fee;
        sums.accepted += 1;
        if let Some((worker, _)) = payee {
            self.sums(worker).available += pay;
            self.sums(worker).turnover += pay;
        }
        if let Some(worker) = accepted {
            self.sums(worker).accepted += 1;
        }
        self.fee += fee;
    }

    fn void(&mut self, task: u64) {
        let Some(task) = self.tasks.get_mut(&task).filter(|task| task.open) else { return };
        task.open = false;
        for (_, made) in task.tries.values_mut().filter(|(_, made)| *made == Try::Running) {
            *made = Try::Unneeded;
        }
        let (gamer, price) = (task.gamer, task.price);
        let sums = self.sums(gamer);
        sums.held -= price;
        sums.available += price;
        sums.rejected += 1;
    }

    fn restarted(&mut self) {
        let open: Vec<(u64, bool)> =
            self.tasks.iter().filter(|(_, task)| task.open).map(|(no, task)| (*no, task.patient)).collect();
        for (no, patient) in open {
            if let Some(task) = self.tasks.get_mut(&no) {
                for (_, made) in task.tries.values_mut().filter(|(_, made)| *made == Try::Running) {
                    *made = Try::Over;
                }
            }
            if !patient {
                self.void(no);
            }
        }
    }

    /// The ledger must agree. A worker's pending and available pay are compared as one: when pay is released
    /// is a test of its own.
    fn agrees(&self, ledger: &Ledger) {
        let mut pending = Nanos::ZERO;
        for (id, role) in &self.roles {
            let name = ledger_name(*id, *role, ledger);
            let found = account_of(ledger, *role, name);
            let worker = *role == Role::Worker;
            pending += if worker { found.set_aside } else { Nanos::ZERO };
            let (available, held) = (found.available.0, found.set_aside.0);
            let found = Sums {
                available: if worker { available + held } else { available },
                held: if worker { 0 } else { held },
                turnover: found.turnover.0,
                accepted: found.accepted,
                rejected: found.rejected,
            };
            assert_eq!(found, self.sums[id], "{role} {name}");
        }
        assert_eq!((ledger.totals().fee.0, ledger.totals().pending), (self.fee, pending));
    }
}

fn ledger_name(id: AccountId, role: Role, ledger: &Ledger) -> &'static str {
    let names = if role == Role::Gamer { GAMERS } else { WORKERS };
    names.into_iter().find(|name| account_of(ledger, role, name).id == id).unwrap()
}

fn join(ledger: &Ledger, auditor: &mut Auditor) -> ([AccountId; 2], [AccountId; 2]) {
    let mut join = |role, name| {
        let account = account_of(ledger, role, name);
        auditor.roles.insert(account.id, role);
        auditor.sums.entry(account.id).or_insert(Sums { available: account.available.0, ..Sums::default() });
        account.id
    };
    (GAMERS.map(|name| join(Role::Gamer, name)), WORKERS.map(|name| join(Role::Worker, name)))
}

fn entry_of(op: &Op, next: u64, gamers: [AccountId; 2], workers: [AccountId; 2]) -> Option<Entry> {
    let task = |back: usize| TaskNo(next.saturating_sub(back as u64 + 1));
    Some(match *op {
        Op::Admit { gamer, game_task, price, patient: false } => {
            admitted(TaskNo(next), gamers[gamer], game_task, price)
        }
        Op::Admit { gamer, game_task, price, .. } => patient(TaskNo(next), gamers[gamer], game_task, price),
        Op::Start { back, attempt, worker } => started(task(back), attempt, workers[worker]),
        Op::End { back, attempt, verdict } => {
            let rejected = Verdict::Rejected { reason: "why".into() };
            let verdicts = [
                Verdict::Accepted,
                rejected,
                Verdict::Lost,
                Verdict::Expired,
                Verdict::Failed,
                Verdict::Unneeded,
            ];
            let verdict = verdicts[verdict as usize].clone();
            ended(task(back), attempt, verdict)
        }
        Op::Settle { back, attempt, worker, pay, fee, source } => {
            let source = match source {
                0 => ComputedFrom::Coordinator,
                1 => ComputedFrom::Cache,
                _ => ComputedFrom::Worker { worker: workers[worker], attempt: Attempt(attempt) },
            };
            let pay = if matches!(source, ComputedFrom::Worker { .. }) { pay } else { pay.min(0) };
            let (pay, fee, check) = (Nanos(pay), Nanos(fee), PassedCheck::Deep);
            Entry::TaskSettled(Settlement { task: task(back), source, pay, fee, check, outcome: None })
        }
        Op::Void { back } => Entry::TaskVoided { task: task(back), reason: VoidReason::Late },
        Op::Repeat { .. } | Op::Flush | Op::Restart | Op::Pass { .. } => return None,
    })
}

/// With room for very few accounts, so that they are evicted and loaded all the time.
fn open(lab: &Lab) -> Ledger {
    Ledger::open(&lab.path, LedgerOptions { accounts_max: 1, ..lab.options() }, || {}).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_auditor_agrees_after_every_group(ops in ops()) {
        let lab = Lab::new();
        let mut auditor = Auditor::default();
        let mut ledger = open(&lab);
        let (gamers, workers) = join(&ledger, &mut auditor);
        let mut history: Vec<Entry> = Vec::new();
        let mut next = 1;
        for op in &ops {
            let entry = match op {
                Op::Repeat { back } => history.iter().rev().nth(*back).cloned(),
                op => entry_of(op, next, gamers, workers),
            };
            if let Some(entry) = entry {
                auditor.saw(&entry);
                append(&ledger, [entry.clone()]);
                history.push(entry);
            }
            match op {
                Op::Admit { .. } => next += 1,
                Op::Flush => {
                    ledger.flush().unwrap();
                    auditor.agrees(&ledger);
                }
                Op::Restart => {
                    ledger.close().unwrap();
                    ledger = open(&lab);
                    join(&ledger, &mut auditor);
                    auditor.restarted();
                    auditor.agrees(&ledger);
                }
                Op::Pass { seconds } => lab.pass(*seconds),
                _ => {}
            }
        }
        ledger.flush().unwrap();
        auditor.agrees(&ledger);
        ledger.close().unwrap();
        lab.check();
    }
}
