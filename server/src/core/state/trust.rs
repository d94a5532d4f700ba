//! Trust in workers: how often each one's answers are checked deeply, and which accounts are quarantined.
//!
//! Trust belongs to an account in one kind and kernel version: a machine that computes paths correctly may have a
//! broken graphics processor. It grows with accepted answers *and* with time, since at ten answers a second a count
//! alone is reached in minutes. A failed check concerns the whole account: the first resets its trust, since consumer
//! hardware flips bits, and the second convicts it. A failure is forgotten after many clean deep checks, and after few if the
//! check that every answer gets had found it.
//!
//! Failed attempts cost trust as well, far less: a worker is paid to answer. Each takes back a few accepted answers
//! ([`Misconduct`]), never to below the end of probation, and never counts as a failed check: lost packets look like
//! silence, and must not convict anyone.
//!
//! Nothing here reads the ledger: earlier records come in when a worker joins, and new ones go out often enough that a
//! crash loses few accepted answers and never a failure.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use p2c2r_program::settings::{decimal, number, seconds};
use p2c2r_program::settings_table;
use p2c2r_protocol::{KindId, Micros, NumberHash};

use crate::core::fault::{self, Fault};
use crate::core::state::draws::CheckRound;
use crate::ledger::{AccountId, KindTrust, WorkerTrust};

/// Accounts of disconnected workers kept in memory, so that a check still under way counts. The ledger has the rest.
const GONE_MAX: usize = 4_096;
/// An account's record is written to the ledger after this many accepted answers or, if that is more, after one
/// `RECORDED_SHARE`th of all its answers in a kind. A crash loses at most that many.
const ANSWERS_PER_RECORD: u64 = 16;
const RECORDED_SHARE: u64 = 16;

/// Answers up to which a worker is on probation or proves itself: a million at ten a second are a day.
const ANSWERS_MAX: u64 = 1_000_000;
/// Clean checks after which a failure is forgotten; with fewer than ten a cheat just waits them out.
const FORGOTTEN_AFTER: RangeInclusive<u64> = 10..=1_000_000_000;
/// Time before a worker has proven itself: a month.
const SETTLING_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
/// Failed checks that convict; at one, a single flipped bit convicts.
const FAILURES: RangeInclusive<u32> = 1..=100;
/// Accepted answers that one failed attempt may take back; with more, one lost packet in a hundred would keep an honest
/// worker from ever being trusted.
const COST_ANSWERS_MAX: u64 = 50;
/// Per cent of one core for deep checks: below a tenth, newcomers would wait for minutes; a hundred cores at the most.
const BUDGET_PERCENT: RangeInclusive<f64> = 0.1..=10_000.0;
/// How much more of its work checks may take for a worker that has not proven itself, while they have time to spare. With it
/// all its answers are checked in kinds whose deep check takes up to a sixth of the work.
const UNPROVEN_FACTOR: f64 = 4.0;
/// A failure that the check of every answer found is forgotten after this part of the usual number of clean checks. No such
/// answer is ever accepted, so it harms nobody, and most flipped bits show like this. With 1,000 checks it is 50, as many as
/// follow on a failure one after the other.
const PLAIN_FAILURE_PART: u64 = 20;
/// Work units up to which every answer is computed again: a second of one core.
const RECOMPUTED_UNITS_MAX: u64 = 1_000_000;

