//! Completes a receipt with the three stages that only the game can measure, so that all nine add up to the
//! latency.

use p2c2r_protocol::{Micros, Receipt, Stages};

/// When a task passed its milestones, on the game's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milestones {
    /// The frame that asked.
    pub submitted_at: Micros,
    /// The frame that sent it, for the last time if it was sent more than once.
    pub sent_at: Micros,
    /// The frame that delivers.
    pub delivered_at: Micros,
    /// Added to a time on the coordinator's clock it gives the time on ours; `None` while unknown.
    pub clock_offset_us: Option<i64>,
}

/// Fills in `client_queue`, `uplink` and `downlink`, and makes the nine stages add up exactly to the time
/// from submission to delivery.
///
/// The coordinator's own stages are kept as long as they fit between sending and delivery; time it does not
/// account for counts as its queue. The two network stages share the rest, split where the clock offset says
/// the task arrived; a wrong offset moves time from one to the other and never below zero. Numbers that do
/// not fit (from a liar, or a clock that jumped) are cut off, from the last stage backwards.
pub(crate) fn complete(receipt: &mut Receipt, milestones: Milestones) {
    let Milestones { submitted_at, sent_at, delivered_at, clock_offset_us } = milestones;
    let total = delivered_at.since(submitted_at);
    let client_queue_us = sent_at.since(submitted_at).min(total);
    let mut left = total - client_queue_us;
    let mut take = |wanted: u32| {
        let taken = wanted.min(left);
        left -= taken;
        taken
    };
    let claimed = receipt.stages;
    let mut stages = Stages {
        client_queue_us,
        coordinator_queue_us: take(claimed.coordinator_queue_us),
        worker_downlink_us: take(claimed.worker_downlink_us),
        worker_queue_us: take(claimed.worker_queue_us),
        kernel_us: take(claimed.kernel_us),
        worker_uplink_us: take(claimed.worker_uplink_us),
        judge_us: take(claimed.judge_us),
        ..Stages::default()
    };
    let accounted = stages.total_us() - u64::from(client_queue_us);
    let at_coordinator = u64::from(receipt.sent_at.since(receipt.received_at));
    stages.coordinator_queue_us +=
        take(u32::try_from(at_coordinator.saturating_sub(accounted)).unwrap_or(u32::MAX));
    stages.uplink_us = match clock_offset_us {
        Some(offset) => {
            let arrived_at = i128::from(receipt.received_at.0) + i128::from(offset);
            (arrived_at - i128::from(sent_at.0)).clamp(0, i128::from(left)) as u32
        }
        None => left / 2,
    };
    stages.downlink_us = left - stages.uplink_us;
    receipt.stages = stages;
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2c2r_protocol::{ComputedBy, Nanos, PassedCheck, WorkUnits};

    fn receipt(received_at: u64, sent_at: u64, stages: Stages) -> Receipt {
        Receipt {
            price: Nanos(1),
            units: WorkUnits(1),
            price_list: 1,
            computed_by: ComputedBy::Coordinator,
            check: PassedCheck::Always,
            attempts: 1,
            received_at: Micros(received_at),
            sent_at: Micros(sent_at),
            stages,
        }
    }

    fn milestones(submitted: u64, sent: u64, delivered: u64, offset: Option<i64>) -> Milestones {
        Milestones {
            submitted_at: Micros(submitted),
            sent_at: Micros(sent),
            delivered_at: Micros(delivered),
            clock_offset_us: offset,
        }
    }

    #[test]
    fn honest_numbers_come_out_as_they_are() {
        // Our clock is 1,000,000 ahead of the coordinator's; 3 ms up, 20 ms there, 5 ms down.
        let stages =
            Stages { kernel_us: 12_000, judge_us: 1_000, worker_uplink_us: 4_000, ..Stages::default() };
        let mut receipt = receipt(500_000, 520_000, stages);
        complete(&mut receipt, milestones(1_496_000, 1_497_000, 1_525_000, Some(1_000_000)));
        let stages = receipt.stages;
        assert_eq!((stages.client_queue_us, stages.uplink_us, stages.downlink_us), (1_000, 3_000, 5_000));
        // 3 ms at the coordinator that it did not account for.
        assert_eq!((stages.coordinator_queue_us, stages.kernel_us, stages.judge_us), (3_000, 12_000, 1_000));
        assert_eq!(stages.total_us(), 29_000);
    }

    #[test]
    fn stages_tile_the_latency_whatever_clocks_and_coordinators_say() {
        let mut state = 99_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for round in 0..20_000 {
            let submitted = random() % 1_000_000;
            let sent = submitted + random() % 50_000;
            let delivered = sent + random() % 300_000;
            let received = random() % 2_000_000;
            // Every third coordinator talks nonsense.
            let scale = if round % 3 == 0 { u32::MAX } else { 10_000 };
            let mut stage = || (random() % u64::from(scale)) as u32;
            let stages = Stages {
                client_queue_us: stage(),
                uplink_us: stage(),
                coordinator_queue_us: stage(),
                worker_downlink_us: stage(),
                worker_queue_us: stage(),
                kernel_us: stage(),
                worker_uplink_us: stage(),
                judge_us: stage(),
                downlink_us: stage(),
            };
            let offset = match random() % 4 {
                0 => None,
                1 => Some(i64::MAX),
                2 => Some(i64::MIN),
                _ => Some(random() as i64 % 3_000_000 - 1_500_000),
            };
            let mut receipt = receipt(received, received + random() % 200_000, stages);
            complete(&mut receipt, milestones(submitted, sent, delivered, offset));
            assert_eq!(receipt.stages.total_us(), delivered - submitted, "round {round}");
            assert!(u64::from(receipt.stages.client_queue_us) == sent - submitted, "round {round}");
        }
    }
}
