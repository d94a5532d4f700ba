//! Updates the account mirrors with what the ledger has recorded, and sends statements to everyone whose account
//! changed.

use p2c2r_protocol::{PeerId, Role, ServerToGame, ServerToWorker, WorkerStatement};
use tracing::warn;

use crate::core::{Core, Effect};
use crate::ledger::Committed;

/// How long a worker counts as busy after its last task, so that the link is not notified for every task.
const LINGER_US: u32 = 1_000_000;

/// Takes over the recorded changes and sends the statements.
pub fn tell(core: &mut Core, committed: Committed) {
    take_over_recorded(core, committed);
    core.gamers.expire_undelivered(core.now);
    tell_gamers(core);
    tell_workers(core);
    stop_watching_idle_workers(core);
}

/// Tells the link to stop watching idle workers closely.
fn stop_watching_idle_workers(core: &mut Core) {
    for (peer, worker) in core.workers.iter_mut() {
        if worker.busy && worker.tasks.is_empty() && core.now.since(worker.active_at) >= LINGER_US {
            worker.busy = false;
            core.effects.others.push(Effect::Watch { peer, busy: false });
        }
    }
}

fn take_over_recorded(core: &mut Core, committed: Committed) {
    if !committed.conflicts.is_empty() {
        warn!(
            tasks = committed.conflicts.len(),
            "task ids used before a restart: nothing was charged for them"
        );
    }
    for account in committed.accounts {
        match account.role {
            Role::Gamer => {
                if let Some(mirror) = core.gamers.account_mut(account.id) {
                    mirror.recorded(&account, committed.entries);
                }
            }
            Role::Worker => {
                for peer in core.workers.peers_of(account.id) {
                    core.workers.change(peer, |worker| worker.statements.follow(&account));
                }
            }
        }
    }
}

fn tell_gamers(core: &mut Core) {
    let workers = core.workers_around();
    let news: Vec<_> = core
        .gamers
        .iter()
        .map(|(peer, session)| (peer, core.gamers.statement(session.account, workers), session.told))
        .filter(|(_, statement, told)| statement != told)
        .map(|(peer, statement, _)| (peer, statement))
        .collect();
    for (peer, statement) in news {
        if let Some(session) = core.gamers.session_mut(peer) {
            session.told = statement;
        }
        core.tell_game(peer, ServerToGame::Statement(statement));
    }
}

fn tell_workers(core: &mut Core) {
    let news: Vec<(PeerId, WorkerStatement)> = core
        .workers
        .iter_mut()
        .filter(|(_, worker)| worker.statements.changed)
        .map(|(peer, worker)| (peer, worker.statements.take()))
        .collect();
    for (peer, statement) in news {
        core.tell_worker(peer, ServerToWorker::Statement(statement));
    }
}
