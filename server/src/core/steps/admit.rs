//! Games' messages, and admission. Every refusal is immediate and typed, so that a game can compute the task itself at
//! once; every request is idempotent.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::limits::{REASON_BYTES_MAX, TASKS_PER_GAMER_MAX, WORK_UNITS_PER_TASK_MAX};
use p2c2r_protocol::{
    Digest, KindId, Micros, Nanos, PeerId, Refusal, ServerToGame, Submit, TaskFailure, TaskId, TaskNo,
    WorkUnits,
};
use p2c2r_tasks::{Blob, Blobs, SpecError, TaskJob};
use tracing::debug;

use super::{deliver, fall_back, follow, lease, reuse, settle};
use crate::config::Fallback;
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::budgets::Over;
use crate::core::state::gamers::AccountMirror;
use crate::core::state::submits::Submits;
use crate::core::state::tasks::{Following, NewTask, Task};
use crate::ledger::{AccountId, Admission, Entry, PatientPayload};

/// One in `TRIED_ANYWAY` tasks that are predicted to be late is admitted all the same: without new measurements a
/// worker that has become faster would never be noticed.
const TRIED_ANYWAY: u32 = 16;

/// The key of a task: a digest of kind, kernel version and spec.
pub fn task_key(kind: KindId, kernel_version: u16, spec: &[u8]) -> Digest {
    Digest::of_parts(&[&[kind.0], &kernel_version.to_le_bytes(), spec])
}

/// When the outcome must be sent to be in time, on the coordinator's clock. The game states when it sent the task and
/// how long the outcome is useful; its clock is trusted only within the task's own time budget, so a wrong clock harms
/// nobody else. Errs on the early side, by the jitter of the way back.
pub fn deliver_by(
    received_at: Micros,
    sent_at: Micros,
    budget_us: u32,
    clock_offset_us: Option<i64>,
    rtt: Duration,
) -> Micros {
    let one_way = Micros::from(rtt / 2).0;
    let earliest = received_at.0.saturating_sub(u64::from(budget_us));
    let sent = match clock_offset_us {
        Some(offset) => sent_at.0.saturating_add_signed(offset).clamp(earliest, received_at.0),
        None => received_at.0.saturating_sub(one_way).max(earliest),
    };
    Micros((sent + u64::from(budget_us)).saturating_sub(one_way))
}

/// A submit that has passed validation.
struct Valid {
    job: Arc<dyn TaskJob>,
    blobs: Blobs,
    units: WorkUnits,
    price: Nanos,
}

/// Handles a submit: admits the task, or refuses it with a reason.
pub fn hear(core: &mut Core, peer: PeerId, received_at: Micros, submit: Submit, key: Digest) {
    let Some(account) = core.gamers.session(peer).map(|session| session.account) else { return };
    let task = submit.task;
    if let Err(refusal) = try_to_admit(core, peer, account, received_at, submit, key) {
        debug!(gamer = peer.0, %task, %refusal, "refused");
        core.tally.refused += 1;
        core.tell_game(peer, ServerToGame::Refused { task, refusal });
    }
}

/// Cancels a task and charges for the work begun. Once an answer has arrived the task is cancelled only if the answer
/// turns out to be wrong.
pub fn cancel(core: &mut Core, peer: PeerId, id: TaskId) {
    let Some(account) = core.gamers.session(peer).map(|session| session.account) else { return };
    if let Some((no, _)) = core.tasks.gamers().find(account, id) {
        take_back(core, no);
    }
}

fn take_back(core: &mut Core, no: TaskNo) {
    if core.tasks.get(no).is_some_and(Task::is_judged) {
        core.tasks.gamers().take_back(no);
    } else {
        settle::fail(core, no, TaskFailure::Cancelled);
    }
}

/// Cancels every timely task that came by this connection, as [`cancel`] does. Patient ones stay: their gamer may
/// return.
pub fn cancel_all(core: &mut Core, peer: PeerId) {
    let Some(account) = core.gamers.session(peer).map(|session| session.account) else { return };
    cancel_all_of(core, peer, account);
}

