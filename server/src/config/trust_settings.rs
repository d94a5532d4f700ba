//! The settings of trust: the table `[trust]` of the configuration file, and the ranges of what it says.

use std::ops::RangeInclusive;
use std::time::Duration;

use p2c2r_program::settings::within;
use serde::{Deserialize, Serialize};

use super::take;
use crate::core::state::trust::TrustRules;
use crate::error::ServerError;

/// Answers up to which a worker is on probation or proves itself: a million at ten a second are a day.
const ANSWERS_MAX: u64 = 1_000_000;
/// Clean checks after which a failure is forgotten: fewer than some, and a liar waits them out.
const FORGOTTEN_AFTER: RangeInclusive<u64> = 10..=1_000_000_000;
/// Time before a worker has proven itself: a month.
const SETTLING_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
/// Failed checks that convict: with one, a single flipped bit does.
const FAILURES: RangeInclusive<u32> = 1..=100;
/// Accepted answers that one attempt that came to nothing may take back: more, and one lost packet in a hundred would keep an
/// honest worker from ever being trusted.
const COST_ANSWERS_MAX: u64 = 50;
/// Per cent of one core for deep checks: below a tenth, newcomers would wait for minutes; a hundred cores at the most.
const BUDGET_PERCENT: RangeInclusive<f64> = 0.1..=10_000.0;
/// Work units up to which every answer is computed again: a second of one core.
const RECOMPUTED_UNITS_MAX: u64 = 1_000_000;

/// The table `[trust]` of the configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    /// See [`TrustRules::probation_answers`].
    pub probation_answers: Option<u64>,
    /// See [`TrustRules::proving_answers`].
    pub proving_answers: Option<u64>,
    /// See [`TrustRules::proving_percent`].
    pub proving_percent: Option<f64>,
    /// See [`TrustRules::settled_percent`].
    pub settled_percent: Option<f64>,
    /// See [`TrustRules::percent_min`].
    pub percent_min: Option<f64>,
    /// See [`TrustRules::settling`].
    pub settling_seconds: Option<u64>,
    /// See [`TrustRules::failures_max`].
    pub failures_max: Option<u32>,
    /// See [`TrustRules::forgotten_after_checks`].
    pub forgotten_after_checks: Option<u64>,
    /// See [`TrustRules::silence_costs_answers`].
    pub silence_costs_answers: Option<u64>,
    /// See [`TrustRules::failure_costs_answers`].
    pub failure_costs_answers: Option<u64>,
    /// See [`TrustRules::overload_costs_answers`].
    pub overload_costs_answers: Option<u64>,
    /// See [`TrustRules::budget_percent`].
    pub budget_percent: Option<f64>,
    /// See [`TrustRules::recomputed_units`].
    pub recomputed_units: Option<u64>,
}

impl TrustFile {
    /// Takes every setting that the file names.
    pub(super) fn apply(self, rules: &mut TrustRules) {
        take(&mut rules.probation_answers, self.probation_answers);
        take(&mut rules.proving_answers, self.proving_answers);
        take(&mut rules.proving_percent, self.proving_percent);
        take(&mut rules.settled_percent, self.settled_percent);
        take(&mut rules.percent_min, self.percent_min);
        take(&mut rules.settling, self.settling_seconds.map(Duration::from_secs));
        take(&mut rules.failures_max, self.failures_max);
        take(&mut rules.forgotten_after_checks, self.forgotten_after_checks);
        take(&mut rules.silence_costs_answers, self.silence_costs_answers);
        take(&mut rules.failure_costs_answers, self.failure_costs_answers);
        take(&mut rules.overload_costs_answers, self.overload_costs_answers);
        take(&mut rules.budget_percent, self.budget_percent);
        take(&mut rules.recomputed_units, self.recomputed_units);
    }
}

impl From<&TrustRules> for TrustFile {
    fn from(rules: &TrustRules) -> Self {
        Self {
            probation_answers: Some(rules.probation_answers),
            proving_answers: Some(rules.proving_answers),
            proving_percent: Some(rules.proving_percent),
            settled_percent: Some(rules.settled_percent),
            percent_min: Some(rules.percent_min),
            settling_seconds: Some(rules.settling.as_secs()),
            failures_max: Some(rules.failures_max),
            forgotten_after_checks: Some(rules.forgotten_after_checks),
            silence_costs_answers: Some(rules.silence_costs_answers),
            failure_costs_answers: Some(rules.failure_costs_answers),
            overload_costs_answers: Some(rules.overload_costs_answers),
            budget_percent: Some(rules.budget_percent),
            recomputed_units: Some(rules.recomputed_units),
        }
    }
}

/// Checks every range.
pub(super) fn validate(rules: &TrustRules) -> Result<(), ServerError> {
    within("trust.probation_answers", rules.probation_answers, 0..=ANSWERS_MAX)?;
    within("trust.proving_answers", rules.proving_answers, 0..=ANSWERS_MAX)?;
    within("trust.proving_percent", rules.proving_percent, 0.0..=100.0)?;
    within("trust.settled_percent", rules.settled_percent, 0.0..=100.0)?;
    within("trust.percent_min", rules.percent_min, 0.0..=100.0)?;
    within("trust.settling_seconds", rules.settling.as_secs(), 0..=SETTLING_SECONDS_MAX)?;
    within("trust.failures_max", rules.failures_max, FAILURES)?;
    within("trust.forgotten_after_checks", rules.forgotten_after_checks, FORGOTTEN_AFTER)?;
    let costs = [
        ("trust.silence_costs_answers", rules.silence_costs_answers),
        ("trust.failure_costs_answers", rules.failure_costs_answers),
        ("trust.overload_costs_answers", rules.overload_costs_answers),
    ];
    for (name, answers) in costs {
        within(name, answers, 0..=COST_ANSWERS_MAX)?;
    }
    within("check-budget-percent", rules.budget_percent, BUDGET_PERCENT)?;
    within("trust.recomputed_units", rules.recomputed_units, 0..=RECOMPUTED_UNITS_MAX)?;
    Ok(())
}
