//! A histogram of durations that answers percentiles of a whole session in a fixed 7 KB.

use serde::Serialize;

/// Sub-buckets of each power of two, as a power of two.
const PRECISION_BITS: u32 = 6;
const SUB: usize = 1 << PRECISION_BITS;
/// One linear run for values below [`SUB`], then one run per power of two up to `u32::MAX`.
const BUCKETS: usize = SUB * (32 - PRECISION_BITS as usize + 1);

/// Counts of durations in microseconds, in buckets whose width is at most 1/64 of their lower edge; values
/// below 64 us are exact. A percentile is the middle of its bucket, so it is off by at most 1/128 (0.8 %) of
/// the value at that rank. (The layout is that of Gil Tene's HdrHistogram.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

/// The percentiles that reports name, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the tasks were at most this slow.
    pub p50: f64,
    /// 95 of 100 were at most this slow.
    pub p95: f64,
    /// 99 of 100 were at most this slow.
    pub p99: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, micros: u32) {
        let count = &mut self.counts[Self::bucket(micros)];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration in microseconds that the share `q` (0 to 1) of all counted ones does not exceed (nearest
    /// rank), or `None` if nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = rank(q, self.total)?;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(Self::middle(bucket));
            }
        }
        None
    }

    /// The percentiles that reports name, or `None` if nothing was counted.
    pub fn percentiles_ms(&self) -> Option<Percentiles> {
        let ms = |q| self.quantile(q).map(|micros| micros / 1_000.0);
        Some(Percentiles { p50: ms(0.50)?, p95: ms(0.95)?, p99: ms(0.99)? })
    }

    fn bucket(micros: u32) -> usize {
        if micros < SUB as u32 {
            return micros as usize;
        }
        let shift = micros.ilog2() - PRECISION_BITS;
        SUB * (shift as usize + 1) + (micros >> shift) as usize - SUB
    }

    fn middle(bucket: usize) -> f64 {
        if bucket < SUB {
            return bucket as f64;
        }
        let width = 1_u64 << (bucket / SUB - 1);
        let low = (SUB + bucket % SUB) as u64 * width;
        low as f64 + (width - 1) as f64 / 2.0
    }
}

/// The nearest rank, counted from 1, of the share `q` of `total` values.
pub(crate) fn rank(q: f64, total: u64) -> Option<u64> {
    (total > 0).then(|| ((q * total as f64).ceil() as u64).clamp(1, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_whose_middle_is_within_the_stated_error() {
        let values = (0..32).flat_map(|bit| {
            let edge = 1_u32 << bit;
            [edge - 1, edge, edge + edge / 3, edge + (edge - 1)]
        });
        for value in values.chain([u32::MAX]) {
            let middle = Histogram::middle(Histogram::bucket(value));
            let error = (middle - f64::from(value)).abs();
            assert!(error <= f64::from(value) / 128.0, "{value} became {middle}");
        }
        assert_eq!(Histogram::bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_agree_with_sorting() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles_ms(), None);
        let mut state = 7_u32;
        let mut values: Vec<u32> = (0..5_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> (state % 20)
            })
            .collect();
        for value in &values {
            histogram.record(*value);
        }
        values.sort_unstable();
        for q in [0.0, 0.01, 0.5, 0.95, 0.99, 1.0] {
            let exact = f64::from(values[rank(q, 5_000).unwrap() as usize - 1]);
            let got = histogram.quantile(q).unwrap();
            assert!((got - exact).abs() <= exact / 128.0, "{q}: {got} for {exact}");
        }
    }
}