/// As [`cancel_all`], for a connection whose session has ended.
pub fn cancel_all_of(core: &mut Core, peer: PeerId, account: AccountId) {
    let Some(mirror) = core.gamers.account(account) else { return };
    let goes_on = |core: &Core, no: &TaskNo| {
        core.tasks.get(*no).is_some_and(|task| {
            let is_left_alone = fault::is_made(Fault::IgnoresQuitting) && task.is_judged();
            let is_of_peer = task.gamer == Some(peer) && task.deliver_by.is_some();
            is_of_peer && !task.is_unwanted() && !is_left_alone
        })
    };
    let mut tasks: Vec<TaskNo> = mirror.tasks.iter().copied().filter(|no| goes_on(core, no)).collect();
    tasks.sort_unstable();
    for no in tasks {
        // If a follower of the same connection inherits the number, that one is cancelled too.
        while goes_on(core, &no) {
            take_back(core, no);
        }
    }
}

fn try_to_admit(
    core: &mut Core,
    peer: PeerId,
    account: AccountId,
    received_at: Micros,
    mut submit: Submit,
    key: Digest,
) -> Result<(), Refusal> {
    let now = core.now;
    let mirror = core.gamers.account_mut(account).ok_or(Refusal::Full)?;
    if !core.submits.rates.may_look_at(&mut mirror.rates, &submit, now) {
        return Err(Refusal::Full);
    }
    let (in_flight, is_spent) = (mirror.tasks.len() + mirror.undelivered(), mirror.is_spent(submit.task));
    let recorded = mirror.tasks_recorded();
    // The id of a task that is in flight or was answered is spent.
    if is_spent && is_repeated(core, peer, account, submit.task, key)? {
        return Ok(());
    }
    let Some(in_ledger) = core.submits.room.filter(|_| !core.closing) else { return Err(Refusal::Closing) };
    if recorded >= in_ledger.tasks_per_account {
        return Err(Refusal::Full);
    }
    if in_flight >= TASKS_PER_GAMER_MAX {
        return Err(Refusal::TooManyInFlight { max: TASKS_PER_GAMER_MAX as u32 });
    }
    let room = core.tasks.gamers().has_room(account, submit.budget_us.is_none(), submit.spec.len());
    room.map_err(|over| match over {
        Over::Account { max } => Refusal::TooManyInFlight { max: max as u32 },
        Over::Sum => Refusal::Full,
    })?;
    let valid = validate(core, account, &mut submit)?;
    if let Some(kept) = core.cache.get(key, now) {
        let worth = (valid.units, valid.price);
        return reuse::reuse(core, peer, account, received_at, &submit, key, worth, kept);
    }
    can_pay(core, account, valid.price, submit.price_cap)?;
    let link = core.link(peer).unwrap_or_default();
    let (offset, rtt) = (link.clock_offset_us, link.rtt);
    let deliver_by =
        submit.budget_us.map(|budget| deliver_by(received_at, submit.sent_at, budget, offset, rtt));
    let within = predict_worker(core, submit.kind, valid.units);
    let what = (submit.kind, valid.units);
    let follows = follow::leader(core, key, account, what, deliver_by, within);
    if follows.is_none() {
        can_do(core, account, &submit, &valid, within, received_at, deliver_by, rtt)?;
    }
    admit(core, peer, account, received_at, submit, key, valid, deliver_by, follows)
}

/// Whether the spent id is that of the same task, which is then in flight or answered again.
fn is_repeated(
    core: &mut Core,
    peer: PeerId,
    account: AccountId,
    id: TaskId,
    key: Digest,
) -> Result<bool, Refusal> {
    if let Some((_, task)) = core.tasks.gamers().find(account, id) {
        return if task.key == key { Ok(true) } else { Err(Refusal::IdReused) };
    }
    if fault::is_made(Fault::ForgetsIds) {
        return Ok(false);
    }
    let finished = core.gamers.account(account).and_then(|mirror| mirror.finished(id));
    let finished = finished.filter(|finished| finished.key == key).cloned();
    let finished =
        finished.or_else(|| reuse::settled_before(core, account, id, key)).ok_or(Refusal::IdReused)?;
    deliver::send_done(core, peer, id, &finished);
    Ok(true)
}

