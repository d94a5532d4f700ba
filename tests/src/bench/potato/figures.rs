//! The measurements of one run, from the game's own report, its line per frame, and its control group's
//! accounting.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::play::SECTORS_PER_HOUR;
use super::super::{at_quantile, median};
use super::flips::Flips;
use super::warps;

/// Play before this is left out of per-frame figures: joining, and the first tasks of new workers.
pub const WARM_UP: Duration = Duration::from_secs(3);
/// Seconds that play stays in a sector, whose light is paid for once. A shorter run counts as this long, or its price an
/// hour would include more sectors than an hour of play has.
const SECTOR_SECONDS: f64 = 3_600.0 / SECTORS_PER_HOUR;
/// A frame longer than this many milliseconds is a stall: three frames of a display, which is visible.
const STALL_MS: f64 = 50.0;

/// One line of the game's `--frames`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameTime {
    /// Seconds from the game's first frame on.
    pub at: f64,
    /// Milliseconds since the frame before.
    pub took_ms: f64,
    /// Whether borrowing was switched on.
    pub borrows: bool,
    /// When the light that is shown was asked for, in seconds like `at`.
    pub light_asked_at: Option<f64>,
    /// Whether the game's own computer has traced it.
    pub light_here: Option<bool>,
    /// Bytes a second on the wire to the coordinator.
    pub sent: Option<f64>,
    /// Bytes a second on the wire from the coordinator.
    pub received: Option<f64>,
    /// Number of the sector in its round, from 1.
    pub sector: u32,
    /// Share of the sector's light that is baked, 0 to 1.
    pub baked: Option<f64>,
}

/// The frames in the text of `--frames`, those of the warm-up left out.
pub fn frames(text: &str) -> Result<Vec<FrameTime>, String> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let place = |name: &str| {
        columns.iter().position(|column| *column == name).ok_or(format!("the frames have no column {name}"))
    };
    let (at, took, borrows) = (place("seconds")?, place("frame_ms")?, place("offloading")?);
    let (light, here) = (place("light_asked_s")?, place("light_here")?);
    let (sent, received) = (place("sent_bytes_per_s")?, place("received_bytes_per_s")?);
    let (sector, baked) = (place("sector")?, place("sector_baked")?);
    let mut frames = Vec::new();
    for line in lines {
        let values: Vec<Option<f64>> = line.split(',').map(|value| value.parse().ok()).collect();
        let value = |place: usize| values.get(place).copied().flatten();
        let frame = FrameTime {
            at: value(at).ok_or(format!("a frame without a time: {line}"))?,
            took_ms: value(took).ok_or(format!("a frame without a duration: {line}"))?,
            borrows: value(borrows) == Some(1.0),
            light_asked_at: value(light),
            light_here: value(here).map(|here| here == 1.0),
            sent: value(sent),
            received: value(received),
            sector: value(sector).ok_or(format!("a frame without a sector: {line}"))? as u32,
            baked: value(baked),
        };
        if frame.at >= WARM_UP.as_secs_f64() {
            frames.push(frame);
        }
    }
    if frames.is_empty() { Err("no frame after the warm-up".into()) } else { Ok(frames) }
}

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Figures of a run, or their medians. What is unknown is `None`.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct PotatoFigures {
            $($(#[$doc])* pub $name: Option<f64>,)*
        }

        impl PotatoFigures {
            /// The median of each figure over the runs that have it.
            pub fn median(runs: &[&Self]) -> Self {
                Self { $($name: middle(runs.iter().filter_map(|run| run.$name).collect()),)* }
            }
        }
    };
}

