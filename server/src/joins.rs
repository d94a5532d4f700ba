//! Peers coming and going.

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{PeerJoined, PeerLeft, Peers};
use p2c2r_protocol::{
    GamerWelcome, PeerId, Role, ServerToGame, ServerToWorker, TaskNo, WorkerOffer, WorkerStatement,
    WorkerWelcome,
};
use tracing::{debug, error, info};

use crate::desk::Desk;
use crate::drain::{CLOSING, Drain};
use crate::leases::Fruitless;
use crate::ledger::{Account, LedgerError, Opening};
use crate::sessions::Gamers;
use crate::table::Task;

/// What a program is told whose account runs as many as it may. Those that run go on: whoever copied a key cannot push
/// its owner out.
const TOO_MANY_PROGRAMS: &str =
    "this account already runs as many programs as it may; end one, or join with another name";

/// Programs that one account may run at the same time: a player's family at one coordinator, a helper's machines.
const fn programs_max(role: Role) -> usize {
    match role {
        Role::Gamer => 4,
        Role::Worker => 16,
    }
}

/// Peers whose accounts the ledger looks up: connected, and not yet welcomed. Bounded by the link's connections; whoever
/// leaves is let go.
#[derive(Resource, Default)]
pub struct Joining(Vec<Waiting>);

struct Waiting {
    joined: PeerJoined,
    opening: Opening,
    /// What a worker has said that it offers; workers speak as soon as they are connected.
    offer: Option<WorkerOffer>,
}

impl Joining {
    /// Whether nobody waits for the ledger.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps what a worker offers until it is welcomed; false if it does not wait for that.
    pub fn keep_offer(&mut self, peer: PeerId, offer: WorkerOffer) -> bool {
        let Some(waiting) = self.0.iter_mut().find(|waiting| waiting.joined.peer == peer) else {
            return false;
        };
        waiting.offer = Some(offer);
        true
    }

    fn forget(&mut self, peer: PeerId) {
        self.0.retain(|waiting| waiting.joined.peer != peer);
    }
}

/// Whether anybody has joined or waits to be welcomed: a condition for the system that does.
pub fn is_anybody_joining(joined: Res<'_, Messages<PeerJoined>>, joining: Res<'_, Joining>) -> bool {
    !(joined.is_empty() && joining.is_empty())
}

/// Asks the ledger for the accounts of those who joined, and welcomes those for whom it has answered. Tasks never wait
/// for that: the ledger answers after its next group commit, and wakes the app.
pub fn welcome_peers(
    mut desk: Desk<'_>,
    drain: Res<'_, Drain>,
    mut joined: ResMut<'_, Messages<PeerJoined>>,
    mut joining: ResMut<'_, Joining>,
    mut refused: ResMut<'_, Refused>,
) {
    for joined in joined.drain() {
        if drain.is_closing() {
            desk.tell_closing(joined.peer, joined.role);
            continue;
        }
        let programs = desk.peers.of_account(joined.account).count();
        if programs > programs_max(joined.role) {
            desk.say_goodbye(joined.peer, joined.role, TOO_MANY_PROGRAMS.to_owned());
            refused.0.push((joined.peer, TOO_MANY_PROGRAMS.to_owned()));
            continue;
        }
        match desk.books.ask_account(joined.role, joined.account, &joined.name, joined.credit) {
            Ok(opening) => joining.0.push(Waiting { joined, opening, offer: None }),
            Err(error) => refused.refuse(joined.peer, &error),
        }
    }
    for waiting in std::mem::take(&mut joining.0) {
        match desk.books.opened(&waiting.opening) {
            None => joining.0.push(waiting),
            Some(_) if drain.is_closing() => desk.tell_closing(waiting.joined.peer, waiting.joined.role),
            Some(Ok(account)) => desk.welcome(waiting, &account),
            Some(Err(error)) => refused.refuse(waiting.joined.peer, &error),
        }
    }
}

