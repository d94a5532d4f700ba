//! Handles peers that have left, and says goodbye to all when the coordinator closes.

use p2c2r_protocol::{PeerId, Role, ServerToGame, ServerToWorker, TaskNo};

use super::lease::{self, Fruitless};
use super::{admit, blame, judge};
use crate::core::Core;

/// Handles an ended connection: a gamer's timely tasks are cancelled, a worker's attempts fail and are retried.
pub fn part(core: &mut Core, peer: PeerId, role: Role) {
    core.links.remove(&peer);
    match role {
        Role::Gamer => {
            let Some(session) = core.gamers.leave(peer) else { return };
            admit::cancel_all_of(core, peer, session.account);
        }
        Role::Worker => {
            let Some(worker) = core.workers.leave(peer, core.now) else { return };
            if worker.may_be_back() {
                // So no patient task begins here at once.
                core.own.is_needed(core.now);
            }
            let mut tasks: Vec<TaskNo> = worker.tasks.into_iter().collect();
            tasks.sort_unstable();
            blame::departure(core, peer, worker.account, &tasks);
            let record = core.trust.left(worker.account, core.now);
            judge::record(core, worker.account, record);
            for no in tasks {
                if let Some(live) = core.tasks.get(no).and_then(|task| task.awaited_from(peer)) {
                    lease::attempt_over(core, no, live.attempt, peer, Fruitless::Lost);
                }
            }
        }
    }
}

/// Tells all peers why the coordinator closes; nothing new is admitted from now on.
pub fn close(core: &mut Core, reason: &str) {
    core.closing = true;
    let gamers: Vec<PeerId> = core.gamers.peers().collect();
    for peer in gamers {
        core.tell_game(peer, ServerToGame::Closing { reason: reason.to_owned() });
    }
    let workers: Vec<PeerId> = core.workers.peers().collect();
    for peer in workers {
        core.tell_worker(peer, ServerToWorker::Closing { reason: reason.to_owned() });
    }
}