figures! {
    /// Frames a second.
    fps;
    /// Frames a second of the slowest hundredth of all frames: the reciprocal of their mean duration.
    low_fps;
    /// Median frame time in milliseconds.
    frame_ms_p50;
    /// 95 of 100 frames took at most so many milliseconds.
    frame_ms_p95;
    /// 99 of 100 frames took at most so many milliseconds.
    frame_ms_p99;
    /// Frames over 50 ms, per minute.
    stalls_per_minute;
    /// Processor time of the game for one frame in milliseconds, by its control group, over the whole run.
    cpu_ms_per_frame;
    /// Processor time of the game as a share of one core, per cent, over the whole run.
    cpu_percent;
    /// Play that was skipped because frames took too long to catch up, per cent of the run.
    slipped_percent;
    /// Where T is pressed during the run: frames a second of the parts in which it borrows.
    borrowing_fps;
    /// The same of the slowest hundredth of their frames.
    borrowing_low_fps;
    /// 99 of 100 of their frames took at most so many milliseconds.
    borrowing_frame_ms_p99;
    /// Where T is pressed: the longest that it took to take effect, in seconds.
    switch_seconds_max;
    /// The longest time from a warp until the light of the new sector was complete, in seconds.
    warp_seconds_max;
    /// Share of delivered outcomes that workers computed, per cent.
    worker_percent;
    /// Share of ended tasks with an outcome at their deadline, per cent.
    in_time_percent;
    /// Outcomes that were computed twice, per cent of those delivered.
    twice_percent;
    /// Kilobits a second on the wire to the coordinator.
    up_kbit_per_s;
    /// Kilobits a second on the wire from the coordinator.
    down_kbit_per_s;
    /// Dollars an hour, by the receipts; the one-off price of a sector's light is spread over a minute at least.
    dollars_per_hour;
    /// New light shown, times a second.
    light_per_s;
    /// Median age of the light shown, in milliseconds since it was asked for.
    light_age_ms_p50;
    /// 95 of 100 frames showed light of at most this age in milliseconds.
    light_age_ms_p95;
    /// Light asked for, times a second.
    light_asked_per_s;
    /// Mean milliseconds of light from the frame that asked until it was sent.
    light_client_queue_ms;
    /// Mean milliseconds of light on its way to the coordinator.
    light_uplink_ms;
    /// Mean milliseconds of light in the coordinator's queue.
    light_coordinator_queue_ms;
    /// Mean milliseconds of light on its way to a worker.
    light_worker_downlink_ms;
    /// Mean milliseconds of light in the worker's queue.
    light_worker_queue_ms;
    /// Mean milliseconds of light in the kernel.
    light_kernel_ms;
    /// Mean milliseconds of light on its way back to the coordinator.
    light_worker_uplink_ms;
    /// Mean milliseconds of light at the judge.
    light_judge_ms;
    /// Mean milliseconds of light on its way to the game, until the frame that delivered it.
    light_downlink_ms;
    /// Processor time of all workers and their kernel processes together in milliseconds a second, while they ran.
    worker_cpu_ms_per_s;
    /// Share of that in kernel processes, per cent.
    kernel_percent;
    /// Processor time of the coordinator in milliseconds a second, while it ran.
    coordinator_cpu_ms_per_s;
}

fn middle(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| median(values))
}

impl PotatoFigures {
    /// The figures of a run with these frames, the game's `report` and the processor time it `spent`.
    pub fn of(frames: &[FrameTime], report: &Value, spent: Duration) -> Self {
        let mut figures = Self::default();
        figures.take_frames(frames);
        figures.take_flips(frames);
        figures.take_light(frames);
        figures.warp_seconds_max = warps::seconds_max(frames);
        figures.take_report(report, spent);
        figures.up_kbit_per_s = kbit_per_s(frames, |frame| frame.sent);
        figures.down_kbit_per_s = kbit_per_s(frames, |frame| frame.received);
        figures
    }