settings_table! {
    /// How trust is earned and lost: the table `[trust]` of the configuration file.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct TrustRules {
        /// Answers of a new worker in each kind of work that are all checked deeply: part of the work is done again
        pub probation_answers: u64 = 50 => number("N", 0..=ANSWERS_MAX),
        /// Answers of a worker in a kind of work until it has proven itself in it
        pub proving_answers: u64 = 500 => number("N", 0..=ANSWERS_MAX),
        /// Per cent of a worker's answers that are checked deeply until it has proven itself
        pub proving_percent: f64 = 20.0 => decimal("PERCENT", 0.0..=100.0),
        /// Per cent of a worker's answers that are checked deeply when it has just proven itself; from there on the share
        /// falls
        pub settled_percent: f64 = 5.0 => decimal("PERCENT", 0.0..=100.0),
        /// Per cent of any worker's answers that are checked deeply, at the least
        pub percent_min: f64 = 2.0 => decimal("PERCENT", 0.0..=100.0),
        /// Per cent of a proven worker's work that checking it may take while checks have time to spare: then more of its
        /// answers are checked deeply than the shares above say. Until it has proven itself, four times that
        pub spare_percent: f64 = 4.5 => decimal("PERCENT", 0.0..=100.0),
        /// Seconds since a worker's first answer before it has proven itself, however many answers it gave
        pub settling: Duration = Duration::from_mins(10) =>
            seconds(0..=SETTLING_SECONDS_MAX).key("settling_seconds"),
        /// Failed checks that convict a worker: it gets no more work, and its pending earnings go back to those who paid
        pub failures_max: u32 = 2 => number("N", FAILURES),
        /// Passed deep checks after which a failed one is forgotten
        pub forgotten_after_checks: u64 = 1_000 => number("N", FORGOTTEN_AFTER),
        /// Accepted answers that no longer count for a worker after it was silent: its time for a task ran out although a
        /// healthy worker needs less, or its connection ended with work
        pub silence_costs_answers: u64 = 10 => number("N", 0..=COST_ANSWERS_MAX),
        /// Accepted answers that no longer count for a worker after it said that it could not compute a task
        pub failure_costs_answers: u64 = 5 => number("N", 0..=COST_ANSWERS_MAX),
        /// Accepted answers that no longer count for a worker after it said that it had no free slot
        pub overload_costs_answers: u64 = 2 => number("N", 0..=COST_ANSWERS_MAX),
        /// Per cent of one core's time that deep checks may take. Those that take less than handling their packet are not
        /// counted
        pub budget_percent: f64 = 10.0 => decimal("PERCENT", BUDGET_PERCENT).flag("check-budget-percent"),
        /// Work units (microseconds of a core) up to which every answer is computed again, because all else about it takes
        /// longer
        pub recomputed_units: u64 = 50 => number("N", 0..=RECOMPUTED_UNITS_MAX),
    }
}

impl TrustRules {
    /// Every answer is checked deeply, whoever gives it.
    #[must_use]
    pub fn always(self) -> Self {
        Self { proving_percent: 100.0, settled_percent: 100.0, percent_min: 100.0, ..self }
    }

    /// No answer is checked deeply for lack of trust in its worker: for a coordinator among friends.
    #[must_use]
    pub fn never(self) -> Self {
        Self {
            probation_answers: 0,
            proving_percent: 0.0,
            settled_percent: 0.0,
            percent_min: 0.0,
            spare_percent: 0.0,
            recomputed_units: 0,
            ..self
        }
    }

    /// The share of answers that are checked deeply, 0 to 1, for a worker with `answers` accepted answers of the kind
    /// in the time `known_for`.
    ///
    /// Once the worker is proven, the share falls as the inverse of its answers or of its time, whichever has grown
    /// less.
    pub fn check_share(&self, answers: u64, known_for: Duration) -> f64 {
        if answers < self.probation_answers {
            return 1.0;
        }
        if !self.is_proven(answers, known_for) {
            return self.proving_percent / 100.0;
        }
        let ratio = |from: f64, now: f64| if now > 0.0 { (from / now).min(1.0) } else { 1.0 };
        let by_count = ratio(self.proving_answers as f64, answers as f64);
        let by_time = ratio(self.settling.as_secs_f64(), known_for.as_secs_f64());
        let (first, last) = (self.settled_percent, self.percent_min.min(self.settled_percent));
        (last + (first - last) * by_count.max(by_time)) / 100.0
    }

    fn is_proven(&self, answers: u64, known_for: Duration) -> bool {
        answers >= self.proving_answers && known_for >= self.settling
    }

