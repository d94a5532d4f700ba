//! The numbers people see, read twice a second from the diagnostics, and how they are formatted.

use std::time::Duration;

use bevy::diagnostic::{DiagnosticPath, DiagnosticsStore, FrameTimeDiagnosticsPlugin};
use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::OffloadSwitch;
use p2c2r_offload::diagnostics::{
    COST_DOLLARS_PATIENT_TOTAL, COST_DOLLARS_PER_HOUR, COST_DOLLARS_TOTAL, ENABLED, HOUR_LEFT_DOLLARS,
    IN_FLIGHT, JITTER_MS, KindPaths, LINK_UP, LOSS_PERCENT, NEAREST_WORKER_MS, RECEIVED_BYTES_PER_SECOND,
    REMOTE, RTT_MS, SENT_BYTES_PER_SECOND, WORKERS,
};
use p2c2r_tasks::KindRegistry;

/// Frames kept for the slowest hundredth: ten seconds at 60 a second.
pub(crate) const FRAMES_KEPT: usize = 600;

/// Age of a kind's newest outcome, milliseconds, from which its numbers count as stale.
const STALE_MS: f64 = 3_000.0;

/// The word that pages and the display have for a kind: what it makes. Files and logs use the kind's own name.
pub(crate) fn word_of(kind: &'static str) -> &'static str {
    match kind {
        "path" => "paths",
        "physics" => "motions",
        "reflection" => "mirrors",
        "lightfield" => "light",
        "tactics" => "plans",
        other => other,
    }
}

/// What an unknown value looks like; never a zero.
pub const UNKNOWN: &str = "-";

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Figures>()
        .add_systems(PostUpdate, read_figures.run_if(on_real_timer(Duration::from_millis(500))));
}

/// The numbers that HUD and console show, as of the last half second. `None` means not known.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// One row per kind.
    pub kinds: Vec<KindFigures>,
    /// Dollars of all receipts of this session.
    pub cost_dollars: Option<f64>,
    /// Of that, what sectors' light cost: it is bought once for a sector, so dollars an hour do not include it.
    pub sector_light_dollars: Option<f64>,
    /// Dollars an hour at the present rate.
    pub cost_dollars_per_hour: Option<f64>,
    /// Dollars that may still be spent this hour; `None` if the player has set no cap on an hour.
    pub hour_left_dollars: Option<f64>,
    /// Workers connected to the coordinator.
    pub workers: Option<f64>,
    /// Round trip between the coordinator and the worker nearest to it, milliseconds.
    pub nearest_worker_ms: Option<f64>,
    /// Round trip to the coordinator, milliseconds.
    pub rtt_ms: Option<f64>,
    /// 95th percentile of the round trip over the last minute, milliseconds.
    pub rtt_p95_ms: Option<f64>,
    /// How much the round trip varies, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Packets lost, per cent.
    pub loss_percent: Option<f64>,
    /// Kilobits a second to the coordinator.
    pub up_kbit_per_s: Option<f64>,
    /// Kilobits a second from the coordinator.
    pub down_kbit_per_s: Option<f64>,
    /// Tasks at the coordinator or on their way there.
    pub in_flight: Option<f64>,
    /// Frames a second.
    pub fps: Option<f64>,
    /// Frames a second in the longest hundredth of the last `FRAMES_KEPT` frames.
    pub fps_low: Option<f64>,
    /// Milliseconds a frame takes.
    pub frame_ms: Option<f64>,
    /// Whether borrowing is switched on.
    pub enabled: bool,
    /// Whether new tasks go to the coordinator.
    pub remote: bool,
    /// Whether the coordinator is connected.
    pub link_up: bool,
}

