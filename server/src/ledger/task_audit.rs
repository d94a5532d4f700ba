//! The part of `check` that reads what is recorded of every task: one hold or none, one resolution, and pay only for the
//! attempt that was accepted. Sums saturate: in a tampered file they may be anything.

use std::collections::HashMap;

use rusqlite::{Connection, Result, Row};

use super::audit::{Booked, CheckReport, LookAhead, read_transfer};
use super::chain::Transfer;
use super::entry::{kind, reason, state, verdict};
use super::folding::FoldedSums;

/// For each account, what its tasks and attempts add up to.
pub(super) struct TaskTally(HashMap<i64, Counted>);

/// One account's part of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    pub turnover: i64,
    pub accepted: i64,
    pub rejected: i64,
}

impl TaskTally {
    /// What folded tasks and attempts counted.
    pub fn of_folded(folded: &HashMap<i64, FoldedSums>) -> Self {
        let counted = |sums: &FoldedSums| Counted {
            turnover: sums.turnover,
            accepted: sums.accepted,
            rejected: sums.rejected,
        };
        Self(folded.iter().map(|(account, sums)| (*account, counted(sums))).collect())
    }

    /// What was counted for an account.
    pub fn of(&self, account: i64) -> Counted {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// Subtracts reversed pay from what was earned or charged.
    pub fn took_back(&mut self, account: i64, amount: i64) {
        let counted = self.at(account);
        counted.turnover = counted.turnover.saturating_sub(amount);
    }

    fn at(&mut self, account: i64) -> &mut Counted {
        self.0.entry(account).or_default()
    }
}

struct Task {
    no: i64,
    gamer: i64,
    price: i64,
    state: u8,
    opened: i64,
    closed: Option<i64>,
    pay: i64,
    fee: i64,
    source: Option<u8>,
    attempt: Option<u8>,
    worker: Option<i64>,
}

struct Attempt {
    id: i64,
    worker: Option<i64>,
    verdict: u8,
}

/// Walks tasks, their transfers since the newest folded group and their attempts side by side, all in order of task numbers.
pub(super) fn check(
    connection: &Connection,
    accounts: &HashMap<i64, Booked>,
    folded_to: i64,
    tally: &mut TaskTally,
    report: &mut CheckReport,
) -> Result<()> {
    let mut tasks = connection.prepare(
        "SELECT no, gamer, price, state, opened_grp, closed_grp, pay, fee, source, attempt,
             worker
         FROM tasks ORDER BY no",
    )?;
    let mut transfers = connection.prepare(
        "SELECT id, debit, credit, amount, reason, attempt, grp FROM transfers WHERE id > 0 ORDER BY id",
    )?;
    let mut attempts = connection.prepare("SELECT id, worker, verdict FROM attempts ORDER BY id")?;
    let mut tasks = LookAhead::new(tasks.query([])?, read_task)?;
    let mut transfers =
        LookAhead::new(transfers.query([])?, |row| Ok((read_transfer(row)?, row.get::<_, i64>(6)?)))?;
    let mut attempts = LookAhead::new(attempts.query([])?, read_attempt)?;
    let (mut moved, mut tries) = (Vec::new(), Vec::new());
    while let Some(task) = tasks.step()? {
        while let Some((stray, _)) = transfers.take_if(|(transfer, _)| transfer.id >> 2 < task.no)? {
            report.problem(|| format!("transfer {} belongs to no task", stray.id));
        }
        while let Some(stray) = attempts.take_if(|attempt| attempt.id >> 8 < task.no)? {
            report.problem(|| format!("attempt {} belongs to no task", stray.id));
        }
        moved.clear();
        while let Some(transfer) = transfers.take_if(|(transfer, _)| transfer.id >> 2 == task.no)? {
            moved.push(transfer);
        }
        tries.clear();
        while let Some(attempt) = attempts.take_if(|attempt| attempt.id >> 8 == task.no)? {
            tries.push(attempt);
        }
        if let Some(worker) = task.worker {
            in_one_row(&task, worker, &mut moved, &mut tries, accounts, report);
        }
        report.tasks += 1;
        report.open_tasks += u64::from(task.state == state::OPEN);
        compare(&task, &moved, &tries, accounts, folded_to, report);
        count(&task, &tries, tally, report);
    }
    while let Some((stray, _)) = transfers.step()? {
        report.problem(|| format!("transfer {} belongs to no task", stray.id));
    }
    while let Some(stray) = attempts.step()? {
        report.problem(|| format!("attempt {} belongs to no task", stray.id));
    }
    Ok(())
}

fn read_task(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        no: row.get(0)?,
        gamer: row.get(1)?,
        price: row.get(2)?,
        state: row.get(3)?,
        opened: row.get(4)?,
        closed: row.get(5)?,
        pay: row.get(6)?,
        fee: row.get(7)?,
        source: row.get(8)?,
        attempt: row.get(9)?,
        worker: row.get(10)?,
    })
}

fn read_attempt(row: &Row<'_>) -> Result<Attempt> {
    Ok(Attempt { id: row.get(0)?, worker: row.get(1)?, verdict: row.get(2)? })
}

