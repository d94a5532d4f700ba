//! Tells the link which workers have tasks out: their beats then go faster, and their death is noticed sooner.
//!
//! Workers only. A game's frame may hang for longer than a busy peer may be silent, without anything being
//! wrong with it.

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Local, Res, ResMut};
use p2c2r_link::{LinkClock, Peers};
use p2c2r_protocol::{Micros, PeerId};

use crate::registry::Workers;

/// How long a worker counts as busy after its last task, so that the link is not told with every task.
const LINGER_US: u32 = 1_000_000;

/// Workers that had nothing out and now have something.
#[derive(Resource, Default)]
pub struct NewlyBusy(Vec<PeerId>);

impl NewlyBusy {
    /// The worker has something out; `busy` remembers whether the link knows.
    pub fn note(&mut self, peer: PeerId, busy: &mut bool) {
        if !*busy {
            *busy = true;
            self.0.push(peer);
        }
    }
}

/// Tells the link who has become busy at once, and once a second who is so no more.
pub fn mark_busy_workers(
    mut newly: ResMut<'_, NewlyBusy>,
    mut peers: ResMut<'_, Peers>,
    mut workers: ResMut<'_, Workers>,
    clock: Res<'_, LinkClock>,
    mut swept_at: Local<'_, Micros>,
) {
    for peer in newly.0.drain(..) {
        peers.mark_busy(peer, true);
    }
    let now = clock.now();
    if now.since(*swept_at) < LINGER_US {
        return;
    }
    *swept_at = now;
    for (peer, worker) in workers.iter_mut() {
        if worker.busy && worker.tasks.is_empty() && now.since(worker.active_at) >= LINGER_US {
            worker.busy = false;
            peers.mark_busy(peer, false);
        }
    }
}