fn validate(core: &mut Core, account: AccountId, submit: &mut Submit) -> Result<Valid, Refusal> {
    let now = core.now;
    let Submits { rates, blobs: store, .. } = &mut core.submits;
    let kind = core.policy.kinds.get(submit.kind).ok_or(Refusal::UnknownKind)?;
    if kind.kernel_version() != submit.kernel_version {
        return Err(Refusal::KernelVersion { ours: kind.kernel_version() });
    }
    let job = catch_panic(|| kind.decode(&submit.spec)).map_err(bad_spec)?.map_err(bad_spec)?;
    for blob in std::mem::take(&mut submit.blobs) {
        let blob = Blob::new(blob);
        // Only blobs that the spec refers to are kept, so that nobody can fill the store with others.
        if !job.blob_refs().contains(&blob.digest()) {
            continue;
        }
        // Preparing a new blob can cost far more than its bytes suggest.
        let may = |mirror: &mut AccountMirror| rates.may_look_at_blob(&mut mirror.rates, now);
        if store.get(blob.digest()).is_none() && !core.gamers.account_mut(account).is_some_and(may) {
            return Err(Refusal::Full);
        }
        store.insert_blob(blob);
    }
    let blobs = store.resolve(job.blob_refs()).map_err(|missing| Refusal::BlobsMissing { missing })?;
    let units = catch_panic(|| job.admit(&blobs)).map_err(bad_spec)?.map_err(bad_spec)?;
    if units.0 > WORK_UNITS_PER_TASK_MAX {
        return Err(bad_spec(SpecError::TooMuchWork { units: units.0, max: WORK_UNITS_PER_TASK_MAX }));
    }
    let price = core.policy.prices.price(submit.kind, units).ok_or(Refusal::UnknownKind)?;
    Ok(Valid { job, blobs, units, price })
}

pub(crate) fn can_pay(core: &mut Core, account: AccountId, price: Nanos, cap: Nanos) -> Result<(), Refusal> {
    if price > cap && !fault::is_made(Fault::IgnoresCaps) {
        return Err(Refusal::PriceAboveCap { price });
    }
    let mirror = core.gamers.account_mut(account);
    let available = mirror.as_ref().map_or(Nanos::ZERO, |mirror| mirror.available());
    if price > available && !fault::is_made(Fault::LendsMoney) {
        return Err(Refusal::BalanceTooLow { available });
    }
    let (everybody, now) = (core.policy.hour_cap, core.now);
    match mirror.and_then(|mirror| mirror.breaks_hour_cap(price, everybody, now)) {
        Some(cap) => Err(Refusal::HourCapReached { cap }),
        None => Ok(()),
    }
}

/// Whether a worker or the own kernel is predicted to finish in time.
fn can_do(
    core: &mut Core,
    account: AccountId,
    submit: &Submit,
    valid: &Valid,
    by_worker: Option<Duration>,
    received_at: Micros,
    deliver_by: Option<Micros>,
    rtt: Duration,
) -> Result<(), Refusal> {
    let fallback = core.policy.fallback;
    if by_worker.is_none() && fallback == Fallback::Refuse {
        return Err(Refusal::NoWorker);
    }
    let Some(deliver_by) = deliver_by else { return Ok(()) };
    let now = core.now;
    // The time from submission to delivery: the round trip to the game and the predicted time here.
    let ways = Micros::from(rtt).0 as u32;
    let too_late = |predicted: Micros| Refusal::TooLate {
        predicted_us: predicted.since(received_at).saturating_add(ways),
    };
    if deliver_by <= now {
        // The way back alone takes longer than the time left.
        return Err(too_late(now));
    }
    if by_worker.is_some_and(|within| now.after(within) <= deliver_by) {
        return Ok(());
    }
    let own =
        (fallback == Fallback::Compute).then(|| fall_back::predict(core, account, submit.kind, valid.units));
    let Some(soonest) = by_worker.into_iter().chain(own).min() else { return Ok(()) };
    let predicted = now.after(soonest);
    if predicted <= deliver_by {
        return Ok(());
    }
    core.submits.predicted_late = core.submits.predicted_late.wrapping_add(1);
    if core.submits.predicted_late.is_multiple_of(TRIED_ANYWAY) {
        return Ok(());
    }
    Err(too_late(predicted))
}

/// How long the best worker would take; `None` if there is none. If none has room, the one that would be free soonest,
/// which is optimistic because it ignores other waiting tasks; the wait for a lease is bounded by the deadline either
/// way.
fn predict_worker(core: &Core, kind: KindId, units: WorkUnits) -> Option<Duration> {
    let predict = |peer: PeerId| Some(core.workers.get(peer)?.predict(kind, units, core.rtt(peer)).finish);
    let ready = core.workers.ready(kind);
    if !ready.is_empty() {
        // Up to eight in any order: the matcher will draw from all of them.
        return ready.iter().take(8).filter_map(|peer| predict(*peer)).min();
    }
    core.workers.offering(kind).take(8).filter_map(|(peer, _)| predict(peer)).min()
}

