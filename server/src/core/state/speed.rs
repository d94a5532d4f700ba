//! How long work takes, learned from measurements on the coordinator's own clock: per kind and size of task,
//! an exponentially weighted mean and deviation.
//!
//! Nothing that a peer reports is used. Sizes are powers of two of work units, because scaling a small task's time up
//! to a large one would multiply its fixed cost.

use std::time::Duration;

use p2c2r_protocol::{KindId, WorkUnits};

/// Sizes told apart: up to 2^24 units, more than one task may have.
const SIZES: usize = 25;
const _: () = assert!(p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX < 1 << (SIZES - 1));
/// Weights of a new measurement, as TCP's retransmission timer has them (RFC 6298).
const MEAN_GAIN: f32 = 1.0 / 8.0;
const DEVIATION_GAIN: f32 = 1.0 / 4.0;
/// Weight of a faster measurement after a pause without any, since the earlier mean is outdated.
const MEAN_GAIN_AFTER_A_WHILE: f32 = 3.0 / 4.0;
/// Measurements are clamped to this many mean deviations above the mean, or to this share of the mean where deviations
/// are small. A machine that stalled or a packet that was resent says nothing about the work; where work really takes
/// longer, the deviation grows with each measurement until they count in full.
const OUTLIER_DEVIATIONS: f32 = 4.0;
const OUTLIER_SHARE: f32 = 0.5;
/// Microseconds above the mean that are never clamped.
const OUTLIER_US_MIN: f32 = 1_000.0;
/// Kinds remembered per worker.
const KINDS_MAX: usize = p2c2r_protocol::limits::KINDS_MAX;

/// What is expected of one more task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Mean time.
    pub mean: Duration,
    /// Mean deviation from it.
    pub deviation: Duration,
}

/// Service times by kind and size.
#[derive(Clone, Debug)]
pub struct ServiceTimes {
    kinds: Vec<(KindId, [Estimate; SIZES])>,
    recent: Estimate,
    /// Microseconds per unit assumed before the first measurement.
    prior: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    known: bool,
    mean_us: f32,
    deviation_us: f32,
}

impl Estimate {
    /// `gain` is the weight of a measurement below the mean.
    fn measured(&mut self, us: f32, gain: f32) {
        if self.known {
            let most = (OUTLIER_DEVIATIONS * self.deviation_us).max(OUTLIER_SHARE * self.mean_us);
            let error = (us - self.mean_us).min(most.max(OUTLIER_US_MIN));
            self.deviation_us += DEVIATION_GAIN * (error.abs() - self.deviation_us);
            self.mean_us += if error < 0.0 { gain } else { MEAN_GAIN } * error;
        } else {
            *self = Self { known: true, mean_us: us, deviation_us: us / 2.0 };
        }
    }
}

/// Rounds down to nanoseconds; negative becomes zero. Cheaper than `Duration::from_secs_f32`, and each task is
/// predicted several times.
fn microseconds(us: f32) -> Duration {
    Duration::from_nanos((us * 1e3) as u64)
}

fn size(units: WorkUnits) -> usize {
    (64 - units.0.leading_zeros() as usize).min(SIZES - 1)
}

impl ServiceTimes {
    /// Unmeasured; predicts the reference core, on which a unit is a microsecond.
    pub fn of_reference_core() -> Self {
        Self { kinds: Vec::new(), recent: Estimate::default(), prior: 1 }
    }

    /// Unmeasured; predicts twice the reference core's time. So a worker known to be as fast as the reference core is
    /// preferred, and a newcomer is asked when there is more work.
    pub fn of_newcomer() -> Self {
        Self { prior: 2, ..Self::of_reference_core() }
    }

    /// Takes one measurement.
    pub fn measured(&mut self, kind: KindId, units: WorkUnits, service: Duration) {
        self.take(kind, units, service, MEAN_GAIN);
    }

