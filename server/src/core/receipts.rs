//! Receipts: what a task cost and where its time went. The stages add up to the time that the task spent at the
//! coordinator.

use p2c2r_protocol::{Answer, Micros, Stages};

/// The moments of an attempt, on the coordinator's clock.
#[derive(Clone, Copy, Debug)]
pub struct AttemptTimes {
    /// The task arrived.
    pub received_at: Micros,
    /// The attempt was sent.
    pub assigned_at: Micros,
    /// Its answer arrived.
    pub answered_at: Micros,
    /// The receipt is sent.
    pub sent_at: Micros,
}

/// When a worker says it received, started and finished, on its own clock: telemetry.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerTimes {
    /// The assignment arrived.
    pub received_at: Micros,
    /// The kernel started.
    pub started_at: Micros,
    /// The kernel ended.
    pub finished_at: Micros,
}

impl From<&Answer> for WorkerTimes {
    fn from(answer: &Answer) -> Self {
        Self {
            received_at: answer.received_at,
            started_at: answer.started_at,
            finished_at: answer.finished_at,
        }
    }
}

/// The stages of a task that a worker did. Times that the worker reports are clamped to the interval that the
/// coordinator measured itself, so the stages add up to `sent_at - received_at` for every input. Time before
/// `received_at`, which an attempt inherited from an equal task may include, is left out.
pub fn worker_stages(mut moments: AttemptTimes, times: WorkerTimes, clock_offset_us: Option<i64>) -> Stages {
    moments.assigned_at = moments.assigned_at.max(moments.received_at);
    moments.answered_at = moments.answered_at.max(moments.assigned_at);
    let span = moments.answered_at.since(moments.assigned_at);
    let kernel = times.finished_at.since(times.started_at).min(span);
    let queue = times.started_at.since(times.received_at).min(span - kernel);
    let network = span - kernel - queue;
    let downlink = match clock_offset_us {
        Some(offset) => {
            let arrived = Micros(times.received_at.0.saturating_add_signed(offset));
            arrived.since(moments.assigned_at).min(network)
        }
        None => network / 2,
    };
    Stages {
        coordinator_queue_us: moments.assigned_at.since(moments.received_at),
        worker_downlink_us: downlink,
        worker_queue_us: queue,
        kernel_us: kernel,
        worker_uplink_us: network - downlink,
        judge_us: moments.sent_at.since(moments.answered_at),
        ..Stages::default()
    }
}

/// The stages of a task that the coordinator computed itself: the kernel's time, and all the rest, including the wait
/// for a thread and the hand-over to and from the pool, as queue time.
pub fn own_stages(received_at: Micros, computing_since: Micros, took_us: u32, sent_at: Micros) -> Stages {
    let kernel = took_us.min(sent_at.since(computing_since.max(received_at)));
    Stages {
        coordinator_queue_us: sent_at.since(received_at) - kernel,
        kernel_us: kernel,
        ..Stages::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments() -> AttemptTimes {
        AttemptTimes {
            received_at: Micros(1_000),
            assigned_at: Micros(1_100),
            answered_at: Micros(3_100),
            sent_at: Micros(3_150),
        }
    }

    #[test]
    fn an_honest_workers_times_come_out_as_they_are() {
        let times = WorkerTimes {
            received_at: Micros(500_300),
            started_at: Micros(500_400),
            finished_at: Micros(501_400),
        };
        let stages = worker_stages(moments(), times, Some(-498_900));
        assert_eq!(stages.to_array(), [0, 0, 100, 300, 100, 1_000, 600, 50, 0]);
        assert_eq!(
            worker_stages(moments(), times, None).to_array(),
            [0, 0, 100, 450, 100, 1_000, 450, 50, 0]
        );
    }

    #[test]
    fn stages_tile_whatever_the_worker_claims() {
        let claims = [0, 1, 1_100, 2_000, 3_100, u64::MAX];
        for received in claims {
            for started in claims {
                for finished in claims {
                    for offset in [None, Some(0), Some(i64::MIN), Some(i64::MAX), Some(900)] {
                        let times = WorkerTimes {
                            received_at: Micros(received),
                            started_at: Micros(started),
                            finished_at: Micros(finished),
                        };
                        assert_eq!(worker_stages(moments(), times, offset).total_us(), 2_150);
                    }
                }
            }
        }
        let heir = AttemptTimes { received_at: Micros(2_000), ..moments() };
        assert_eq!(worker_stages(heir, WorkerTimes::default(), None).total_us(), 1_150);
        let latest = AttemptTimes { received_at: Micros(3_120), ..moments() };
        assert_eq!(worker_stages(latest, WorkerTimes::default(), None).total_us(), 30);
        for took in [0, 7, 1_000_000] {
            assert_eq!(own_stages(Micros(100), Micros(20), took, Micros(120)).total_us(), 20);
            assert_eq!(own_stages(Micros(10), Micros(20), took, Micros(120)).total_us(), 110);
        }
    }
}
