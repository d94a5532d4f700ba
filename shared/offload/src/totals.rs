//! Counts over the whole session, in the shape of the demo's report.

use std::collections::BTreeMap;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{Nanos, Stages};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::histogram::{Histogram, Percentiles};

/// What the session has done so far. Serialises as
/// `{"kinds": {"path": {"submitted": 1, …, "latency_ms": {"p50": 1.0, …}, "stages_ms": {…}, …}}, "cost_nanos": 0, …}`.
#[derive(Resource, Clone, Debug, Default, Serialize)]
pub struct OffloadTotals {
    /// By name of the kind.
    pub kinds: BTreeMap<&'static str, KindTotals>,
    /// Prices of all receipts of this session, including outcomes that came too late to be used. What the
    /// ledger has durably charged is in [`OffloadAccount`](crate::OffloadAccount).
    pub cost_nanos: Nanos,
    /// Messages of the coordinator about tasks without a pending answer: duplicates, and answers to tasks
    /// given up long ago.
    pub stray: u64,
}

impl OffloadTotals {
    /// Of `cost_nanos`, the prices of [patient](crate::Offloading::patient) tasks.
    pub fn cost_patient_nanos(&self) -> Nanos {
        // A hostile coordinator's prices must not overflow.
        let sum = |sum: i64, kind: &KindTotals| sum.saturating_add(kind.cost_patient_nanos.0);
        Nanos(self.kinds.values().fold(0, sum))
    }
}

/// What the session has done of one kind.
///
/// At any moment `submitted` is the sum of `remote`, `coordinator`, `cache`, `local`, `reused`, `failed`,
/// `cancelled` and `open`.
#[derive(Clone, Debug, Default)]
pub struct KindTotals {
    /// Tasks asked for.
    pub submitted: u64,
    /// Outcomes delivered that a worker computed.
    pub remote: u64,
    /// Outcomes delivered that the coordinator computed.
    pub coordinator: u64,
    /// Outcomes delivered from the coordinator's cache.
    pub cache: u64,
    /// Outcomes delivered that this computer computed.
    pub local: u64,
    /// Tasks without an outcome for which the last one of the kind was used.
    pub reused: u64,
    /// Tasks that ended without an outcome, and without one to reuse.
    pub failed: u64,
    /// Tasks that the game cancelled.
    pub cancelled: u64,
    /// Tasks not ended yet.
    pub open: u64,
    /// Answers of the coordinator that were of no use: refusals, failures, outcomes that do not decode, and tasks out of
    /// fuel.
    pub rejected: u64,
    /// Of `rejected`, the outcomes that do not decode.
    pub malformed: u64,
    /// Tasks that had no outcome at their deadline, however they ended.
    pub late: u64,
    /// Outcomes that came second: the coordinator's after the local one, or the other way round.
    pub wasted: u64,
    /// Prices of this kind's receipts.
    pub cost_nanos: Nanos,
    /// Of `cost_nanos`, the prices of [patient](crate::Offloading::patient) tasks.
    pub cost_patient_nanos: Nanos,
    /// Bytes of specs and blobs sent.
    pub bytes_up: u64,
    /// Bytes of outcomes received.
    pub bytes_down: u64,
    /// Estimated processor time saved, in microseconds: what the delivered outcomes that others computed would
    /// have taken here. The estimate is by the processor time of local tasks of their kind, or before there are
    /// any, by work units, of which one is a microsecond of the reference core.
    pub saved_us: u64,
    /// From the frame that asked to the frame that delivered, of all delivered outcomes.
    pub latency: Histogram,
    /// Ended tasks that workers were expected to answer. Does not count tasks that were never sent or were cancelled,
    /// that the coordinator computed or had in its cache, or that failed for another reason than a lack of workers.
    pub owed: u64,
    /// Of `owed`, those whose outcome a worker delivered by the deadline.
    pub owed_in_time: u64,
    /// Where the time of the delivered outcomes that came from the coordinator went.
    pub stages: StageTimes,
}

/// Where the time of outcomes went, added up over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    sums_us: [u64; 9],
    outcomes: u64,
}

impl StageTimes {
    /// Mean milliseconds per stage, in the order of [`Stages::NAMES`]; `None` without outcomes. They add up to
    /// those outcomes' mean latency.
    pub fn means_ms(self) -> Option<[f64; 9]> {
        (self.outcomes > 0).then(|| self.sums_us.map(|sum| sum as f64 / self.outcomes as f64 / 1_000.0))
    }

    /// The outcomes that were added since `before`, an earlier copy of this.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let mut sums_us = self.sums_us;
        for (sum, before) in sums_us.iter_mut().zip(before.sums_us) {
            *sum = sum.saturating_sub(before);
        }
        Self { sums_us, outcomes: self.outcomes.saturating_sub(before.outcomes) }
    }

    /// Adds an outcome.
    pub fn add(&mut self, stages: Stages) {
        for (sum, stage) in self.sums_us.iter_mut().zip(stages.to_array()) {
            *sum += u64::from(stage);
        }
        self.outcomes += 1;
    }
}

impl KindTotals {
    /// Latency percentiles, or `None` before the first delivery.
    pub fn latency_ms(&self) -> Option<Percentiles> {
        self.latency.percentiles_ms()
    }

    /// Outcomes delivered, from all places.
    pub fn delivered(&self) -> u64 {
        self.remote + self.coordinator + self.cache + self.local
    }
}

/// Stage means by name.
struct StagesByName([f64; 9]);

impl Serialize for StagesByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(9))?;
        for (name, mean) in Stages::NAMES.iter().zip(self.0) {
            map.serialize_entry(name, &mean)?;
        }
        map.end()
    }
}

impl Serialize for KindTotals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let counts = [
            ("submitted", self.submitted),
            ("remote", self.remote),
            ("coordinator", self.coordinator),
            ("cache", self.cache),
            ("local", self.local),
            ("reused", self.reused),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
            ("open", self.open),
            ("rejected", self.rejected),
            ("malformed", self.malformed),
            ("late", self.late),
            ("wasted", self.wasted),
            ("bytes_up", self.bytes_up),
            ("bytes_down", self.bytes_down),
            ("saved_us", self.saved_us),
        ];
        for (name, count) in counts {
            map.serialize_entry(name, &count)?;
        }
        map.serialize_entry("cost_nanos", &self.cost_nanos)?;
        map.serialize_entry("cost_patient_nanos", &self.cost_patient_nanos)?;
        map.serialize_entry("latency_ms", &self.latency_ms())?;
        map.serialize_entry("stages_ms", &self.stages.means_ms().map(StagesByName))?;
        map.end()
    }
}
