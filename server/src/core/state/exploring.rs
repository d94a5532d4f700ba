//! How often a worker is tried that would not be chosen.
//!
//! Of two workers the one that is expected back first is asked, so whoever was slow or silent once is asked no more while others
//! have room, and could never show that it is well again; nor could a newcomer prove itself. So one task in so many goes to
//! whoever has had nothing for longest, where that can make no task late. Others do the same by time: Envoy lets an ejected host
//! back after a time that grows with each ejection, up to five minutes ("Outlier detection": `base_ejection_time`,
//! `max_ejection_time`), Finagle's "peak EWMA" balancer lets what it knows of a slow host decay; NATS queue groups and Nomad's
//! random candidates among nodes never stop asking anybody. Here the time grows with incidents in a row
//! ([`Worker::is_neglected`](super::workers::Worker::is_neglected)), and the share is fixed.

/// One first attempt in so many may be a trial. With one in a hundred the slowest hundredth of all tasks would be those that
/// went to slow workers; this is well below it.
const SHARE: u32 = 256;

/// First attempts between looks for somebody to try.
const LOOK_EVERY: u32 = 16;

/// Counts first attempts between trials.
#[derive(Default)]
pub struct Exploring {
    since_last: u32,
}

impl Exploring {
    /// A first attempt is handed out.
    pub fn first(&mut self) {
        // Trials are not saved up: a quiet hour with nobody to try is not followed by many at once.
        self.since_last = (self.since_last + 1).min(SHARE);
    }

    /// Whether the next first attempt may be a trial.
    pub fn is_due(&self) -> bool {
        self.since_last >= SHARE
    }

    /// Nobody is to be tried: the next look is some tasks away, since looking takes time too.
    pub fn looked_in_vain(&mut self) {
        self.since_last = SHARE - LOOK_EVERY;
    }

    /// A worker is tried.
    pub fn tried(&mut self) {
        self.since_last = 0;
    }
}