/// Adds the attempt and the transfers that a task's row stands for. Whether the row was changed since its group was hashed is
/// checked by the chain, not here.
fn in_one_row(
    task: &Task,
    worker: i64,
    moved: &mut Vec<(Transfer, i64)>,
    tries: &mut Vec<Attempt>,
    accounts: &HashMap<i64, Booked>,
    report: &mut CheckReport,
) {
    let no = task.no;
    let is_whole = task.state == state::SETTLED && task.source == Some(1) && task.closed == Some(task.opened);
    let is_alone = moved.is_empty() && tries.is_empty();
    if !is_whole || !is_alone || accounts.get(&worker).is_none_or(|booked| booked.kind != kind::WORKER) {
        report.problem(|| format!("task #{no} names its worker, {worker}, and is not all in one row"));
    }
    let id = no << 8 | i64::from(task.attempt.unwrap_or(0));
    tries.push(Attempt { id, worker: Some(worker), verdict: verdict::ACCEPTED });
    moved.extend(transfers_of(task, Some(worker)));
}

/// Compares a task's transfers with those its row and its attempts call for.
fn compare(
    task: &Task,
    moved: &[(Transfer, i64)],
    tries: &[Attempt],
    accounts: &HashMap<i64, Booked>,
    folded_to: i64,
    report: &mut CheckReport,
) {
    let no = task.no;
    if accounts.get(&task.gamer).is_none_or(|booked| booked.kind != kind::GAMER) {
        report.problem(|| format!("task #{no} is paid by account {}, which is no gamer's", task.gamer));
    }
    if (task.state == state::OPEN) != task.closed.is_none() {
        report.problem(|| format!("task #{no} is open and closed at once"));
    }
    let paid = task.attempt.map(|number| (no << 8) | i64::from(number));
    let payee = tries.iter().find(|made| Some(made.id) == paid && made.verdict == verdict::ACCEPTED);
    let payee = payee.and_then(|made| made.worker);
    if (task.source == Some(1)) != payee.is_some() {
        report.problem(|| {
            format!("task #{no} was settled by a worker without an accepted attempt, or names one without")
        });
    }
    if task.state != state::SETTLED && (task.pay, task.fee, task.source) != (0, 0, None) {
        report.problem(|| format!("task #{no} was not settled and yet charged"));
    }
    if task.state != state::OPEN && tries.iter().any(|made| made.verdict == verdict::RUNNING) {
        report.problem(|| format!("task #{no} is over and an attempt at it still runs"));
    }
    let mut expected = transfers_of(task, payee);
    expected.retain(|(_, group)| *group > folded_to);
    if moved != expected {
        report.problem(|| {
            format!(
                "task #{no} has {} transfers that do not follow from its row: {}",
                moved.len(),
                told(moved)
            )
        });
    }
}

/// The number of no account, so that pay without a payee matches no transfer.
const NO_ACCOUNT: i64 = -1;

/// The transfers a task calls for, with the groups they belong to.
fn transfers_of(task: &Task, payee: Option<i64>) -> Vec<(Transfer, i64)> {
    let (gamer, held) = (task.gamer, task.gamer + 1);
    let was_held = task.closed != Some(task.opened);
    let mut expected = Vec::with_capacity(4);
    if was_held {
        let hold = Transfer {
            id: task.no << 2,
            debit: gamer,
            credit: held,
            amount: task.price,
            reason: reason::HOLD,
            attempt: 0,
        };
        expected.push((hold, task.opened));
    }
    if let Some(group) = task.closed {
        let from = if was_held { held } else { gamer };
        let rest = if was_held { task.price.saturating_sub(task.pay).saturating_sub(task.fee) } else { 0 };
        let parts = [
            (payee.map_or(NO_ACCOUNT, |worker| worker + 1), task.pay, reason::PAY, task.attempt.unwrap_or(0)),
            (kind::FEE_ACCOUNT, task.fee, reason::FEE, 0),
            (gamer, rest, reason::RETURN, 0),
        ];
        let parts = parts.into_iter().filter(|part| part.1 != 0);
        for (id, (to, amount, reason, attempt)) in ((task.no << 2) + 1..).zip(parts) {
            expected.push((Transfer { id, debit: from, credit: to, amount, reason, attempt }, group));
        }
    }
    expected.retain(|(transfer, _)| transfer.amount != 0);
    expected
}

fn told(moved: &[(Transfer, i64)]) -> String {
    let told = |(transfer, _): &(Transfer, i64)| {
        let Transfer { debit, credit, amount, .. } = transfer;
        format!("{amount} nanos from account {debit} to {credit}")
    };
    moved.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn count(task: &Task, tries: &[Attempt], tally: &mut TaskTally, report: &mut CheckReport) {
    let gamer = tally.at(task.gamer);
    match task.state {
        state::SETTLED => {
            gamer.accepted += 1;
            gamer.turnover = gamer.turnover.saturating_add(task.pay).saturating_add(task.fee);
        }
        state::VOID => gamer.rejected += 1,
        _ => {}
    }
    for made in tries {
        report.attempts += 1;
        let Some(worker) = made.worker else { continue };
        match made.verdict {
            verdict::ACCEPTED => tally.at(worker).accepted += 1,
            verdict::REJECTED => tally.at(worker).rejected += 1,
            _ => {}
        }
        if task.attempt.is_some_and(|number| made.id & 255 == i64::from(number)) {
            let counted = tally.at(worker);
            counted.turnover = counted.turnover.saturating_add(task.pay);
        }
    }
}
