//! When a client tries to connect again.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Reconnect;
use crate::limits::REDIAL_WITHIN;

/// A connection that lasted this long was a success: the next try comes at once.
const LASTED: Duration = Duration::from_secs(2);

/// Counts failures and draws pauses.
pub(super) struct Retries {
    reconnect: Reconnect,
    random: Pcg32,
    failures: u32,
    /// Whether the next try comes at once, because a connection that had lasted was lost.
    is_prompt: bool,
}

impl Retries {
    pub(super) fn new(reconnect: Reconnect, seed: u64) -> Self {
        Self { reconnect, random: Pcg32::seed_from_u64(seed), failures: 0, is_prompt: false }
    }

    /// Forgets failures: the next try is the first.
    pub(super) fn forget(&mut self) {
        self.failures = 0;
        self.is_prompt = false;
    }

    /// Records that a connection was lost after this time.
    pub(super) fn lost_after(&mut self, lasted: Duration) {
        if lasted >= LASTED {
            self.failures = 0;
            self.is_prompt = true;
        }
    }

    /// When the next try begins.
    pub(super) fn next_at(&mut self, now: Duration, is_refused: bool) -> Duration {
        let Reconnect { first_pause, longest_pause, .. } = self.reconnect;
        if std::mem::take(&mut self.is_prompt) && !is_refused {
            return now + self.moment();
        }
        let pause = first_pause.saturating_mul(1 << self.failures.min(16)).min(longest_pause);
        self.failures = self.failures.saturating_add(1);
        now + if is_refused { longest_pause } else { pause }.mul_f64(self.random.random_range(0.75..1.25))
    }

    /// A random part of [`REDIAL_WITHIN`]: keeps clients that lost their coordinator together from reconnecting at one moment.
    pub(super) fn moment(&mut self) -> Duration {
        REDIAL_WITHIN.mul_f64(self.random.random_range(0.0..1.0))
    }

    /// When a try that begins now is given up.
    pub(super) fn give_up_at(&self, now: Duration) -> Duration {
        now + self.reconnect.give_up_after
    }
}
