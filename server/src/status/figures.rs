//! The names, units and meanings under which Prometheus finds what the coordinator counts.
//!
//! Names follow Prometheus's own guide: one prefix, base units, `_total` for what only grows, and no label whose values
//! strangers choose. Money is in whole nano-dollars, as in the ledger: exact, where a fraction of a dollar would not be.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use p2c2r_protocol::{Nanos, Stages};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::LatencyHistogram;

/// Label names and values of one figure.
type Labels = Vec<(&'static str, &'static str)>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, LatencyHistogram>;
/// A gauge of a whole number.
pub type IntGauge = Gauge<i64, AtomicI64>;
/// A gauge of a fraction.
pub type Fraction = Gauge<f64, AtomicU64>;

/// How an attempt ends.
const VERDICTS: [&str; 6] = ["accepted", "rejected", "lost", "expired", "failed", "unneeded"];
/// Why an admitted task has no outcome.
const FAILURES: [&str; 8] =
    ["begun", "late", "kernel_failed", "no_worker", "cancelled", "closing", "crashed", "bad_settlement"];
/// Why a task is not admitted.
const REFUSALS: [&str; 13] = [
    "unknown_kind",
    "kernel_version",
    "bad_spec",
    "blobs_missing",
    "price_above_cap",
    "balance_too_low",
    "hour_cap_reached",
    "too_late",
    "no_worker",
    "too_many_in_flight",
    "full",
    "id_reused",
    "closing",
];

/// The stages that the coordinator knows, and where they lie in [`Stages::to_array`]; the others only a game can measure.
const STAGES: std::ops::Range<usize> = 2..8;

/// What is counted of one kind; looked up once, since it is counted at every task.
pub struct KindMetrics {
    /// Its name.
    pub name: &'static str,
    /// Tasks admitted.
    pub admitted: Counter,
    /// Tasks done: by workers, by the coordinator, from the cache.
    pub done: [Counter; 3],
    /// Attempts handed to workers.
    pub leases: Counter,
    /// Runs of the coordinator's own kernel.
    pub own_kernels: Counter,
    /// Attempts whose answers were accepted.
    pub accepted: Counter,
    latency: LatencyHistogram,
    stages: Vec<LatencyHistogram>,
}

impl KindMetrics {
    /// Counts how long a finished task took, and where its time went. What comes from the cache has no stages.
    pub fn took(&self, micros: u32, stages: &Stages, from_cache: bool) {
        self.latency.observe(micros);
        if from_cache {
            return;
        }
        for (histogram, micros) in self.stages.iter().zip(&stages.to_array()[STAGES]) {
            histogram.observe(*micros);
        }
    }
}

/// Everything that is counted, and everything that is set when somebody looks.
pub struct Metrics {
    admitted: Counters,
    done: Counters,
    failed: Counters,
    refused: Counters,
    latency: Histograms,
    stage: Histograms,
    leases: Counters,
    own_kernels: Counters,
    verdicts: Counters,
    checks: Counters,
    /// Outcomes by the check they passed: always-on, deep, own.
    pub passed: [Counter; 3],
    /// Workers convicted.
    pub convicted: Counter,
    charged: Counter,
    fee: Counter,
    earned: Counter,
    /// What is set when somebody looks.
    pub gauges: Gauges,
}

/// What is set when somebody looks.
#[derive(Clone, Default)]
pub struct Gauges {
    /// Seconds since the start.
    pub uptime: Fraction,
    /// Whether new tasks are admitted: 1 or 0.
    pub ready: IntGauge,
    /// Held for tasks in flight, in nano-dollars.
    pub held: IntGauge,
    /// Tasks in flight by kind and phase.
    pub tasks: Family<Labels, IntGauge>,
    /// How long the oldest waiting task has waited, by kind.
    pub oldest: Family<Labels, Fraction>,
    /// Connected peers by role.
    pub peers: Family<Labels, IntGauge>,
    /// Workers by state.
    pub workers: Family<Labels, IntGauge>,
    /// Round trips of peers, by role and rank.
    pub round_trip: Family<Labels, Fraction>,
    /// Lost packets of peers, by role and rank.
    pub loss: Family<Labels, Fraction>,
    /// Packets read.
    pub packets: Counter,
    /// Packets refused, by cause.
    pub refused_packets: Counters,
    /// Packets and messages refused, all causes.
    pub garbage: Counter,
    /// Peers dropped for an offence.
    pub offenders: Counter,
    /// Handshakes under way.
    pub handshakes: IntGauge,
    /// Whether HTTPS arrives and UDP does not: 1 or 0.
    pub udp_blocked: IntGauge,
    /// When the operator's certificate ends, seconds since 1970; 0 where the coordinator uses its own.
    pub certificate_ends: IntGauge,
    /// Outcomes looked for in the ledger, by what came of it.
    pub recalls: Counters,
    /// Whether the ledger records: 1 or 0.
    pub recording: IntGauge,
    /// Group commits.
    pub groups: Counter,
    /// Entries recorded.
    pub entries: Counter,
    /// Entries that wait for the disk.
    pub entries_waiting: IntGauge,
    /// Entries that changed nothing, by cause.
    pub anomalies: Counters,
}