    fn take_frames(&mut self, frames: &[FrameTime]) {
        let mut times: Vec<f64> = frames.iter().map(|frame| frame.took_ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        let total_ms: f64 = times.iter().sum();
        if times.is_empty() || total_ms <= 0.0 {
            return;
        }
        let slowest = &times[times.len() - times.len().div_ceil(100)..];
        self.fps = Some(times.len() as f64 / total_ms * 1e3);
        self.low_fps = Some(slowest.len() as f64 / slowest.iter().sum::<f64>() * 1e3);
        self.frame_ms_p50 = Some(at_quantile(&times, 0.5));
        self.frame_ms_p95 = Some(at_quantile(&times, 0.95));
        self.frame_ms_p99 = Some(at_quantile(&times, 0.99));
        let stalls = times.iter().filter(|time| **time > STALL_MS).count();
        self.stalls_per_minute = Some(stalls as f64 / total_ms * 60e3);
    }

    fn take_flips(&mut self, frames: &[FrameTime]) {
        let Some(flips) = Flips::of(frames) else { return };
        let mut borrowing = Self::default();
        borrowing.take_frames(&flips.borrowing);
        self.borrowing_fps = borrowing.fps;
        self.borrowing_low_fps = borrowing.low_fps;
        self.borrowing_frame_ms_p99 = borrowing.frame_ms_p99;
        self.switch_seconds_max = flips.seconds_max;
    }

    fn take_light(&mut self, frames: &[FrameTime]) {
        let mut ages: Vec<f64> =
            frames.iter().filter_map(|frame| Some((frame.at - frame.light_asked_at?) * 1e3)).collect();
        let [.., last] = frames else { return };
        if ages.is_empty() {
            return;
        }
        let changes = frames.windows(2).filter(|pair| pair[0].light_asked_at != pair[1].light_asked_at);
        let seconds = last.at - frames[0].at;
        self.light_per_s = (seconds > 0.0).then(|| changes.count() as f64 / seconds);
        ages.sort_unstable_by(f64::total_cmp);
        self.light_age_ms_p50 = Some(at_quantile(&ages, 0.5));
        self.light_age_ms_p95 = Some(at_quantile(&ages, 0.95));
    }

    fn take_report(&mut self, report: &Value, spent: Duration) {
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        let sum = |name: &str| -> f64 {
            let kinds = report["kinds"].as_object().into_iter().flatten();
            kinds.map(|(_, kind)| number(&kind[name])).sum()
        };
        let percent = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole * 100.0);
        let (frames, seconds) = (number(&report["frames"]), number(&report["seconds"]));
        let delivered = sum("remote") + sum("coordinator") + sum("cache") + sum("local");
        let ended = sum("submitted") - sum("open") - sum("cancelled");
        self.cpu_ms_per_frame = (frames > 0.0).then(|| spent.as_secs_f64() * 1e3 / frames);
        self.cpu_percent = percent(spent.as_secs_f64(), seconds);
        self.slipped_percent = percent(number(&report["slipped_seconds"]), seconds);
        self.worker_percent = percent(sum("remote"), delivered);
        self.in_time_percent = percent((ended - sum("late")).max(0.0), ended);
        self.twice_percent = percent(sum("wasted"), delivered);
        self.take_stages(&report["kinds"]["reflection"], seconds);
        let once = sum("cost_patient_nanos");
        let all_along = number(&report["cost_nanos"]) - once;
        self.dollars_per_hour = (seconds > 0.0)
            .then(|| (all_along / seconds + once / seconds.max(SECTOR_SECONDS)) * 1e-9 * 3_600.0);
    }

    fn take_stages(&mut self, light: &Value, seconds: f64) {
        let mean = |stage: &str| light["stages_ms"][stage].as_f64();
        self.light_asked_per_s =
            light["submitted"].as_f64().filter(|_| seconds > 0.0).map(|asked| asked / seconds);
        self.light_client_queue_ms = mean("client_queue");
        self.light_uplink_ms = mean("uplink");
        self.light_coordinator_queue_ms = mean("coordinator_queue");
        self.light_worker_downlink_ms = mean("worker_downlink");
        self.light_worker_queue_ms = mean("worker_queue");
        self.light_kernel_ms = mean("kernel");
        self.light_worker_uplink_ms = mean("worker_uplink");
        self.light_judge_ms = mean("judge");
        self.light_downlink_ms = mean("downlink");
    }
}

