//! How long this computer takes for a task: the estimate that the deadline ladder uses.

use std::time::Duration;

use p2c2r_protocol::WorkUnits;

/// Weight of the newest measurement: the estimate follows about the last eight.
const GAIN: f64 = 0.125;

/// Local compute time of one kind, as time per work unit: an EWMA and its mean deviation, as TCP estimates
/// its retransmission time-out (RFC 6298). Errs towards too long, so that local compute starts early rather
/// than late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ComputeEstimate {
    measured: Option<PerUnit>,
}

#[derive(Clone, Copy, Debug)]
struct PerUnit {
    micros: f64,
    deviation: f64,
}

impl ComputeEstimate {
    /// Adds one measurement.
    pub fn record(&mut self, units: WorkUnits, took: Duration) {
        let sample = took.as_secs_f64() * 1e6 / units.0.max(1) as f64;
        self.measured = Some(match self.measured {
            None => PerUnit { micros: sample, deviation: sample / 2.0 },
            Some(PerUnit { micros, deviation }) => PerUnit {
                micros: micros + GAIN * (sample - micros),
                deviation: deviation + GAIN * ((sample - micros).abs() - deviation),
            },
        });
    }

    /// Upper estimate of the time a task of this size takes. Before the first measurement a work unit counts
    /// as a microsecond, which it is calibrated to.
    pub fn predict(&self, units: WorkUnits) -> Duration {
        let per_unit = self.measured.map_or(1.0, |per_unit| per_unit.micros + 2.0 * per_unit.deviation);
        // A minute bounds the arithmetic; no deadline is longer.
        Duration::from_micros((per_unit * units.0.max(1) as f64).clamp(0.0, 60e6) as u64)
    }

    /// Estimate of the usual time a task of this size takes.
    pub fn typical(&self, units: WorkUnits) -> Duration {
        let per_unit = self.measured.map_or(1.0, |per_unit| per_unit.micros);
        Duration::from_micros((per_unit * units.0 as f64).clamp(0.0, 60e6) as u64)
    }

    /// Whether anything has been measured.
    pub fn is_measured(&self) -> bool {
        self.measured.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_on_steady_measurements_and_grows_with_the_task() {
        let mut estimate = ComputeEstimate::default();
        assert_eq!(estimate.predict(WorkUnits(500)), Duration::from_micros(500));
        for _ in 0..200 {
            estimate.record(WorkUnits(100), Duration::from_micros(300));
        }
        assert_eq!(estimate.predict(WorkUnits(100)).as_micros(), 300);
        assert_eq!(estimate.predict(WorkUnits(1_000)).as_micros(), 3_000);
    }

    #[test]
    fn scatter_makes_it_careful() {
        let mut estimate = ComputeEstimate::default();
        for round in 0..200 {
            estimate.record(WorkUnits(1), Duration::from_micros(if round % 2 == 0 { 100 } else { 300 }));
        }
        assert!(estimate.predict(WorkUnits(1)).as_micros() > 300);
        assert!((150..250).contains(&estimate.typical(WorkUnits(1)).as_micros()), "the mean has no margin");
        assert!(ComputeEstimate::default().predict(WorkUnits(u64::MAX)) <= Duration::from_mins(1));
    }
}