    /// How closely a worker is looked at that has `answers` accepted answers of the kind in the time `known_for`.
    fn scrutiny(&self, answers: u64, known_for: Duration) -> Scrutiny {
        let factor = if self.is_proven(answers, known_for) { 1.0 } else { UNPROVEN_FACTOR };
        Scrutiny {
            share: self.check_share(answers, known_for),
            spare: self.spare_percent / 100.0 * factor,
            is_new: answers < self.probation_answers,
        }
    }
}

/// How closely a worker's answers in a kind are looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scrutiny {
    /// The share of its answers that are checked deeply, 0 to 1.
    pub share: f64,
    /// The part of its work that deep checks may take on average while they have time to spare.
    pub spare: f64,
    /// Whether it is on probation.
    pub is_new: bool,
}

/// How an attempt failed through its worker's fault, as far as the coordinator can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misconduct {
    /// It did not answer.
    Silent,
    /// It answered that its kernel failed.
    Failed,
    /// It answered that it has no free slot.
    Overloaded,
}

impl TrustRules {
    /// How many accepted answers a failed attempt takes back.
    fn cost(&self, misconduct: Misconduct) -> u64 {
        match misconduct {
            Misconduct::Silent => self.silence_costs_answers,
            Misconduct::Failed => self.failure_costs_answers,
            Misconduct::Overloaded => self.overload_costs_answers,
        }
    }

    /// Accepted answers left after a failed attempt. A worker that has passed probation stays past it.
    fn after(&self, answers: u64, misconduct: Misconduct) -> u64 {
        let floor = if answers >= self.probation_answers { self.probation_answers } else { 0 };
        answers.saturating_sub(self.cost(misconduct)).max(floor)
    }
}

/// What a failed check does to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckConsequence {
    /// It keeps working, and its trust is reset.
    Working,
    /// It has just been convicted.
    Convicted,
}

/// Trust records of workers' accounts.
pub struct Trust {
    rules: TrustRules,
    accounts: HashMap<AccountId, Known, NumberHash>,
    /// Accounts without a connection, those that left first in front.
    gone: VecDeque<AccountId>,
}

#[derive(Default)]
struct Known {
    /// When its trust was last reset, on the coordinator's clock.
    begun_again_at: Option<Micros>,
    failures: u32,
    clean_checks: u64,
    quarantined: bool,
    kinds: Vec<OfKind>,
    /// Connections of the account.
    connections: usize,
    /// Something changed since it was handed to the ledger.
    changed: bool,
}

struct OfKind {
    kind: KindId,
    version: u16,
    answers: u64,
    checked: u64,
    /// When the first answer was accepted: on the coordinator's clock, below zero if before the start, in microseconds.
    since: i64,
    /// Answers that the ledger knows of.
    recorded: u64,
    round: CheckRound,
}

impl OfKind {
    /// Whether enough has changed for a new ledger record.
    fn is_to_be_recorded(&self) -> bool {
        self.answers.abs_diff(self.recorded) >= ANSWERS_PER_RECORD.max(self.answers / RECORDED_SHARE)
    }

    fn known_for(&self, now: Micros) -> Duration {
        Duration::from_micros(u64::try_from(clock(now).saturating_sub(self.since)).unwrap_or(0))
    }
}

fn clock(now: Micros) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

impl Trust {
    /// Knows no worker.
    pub fn new(rules: TrustRules) -> Self {
        Self { rules, accounts: HashMap::default(), gone: VecDeque::new() }
    }

    /// A worker of this account has joined. `recorded` is the ledger's record; a record in memory is newer and takes
    /// precedence.
    pub fn joined(&mut self, account: AccountId, recorded: &WorkerTrust, now: Micros) {
        let known = self.accounts.entry(account).or_insert_with(|| Known {
            failures: recorded.failures,
            clean_checks: recorded.clean_checks,
            quarantined: recorded.quarantined,
            kinds: recorded.kinds.iter().map(|of| remembered(of, now)).collect(),
            ..Known::default()
        });
        if known.connections == 0 {
            self.gone.retain(|other| *other != account);
        }
        known.connections += 1;
    }

