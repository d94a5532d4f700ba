//! Peers that join and leave.

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use p2c2r_link::{PeerJoined, PeerLeft, Peers};
use p2c2r_protocol::{PeerId, Role, WorkerOffer};
use tracing::{debug, error, info};

use super::Exchange;
use crate::core::Event;
use crate::drain::{CLOSING, DrainPhase};
use crate::ledger::{Account, AccountRequest, LedgerError};

/// Message to a program whose account already runs as many as it may. The running ones stay, so that a copied key
/// cannot push its owner out.
const TOO_MANY_PROGRAMS: &str =
    "this account already runs as many programs as it may; end one, or join with another name";

/// Programs that one account may run at the same time: enough for a player's family, or for a helper's machines.
const fn programs_max(role: Role) -> usize {
    match role {
        Role::Gamer => 4,
        Role::Worker => 16,
    }
}

/// Peers that are connected and wait for the ledger to look up their accounts, or are turned away in this update. Bounded by
/// the link's connections; peers that leave are removed.
#[derive(Resource, Default)]
pub struct Joining {
    waiting: Vec<Waiting>,
    /// Those that cannot be welcomed, and why.
    refused: Vec<(PeerId, String)>,
}

struct Waiting {
    joined: PeerJoined,
    opening: AccountRequest,
    /// The worker's offer, which it sends as soon as it is connected.
    offer: Option<WorkerOffer>,
}

impl Joining {
    /// Whether nobody waits for the ledger.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a worker's offer until it is welcomed. Does nothing if this peer is not waiting to be welcomed.
    pub fn keep_offer(&mut self, peer: PeerId, offer: WorkerOffer) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.joined.peer == peer) {
            waiting.offer = Some(offer);
        }
    }

    fn refuse(&mut self, peer: PeerId, error: &LedgerError) {
        debug!(%error, peer = peer.0, "no account");
        if !matches!(error, LedgerError::BadName) {
            error!(%error, "cannot open an account");
        }
        self.refused.push((peer, error.to_string()));
    }

    fn forget(&mut self, peer: PeerId) {
        self.waiting.retain(|waiting| waiting.joined.peer != peer);
    }
}

/// Welcomes peers whose account the ledger has returned, and requests the accounts of new ones. Tasks never wait for
/// that: the ledger answers after its next group commit, and wakes the app.
pub fn welcome_peers(
    exchange: &mut Exchange<'_>,
    drain: DrainPhase,
    joined: &mut Messages<PeerJoined>,
    joining: &mut Joining,
) {
    // Answers are handled before new requests: a peer is welcomed in a later update than its request, however fast the
    // ledger is, so that a run on manual time is deterministic.
    for waiting in std::mem::take(&mut joining.waiting) {
        match exchange.scheduler.ledger.opened(&waiting.opening) {
            None => joining.waiting.push(waiting),
            Some(_) if drain.is_closing() => {
                tell_closing(exchange, waiting.joined.peer, waiting.joined.role);
            }
            Some(Ok(account)) => welcome(exchange, waiting, account),
            Some(Err(error)) => joining.refuse(waiting.joined.peer, &error),
        }
    }
    for joined in joined.drain() {
        if drain.is_closing() {
            tell_closing(exchange, joined.peer, joined.role);
            continue;
        }
        let programs = exchange.peers.of_account(joined.account).count();
        if programs > programs_max(joined.role) {
            exchange.say_goodbye(joined.peer, joined.role, TOO_MANY_PROGRAMS.to_owned());
            joining.refused.push((joined.peer, TOO_MANY_PROGRAMS.to_owned()));
            continue;
        }
        match exchange.scheduler.ledger.ask_account(joined.role, joined.account, &joined.name, joined.credit)
        {
            Ok(opening) => joining.waiting.push(Waiting { joined, opening, offer: None }),
            Err(error) => joining.refuse(joined.peer, &error),
        }
    }
}

/// Ends the connections of those who could not be welcomed.
pub fn refuse_peers(joining: &mut Joining, peers: &mut Peers) {
    for (peer, reason) in joining.refused.drain(..) {
        peers.disconnect(peer, &reason);
    }
}

/// Marks ended connections, so that nothing is sent to them while their last messages are handled.
pub fn note_leaving(exchange: &mut Exchange<'_>, left: &Messages<PeerLeft>) {
    for gone in left.get_cursor().read(left) {
        exchange.handle(Event::Leaving { peer: gone.peer });
    }
}

/// Removes peers that left, once their last messages are handled.
pub fn part_from_peers(exchange: &mut Exchange<'_>, left: &mut Messages<PeerLeft>, joining: &mut Joining) {
    for PeerLeft { peer, role, account: key, name, reason } in left.drain() {
        joining.forget(peer);
        let core = exchange.core();
        let was_welcome = core.gamers().session(peer).is_some() || core.workers().get(peer).is_some();
        exchange.handle(Event::Left { peer, role });
        if was_welcome {
            let (role, key) = (said(role), key.short());
            info!(target: "p2c2r_server::console", event = "left", role, name, account = key, reason, "Disconnected");
        }
    }
}

fn welcome(exchange: &mut Exchange<'_>, waiting: Waiting, account: Account) {
    let Waiting { joined: PeerJoined { peer, role, account: key, name, address, .. }, offer, .. } = waiting;
    let (said, owner, key, account) = (said(role), key, key.short(), Box::new(account));
    info!(target: "p2c2r_server::console", event = "joined", role = said, name, account = key, address, "Connected");
    let (session_min, hour_cap) =
        (exchange.scheduler.ledger.session_at_least(), exchange.scheduler.hour_caps.of(owner));
    exchange.handle(match role {
        Role::Gamer => Event::GamerJoined { peer, name, account, session_min, hour_cap },
        Role::Worker => Event::WorkerJoined { peer, name, account, offer },
    });
}

fn said(role: Role) -> &'static str {
    if role == Role::Gamer { "Gamer" } else { "Worker" }
}

/// Why the coordinator closes, as peers are told.
pub fn closing_reason(exchange: &Exchange<'_>) -> String {
    exchange.scheduler.ledger.failure_for_peers().unwrap_or(CLOSING).to_owned()
}

fn tell_closing(exchange: &mut Exchange<'_>, peer: PeerId, role: Role) {
    let reason = closing_reason(exchange);
    exchange.say_goodbye(peer, role, reason);
}
