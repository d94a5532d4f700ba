//! Delivers outcomes to their gamers, and remembers them to answer a repeated submit.

use std::sync::Arc;

use p2c2r_protocol::{Done, PeerId, ServerToGame, TaskId};

use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::gamers::FinishedTask;
use crate::ledger::AccountId;

/// The connection to notify about a task: the one it came by, or another of the account if that has ended.
pub fn listener(core: &Core, account: AccountId, gamer: Option<PeerId>) -> Option<PeerId> {
    if fault::is_made(Fault::DeliversToAnybody) {
        return core.gamers.peers().min();
    }
    let connected = gamer.filter(|peer| core.gamers.session(*peer).is_some_and(|it| !it.leaving));
    connected.or_else(|| core.gamers.account(account)?.any_session())
}

/// Sends a finished task to the gamer, over another connection of the account if its own has ended, and remembers it to
/// answer a repeated submit.
pub fn deliver(
    core: &mut Core,
    account: AccountId,
    gamer: Option<PeerId>,
    id: TaskId,
    mut finished: FinishedTask,
) {
    if let Some(peer) = listener(core, account, gamer) {
        finished.delivered = true;
        send_done(core, peer, id, &finished);
    }
    core.gamers.remember(account, id, Box::new(finished));
}

/// Sends a finished task.
pub fn send_done(core: &mut Core, peer: PeerId, id: TaskId, finished: &FinishedTask) {
    let outcome = Arc::clone(&finished.outcome).into();
    let done = Done { task: id, outcome, receipt: finished.receipt.clone() };
    core.tell_game(peer, ServerToGame::Done(done));
}