    /// One of the account's connections has ended; returns the record for the ledger.
    pub fn left(&mut self, account: AccountId, now: Micros) -> Option<WorkerTrust> {
        let known = self.accounts.get_mut(&account)?;
        known.connections = known.connections.saturating_sub(1);
        let record = known.take_record(now);
        if known.connections == 0 {
            self.is_gone(account);
        }
        record
    }

    fn is_gone(&mut self, account: AccountId) {
        self.gone.push_back(account);
        if self.gone.len() > GONE_MAX
            && let Some(longest) = self.gone.pop_front()
        {
            self.accounts.remove(&longest);
        }
    }

    /// How closely this account's answers in the kind are looked at.
    pub fn scrutiny(&self, account: AccountId, kind: KindId, version: u16, now: Micros) -> Scrutiny {
        let (answers, known_for) = self
            .accounts
            .get(&account)
            .and_then(|known| known.kinds.iter().find(|of| of.kind == kind && of.version == version))
            .map_or((0, Duration::ZERO), |of| (of.answers, of.known_for(now)));
        self.rules.scrutiny(answers, known_for)
    }

    /// The round of checks that this account's answers in the kind are in; `None` before its first accepted answer.
    pub fn check_round(&mut self, account: AccountId, kind: KindId, version: u16) -> Option<&mut CheckRound> {
        let known = self.accounts.get_mut(&account)?;
        let of = known.kinds.iter_mut().find(|of| of.kind == kind && of.version == version)?;
        Some(&mut of.round)
    }

    /// Whether everything this account answers in the kind is checked deeply.
    pub fn is_on_probation(&self, account: AccountId, kind: KindId, version: u16, now: Micros) -> bool {
        self.scrutiny(account, kind, version, now).share >= 1.0
    }

    /// Whether this account's trust was reset at or after `moment`.
    pub fn has_begun_again_since(&self, account: AccountId, moment: Micros) -> bool {
        let known = self.accounts.get(&account);
        known.and_then(|known| known.begun_again_at).is_some_and(|at| at >= moment)
    }

    /// Counts an accepted answer, with or without a deep check; returns a record if one is due.
    pub fn accepted(
        &mut self,
        account: AccountId,
        kind: KindId,
        version: u16,
        deeply: bool,
        now: Micros,
    ) -> Option<WorkerTrust> {
        let known = self.accounts.get_mut(&account)?;
        let at = known.kinds.iter().position(|of| of.kind == kind && of.version == version);
        let at = at.unwrap_or_else(|| {
            let since = clock(now);
            let round = CheckRound::default();
            known.kinds.push(OfKind { kind, version, answers: 0, checked: 0, since, recorded: 0, round });
            known.kinds.len() - 1
        });
        let of = &mut known.kinds[at];
        of.answers += 1;
        of.checked += u64::from(deeply);
        let is_time = of.is_to_be_recorded();
        known.changed = true;
        if deeply {
            known.passed_a_check(self.rules.forgotten_after_checks);
        }
        if is_time { known.take_record(now) } else { None }
    }

    /// Counts an accepted answer as deeply checked, because another worker's answer to the same task equals it.
    pub fn agreed(&mut self, account: AccountId, kind: KindId, version: u16) {
        let Some(known) = self.accounts.get_mut(&account) else { return };
        if let Some(of) = known.kinds.iter_mut().find(|of| of.kind == kind && of.version == version) {
            of.checked += 1;
            known.changed = true;
            known.passed_a_check(self.rules.forgotten_after_checks);
        }
    }

    /// Counts a failed attempt that was this account's fault; returns a record if one is due.
    pub fn misbehaved(
        &mut self,
        account: AccountId,
        kind: KindId,
        version: u16,
        misconduct: Misconduct,
        now: Micros,
    ) -> Option<WorkerTrust> {
        let known = self.accounts.get_mut(&account)?;
        let of = known.kinds.iter_mut().find(|of| of.kind == kind && of.version == version)?;
        let left = self.rules.after(of.answers, misconduct);
        if left == of.answers {
            return None;
        }
        of.answers = left;
        let is_time = of.is_to_be_recorded();
        known.changed = true;
        if is_time { known.take_record(now) } else { None }
    }