/// The numbers of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KindFigures {
    /// Its name.
    pub name: &'static str,
    /// Whether the switch keeps it on this computer.
    pub kept_here: bool,
    /// Median latency, milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the latency, milliseconds.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the latency, milliseconds.
    pub p99_ms: Option<f64>,
    /// Tasks asked for, per second.
    pub tasks_per_second: Option<f64>,
    /// How far ahead it is asked for, milliseconds.
    pub horizon_ms: Option<f64>,
    /// Share of tasks with an outcome at their deadline, per cent.
    pub in_time_percent: Option<f64>,
    /// Share that workers computed, per cent.
    pub remote_percent: Option<f64>,
    /// Share that the coordinator computed or had in its cache, per cent.
    pub coordinator_percent: Option<f64>,
    /// Share that this computer computed, per cent.
    pub local_percent: Option<f64>,
    /// Share of tasks without an outcome, in whose place the last one was used, per cent.
    pub reused_percent: Option<f64>,
    /// How long ago the task behind the newest outcome was asked for, milliseconds.
    pub age_ms: Option<f64>,
    /// Dollars an hour.
    pub dollars_per_hour: Option<f64>,
}

/// Who computes most tasks of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainPlace {
    /// Workers.
    Remote,
    /// The coordinator.
    Coordinator,
    /// This computer.
    Local,
}

impl MainPlace {
    /// The HUD's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Remote => "workers",
            Self::Coordinator => "coord.",
            Self::Local => "here",
        }
    }
}

