//! A device that computes a kind in the worker's own process: where it fails the kind's own kernel answers, and the
//! coordinator is told of it as long as it computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2c2r_protocol::Device;
use p2c2r_tasks::{Kernel, KernelUse};

use super::*;

/// A device that doubles what is even, loses odd numbers and crashes on 13.
struct Doubler {
    ready: bool,
    lost: Arc<AtomicBool>,
}

impl Kernel<Scripted> for Doubler {
    fn is_ready(&self) -> bool {
        self.ready
    }
    fn device(&self) -> Device {
        if self.lost.load(Ordering::Relaxed) { Device::Cores } else { Device::Graphics }
    }
    fn run(&self, (_, number, _): &Script, _: &Blobs, _: &Stop) -> Result<Vec<u32>, KernelError> {
        match number {
            13 => panic!("scripted panic in a driver"),
            number if number % 2 == 1 => Err(KernelError::Failed("the device was lost".into())),
            // Tells its answers from the kind's own.
            number => Ok(vec![number * 2, 1]),
        }
    }
}

fn with_device(ready: bool) -> KindRegistry {
    kinds().with_kernel::<Scripted>(Arc::new(Doubler { ready, lost: Arc::default() }))
}

#[test]
fn the_own_kernel_answers_where_a_device_fails() {
    let kinds = with_device(true);
    let mut pair = Pair::joined(|config| config.kinds = kinds.clone());
    for (task, number) in [(1, 20), (2, 21), (3, 13), (4, 22), (5, 23)] {
        pair.assign(task, &script(DOUBLE, number));
    }
    let outcomes: Vec<_> = pair.answers(5).iter().map(|answer| outcome(answer).unwrap()).collect();
    assert_eq!(outcomes, [vec![40, 1], vec![42], vec![26], vec![44, 1], vec![46]]);
    let counted = kinds.get(Scripted::ID).unwrap().kernel_use().unwrap();
    let first_failure = Some("the device was lost".to_owned());
    assert_eq!(counted, KernelUse { runs: 2, fallbacks: 3, first_failure });
}

#[test]
fn a_device_that_is_not_ready_yet_is_not_waited_for() {
    let kinds = with_device(false);
    let mut pair = Pair::joined(|config| config.kinds = kinds.clone());
    pair.assign(1, &script(DOUBLE, 20));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![40]));
    let counted = kinds.get(Scripted::ID).unwrap().kernel_use().unwrap();
    assert_eq!(counted, KernelUse::default(), "waiting for a device is no failure of it");
}

#[test]
fn a_device_is_announced_and_nothing_else_changes() {
    let mut pair = Pair::new(|config| config.kinds = with_device(true));
    pair.until("the worker announces itself", |pair| !pair.heard.is_empty());
    let mut kernels = kinds().offers();
    kernels[0].device = Device::Graphics;
    assert_eq!(pair.heard, vec![WorkerToServer::Ready(WorkerOffer { slots: 1, kernels, region: None })]);
}

#[test]
fn a_device_that_is_lost_is_announced_as_cores_and_as_itself_when_it_is_back() {
    let lost = Arc::new(AtomicBool::new(false));
    let device = Arc::new(Doubler { ready: true, lost: lost.clone() });
    let mut pair = Pair::joined(|config| config.kinds = kinds().with_kernel::<Scripted>(device));
    for (is_lost, device) in [(true, Device::Cores), (false, Device::Graphics)] {
        lost.store(is_lost, Ordering::Relaxed);
        pair.until("it says so", |pair| !pair.heard.is_empty());
        let WorkerToServer::Ready(offer) = pair.heard.remove(0) else { panic!("{:?}", pair.heard) };
        assert_eq!(offer.kernels[0].device, device);
        pair.settle();
        assert_eq!(pair.heard, vec![], "once");
    }
}