/// The mean of a rate of bytes over time: each frame counts by its length.
fn kbit_per_s(frames: &[FrameTime], of: fn(&FrameTime) -> Option<f64>) -> Option<f64> {
    let (mut bits, mut ms) = (0.0, 0.0);
    for frame in frames {
        if let Some(bytes_per_s) = of(frame) {
            bits += bytes_per_s * frame.took_ms * 8e-3;
            ms += frame.took_ms;
        }
    }
    (ms > 0.0).then(|| bits / ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &str = "seconds,frame_ms,ticks,offloading,light_asked_s,light_here,sent_bytes_per_s,\
        received_bytes_per_s,sector,sector_baked";

    #[test]
    fn frames_of_the_warm_up_are_left_out_and_empty_columns_are_unknown() {
        let text = format!("{COLUMNS}\n1.0,16.0,60,1,0.5,1,100,200,1,1\n3.5,20.5,200,1,,0,1000,,2,0.25\n");
        let (borrows, light_here) = (true, Some(false));
        let sent = Some(1_000.0);
        let (sector, baked) = (2, Some(0.25));
        let expected = FrameTime {
            at: 3.5,
            took_ms: 20.5,
            borrows,
            light_here,
            sent,
            sector,
            baked,
            ..FrameTime::default()
        };
        assert_eq!(frames(&text), Ok(vec![expected]));
        assert!(frames(&format!("{COLUMNS}\n1.0,16.0,60,1,,,,,1,\n")).is_err());
        assert!(frames("seconds\n4\n").is_err() && frames(&format!("{COLUMNS}\n,1,1,1,,,,,1,\n")).is_err());
    }

    #[test]
    fn the_slowest_hundredth_makes_the_low() {
        // 198 frames of 10 ms and two of 60 ms: 2.1 s.
        let frame = |number: u32| FrameTime {
            at: 3.0 + f64::from(number) * 0.01,
            took_ms: if number < 198 { 10.0 } else { 60.0 },
            light_asked_at: Some(2.9 + f64::from(number / 20) * 0.2),
            ..FrameTime::default()
        };
        let frames: Vec<FrameTime> = (0..200).map(frame).collect();
        let figures = PotatoFigures::of(&frames, &Value::Null, Duration::ZERO);
        let near = |value: Option<f64>, expected: f64| {
            assert!(value.is_some_and(|value| (value - expected).abs() < 1e-6), "{value:?}, not {expected}");
        };
        near(figures.fps, 200.0 / 2.1);
        near(figures.low_fps, 1_000.0 / 60.0);
        near(figures.frame_ms_p50, 10.0);
        near(figures.frame_ms_p99, 10.0);
        near(figures.stalls_per_minute, 2.0 / 2.1 * 60.0);
        near(figures.light_per_s, 9.0 / 1.99);
        near(figures.light_age_ms_p95, 280.0);
    }

    #[test]
    fn rates_are_means_over_time_and_not_over_frames() {
        let frame = |took_ms, sent| FrameTime { at: 4.0, took_ms, sent, ..FrameTime::default() };
        let frames = [frame(30.0, Some(1_000.0)), frame(10.0, Some(5_000.0)), frame(500.0, None)];
        let figures = PotatoFigures::of(&frames, &Value::Null, Duration::ZERO);
        assert_eq!((figures.up_kbit_per_s, figures.down_kbit_per_s), (Some(16.0), None));
    }

    #[test]
    fn shares_are_taken_over_all_kinds() {
        let report = serde_json::json!({
            "frames": 100, "seconds": 10.0, "slipped_seconds": 1.0, "cost_nanos": 26_000,
            "kinds": {
                "path": {"submitted": 30, "open": 1, "cancelled": 1, "remote": 20, "local": 8, "late": 7, "wasted": 4},
                "physics": {"submitted": 12, "open": 0, "cancelled": 0, "remote": 10, "local": 2, "late": 0,
                    "cost_patient_nanos": 6_000},
            },
        });
        let figures = PotatoFigures::of(&[], &report, Duration::from_millis(500));
        assert_eq!(figures.cpu_ms_per_frame, Some(5.0));
        assert_eq!(figures.cpu_percent, Some(5.0));
        assert_eq!(figures.slipped_percent, Some(10.0));
        assert_eq!(figures.worker_percent, Some(75.0));
        assert_eq!(figures.in_time_percent, Some(33.0 / 40.0 * 100.0));
        assert_eq!(figures.twice_percent, Some(10.0));
        assert!(figures.dollars_per_hour.is_some_and(|dollars| (dollars - 0.00756).abs() < 1e-9));
        assert_eq!(figures.fps, None, "no frames");
    }

    #[test]
    fn a_median_is_over_the_runs_that_know_the_figure() {
        let of = |fps, up_kbit_per_s| PotatoFigures { fps, up_kbit_per_s, ..PotatoFigures::default() };
        let runs = [of(Some(3.0), None), of(Some(1.0), Some(7.0)), of(Some(2.0), None)];
        let median = PotatoFigures::median(&runs.iter().collect::<Vec<_>>());
        assert_eq!((median.fps, median.up_kbit_per_s, median.low_fps), (Some(2.0), Some(7.0), None));
    }
}
