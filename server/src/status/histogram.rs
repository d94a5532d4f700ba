//! Latency histograms in Prometheus's format. Every task updates seven of them on the app's thread, and
//! `prometheus_client`'s own histogram takes a lock and a search per update (`docs/PERFORMANCE.md`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The first bound, in microseconds; each further one is twice the one before.
const FIRST_US: u32 = 500;
/// Bounds: from half a millisecond to 16 seconds. A timely task is due within 2 seconds; a patient one may take any time.
const BOUNDS: usize = 16;

/// Counts of latencies by bounds that double, and their sum. Clones share them.
///
/// One thread counts; any may read.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Counts between the previous bound and each bound; the last is above all bounds.
    up_to: [AtomicU64; BOUNDS + 1],
    sum_us: AtomicU64,
}

impl LatencyHistogram {
    /// Counts one.
    pub fn observe(&self, micros: u32) {
        // Index of the smallest bound that is not below the latency.
        let doublings = u32::BITS - (micros.saturating_sub(1) / FIRST_US).leading_zeros();
        add(&self.0.up_to[(doublings as usize).min(BOUNDS)], 1);
        add(&self.0.sum_us, micros.into());
    }
}

/// A plain load and store suffice, because only one thread adds; an atomic addition takes several times as long.
fn add(to: &AtomicU64, more: u64) {
    to.store(to.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl TypedMetric for LatencyHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for LatencyHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = (0..BOUNDS).map(|doublings| f64::from(FIRST_US << doublings) / 1e6);
        let counts = self.0.up_to.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
    use prometheus_client::registry::{Metric, Registry};

    use super::*;

    /// The lines that Prometheus is given of it: names and values.
    fn read(metric: impl Metric) -> Vec<(String, f64)> {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("latency", "How long", metric);
        encode(&mut text, &registry).unwrap();
        let line = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    #[test]
    fn what_is_read_is_what_the_librarys_histogram_says() {
        let (ours, theirs) =
            (LatencyHistogram::default(), Histogram::new(exponential_buckets(0.000_5, 2.0, BOUNDS as u16)));
        let bounds = (0..BOUNDS as u32).map(|doublings| FIRST_US << doublings);
        let around = bounds.flat_map(|bound| [bound - 1, bound, bound + 1]);
        for micros in around.chain([0, 1, 17_000_000]) {
            ours.observe(micros);
            theirs.observe(f64::from(micros) / 1e6);
        }
        let (ours, theirs) = (read(ours), read(theirs));
        assert_eq!(ours.len(), BOUNDS + 3);
        for ((name, found), (expected_name, expected)) in ours.iter().zip(&theirs) {
            assert_eq!(name, expected_name);
            assert!((found - expected).abs() < 1e-6, "{name}: {found}, not {expected}");
        }
    }
}