/// Peers that could not be welcomed.
#[derive(Resource, Default)]
pub struct Refused(Vec<(PeerId, String)>);

impl Refused {
    fn refuse(&mut self, peer: PeerId, error: &LedgerError) {
        debug!(%error, peer = peer.0, "no account");
        if !matches!(error, LedgerError::BadName) {
            error!(%error, "cannot open an account");
        }
        self.0.push((peer, error.to_string()));
    }
}

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
pub fn part_from_peers(
    mut desk: Desk<'_>,
    mut left: ResMut<'_, Messages<PeerLeft>>,
    mut joining: ResMut<'_, Joining>,
) {
    for PeerLeft { peer, role, account: key, name, reason } in left.drain() {
        joining.forget(peer);
        match role {
            Role::Gamer => {
                let Some(session) = desk.gamers.leave(peer) else { continue };
                desk.cancel_all(peer, session.account);
            }
            Role::Worker => {
                let now = desk.now();
                let Some(worker) = desk.workers.leave(peer, now) else { continue };
                let mut tasks: Vec<TaskNo> = worker.tasks.into_iter().collect();
                tasks.sort_unstable();
                for no in tasks {
                    if let Some(attempt) = desk.tasks.get(no).map(Task::attempt) {
                        desk.attempt_over(no, attempt, peer, Fruitless::Lost);
                    }
                }
            }
        }
        let role = if role == Role::Gamer { "Gamer" } else { "Worker" };
        let key = key.short();
        info!(target: "p2c2r_server::console", event = "left", role, name, account = key, reason, "Disconnected");
    }
}

impl Desk<'_> {
    fn welcome(&mut self, waiting: Waiting, account: &Account) {
        let Waiting { joined: PeerJoined { peer, role, account: key, name, address, .. }, offer, .. } =
            waiting;
        match role {
            Role::Gamer => self.welcome_gamer(peer, &name, account),
            Role::Worker => {
                self.welcome_worker(peer, &name, account);
                if let Some(offer) = offer {
                    self.take_offer(peer, offer);
                }
            }
        }
        let role = if role == Role::Gamer { "Gamer" } else { "Worker" };
        let key = key.short();
        info!(target: "p2c2r_server::console", event = "joined", role, name, account = key, address, "Connected");
    }

    fn welcome_gamer(&mut self, peer: PeerId, name: &str, account: &Account) {
        let at_least = self.books.session_at_least();
        let session = self.gamers.open_account(account).give_session(at_least);
        self.gamers.join(peer, name.to_owned(), account.id);
        let statement = self.gamers.statement(account.id, self.workers.len());
        if let Some(session) = self.gamers.session_mut(peer) {
            session.told = statement;
        }
        let prices = self.settings.0.prices.clone();
        let welcome = GamerWelcome { name: name.to_owned(), prices, statement, session };
        self.tell_game(peer, ServerToGame::Welcome(welcome));
        for (id, finished) in self.gamers.take_undelivered(account.id) {
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
        let statement = WorkerStatement {
            earned: account.turnover,
            pending: account.set_aside,
            session: worker.books.session,
            verdicts: Vec::new(),
        };
        let prices = self.settings.0.prices.clone();
        self.tell_worker(
            peer,
            ServerToWorker::Welcome(WorkerWelcome { name: name.to_owned(), prices, statement }),
        );
    }

    /// Tells a peer that the coordinator closes, and why.
    pub fn tell_closing(&mut self, peer: PeerId, role: Role) {
        let reason = self.books.failure_for_peers().unwrap_or(CLOSING).to_owned();
        self.say_goodbye(peer, role, reason);
    }

    fn say_goodbye(&mut self, peer: PeerId, role: Role, reason: String) {
        match role {
            Role::Gamer => self.tell_game(peer, ServerToGame::Closing { reason }),
            Role::Worker => self.tell_worker(peer, ServerToWorker::Closing { reason }),
        }
    }
}