    /// Counts a failed check: resets the account's trust in every kind, or convicts it. `looked_right` says that the check
    /// of every answer had found nothing. Returns the record for the ledger.
    pub fn failed(
        &mut self,
        account: AccountId,
        looked_right: bool,
        now: Micros,
    ) -> (CheckConsequence, Option<WorkerTrust>) {
        let forgotten_after = self.rules.forgotten_after_checks;
        let failures_max = if fault::is_made(Fault::ConvictsAtOnce) { 1 } else { self.rules.failures_max };
        let Some(known) = self.accounts.get_mut(&account) else { return (CheckConsequence::Working, None) };
        known.failures = known.failures.saturating_add(1);
        known.begin_again(now);
        if !looked_right {
            known.clean_checks = forgotten_after - forgotten_after / PLAIN_FAILURE_PART;
        }
        let convicted = !known.quarantined && known.failures >= failures_max;
        known.quarantined |= convicted;
        let standing = if convicted { CheckConsequence::Convicted } else { CheckConsequence::Working };
        (standing, known.take_record(now))
    }

    /// The operator convicts an account, or lifts its conviction: then it starts as a newcomer. Also holds for an account
    /// that is not known here, because it may be about to join with an older ledger record.
    pub fn order(&mut self, account: AccountId, quarantined: bool, now: Micros) -> Option<WorkerTrust> {
        let Some(known) = self.accounts.get_mut(&account) else {
            let begun_again_at = Some(now);
            self.accounts.insert(account, Known { begun_again_at, quarantined, ..Known::default() });
            self.is_gone(account);
            return None;
        };
        known.quarantined = quarantined;
        if !quarantined {
            known.failures = 0;
        }
        known.begin_again(now);
        known.take_record(now)
    }

    /// Whether this account gets no work.
    pub fn is_quarantined(&self, account: AccountId) -> bool {
        self.accounts.get(&account).is_some_and(|known| known.quarantined)
    }

    /// All records that are newer than the ledger's, for shutdown.
    pub fn take_records(&mut self, now: Micros) -> Vec<(AccountId, WorkerTrust)> {
        let mut records: Vec<_> = self
            .accounts
            .iter_mut()
            .filter_map(|(account, known)| Some((*account, known.take_record(now)?)))
            .collect();
        records.sort_unstable_by_key(|(account, _)| *account);
        records
    }
}

impl Known {
    fn passed_a_check(&mut self, forgotten_after: u64) {
        if self.failures == 0 {
            return;
        }
        self.clean_checks += 1;
        if self.clean_checks >= forgotten_after {
            (self.failures, self.clean_checks) = (self.failures - 1, 0);
        }
    }

    fn begin_again(&mut self, now: Micros) {
        self.clean_checks = 0;
        self.begun_again_at = Some(now);
        for of in &mut self.kinds {
            (of.answers, of.recorded, of.since) = (0, 0, clock(now));
        }
        self.changed = true;
    }

    fn take_record(&mut self, now: Micros) -> Option<WorkerTrust> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let kinds = self.kinds.iter_mut().map(|of| {
            of.recorded = of.answers;
            KindTrust {
                kind: of.kind,
                kernel_version: of.version,
                answers: of.answers,
                checked: of.checked,
                known_for: of.known_for(now),
            }
        });
        Some(WorkerTrust {
            kinds: kinds.collect(),
            failures: self.failures,
            clean_checks: self.clean_checks,
            quarantined: self.quarantined,
        })
    }
}

fn remembered(of: &KindTrust, now: Micros) -> OfKind {
    let known_for = i64::try_from(of.known_for.as_micros()).unwrap_or(i64::MAX);
    OfKind {
        kind: of.kind,
        version: of.kernel_version,
        answers: of.answers,
        checked: of.checked,
        since: clock(now).saturating_sub(known_for),
        recorded: of.answers,
        round: CheckRound::default(),
    }
}

#[cfg(test)]
mod tests;
