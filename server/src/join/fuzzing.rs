//! The body of a token request, for its fuzz target: read, checked and answered as over HTTPS.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use p2c2r_join::api::Instance;
use p2c2r_join::{AccountSecret, TokenGrant, TokenRequest};
use p2c2r_link::{Grant, Mint, MintRefusal};
use p2c2r_protocol::{Digest, Nanos, ProtocolIdentity, Role};

use super::certificate::make_data_folder;
use super::enrol::Registrar;
use super::limits::{JoinLimits, OpenRegistration};
use super::reach::SharedUdpReach;
use super::routes::{Front, check, parse};
use super::store::{AccountStore, Newcomer, WallSeconds};
use crate::config::LEDGER_FILE;

/// Bodies that are handled with one account store before a new one is made.
const BODIES: u32 = 1_000;

thread_local! {
    static DESK: RefCell<Option<(tempfile::TempDir, Front, u32)>> = const { RefCell::new(None) };
}

fn identity() -> ProtocolIdentity {
    ProtocolIdentity::new(&[], Digest([0; 32]))
}

/// The key with which a body is signed again, so that the code behind the signature check is reached.
fn owner() -> Option<AccountSecret> {
    AccountSecret::from_seed([3; 32])
}

fn front(folder: &Path) -> Option<Front> {
    make_data_folder(folder).ok()?;
    let open = OpenRegistration { workers: true, gamers: true, ..OpenRegistration::default() };
    let registrar = Registrar::new(
        AccountStore::open(folder).ok()?,
        (open, Nanos(5)),
        folder.join(LEDGER_FILE),
        crossbeam_channel::unbounded().0,
    );
    let (mint, reach) = (Mint::new(&identity()), SharedUdpReach::new(0));
    Front::new(JoinLimits::default(), registrar, mint, identity(), (reach, Arc::default())).ok()
}

/// Handles a body; returns whether an honest program could have sent it.
///
/// # Panics
/// If the account of another key is let in, or what is answered cannot be read.
pub fn token_body(body: &[u8]) -> bool {
    DESK.with_borrow_mut(|desk| {
        if desk.as_ref().is_none_or(|(.., bodies)| *bodies >= BODIES) {
            *desk = tempfile::tempdir().ok().and_then(|folder| {
                let front = front(&folder.path().join("data"))?;
                Some((folder, front, 0))
            });
        }
        let Some((_, front, bodies)) = desk else { return false };
        *bodies += 1;
        take(front, body).is_some()
    })
}

fn take(front: &Front, body: &[u8]) -> Option<()> {
    let mut request = parse(body).ok()?;
    let owner = owner()?;
    let is_owners = request.account == owner.public().to_string();
    if is_owners {
        let challenge = front.challenge().ok()?;
        let who = (request.role, request.name.as_str(), request.instance);
        let protocol = (request.protocol, request.protocol_text.as_str());
        request = TokenRequest::signed(&owner, who, protocol, &challenge, request.invite.as_deref());
    }
    let key = check(front, &request).ok()?;
    assert!(is_owners, "nobody else has signed a challenge of ours");
    assert!(check(front, &request).is_err(), "a request is good once");
    let newcomer =
        Newcomer { key, role: request.role, name: &request.name, invite: request.invite.as_deref() };
    let now = (WallSeconds::now(), front.now());
    let from = IpAddr::from(Ipv4Addr::LOCALHOST);
    let mut registrar = front.registrar.lock().unwrap_or_else(PoisonError::into_inner);
    let account = registrar.enrol_or_find(&newcomer, from, now).expect("a store that works").ok()?;
    assert!(account.name.chars().all(p2c2r_protocol::is_printable), "what is shown can be shown");
    let grant = Grant {
        role: account.role,
        account: account.key,
        instance: request.instance.0,
        name: account.name.clone(),
        credit: account.credit,
        asked_from: None,
    };
    match front.mint.issue(grant) {
        Ok(token) => {
            let answer =
                serde_json::to_vec(&TokenGrant::new(&token, &account.name)).expect("it can be written");
            let read: TokenGrant = serde_json::from_slice(&answer).expect("it can be read");
            assert_eq!(read.token_bytes(), Some(token));
        }
        Err(refusal) => assert_eq!(refusal, MintRefusal::AccountFull, "nobody else has got one"),
    }
    Some(())
}

/// Bodies from which to begin.
pub fn seeds() -> Vec<Vec<u8>> {
    let Some(owner) = owner() else { return Vec::new() };
    let identity = identity();
    let signed = |role, invite| {
        let who = (role, "ann", Instance(7));
        TokenRequest::signed(&owner, who, (identity.id, &identity.text), "stands for a fresh one", invite)
    };
    let requests = [signed(Role::Gamer, None), signed(Role::Gamer, Some("not known"))];
    requests.iter().filter_map(|request| serde_json::to_vec(request).ok()).collect()
}