/// Sets a counter that is counted elsewhere.
pub fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

fn nanos() -> Unit {
    Unit::Other("nanodollars".to_owned())
}

impl Metrics {
    /// All of them, and the registry that writes them out.
    pub fn register() -> (Self, Registry) {
        let checks = Counters::default();
        let sums = Self {
            admitted: Counters::default(),
            done: Counters::default(),
            failed: Counters::default(),
            refused: Counters::default(),
            latency: Histograms::default(),
            stage: Histograms::default(),
            leases: Counters::default(),
            own_kernels: Counters::default(),
            verdicts: Counters::default(),
            passed: ["always", "deep", "own"]
                .map(|check| checks.get_or_create_owned(&vec![("check", check)])),
            checks,
            convicted: Counter::default(),
            charged: Counter::default(),
            fee: Counter::default(),
            earned: Counter::default(),
            gauges: Gauges::default(),
        };
        for reason in REFUSALS {
            sums.refused.get_or_create_owned(&vec![("reason", reason)]);
        }
        let mut registry = Registry::with_prefix("p2c2r");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The coordinator's version", build);
        sums.register_tasks(&mut registry);
        sums.register_money(&mut registry);
        sums.gauges.register(&mut registry);
        (sums, registry)
    }

    fn register_tasks(&self, to: &mut Registry) {
        to.register("tasks_admitted", "Tasks admitted", self.admitted.clone());
        to.register("tasks_done", "Tasks done, by who computed them", self.done.clone());
        to.register("tasks_failed", "Admitted tasks that ended without an outcome", self.failed.clone());
        to.register("tasks_refused", "Tasks that were not admitted", self.refused.clone());
        let help = "From a task's arrival at the coordinator to its outcome's departure";
        to.register_with_unit("task_latency", help, Unit::Seconds, self.latency.clone());
        let help = "Where that time went, of tasks that were computed";
        to.register_with_unit("task_stage", help, Unit::Seconds, self.stage.clone());
        to.register("leases", "Attempts handed to workers", self.leases.clone());
        to.register("own_kernels", "Tasks the coordinator began to compute itself", self.own_kernels.clone());
        to.register("verdicts", "Attempts that ended, by what became of them", self.verdicts.clone());
        to.register("checks_passed", "Outcomes by the check that they passed", self.checks.clone());
        to.register("workers_convicted", "Workers whose answers failed again", self.convicted.clone());
    }

    fn register_money(&self, to: &mut Registry) {
        to.register_with_unit("charged", "Charged to gamers", nanos(), self.charged.clone());
        to.register_with_unit("fee", "The coordinator's share of it", nanos(), self.fee.clone());
        to.register_with_unit("earned", "The workers' share of it", nanos(), self.earned.clone());
    }

