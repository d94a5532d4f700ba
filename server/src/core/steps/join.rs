//! Welcomes peers that have joined.

use p2c2r_protocol::{
    GamerWelcome, PeerId, ServerToGame, ServerToWorker, TaskFailure, WorkerOffer, WorkerWelcome,
};

use super::{deliver, judge};
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::gamers::HourCap;
use crate::ledger::Account;

/// Sends a gamer its account statement and the tasks that were finished while it was away.
pub fn welcome_gamer(core: &mut Core, peer: PeerId, name: &str, account: &Account, session_min: u32) {
    let session = core.gamers.open_account(account, core.now).give_session(session_min);
    core.gamers.join(peer, name.to_owned(), account.id);
    let statement = core.gamers.statement(account.id, core.workers_around());
    if let Some(session) = core.gamers.session_mut(peer) {
        session.told = statement;
    }
    let prices = core.policy.prices.clone();
    let welcome = GamerWelcome { name: name.to_owned(), prices, statement, session };
    core.tell_game(peer, ServerToGame::Welcome(welcome));
    for (id, finished) in core.gamers.take_undelivered(account.id) {
        deliver::send_done(core, peer, id, &finished);
    }
    for task in core.gamers.take_withdrawn(account.id) {
        core.tell_game(peer, ServerToGame::Failed { task, failure: TaskFailure::NoWorker });
    }
}

/// Sets the hourly spending cap of a gamer's account, as the operator said.
pub fn cap(core: &mut Core, peer: PeerId, hour_cap: HourCap) {
    let Some(account) = core.gamers.session(peer).map(|session| session.account) else { return };
    if let Some(mirror) = core.gamers.account_mut(account).filter(|_| !fault::is_made(Fault::KeepsTheCap)) {
        mirror.hour_cap = hour_cap;
    }
}

/// Sends a worker its account statement, and takes its offer.
pub fn welcome_worker(
    core: &mut Core,
    peer: PeerId,
    name: &str,
    account: &Account,
    offer: Option<WorkerOffer>,
) {
    core.trust.joined(account.id, &account.trust, core.now);
    let quarantined = core.trust.is_quarantined(account.id);
    let worker = core.workers.join(peer, name.to_owned(), account.id, core.now);
    worker.quarantined = quarantined;
    worker.statements.follow(account);
    let statement = worker.statements.take();
    let prices = core.policy.prices.clone();
    let welcome = WorkerWelcome { name: name.to_owned(), prices, statement };
    core.tell_worker(peer, ServerToWorker::Welcome(welcome));
    if let Some(offer) = offer {
        judge::take_offer(core, peer, offer);
    }
}

/// Renames a connected account.
pub fn rename(core: &mut Core, peer: PeerId, name: &str) {
    if fault::is_made(Fault::KeepsTheName) {
        return;
    }
    if let Some(session) = core.gamers.session_mut(peer) {
        name.clone_into(&mut session.name);
    }
    core.workers.change(peer, |worker| worker.name = name.into());
}