fn admit(
    core: &mut Core,
    peer: PeerId,
    account: AccountId,
    received_at: Micros,
    submit: Submit,
    key: Digest,
    valid: Valid,
    deliver_by: Option<Micros>,
    follows: Option<Following>,
) -> Result<(), Refusal> {
    let shares = follow::shares(core, submit.kind, deliver_by.is_none());
    let no = core.tasks.gamers().number();
    let patient = deliver_by.is_none().then(|| {
        let blobs = valid.blobs.iter().map(|blob| Arc::from(blob.bytes())).collect();
        Box::new(PatientPayload { spec: submit.spec.clone().into(), blobs })
    });
    record_admission(core, no, account, &submit, key, valid.units, valid.price, patient)?;
    debug!(
        target: "p2c2r_server::console", event = "task", task = no.0,
        kind = core.policy.kinds.name(submit.kind),
        gamer = core.gamers.session(peer).map_or("", |session| session.name.as_str()), "Task received"
    );
    core.tally.admitted += 1;
    if let Some(mirror) = core.gamers.account_mut(account) {
        mirror.hold(valid.price);
        mirror.spend(submit.task);
        mirror.tasks.insert(no);
    }
    let new = NewTask {
        id: submit.task,
        account,
        gamer: Some(peer),
        kind: submit.kind,
        job: valid.job,
        spec: submit.spec.into(),
        blobs: if deliver_by.is_none() { unprepared(&valid.blobs) } else { valid.blobs },
        key,
        units: valid.units,
        price: valid.price,
        received_at,
        deliver_by,
        attempts: 0,
        shares,
        follows,
    };
    core.tasks.gamers().admit(no, new);
    if follows.is_some() {
        lease::set_timer(core, no);
    } else {
        lease::wait_for_matcher(core, no);
    }
    Ok(())
}

/// Records the admission in the ledger, which holds the price.
pub(crate) fn record_admission(
    core: &mut Core,
    no: TaskNo,
    account: AccountId,
    submit: &Submit,
    key: Digest,
    units: WorkUnits,
    price: Nanos,
    patient: Option<Box<PatientPayload>>,
) -> Result<(), Refusal> {
    let patient_bytes = patient.as_ref().map(|patient| patient.bytes());
    if !core.submits.room.as_mut().is_some_and(|room| room.take(patient_bytes)) {
        return Err(Refusal::Full);
    }
    let admission = Admission {
        task: no,
        gamer: account,
        game_task: submit.task,
        kind: submit.kind,
        kernel_version: submit.kernel_version,
        key,
        units,
        price,
        price_list: core.policy.prices.version,
        patient,
    };
    core.book(Entry::TaskAdmitted(admission));
    Ok(())
}

/// The same blobs without their prepared forms, which would take memory while a task waits for days.
pub(crate) fn unprepared(blobs: &Blobs) -> Blobs {
    Blobs::new(blobs.iter().map(|blob| Blob::new(blob.bytes().to_vec())).collect())
}

fn bad_spec(error: impl std::fmt::Display) -> Refusal {
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    Refusal::BadSpec { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_games_clock_is_believed_within_its_own_budget() {
        let by = |sent, offset| deliver_by(Micros(10_000), Micros(sent), 5_000, offset, Duration::ZERO).0;
        assert_eq!(by(1_000, Some(8_000)), 14_000, "sent at 9,000 on our clock");
        assert_eq!(by(u64::MAX, Some(0)), 15_000, "from the future: as if it took no time");
        assert_eq!(by(0, Some(0)), 10_000, "from long ago: no time is left");
        assert_eq!(by(0, None), 15_000);
        let far = deliver_by(Micros(10_000), Micros(0), 5_000, None, Duration::from_millis(2));
        assert_eq!(far.0, 13_000, "a millisecond on either way is not ours to spend");
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        let Refusal::BadSpec { reason } = bad_spec("é".repeat(500)) else { panic!() };
        assert_eq!(reason.len(), REASON_BYTES_MAX);
        let Refusal::BadSpec { reason } = bad_spec(format!("a{}", "é".repeat(500))) else { panic!() };
        assert_eq!(reason.len(), REASON_BYTES_MAX - 1);
    }

    #[test]
    fn keys_differ_in_kind_version_and_spec() {
        let base = task_key(KindId(1), 1, b"spec");
        assert_eq!(base, task_key(KindId(1), 1, b"spec"));
        for other in [(2, 1, &b"spec"[..]), (1, 2, b"spec"), (1, 1, b"spe")] {
            assert_ne!(base, task_key(KindId(other.0), other.1, other.2));
        }
    }
}