impl KindFigures {
    /// Who computes most of it, and its share in per cent.
    pub fn main_place(&self) -> Option<(MainPlace, f64)> {
        [
            (MainPlace::Remote, self.remote_percent),
            (MainPlace::Coordinator, self.coordinator_percent),
            (MainPlace::Local, self.local_percent),
        ]
        .into_iter()
        .filter_map(|(place, share)| share.map(|share| (place, share)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The age of the newest outcome, if it was used for tasks without one. (A kind that is not in use now
    /// has an old outcome too, which is no problem.)
    pub fn reused_age_ms(&self) -> Option<f64> {
        self.age_ms.filter(|_| self.reused_percent.is_some_and(|share| share > 0.0))
    }

    /// Whole seconds since the last outcome, if the numbers shown are some seconds old.
    pub fn stale_seconds(&self) -> Option<u64> {
        let age = self.age_ms.filter(|age| *age >= STALE_MS)?;
        self.main_place().map(|_| (age / 1e3) as u64)
    }

    /// `workers 97%`, `4 s ago` once nothing new has come for some seconds, or a dash.
    pub fn place_text(&self) -> String {
        if let Some(seconds) = self.stale_seconds() {
            return format!("{seconds} s ago");
        }
        self.main_place()
            .map_or_else(|| UNKNOWN.into(), |(place, share)| format!("{} {share:.0}%", place.name()))
    }
}

fn read_figures(
    diagnostics: Res<DiagnosticsStore>,
    switch: Res<OffloadSwitch>,
    mut figures: ResMut<Figures>,
) {
    let mut now = Figures::read(&diagnostics);
    for kind in KindRegistry::builtin().iter().filter(|kind| !switch.allows(kind.id())) {
        now.kinds.iter_mut().filter(|row| row.name == kind.name()).for_each(|row| row.kept_here = true);
    }
    figures.set_if_neq(now);
}

impl Figures {
    /// Reads all numbers.
    pub fn read(diagnostics: &DiagnosticsStore) -> Self {
        let value = |path: &DiagnosticPath| diagnostics.get(path)?.value().filter(|value| value.is_finite());
        let smooth =
            |path: &DiagnosticPath| diagnostics.get(path)?.smoothed().filter(|value| value.is_finite());
        let history = |path: &DiagnosticPath| -> Vec<f64> {
            let values = diagnostics.get(path).map(|diagnostic| diagnostic.values().copied());
            values.into_iter().flatten().filter(|value| value.is_finite() && *value > 0.0).collect()
        };
        let is_set = |path: &DiagnosticPath| value(path).is_some_and(|value| value > 0.5);
        let registry = KindRegistry::builtin();
        // The kinds that the game has registered; the registry may hold more.
        let kinds = registry.iter().filter_map(|kind| {
            let paths = KindPaths::new(kind.name());
            diagnostics.get(&paths.latency_ms_p50)?;
            let coordinator = value(&paths.coordinator_percent);
            let cache = value(&paths.cache_percent);
            Some(KindFigures {
                name: kind.name(),
                kept_here: false,
                p50_ms: value(&paths.latency_ms_p50),
                p95_ms: value(&paths.latency_ms_p95),
                p99_ms: value(&paths.latency_ms_p99),
                tasks_per_second: value(&paths.tasks_per_second),
                horizon_ms: value(&paths.horizon_ms),
                in_time_percent: value(&paths.in_time_percent),
                remote_percent: value(&paths.remote_percent),
                coordinator_percent: coordinator.map(|share| share + cache.unwrap_or(0.0)),
                local_percent: value(&paths.local_percent),
                reused_percent: value(&paths.reused_percent),
                age_ms: value(&paths.age_ms),
                dollars_per_hour: value(&paths.cost_dollars_per_hour),
            })
        });
        Self {
            kinds: kinds.collect(),
            cost_dollars: value(&COST_DOLLARS_TOTAL),
            // Nothing else that the game asks for is patient.
            sector_light_dollars: value(&COST_DOLLARS_PATIENT_TOTAL),
            cost_dollars_per_hour: value(&COST_DOLLARS_PER_HOUR),
            hour_left_dollars: value(&HOUR_LEFT_DOLLARS),
            workers: value(&WORKERS),
            nearest_worker_ms: value(&NEAREST_WORKER_MS),
            rtt_ms: value(&RTT_MS),
            rtt_p95_ms: value(&RTT_MS).and_then(|_| exceeded_by(&mut history(&RTT_MS), 0.05)),
            jitter_ms: value(&JITTER_MS),
            loss_percent: value(&LOSS_PERCENT),
            up_kbit_per_s: value(&SENT_BYTES_PER_SECOND).map(kilobits),
            down_kbit_per_s: value(&RECEIVED_BYTES_PER_SECOND).map(kilobits),
            in_flight: value(&IN_FLIGHT),
            fps: smooth(&FrameTimeDiagnosticsPlugin::FPS),
            fps_low: exceeded_by(&mut history(&FrameTimeDiagnosticsPlugin::FRAME_TIME), 0.01)
                .map(|ms| 1e3 / ms),
            frame_ms: smooth(&FrameTimeDiagnosticsPlugin::FRAME_TIME),
            enabled: is_set(&ENABLED),
            remote: is_set(&REMOTE),
            link_up: is_set(&LINK_UP),
        }
    }
}

/// The value that the share `share` of all values, and at least one of them, reaches or exceeds; `None` if there are no
/// values. Reorders `values`.
pub(crate) fn exceeded_by(values: &mut [f64], share: f64) -> Option<f64> {
    let above = ((values.len() as f64 * share) as usize).max(1);
    let place = values.len().checked_sub(above)?;
    Some(*values.select_nth_unstable_by(place, f64::total_cmp).1)
}

/// Kilobits of `bytes`.
fn kilobits(bytes: f64) -> f64 {
    bytes * 8.0 / 1e3
}

/// `4.2`, `42`, or a dash: milliseconds with two significant digits or more.
pub fn milliseconds(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.into(),
        Some(value) if value < 9.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// `100%`, `99.5%`, or a dash. Never rounds up to 100.
pub fn percent(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.into(),
        Some(value) if value >= 100.0 || value <= 0.0 => format!("{value:.0}%"),
        Some(value) => format!("{:.1}%", (value * 10.0).floor() / 10.0),
    }
}

/// `$0.0123`, or a dash: dollars with four decimals, six below a cent.
pub fn dollars(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.into(),
        // Adding zero turns the negative zero of an empty sum into a plain one.
        Some(value) if value.abs() < 0.01 => format!("${:.6}", value + 0.0),
        Some(value) => format!("${value:.4}"),
    }
}

/// `$0.000000028`, or a dash: dollars to the nano, as the ledger has them.
pub fn dollars_to_the_nano(value: Option<f64>) -> String {
    // Adding zero turns the negative zero of an empty sum into a plain one.
    value.map_or_else(|| UNKNOWN.into(), |value| format!("${:.9}", value + 0.0))
}

/// A whole number, or a dash.
pub fn count(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.into(), |value| format!("{value:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_a_dash_and_never_a_zero() {
        for text in [milliseconds(None), percent(None), dollars(None), dollars_to_the_nano(None), count(None)]
        {
            assert_eq!(text, UNKNOWN);
        }
        assert_eq!(KindFigures::default().place_text(), UNKNOWN);
        assert_eq!(milliseconds(Some(0.0)), "0.0");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        assert_eq!(milliseconds(Some(4.24)), "4.2");
        assert_eq!(milliseconds(Some(9.96)), "10");
        assert_eq!(milliseconds(Some(142.4)), "142");
        assert_eq!(percent(Some(100.0)), "100%");
        assert_eq!(percent(Some(99.99)), "99.9%");
        assert_eq!(percent(Some(0.0)), "0%");
        assert_eq!(dollars(Some(0.000_065)), "$0.000065");
        assert_eq!(dollars(Some(0.012_34)), "$0.0123");
        assert_eq!(dollars(Some(-0.0)), "$0.000000");
        assert_eq!(dollars_to_the_nano(Some(2.8e-8)), "$0.000000028");
        assert_eq!(dollars_to_the_nano(Some(0.010_000_001)), "$0.010000001", "exact from a cent on, too");
        assert_eq!(dollars_to_the_nano(Some(1_234.000_000_005)), "$1234.000000005");
        assert_eq!(count(Some(4.0)), "4");
    }

    #[test]
    fn the_longest_hundredth_is_found_without_sorting_all() {
        assert_eq!(exceeded_by(&mut [], 0.01), None);
        assert_eq!(exceeded_by(&mut [7.0], 0.01), Some(7.0));
        let mut values: Vec<f64> = (1..=600).map(f64::from).collect();
        values.reverse();
        assert_eq!(exceeded_by(&mut values, 0.01), Some(595.0), "six of 600 are that or more");
        assert_eq!(exceeded_by(&mut values, 0.05), Some(571.0));
    }

    #[test]
    fn the_main_place_is_the_one_with_the_largest_share() {
        let mut figures = KindFigures {
            remote_percent: Some(60.0),
            coordinator_percent: Some(30.0),
            local_percent: Some(10.0),
            ..default()
        };
        assert_eq!(figures.main_place(), Some((MainPlace::Remote, 60.0)));
        assert_eq!(figures.place_text(), "workers 60%");
        figures.local_percent = Some(90.0);
        assert_eq!(figures.place_text(), "here 90%");
    }

    #[test]
    fn an_app_without_diagnostics_knows_nothing() {
        let figures = Figures::read(&DiagnosticsStore::default());
        assert!(!figures.enabled && figures.cost_dollars.is_none());
        assert!(figures.kinds.is_empty(), "kinds that nobody has registered: {:?}", figures.kinds);
    }

    #[test]
    fn an_age_is_shown_only_where_an_outcome_is_reused() {
        let mut figures = KindFigures { age_ms: Some(180.0), ..default() };
        assert_eq!(figures.reused_age_ms(), None);
        figures.reused_percent = Some(4.0);
        assert_eq!(figures.reused_age_ms(), Some(180.0));
        figures = KindFigures { age_ms: Some(4_000.0), reused_percent: Some(0.0), ..default() };
        assert_eq!(figures.reused_age_ms(), None, "nobody asks between two waves");
    }
}
