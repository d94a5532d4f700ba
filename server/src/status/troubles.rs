//! What is wrong, and what to do about it, in sentences for the operator.

use std::time::Duration;

use super::board::Look;
use super::snapshot::{Snapshot, WorkerState};

/// A timely task that has waited this long is late or nearly so: games ask at most two seconds ahead.
const QUEUE_AGE_MAX: Duration = Duration::from_secs(1);
/// Share of the last hour's tasks without an outcome above which the operator is told.
const FAILED_SHARE: f64 = 0.05;
/// Tasks in the last hour below which shares are not judged.
const TASKS_ENOUGH: u64 = 100;
/// Share of lost packets that a player notices.
const LOSS_MAX: f32 = 0.05;
/// Entries waiting for the disk above which the ledger counts as behind: some 100 milliseconds of a busy coordinator.
const ENTRIES_WAITING_MAX: usize = 20_000;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whether people cannot play because of it.
    pub is_grave: bool,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub act: &'static str,
}

fn grave(what: impl Into<String>, act: &'static str) -> Trouble {
    Trouble { is_grave: true, what: what.into(), act }
}

fn slight(what: impl Into<String>, act: &'static str) -> Trouble {
    Trouble { is_grave: false, what: what.into(), act }
}

/// Why the coordinator takes no new tasks, one machine-readable line per reason; empty if it does.
pub fn not_ready(look: &Look) -> Vec<&'static str> {
    let Some(snapshot) = look.snapshot.as_ref().filter(|_| look.answers) else {
        return vec!["the coordinator does not answer"];
    };
    let mut reasons = Vec::new();
    if snapshot.ledger_trouble.is_some() {
        reasons.push("the ledger does not record");
    }
    if snapshot.closing {
        reasons.push("the coordinator is closing");
    }
    reasons
}

/// Everything that is wrong, the gravest first.
pub fn find(look: &Look) -> Vec<Trouble> {
    let Some(snapshot) = look.snapshot.as_ref() else {
        return vec![grave(
            "The coordinator has not answered yet.",
            "Reload in a moment; if that stays so, read its log: journalctl -u p2c2r-server -e",
        )];
    };
    let mut troubles = Vec::new();
    if !look.answers {
        troubles.push(grave(
            "The coordinator does not answer; what follows is old.",
            "Look at the machine's load; a service manager restarts a coordinator that hangs.",
        ));
    }
    if let Some(reason) = &snapshot.ledger_trouble {
        troubles.push(grave(
            format!("The ledger does not record: {reason}."),
            "Free disk space or mend the disk, then start the coordinator again; no task is taken until then.",
        ));
    }
    if snapshot.closing {
        troubles.push(grave(
            "The coordinator is closing: nothing new is taken.",
            "It ends by itself once what is in flight is done. Games compute for themselves meanwhile.",
        ));
    }
    add_workers(snapshot, &mut troubles);
    add_tasks(snapshot, &mut troubles);
    add_links(snapshot, &mut troubles);
    troubles.sort_by_key(|trouble| !trouble.is_grave);
    troubles
}

fn add_workers(snapshot: &Snapshot, troubles: &mut Vec<Trouble>) {
    let working = snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Working).count();
    if working == 0 && !snapshot.gamers.is_empty() {
        troubles.push(slight(
            "Gamers are here and no worker: the coordinator computes itself, as far as it can.",
            "Invite a helper: p2c2r-server invite worker",
        ));
    }
    let count = |state| snapshot.workers.iter().filter(|worker| worker.state == state).count();
    let quarantined = count(WorkerState::Quarantined);
    if quarantined > 0 {
        troubles.push(slight(
            format!("{quarantined} connected worker(s) gave wrong answers and get no more work."),
            "Ask their owners to check memory and overclocking, then p2c2r-server workers forgive NAME; or close the \
             account: p2c2r-server accounts revoke NAME",
        ));
    }
    let useless = count(WorkerState::Useless);
    if useless > 0 {
        troubles.push(slight(
            format!("{useless} connected worker(s) offer nothing that this coordinator can use."),
            "Their version differs: ask their owners to update, or update the coordinator.",
        ));
    }
}

fn add_tasks(snapshot: &Snapshot, troubles: &mut Vec<Trouble>) {
    for (place, kind) in snapshot.kinds.iter().enumerate() {
        if kind.oldest > QUEUE_AGE_MAX {
            troubles.push(slight(
                format!("Tasks of the kind {} wait too long for a worker.", kind.name),
                "More workers are needed: p2c2r-server invite worker",
            ));
        }
        let hour = snapshot.history.sum(place);
        let all = hour.done + hour.failed;
        if all >= TASKS_ENOUGH && hour.failed as f64 > all as f64 * FAILED_SHARE {
            let share = 100 * hour.failed / all;
            troubles.push(slight(
                format!(
                    "{share} % of the last hour's tasks of the kind {} ended without an outcome.",
                    kind.name
                ),
                "Mostly they are late: more or faster workers, or workers nearer by.",
            ));
        }
    }
    if snapshot.ledger.waiting > ENTRIES_WAITING_MAX {
        troubles.push(slight(
            format!("The ledger is {} entries behind.", snapshot.ledger.waiting),
            "The disk is slow: put the ledger on a faster one (--db).",
        ));
    }
    if snapshot.ledger.anomalies.total() > 0 {
        troubles.push(slight(
            format!("{} entries changed nothing in the ledger.", snapshot.ledger.anomalies.total()),
            "See which: p2c2r-server ledger report; and that it balances: p2c2r-server ledger check",
        ));
    }
}

fn add_links(snapshot: &Snapshot, troubles: &mut Vec<Trouble>) {
    let lossy = snapshot.workers.iter().map(|worker| worker.link);
    let lossy = lossy.chain(snapshot.gamers.iter().map(|gamer| gamer.link));
    let lossy = lossy.filter(|link| link.loss > LOSS_MAX).count();
    if lossy > 0 {
        troubles.push(slight(
            format!("{lossy} connection(s) lose more than 5 % of their packets."),
            "If it is nearly everybody's, it is this machine's network; else theirs: p2c2r doctor --join LINK",
        ));
    }
    if snapshot.link.refused.other_version > 0 {
        troubles.push(slight(
            format!("{} packets came from programs of another version.", snapshot.link.refused.other_version),
            "Coordinator, games and workers need the same version.",
        ));
    }
}
