//! Writes the diagnostics, twice a second.

use std::time::{Duration, Instant};

use bevy_diagnostic::{DiagnosticMeasurement, DiagnosticPath, DiagnosticsStore};
use bevy_ecs::system::{Local, Res, ResMut};
use p2c2r_link::{ClientLink, LinkStatus};
use p2c2r_protocol::Nanos;

use crate::diagnostics::{self, KindPaths};
use crate::ladder::Ladder;
use crate::ladder_context::LadderContext;
use crate::switch::OffloadState;
use crate::window::Origin;

/// Interval between updates; numbers that change faster cannot be read.
const PERIOD: Duration = Duration::from_millis(500);

/// State of the previous run.
#[derive(Default)]
pub(crate) struct Previous {
    at: Option<Duration>,
    sent_bytes: u64,
    received_bytes: u64,
    paths: Vec<KindPaths>,
}

/// Writes all diagnostics if it is time to.
pub(crate) fn publish(
    mut store: ResMut<'_, DiagnosticsStore>,
    mut context: LadderContext<'_>,
    ladder: Res<'_, Ladder>,
    state: Res<'_, OffloadState>,
    link: Option<Res<'_, ClientLink>>,
    mut previous: Local<'_, Previous>,
) {
    let now = context.time.elapsed();
    if previous.at.is_some_and(|at| now.saturating_sub(at) < PERIOD) {
        return;
    }
    let passed = previous.at.replace(now).map(|at| now.saturating_sub(at));
    let rtt = link.as_ref().and_then(|link| link.stats().rtt);
    let dollars_per_hour = publish_kinds(&mut store, &mut context, &ladder, rtt, &mut previous.paths);
    let hour_left = ladder.hour_left(&context).map(Nanos::as_dollars);
    let mut write = |path: &DiagnosticPath, value: Option<f64>| write(&mut store, path, value);
    write(&diagnostics::COST_DOLLARS_TOTAL, Some(context.totals.cost_nanos.as_dollars()));
    write(&diagnostics::COST_DOLLARS_PATIENT_TOTAL, Some(context.totals.cost_patient_nanos().as_dollars()));
    write(&diagnostics::COST_DOLLARS_PER_HOUR, dollars_per_hour);
    write(&diagnostics::HOUR_LEFT_DOLLARS, hour_left);
    write(&diagnostics::ENABLED, Some(f64::from(u8::from(context.switch.enabled))));
    write(&diagnostics::REMOTE, Some(f64::from(u8::from(state.is_remote()))));
    write(&diagnostics::IN_FLIGHT, Some(ladder.in_flight() as f64));
    let up = link.as_ref().filter(|link| *link.status() == LinkStatus::Connected);
    write(&diagnostics::LINK_UP, Some(f64::from(u8::from(up.is_some()))));
    write(&diagnostics::WORKERS, ladder.workers().map(f64::from));
    write(&diagnostics::NEAREST_WORKER_MS, ladder.nearest_worker_ms().map(f64::from));
    // Without a connection these numbers are unknown.
    let stats = up.map(|link| link.stats());
    write(&diagnostics::RTT_MS, stats.and_then(|stats| stats.rtt).map(|rtt| rtt.as_secs_f64() * 1e3));
    let measured = stats.filter(|stats| stats.rtt.is_some());
    write(&diagnostics::JITTER_MS, measured.map(|stats| stats.jitter.as_secs_f64() * 1e3));
    write(&diagnostics::LOSS_PERCENT, stats.map(|stats| f64::from(stats.loss) * 100.0));
    let rate = |bytes: u64, before: u64| {
        // A new connection's counters start from zero.
        let passed = passed.filter(|passed| !passed.is_zero())?;
        Some(bytes.checked_sub(before)? as f64 / passed.as_secs_f64())
    };
    let (sent, received) = stats.map_or((0, 0), |stats| (stats.sent_bytes, stats.received_bytes));
    write(&diagnostics::SENT_BYTES_PER_SECOND, stats.and(rate(sent, previous.sent_bytes)));
    write(&diagnostics::RECEIVED_BYTES_PER_SECOND, stats.and(rate(received, previous.received_bytes)));
    (previous.sent_bytes, previous.received_bytes) = (sent, received);
}

/// Writes the diagnostics of the kinds; returns what they cost together.
fn publish_kinds(
    store: &mut DiagnosticsStore,
    context: &mut LadderContext<'_>,
    ladder: &Ladder,
    rtt: Option<Duration>,
    paths: &mut Vec<KindPaths>,
) -> Option<f64> {
    let now = context.now();
    let mut dollars_per_hour = None;
    for kind in 0..context.kinds() {
        if paths.len() == kind {
            paths.push(KindPaths::new(context.kind(kind).name));
        }
        let paths = &paths[kind];
        let horizon = ladder.ahead(context, kind, rtt);
        let window = context.windows.of(kind);
        window.expire(now);
        let percentiles = window.percentiles_ms();
        let dollars = window.dollars_per_hour(now);
        if let Some(dollars) = dollars {
            *dollars_per_hour.get_or_insert(0.0) += dollars;
        }
        for (path, value) in [
            (&paths.latency_ms_p50, percentiles.map(|percentiles| percentiles.p50)),
            (&paths.latency_ms_p95, percentiles.map(|percentiles| percentiles.p95)),
            (&paths.latency_ms_p99, percentiles.map(|percentiles| percentiles.p99)),
            (&paths.in_time_percent, window.in_time_percent()),
            (&paths.remote_percent, window.origin_percent(Origin::Remote)),
            (&paths.coordinator_percent, window.origin_percent(Origin::Coordinator)),
            (&paths.cache_percent, window.origin_percent(Origin::Cache)),
            (&paths.local_percent, window.origin_percent(Origin::Local)),
            (&paths.reused_percent, window.reused_percent()),
            (&paths.age_ms, ladder.age(kind, now).map(|age| age.as_secs_f64() * 1e3)),
            (&paths.cost_dollars_per_hour, dollars),
            (&paths.tasks_per_second, window.tasks_per_second(now)),
            (&paths.horizon_ms, Some(horizon.horizon.as_secs_f64() * 1e3).filter(|ms| *ms > 0.0)),
            (&paths.local_compute_ms, ladder.local_compute(kind).map(|took| took.as_secs_f64() * 1e3)),
        ] {
            write(store, path, value);
        }
    }
    dollars_per_hour
}

/// Writes a value, or removes it: a diagnostic that is no longer known must not go on showing its last value.
fn write(store: &mut DiagnosticsStore, path: &DiagnosticPath, value: Option<f64>) {
    let Some(diagnostic) = store.get_mut(path).filter(|diagnostic| diagnostic.is_enabled) else { return };
    match value {
        Some(value) => diagnostic.add_measurement(DiagnosticMeasurement { time: Instant::now(), value }),
        None => diagnostic.clear_history(),
    }
}
