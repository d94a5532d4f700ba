//! Who gets which task: of two workers with room, drawn at random, the one that would be back first.
//!
//! Two choices are nearly as good as all (Mitzenmacher, "The power of two choices in randomized load
//! balancing"), cost the same for two workers as for a thousand, and do not send everything to the one worker
//! that looks best for a moment. [`crate::matching`] acts on the choice.

use std::time::Duration;

use p2c2r_link::Peers;
use p2c2r_protocol::PeerId;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use bevy_ecs::resource::Resource;

use crate::registry::{Prediction, Workers};
use crate::table::Task;

/// Draws the candidates; the same seed and the same events give the same choices.
#[derive(Resource)]
pub struct Matcher {
    rng: SmallRng,
}

/// The worker chosen for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Who.
    pub worker: PeerId,
    /// When it would be back.
    pub prediction: Prediction,
}

/// Smoothed round trip to a peer; zero until one is measured.
pub fn rtt(peers: &Peers, peer: PeerId) -> Duration {
    peers.get(peer).and_then(|stats| stats.rtt).unwrap_or_default()
}

impl Matcher {
    /// A matcher that draws from `seed`, or without one from the system.
    pub fn new(seed: Option<u64>) -> Self {
        Self { rng: seed.map_or_else(SmallRng::from_os_rng, SmallRng::seed_from_u64) }
    }

    /// Chooses a worker with room for `task`, not one that has failed it before; `None` if there is none. A
    /// patient task that everyone at work has failed goes to one of them again, until it has had its attempts:
    /// nothing else would end it.
    pub fn choose(
        &mut self,
        task: &Task,
        workers: &Workers,
        rtt: impl Fn(PeerId) -> Duration,
    ) -> Option<Choice> {
        let ready = workers.ready(task.kind);
        let predict = |peer: PeerId, again: bool| {
            let worker = workers.get(peer)?;
            (again || !task.was_tried_by(worker.account)).then(|| Choice {
                worker: peer,
                prediction: worker.predict(task.kind, task.units, rtt(peer)),
            })
        };
        let sooner = |a: Choice, b: Choice| if b.prediction.rank < a.prediction.rank { b } else { a };
        if ready.is_empty() {
            return None;
        }
        let first = self.rng.random_range(0..ready.len());
        let second = (ready.len() > 1).then(|| {
            let second = self.rng.random_range(0..ready.len() - 1);
            second + usize::from(second >= first)
        });
        match (predict(ready[first], false), second.and_then(|second| predict(ready[second], false))) {
            (Some(a), Some(b)) => Some(sooner(a, b)),
            (Some(one), None) | (None, Some(one)) => Some(one),
            // Both have failed it before, which is rare: look at all of them.
            (None, None) => {
                ready.iter().filter_map(|peer| predict(*peer, false)).reduce(sooner).or_else(|| {
                    let everyone_failed = task.deliver_by.is_none()
                        && workers.offering(task.kind).all(|(_, worker)| task.was_tried_by(worker.account));
                    everyone_failed.then(|| predict(ready[first], true)).flatten()
                })
            }
        }
    }
}
