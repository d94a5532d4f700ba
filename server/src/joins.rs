//! Peers coming and going.

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{PeerJoined, PeerLeft, Peers};
use p2c2r_protocol::{
    GamerWelcome, PeerId, Role, ServerToGame, ServerToWorker, TaskNo, WorkerStatement, WorkerWelcome,
};
use tracing::{debug, error, info};

use crate::desk::Desk;
use crate::drain::{CLOSING, Drain};
use crate::ledger::{Account, LedgerError, Verdict};
use crate::sessions::{Account as Mirror, Gamers};
use crate::table::Task;

/// Welcomes those who joined. Opening accounts waits for the disk; they are all asked for first, so that
/// many peers joining at once wait for one or two group commits and not for one each.
pub fn welcome_peers(
    mut desk: Desk<'_>,
    drain: Res<'_, Drain>,
    mut joined: ResMut<'_, Messages<PeerJoined>>,
    mut refused: ResMut<'_, Refused>,
) {
    let mut asked = Vec::with_capacity(joined.len());
    for joined in joined.drain() {
        if drain.is_closing() {
            desk.tell_closing(joined.peer, joined.role);
            continue;
        }
        let opening = desk.books.ask_account(joined.role, joined.account, &joined.name, joined.credit);
        asked.push((joined, opening));
    }
    for (PeerJoined { peer, role, name, address, .. }, opening) in asked {
        match opening.and_then(|opening| desk.books.opened(opening)) {
            Ok(account) => {
                match role {
                    Role::Gamer => desk.welcome_gamer(peer, &name, &account),
                    Role::Worker => desk.welcome_worker(peer, &name, &account),
                }
                let role = if role == Role::Gamer { "Gamer" } else { "Worker" };
                info!(target: "p2c2r_server::console", event = "joined", role, name, address, "Connected");
            }
            Err(error) => {
                debug!(%error, peer = peer.0, "no account");
                if !matches!(error, LedgerError::BadName) {
                    error!(%error, "cannot open an account");
                }
                refused.0.push((peer, error.to_string()));
            }
        }
    }
}

/// Peers that could not be welcomed.
#[derive(Resource, Default)]
pub struct Refused(Vec<(PeerId, String)>);

/// Ends the connections of those who could not be welcomed.
pub fn refuse_peers(mut refused: ResMut<'_, Refused>, mut peers: ResMut<'_, Peers>) {
    for (peer, reason) in refused.0.drain(..) {
        peers.disconnect(peer, &reason);
    }
}

/// Notes which gamers have left, so that nothing is sent after them while their last words are heard.
pub fn note_leaving(mut gamers: ResMut<'_, Gamers>, left: Res<'_, Messages<PeerLeft>>) {
    for gone in left.get_cursor().read(&left) {
        gamers.begin_leaving(gone.peer);
    }
}

/// Clears up after those who left, once their last words are heard: a gamer's tasks are taken back, a worker's go to others.
pub fn part_from_peers(mut desk: Desk<'_>, mut left: ResMut<'_, Messages<PeerLeft>>) {
    for PeerLeft { peer, role, name, reason, .. } in left.drain() {
        match role {
            Role::Gamer => {
                let Some(session) = desk.gamers.leave(peer) else { continue };
                desk.cancel_all(peer, session.account);
            }
            Role::Worker => {
                let Some(worker) = desk.workers.leave(peer) else { continue };
                let mut tasks: Vec<TaskNo> = worker.tasks.into_iter().collect();
                tasks.sort_unstable();
                for no in tasks {
                    if let Some(attempt) = desk.tasks.get(no).map(Task::attempt) {
                        desk.attempt_over(no, attempt, peer, Verdict::Lost, true);
                    }
                }
            }
        }
        let role = if role == Role::Gamer { "Gamer" } else { "Worker" };
        info!(target: "p2c2r_server::console", event = "left", role, name, reason, "Disconnected");
    }
}

impl Desk<'_> {
    fn welcome_gamer(&mut self, peer: PeerId, name: &str, account: &Account) {
        self.gamers
            .open_account(account.id, account.available + account.set_aside, account.turnover)
            .know_spent(&account.newest_tasks);
        self.gamers.join(peer, name.to_owned(), account.id);
        let statement = self.gamers.statement(account.id, self.workers.len());
        if let Some(session) = self.gamers.session_mut(peer) {
            session.told = statement;
        }
        let prices = self.settings.0.prices.clone();
        let welcome = GamerWelcome { name: name.to_owned(), prices, statement };
        self.tell_game(peer, ServerToGame::Welcome(welcome));
        let waiting = self.gamers.account_mut(account.id).map(Mirror::take_undelivered);
        for (id, finished) in waiting.unwrap_or_default() {
            self.send_done(peer, id, &finished);
        }
    }

    fn welcome_worker(&mut self, peer: PeerId, name: &str, account: &Account) {
        let now = self.now();
        let quarantined = self.trust.is_quarantined(account.id);
        let worker = self.workers.join(peer, name.to_owned(), account.id, now);
        worker.quarantined = quarantined;
        worker.books.earned = account.turnover;
        worker.books.pending = account.set_aside;
        worker.books.accepted = account.accepted;
        worker.books.rejected = account.rejected;
        let statement = WorkerStatement {
            earned: account.turnover,
            pending: account.set_aside,
            accepted: account.accepted,
            rejected: account.rejected,
            verdicts: Vec::new(),
        };
        let prices = self.settings.0.prices.clone();
        self.tell_worker(
            peer,
            ServerToWorker::Welcome(WorkerWelcome { name: name.to_owned(), prices, statement }),
        );
    }

    /// Tells a peer that the coordinator closes.
    pub fn tell_closing(&mut self, peer: PeerId, role: Role) {
        let reason = CLOSING.to_owned();
        match role {
            Role::Gamer => self.tell_game(peer, ServerToGame::Closing { reason }),
            Role::Worker => self.tell_worker(peer, ServerToWorker::Closing { reason }),
        }
    }
}
