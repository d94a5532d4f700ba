//! Exploration: how often a worker gets a task although another one is predicted to be faster.
//!
//! The matcher prefers the worker that is predicted to be faster. A worker that was slow or silent once would therefore
//! get no task while others have room, and could never show that it has recovered; nor could a newcomer prove itself.
//! So a fixed share of first attempts goes to the worker that has been idle longest, where that makes no task late.
//! Comparable systems decay by time: Envoy lets an ejected host back after a time that grows with each ejection, up to
//! five minutes ("Outlier detection": `base_ejection_time`, `max_ejection_time`), Finagle's "peak EWMA" balancer lets
//! the estimate of a slow host decay; NATS queue groups and Nomad's random candidates among nodes never exclude a host.
//! Here the idle time required grows with incidents in a row
//! ([`Worker::is_neglected`](super::workers::Worker::is_neglected)), and the share is fixed.

/// One first attempt in `SHARE` may be a trial. At one in a hundred, trials with slow workers would determine the 99th
/// percentile of the latency; 256 stays well below that.
const SHARE: u32 = 256;

/// First attempts between two searches for a worker to try.
const LOOK_EVERY: u32 = 16;

/// Counts first attempts between trials.
#[derive(Default)]
pub struct Exploring {
    since_last: u32,
}

impl Exploring {
    /// A first attempt is handed out.
    pub fn first(&mut self) {
        // Trials do not accumulate: after an hour without a candidate only one is due.
        self.since_last = (self.since_last + 1).min(SHARE);
    }

    /// Whether the next first attempt may be a trial.
    pub fn is_due(&self) -> bool {
        self.since_last >= SHARE
    }

    /// No candidate was found: the next search is `LOOK_EVERY` attempts later, because searching takes time too.
    pub fn looked_in_vain(&mut self) {
        self.since_last = SHARE - LOOK_EVERY;
    }

    /// A worker is tried.
    pub fn tried(&mut self) {
        self.since_last = 0;
    }
}
