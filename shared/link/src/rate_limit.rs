//! Rate limits: how fast a peer is sent to, and how much is accepted from one.

use std::net::IpAddr;
use std::time::Duration;

/// A peer's sending rate: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Bytes per second, headers included.
    pub bytes_per_second: u32,
    /// Bytes that may leave at once after a pause.
    pub burst_bytes: u32,
}

impl RateLimit {
    /// 1 Mbit/s, the slowest uplink the project promises to work on. The burst is one physics outcome.
    pub const fn internet() -> Self {
        Self { bytes_per_second: 125_000, burst_bytes: 6_000 }
    }

    /// No limit but the socket's.
    pub const fn unlimited() -> Self {
        Self { bytes_per_second: u32::MAX, burst_bytes: u32::MAX }
    }

    /// The bucket for a peer at `address`: the configured limit, else none on this machine and
    /// [`internet`](Self::internet) elsewhere. An impaired line counts as elsewhere.
    pub(crate) fn bucket(
        configured: Option<Self>,
        address: IpAddr,
        is_impaired: bool,
    ) -> Option<TokenBucket> {
        let limit = match configured {
            Some(limit) => limit,
            None if address.is_loopback() && !is_impaired => Self::unlimited(),
            None => Self::internet(),
        };
        (limit != Self::unlimited())
            .then(|| TokenBucket::new(f64::from(limit.bytes_per_second), f64::from(limit.burst_bytes)))
    }
}

/// A token bucket on the update's clock.
///
/// Taking is allowed while anything is left, and may overdraw: so one packet larger than the burst still
/// leaves, and the average holds.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    per_second: f64,
    burst: f64,
    level: f64,
    filled_at: Duration,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            per_second: per_second.max(1.0),
            burst: burst.max(1.0),
            level: burst.max(1.0),
            filled_at: Duration::ZERO,
        }
    }

    /// Takes `amount` if the bucket is not empty.
    pub(crate) fn take(&mut self, now: Duration, amount: usize) -> bool {
        let passed = now.saturating_sub(self.filled_at);
        if !passed.is_zero() {
            self.filled_at = now;
            self.level = (self.level + passed.as_secs_f64() * self.per_second).min(self.burst);
        }
        if self.level <= 0.0 {
            return false;
        }
        self.level -= amount as f64;
        true
    }

    /// Whether less than half of the burst was left at the last `take`.
    pub(crate) fn is_low(&self) -> bool {
        self.level < self.burst / 2.0
    }

    /// When the bucket is not empty again; errs late by at most a microsecond.
    pub(crate) fn ready_at(&self) -> Duration {
        if self.level > 0.0 {
            return self.filled_at;
        }
        self.filled_at + Duration::from_secs_f64(-self.level / self.per_second) + Duration::from_micros(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_the_burst_through_and_then_the_rate() {
        let mut bucket = TokenBucket::new(1_000.0, 500.0);
        let mut sent = 0;
        for ms in 0..=2_000 {
            while bucket.take(Duration::from_millis(ms), 100) {
                sent += 100;
            }
        }
        assert!((2_500..=2_600).contains(&sent), "{sent} bytes in 2 s at 1,000 bytes/s with a burst of 500");
    }

    #[test]
    fn is_ready_when_it_says_so() {
        let mut bucket = TokenBucket::new(1_000.0, 100.0);
        assert!(bucket.take(Duration::ZERO, 350));
        let ready = bucket.ready_at();
        assert!(!bucket.take(Duration::from_millis(249), 1));
        assert!(bucket.take(ready, 1), "ready at {ready:?}");
    }

    #[test]
    fn paces_strangers_and_not_this_machine() {
        let here = [127, 0, 0, 1].into();
        assert!(RateLimit::bucket(None, here, false).is_none());
        assert!(RateLimit::bucket(None, here, true).is_some(), "an impaired line is one to elsewhere");
        assert!(RateLimit::bucket(None, [192, 0, 2, 1].into(), false).is_some());
        assert!(RateLimit::bucket(Some(RateLimit::internet()), here, false).is_some());
        assert!(RateLimit::bucket(Some(RateLimit::unlimited()), here, true).is_none());
    }
}
