//! The numbers a HUD shows, as Bevy diagnostics: one source for the HUD, logs and overlays.
//!
//! A diagnostic without a value means "not known", never zero. Percentiles and shares are over the last ten
//! seconds; new values come twice a second.

use bevy_app::App;
use bevy_diagnostic::{Diagnostic, DiagnosticPath, RegisterDiagnostic};
use p2c2r_tasks::TaskKind;

/// Dollars of all receipts of this session.
pub const COST_DOLLARS_TOTAL: DiagnosticPath = DiagnosticPath::const_new("p2c2r/cost_dollars_total");
/// The part of [`COST_DOLLARS_TOTAL`] that [patient](crate::Offloading::patient) tasks cost. They are paid for once, so
/// the rates per hour leave them out.
pub const COST_DOLLARS_PATIENT_TOTAL: DiagnosticPath =
    DiagnosticPath::const_new("p2c2r/cost_dollars_patient_total");
/// Dollars per hour for tasks with a deadline, at the rate of the last ten seconds.
pub const COST_DOLLARS_PER_HOUR: DiagnosticPath = DiagnosticPath::const_new("p2c2r/cost_dollars_per_hour");
/// Dollars that may still be spent under the cap on an hour; without a cap it has no value.
pub const HOUR_LEFT_DOLLARS: DiagnosticPath = DiagnosticPath::const_new("p2c2r/hour_left_dollars");
/// Workers connected to the coordinator.
pub const WORKERS: DiagnosticPath = DiagnosticPath::const_new("p2c2r/workers");
/// Round trip to the coordinator in milliseconds, including the wait for the frame that reads the answer.
pub const RTT_MS: DiagnosticPath = DiagnosticPath::const_new("p2c2r/rtt_ms");
/// How much round trips to the coordinator vary, in milliseconds.
pub const JITTER_MS: DiagnosticPath = DiagnosticPath::const_new("p2c2r/jitter_ms");
/// Round trip between the coordinator and the worker nearest to it, in whole milliseconds.
pub const NEAREST_WORKER_MS: DiagnosticPath = DiagnosticPath::const_new("p2c2r/nearest_worker_ms");
/// Packets lost, in per cent.
pub const LOSS_PERCENT: DiagnosticPath = DiagnosticPath::const_new("p2c2r/loss_percent");
/// 1 while offloading is switched on, else 0.
pub const ENABLED: DiagnosticPath = DiagnosticPath::const_new("p2c2r/enabled");
/// 1 while new tasks go to the coordinator, else 0.
pub const REMOTE: DiagnosticPath = DiagnosticPath::const_new("p2c2r/remote");
/// 1 while the coordinator is connected, else 0.
pub const LINK_UP: DiagnosticPath = DiagnosticPath::const_new("p2c2r/link_up");
/// Bytes a second to the coordinator.
pub const SENT_BYTES_PER_SECOND: DiagnosticPath = DiagnosticPath::const_new("p2c2r/sent_bytes_per_second");
/// Bytes a second from the coordinator.
pub const RECEIVED_BYTES_PER_SECOND: DiagnosticPath =
    DiagnosticPath::const_new("p2c2r/received_bytes_per_second");
/// Tasks at the coordinator or waiting to be sent there.
pub const IN_FLIGHT: DiagnosticPath = DiagnosticPath::const_new("p2c2r/in_flight");

macro_rules! kind_paths {
    ($($(#[$doc:meta])* $field:ident, $suffix:literal;)*) => {
        /// The diagnostics of one kind, at `p2c2r/<kind>/<field>`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct KindPaths {
            $($(#[$doc])* pub $field: DiagnosticPath,)*
        }

        impl KindPaths {
            /// The paths of the kind with this name.
            pub fn new(kind: &str) -> Self {
                Self { $($field: DiagnosticPath::new(format!(concat!("p2c2r/{}/", stringify!($field)), kind)),)* }
            }

            fn register(self, app: &mut App) {
                $(app.register_diagnostic(diagnostic(self.$field, $suffix));)*
            }
        }
    };
}

kind_paths! {
    /// Median latency of delivered outcomes.
    latency_ms_p50, " ms";
    /// 95 of 100 outcomes were at most this slow.
    latency_ms_p95, " ms";
    /// 99 of 100 outcomes were at most this slow.
    latency_ms_p99, " ms";
    /// Share of ended tasks that had an outcome by their deadline.
    in_time_percent, " %";
    /// Share of delivered outcomes that workers computed.
    remote_percent, " %";
    /// Share of delivered outcomes that the coordinator computed.
    coordinator_percent, " %";
    /// Share of delivered outcomes from the coordinator's cache.
    cache_percent, " %";
    /// Share of delivered outcomes that this computer computed.
    local_percent, " %";
    /// Share of ended tasks that got no outcome, so that the last one of the kind is used.
    reused_percent, " %";
    /// How long ago the task behind the newest outcome was asked for. Grows while no outcome comes, and falls
    /// to the latency of each new one.
    age_ms, " ms";
    /// Dollars per hour for tasks with a deadline, at the rate of the last ten seconds.
    cost_dollars_per_hour, " $/h";
    /// Tasks asked for, per second.
    tasks_per_second, " /s";
    /// How far ahead of its use this kind should be asked for; see [`OffloadHorizon`](crate::OffloadHorizon).
    horizon_ms, " ms";
    /// The deadline ladder's estimate of local compute time for a task of the latest size.
    local_compute_ms, " ms";
}

impl KindPaths {
    /// The paths of kind `K`.
    pub fn of<K: TaskKind>() -> Self {
        Self::new(K::NAME)
    }
}

fn diagnostic(path: DiagnosticPath, suffix: &'static str) -> Diagnostic {
    // No smoothing: values are already averaged over their window.
    Diagnostic::new(path).with_suffix(suffix).with_smoothing_factor(0.0)
}

/// Registers the diagnostics of one kind.
pub(crate) fn register_kind(app: &mut App, kind: &str) {
    KindPaths::new(kind).register(app);
}

/// Registers the diagnostics that concern no kind.
pub(crate) fn register_shared(app: &mut App) {
    for (path, suffix) in [
        (COST_DOLLARS_TOTAL, " $"),
        (COST_DOLLARS_PATIENT_TOTAL, " $"),
        (COST_DOLLARS_PER_HOUR, " $/h"),
        (HOUR_LEFT_DOLLARS, " $"),
        (WORKERS, ""),
        (RTT_MS, " ms"),
        (JITTER_MS, " ms"),
        (NEAREST_WORKER_MS, " ms"),
        (LOSS_PERCENT, " %"),
        (ENABLED, ""),
        (REMOTE, ""),
        (LINK_UP, ""),
        (SENT_BYTES_PER_SECOND, " B/s"),
        (RECEIVED_BYTES_PER_SECOND, " B/s"),
        (IN_FLIGHT, ""),
    ] {
        app.register_diagnostic(diagnostic(path, suffix));
    }
}
