//! What is wrong, and what to do about it, in sentences for the operator.

use std::time::Duration;

use super::board::Look;
use super::snapshot::{Snapshot, WorkerState};
use crate::join::WallSeconds;
use crate::join::renewal::days_left;

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
    pub act: String,
}

fn grave(what: impl Into<String>, act: impl Into<String>) -> Trouble {
    Trouble { is_grave: true, what: what.into(), act: act.into() }
}

fn slight(what: impl Into<String>, act: impl Into<String>) -> Trouble {
    Trouble { is_grave: false, what: what.into(), act: act.into() }
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

/// Everything that is wrong, the gravest first. The operator's commands begin with `command`.
pub fn find(look: &Look, command: &str) -> Vec<Trouble> {
    let Some(snapshot) = look.snapshot.as_ref() else {
        return vec![grave(
            "The coordinator has not answered yet.",
            "Reload in a moment; if that stays so, read its log (of a service: journalctl -u p2c2r-server -e).",
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
    if let Some(port) = snapshot.udp_blocked {
        troubles.push(grave(
            format!(
                "HTTPS arrives and UDP port {port} does not: nobody who fetched a connect token in the last half minute has \
                 connected."
            ),
            format!(
                "Open UDP port {port}, not TCP alone, in this machine's firewall and in the cloud's or the router's; if it is \
                 open, UDP is blocked where they are: p2c2r-doctor --join LINK tells more."
            ),
        ));
    }
    add_certificate(snapshot.certificate_ends, &mut troubles);
    add_workers(snapshot, command, &mut troubles);
    add_tasks(snapshot, command, &mut troubles);
    add_links(snapshot, &mut troubles);
    troubles.sort_by_key(|trouble| !trouble.is_grave);
    troubles
}

fn add_certificate(ends: Option<WallSeconds>, troubles: &mut Vec<Trouble>) {
    let Some(days) = ends.and_then(|ends| days_left(ends, WallSeconds::now())) else { return };
    let act = "Renew the files given with --cert and --key; the coordinator reads them again within seconds.";
    if days < 0 {
        troubles.push(grave("The certificate has ended: nobody can join, and nobody comes back.", act));
    } else {
        troubles.push(slight(format!("The certificate ends in {days} day(s) and was not renewed."), act));
    }
}

fn add_workers(snapshot: &Snapshot, command: &str, troubles: &mut Vec<Trouble>) {
    let working = snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Working).count();
    if working == 0 && !snapshot.gamers.is_empty() {
        troubles.push(slight(
            "Gamers are here and no worker: the coordinator computes itself, as far as it can.",
            format!("Invite a helper: {command} invite worker"),
        ));
    }
    let count = |state| snapshot.workers.iter().filter(|worker| worker.state == state).count();
    let quarantined = count(WorkerState::Quarantined);
    if quarantined > 0 {
        troubles.push(slight(
            format!("{quarantined} connected worker(s) are quarantined, mostly for wrong answers, and get no work."),
            format!(
                "Ask their owners to check memory and overclocking, then {command} workers forgive NAME; or close the \
                 account: {command} accounts revoke NAME"
            ),
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

fn add_tasks(snapshot: &Snapshot, command: &str, troubles: &mut Vec<Trouble>) {
    for (place, kind) in snapshot.kinds.iter().enumerate() {
        if kind.oldest > QUEUE_AGE_MAX {
            troubles.push(slight(
                format!("Tasks of the kind {} wait too long for a worker.", kind.name),
                format!("More workers are needed: {command} invite worker"),
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
    let anomalies = snapshot.ledger.anomalies;
    if anomalies.total() > 0 {
        let causes = anomalies.by_cause().into_iter().filter(|(_, count)| *count > 0);
        let causes: Vec<_> =
            causes.map(|(cause, count)| format!("{count} {}", cause.replace('_', " "))).collect();
        troubles.push(slight(
            format!("{} entries changed nothing in the ledger: {}.", anomalies.total(), causes.join(", ")),
            format!(
                "The coordinator has made a mistake, and the books have not. See that they balance: {command} ledger \
                 check; please report it, and start it with --record FILE until it happens again."
            ),
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
            "If it is nearly everybody's, it is this machine's network; else theirs: p2c2r-doctor --join LINK tells more.",
        ));
    }
    if snapshot.link.refused.other_version > 0 {
        troubles.push(slight(
            format!("{} packets came from programs of another version.", snapshot.link.refused.other_version),
            "Coordinator, games and workers need the same version.",
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use p2c2r_protocol::{Micros, Nanos};

    use super::*;
    use crate::ledger::Anomalies;
    use crate::status::snapshot::{GamerNow, KindNow, LinkNow, WorkerNow};

    fn look(change: impl FnOnce(&mut Snapshot)) -> Look {
        let mut snapshot = Snapshot::of_nothing();
        snapshot.kinds = vec![KindNow { name: "toy", ..KindNow::default() }];
        change(&mut snapshot);
        Look { snapshot: Some(Arc::new(snapshot)), answers: true }
    }

    fn worker(state: WorkerState) -> WorkerNow {
        WorkerNow {
            name: "w".to_owned(),
            key: String::new(),
            link: LinkNow::default(),
            region: None,
            slots: 1,
            in_hand: 0,
            kinds: vec!["toy"],
            state,
            checked: 1.0,
            accepted: 0,
            rejected: 0,
            earned: Nanos::ZERO,
        }
    }

    fn gamer(loss: f32) -> GamerNow {
        GamerNow {
            name: "g".to_owned(),
            key: String::new(),
            link: LinkNow { loss, ..LinkNow::default() },
            in_flight: 0,
            available: Nanos::ZERO,
            held: Nanos::ZERO,
        }
    }

    /// This many days and an hour from now.
    fn in_days(days: i64) -> WallSeconds {
        WallSeconds(WallSeconds::now().0 + days * 24 * 60 * 60 + 60 * 60)
    }

    #[test]
    fn nothing_is_wrong_with_a_coordinator_to_which_nobody_has_come_or_all_of_whom_are_well() {
        assert_eq!(find(&look(|_| ()), "x"), []);
        let well = look(|snapshot| {
            snapshot.workers = vec![worker(WorkerState::Working), worker(WorkerState::Draining)];
            snapshot.gamers = vec![gamer(0.04)];
            snapshot.certificate_ends = Some(in_days(14));
            snapshot.history.at(Micros(0)).kinds[0].done = 1_000;
            snapshot.history.at(Micros(0)).kinds[0].failed = 50;
        });
        assert_eq!(find(&well, "x"), []);
        assert_eq!(not_ready(&well), <[&str; 0]>::default());
    }

    #[test]
    fn each_trouble_is_named_with_what_to_do_about_it() {
        type Change = fn(&mut Snapshot);
        let troubles: [(Change, bool, &str, &str); 14] = [
            (|now| now.ledger_trouble = Some("no room".into()), true, "does not record: no room", "disk"),
            (|now| now.closing = true, true, "closing", "by itself"),
            (|now| now.udp_blocked = Some(8765), true, "UDP port 8765 does not", "Open UDP port 8765"),
            (|now| now.certificate_ends = Some(in_days(13)), false, "ends in 13 day(s)", "--cert"),
            (|now| now.certificate_ends = Some(in_days(-1)), true, "has ended", "within seconds"),
            (|now| now.gamers = vec![gamer(0.0)], false, "no worker", "ctl invite worker"),
            (
                |now| now.workers = vec![worker(WorkerState::Quarantined)],
                false,
                "wrong answers",
                "ctl workers forgive NAME",
            ),
            (|now| now.workers = vec![worker(WorkerState::Useless)], false, "offer nothing", "update"),
            (
                |now| now.kinds[0].oldest = Duration::from_millis(1_001),
                false,
                "toy wait too long",
                "ctl invite worker",
            ),
            (
                |now| {
                    let kind = &mut now.history.at(Micros(0)).kinds[0];
                    (kind.done, kind.failed) = (90, 10);
                },
                false,
                "10 % of the last hour's tasks of the kind toy",
                "nearer by",
            ),
            (|now| now.ledger.waiting = 20_001, false, "20001 entries behind", "--db"),
            (
                |now| now.ledger.anomalies = Anomalies { not_open: 2, overdrawn: 1, ..Anomalies::default() },
                false,
                "3 entries changed nothing in the ledger: 1 overdrawn, 2 not open",
                "ctl ledger check",
            ),
            (
                |now| {
                    now.workers = vec![worker(WorkerState::Working)];
                    now.gamers = vec![gamer(0.06)];
                },
                false,
                "1 connection(s) lose",
                "p2c2r-doctor --join LINK",
            ),
            (|now| now.link.refused.other_version = 4, false, "4 packets", "same version"),
        ];
        for (change, is_grave, what, act) in troubles {
            let found = find(&look(change), "ctl");
            let [trouble] = found.as_slice() else { panic!("{what}: {found:?}") };
            assert!(trouble.what.contains(what) && trouble.act.contains(act), "{trouble:?}");
            assert_eq!(trouble.is_grave, is_grave, "{trouble:?}");
        }
    }

    #[test]
    fn an_app_that_does_not_answer_is_named_first_and_what_is_old_is_shown_all_the_same() {
        let mut old = look(|snapshot| snapshot.gamers = vec![gamer(0.0)]);
        old.answers = false;
        let found = find(&old, "ctl");
        assert!(found[0].is_grave && found[0].what.contains("is old"), "{found:?}");
        assert!(found[1].what.contains("no worker"), "{found:?}");
        assert_eq!(not_ready(&old), ["the coordinator does not answer"]);
        let never = Look { snapshot: None, answers: false };
        assert!(find(&never, "ctl")[0].what.contains("not answered yet"));
    }
}