    /// Takes the first measurement after a pause: if it is faster than the mean, it gets more weight than usual.
    pub fn measured_after_a_while(&mut self, kind: KindId, units: WorkUnits, service: Duration) {
        self.take(kind, units, service, MEAN_GAIN_AFTER_A_WHILE);
    }

    fn take(&mut self, kind: KindId, units: WorkUnits, service: Duration, gain: f32) {
        let us = service.as_secs_f32() * 1e6;
        self.recent.measured(us, gain);
        let at = match self.kinds.iter().position(|(id, _)| *id == kind) {
            Some(at) => at,
            None if self.kinds.len() >= KINDS_MAX => return,
            None => {
                self.kinds.push((kind, [Estimate::default(); SIZES]));
                self.kinds.len() - 1
            }
        };
        self.kinds[at].1[size(units)].measured(us, gain);
    }

    /// Predicts a task of this kind and size. Without a measurement of this size a unit counts as a microsecond, as on
    /// the reference core; without any measurement the initial assumption holds.
    pub fn predict(&self, kind: KindId, units: WorkUnits) -> Service {
        let known = self.kinds.iter().find(|(id, _)| *id == kind).map(|(_, sizes)| sizes[size(units)]);
        if let Some(estimate) = known.filter(|estimate| estimate.known) {
            Service { mean: microseconds(estimate.mean_us), deviation: microseconds(estimate.deviation_us) }
        } else {
            let us_per_unit = if self.recent.known { 1 } else { u64::from(self.prior) };
            let mean = Duration::from_micros(units.0.saturating_mul(us_per_unit));
            Service { mean, deviation: mean / 2 }
        }
    }

    /// Whether a task of this kind and size was measured.
    pub fn knows(&self, kind: KindId, units: WorkUnits) -> bool {
        self.kinds.iter().any(|(id, sizes)| *id == kind && sizes[size(units)].known)
    }

    /// Recent mean over all kinds; zero before the first measurement.
    pub fn recent(&self) -> Duration {
        microseconds(self.recent.mean_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_measurement_that_waited_says_little_and_many_say_all() {
        let mut times = ServiceTimes::of_reference_core();
        let (kind, units, ms) = (KindId(1), WorkUnits(5_000), Duration::from_millis);
        (0..60).for_each(|n| times.measured(kind, units, ms(4 + 2 * (n % 2))));
        let before = times.predict(kind, units);
        times.measured(kind, units, ms(300));
        let after = times.predict(kind, units);
        assert!(after.mean < before.mean + ms(1) && after.deviation < before.deviation * 2, "{after:?}");
        (0..60).for_each(|_| times.measured(kind, units, ms(300)));
        assert!(times.predict(kind, units).mean > ms(290), "{:?}", times.predict(kind, units));
    }

    #[test]
    fn learns_per_size_and_never_scales_a_small_tasks_overhead_up() {
        let mut times = ServiceTimes::of_reference_core();
        let (kind, ms) = (KindId(1), Duration::from_millis);
        assert_eq!(times.predict(kind, WorkUnits(3_000)).mean, ms(3));
        for _ in 0..60 {
            times.measured(kind, WorkUnits(1), ms(1));
        }
        let small = times.predict(kind, WorkUnits(1)).mean;
        assert!(small > Duration::from_micros(990) && small < Duration::from_micros(1_010), "{small:?}");
        assert_eq!(times.predict(kind, WorkUnits(3_000)).mean, ms(3));
        assert_eq!(times.predict(KindId(2), WorkUnits(1)).mean, Duration::from_micros(1));
        let mut newcomer = ServiceTimes::of_newcomer();
        assert_eq!(newcomer.predict(kind, WorkUnits(3_000)).mean, ms(6));
        newcomer.measured(kind, WorkUnits(1), ms(1));
        assert_eq!(newcomer.predict(kind, WorkUnits(3_000)).mean, ms(3), "no newcomer any more");
        times.measured(kind, WorkUnits(u64::MAX), ms(1));
    }
}