    /// What is counted of the kind of this name.
    ///
    /// Every figure exists from the start. One that appeared with its first event would be 1 when it is first read, as if it had
    /// always been, so that an alarm at its increase would miss that event.
    pub fn of_kind(&self, name: &'static str) -> KindMetrics {
        let kind = ("kind", name);
        for verdict in VERDICTS {
            self.verdicts.get_or_create_owned(&vec![kind, ("verdict", verdict)]);
        }
        for reason in FAILURES {
            self.failed.get_or_create_owned(&vec![kind, ("reason", reason)]);
        }
        let stages = Stages::NAMES[STAGES]
            .iter()
            .map(|stage| self.stage.get_or_create_owned(&vec![kind, ("stage", *stage)]))
            .collect();
        KindMetrics {
            name,
            admitted: self.admitted.get_or_create_owned(&vec![kind]),
            done: ["worker", "coordinator", "cache"]
                .map(|by| self.done.get_or_create_owned(&vec![kind, ("by", by)])),
            leases: self.leases.get_or_create_owned(&vec![kind]),
            own_kernels: self.own_kernels.get_or_create_owned(&vec![kind]),
            accepted: self.verdicts.get_or_create_owned(&vec![kind, ("verdict", "accepted")]),
            latency: self.latency.get_or_create_owned(&vec![kind]),
            stages,
        }
    }

    /// Counts a task that was not admitted.
    pub fn refused(&self, reason: &'static str) {
        debug_assert!(REFUSALS.contains(&reason), "{reason}");
        self.refused.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// Counts an admitted task without an outcome.
    pub fn failed(&self, kind: &'static str, reason: &'static str) {
        debug_assert!(FAILURES.contains(&reason), "{reason}");
        self.failed.get_or_create(&vec![("kind", kind), ("reason", reason)]).inc();
    }

    /// Counts an attempt's end.
    pub fn verdict(&self, kind: &'static str, verdict: &'static str) {
        debug_assert!(VERDICTS.contains(&verdict), "{verdict}");
        self.verdicts.get_or_create(&vec![("kind", kind), ("verdict", verdict)]).inc();
    }

    /// Counts the money of a finished task.
    pub fn charged(&self, charged: Nanos, fee: Nanos, earned: Nanos) {
        for (counter, nanos) in [(&self.charged, charged), (&self.fee, fee), (&self.earned, earned)] {
            counter.inc_by(u64::try_from(nanos.0).unwrap_or_default());
        }
    }
}

impl Gauges {
    fn register(&self, to: &mut Registry) {
        to.register_with_unit("uptime", "Time since the start", Unit::Seconds, self.uptime.clone());
        to.register("ready", "Whether new tasks are admitted", self.ready.clone());
        to.register_with_unit("held", "Held for tasks in flight", nanos(), self.held.clone());
        to.register("tasks_in_flight", "Tasks in flight, by where they stand", self.tasks.clone());
        let help = "How long the task has waited that waits longest";
        to.register_with_unit("queue_age", help, Unit::Seconds, self.oldest.clone());
        to.register("peers", "Connected programs", self.peers.clone());
        to.register("workers", "Connected workers, by state", self.workers.clone());
        let help = "Round trips to connected programs: the middle one and the longest";
        to.register_with_unit("round_trip", help, Unit::Seconds, self.round_trip.clone());
        let help = "Share of connected programs' packets that is lost: the middle one and the largest";
        to.register_with_unit("packet_loss", help, Unit::Ratios, self.loss.clone());
        to.register("packets", "Packets read", self.packets.clone());
        to.register("packets_refused", "Packets refused on their way in", self.refused_packets.clone());
        to.register("garbage", "Packets and messages refused, of peers and strangers", self.garbage.clone());
        to.register("offenders", "Peers dropped for an offence", self.offenders.clone());
        to.register("handshakes", "Handshakes under way", self.handshakes.clone());
        to.register("udp_blocked", "Whether HTTPS arrives and UDP does not", self.udp_blocked.clone());
        let help = "When the certificate of --cert ends, since 1970; 0 for the coordinator's own";
        to.register_with_unit(
            "certificate_ends_timestamp",
            help,
            Unit::Seconds,
            self.certificate_ends.clone(),
        );
        let help =
            "Outcomes that memory had no room for and that were looked for in the ledger, by what came of it";
        to.register("outcomes_recalled", help, self.recalls.clone());
        to.register("ledger_recording", "Whether the ledger records", self.recording.clone());
        to.register("ledger_groups", "Group commits of the ledger since the start", self.groups.clone());
        to.register("ledger_entries", "Entries that the ledger has recorded", self.entries.clone());
        to.register("ledger_entries_waiting", "Entries that wait for the disk", self.entries_waiting.clone());
        to.register("ledger_anomalies", "Entries that changed nothing", self.anomalies.clone());
    }
}
