//! Connect tokens: made for one account each, good once, and known to the coordinator until they are used or
//! expire.
//!
//! The coordinator that makes a token is the one that admits it, so it records its tokens. That closes from
//! outside what renetcode 2.0.0 leaves open: its challenge is bound to neither address nor client id and
//! never expires, so the user data of one token could be used with another; its table of used tokens evicts
//! the oldest; and a client at the same address may use a token twice. Here a request whose seal is not of an
//! outstanding token never reaches netcode, a token is bound to the first address it comes from, and when a
//! client connects, its id and its user data must be of one token, which is then used up.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{AccountKey, Digest, Nanos, ProtocolIdentity, Role, SeededHash, fit_name};
use renetcode::{ConnectToken, NETCODE_USER_DATA_BYTES, ServerAuthentication};
use thiserror::Error;

use super::refusal::PacketRefusal;
use crate::limits::{
    NETCODE_TIMEOUT_SECONDS, TOKEN_BYTES_MAX, TOKEN_SECONDS, TOKENS_MAX, TOKENS_PER_ACCOUNT_MAX,
};
use crate::problem;
use crate::seal::SealKey;
use crate::tokens::{Access, NoToken, TokenAnswer, TokenSource};

/// The coordinator's address in every token. Clients ignore it: they use the address that answered them over
/// HTTPS, which the coordinator, behind a router, need not know.
const ANY_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 1);
/// Bytes of the seal at the end of a token's private part.
const SEAL_BYTES: usize = 16;
/// Start of netcode's time: any value works, since all times are made and read here.
const EPOCH: Duration = Duration::from_secs(1_000_000_000);

/// The seal of a token, which no two tokens share.
pub(crate) type Seal = [u8; SEAL_BYTES];

/// IP version 4 or 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, mapped into IPv6 or not.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The holder of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its role.
    pub role: Role,
    /// Its account.
    pub account: AccountKey,
    /// Which of the account's programs: one that reconnects replaces its own older connection.
    pub instance: u64,
    /// The account's public name: a label, sanitised when the token is made.
    pub name: String,
    /// The account's credit at enrolment; booked once, when the ledger first sees the account.
    pub credit: Nanos,
    /// IP version: tokens are good over the one they were fetched over. `None` is any.
    pub family: Option<Family>,
}

impl Grant {
    /// A grant for tests and benches: the account's key is derived from role and name.
    pub fn of_name(role: Role, name: &str) -> Self {
        let key = Digest::of_parts(&[b"no stranger", role.to_string().as_bytes(), name.as_bytes()]);
        Self {
            role,
            account: AccountKey(key.0),
            instance: 0,
            name: name.to_owned(),
            credit: Nanos::ZERO,
            family: None,
        }
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MintRefusal {
    /// The limit of tokens per minute, for all accounts, is reached.
    #[error("too many programs connect to the coordinator at this moment; try again in a minute")]
    Full,
    /// The limit of tokens per minute for this account is reached.
    #[error("this account connects too often; try again in a minute")]
    AccountFull,
    /// netcode failed to seal it.
    #[error("the coordinator could not make a connect token")]
    Sealing,
}

/// Makes a coordinator's connect tokens, and knows those outstanding. Clones share it; any thread may use it.
#[derive(Clone, Resource)]
pub struct Mint {
    identity: Arc<ProtocolIdentity>,
    key: SealKey,
    state: Arc<Mutex<State>>,
}

struct State {
    clock: Clock,
    by_seal: HashMap<Seal, Outstanding, SeededHash>,
    by_client: HashMap<u64, Seal, SeededHash>,
    /// Tokens made within the last [`TOKEN_SECONDS`], used or not, oldest first.
    made: VecDeque<(Duration, Seal, AccountKey)>,
    /// Number of them by account.
    by_account: HashMap<AccountKey, usize, SeededHash>,
}

/// netcode's time, which dates tokens: monotonic, so a wall clock that steps locks no client out.
enum Clock {
    Monotonic(Instant),
    /// In memory: the time of the coordinator's updates.
    Manual(Duration),
}

struct Outstanding {
    client: u64,
    user_data: [u8; NETCODE_USER_DATA_BYTES],
    grant: Grant,
    expires_at: Duration,
    from: Option<SocketAddr>,
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}

impl Mint {
    /// A mint with a fresh random key.
    pub fn new(identity: &ProtocolIdentity) -> Self {
        let state = State {
            clock: Clock::Monotonic(Instant::now()),
            by_seal: HashMap::default(),
            by_client: HashMap::default(),
            made: VecDeque::new(),
            by_account: HashMap::default(),
        };
        Self {
            identity: Arc::new(identity.clone()),
            key: renetcode::generate_random_bytes(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A token for this account, as netcode writes it: 2,048 bytes at most, good once and for 60 seconds.
    pub fn issue(&self, grant: Grant) -> Result<Vec<u8>, MintRefusal> {
        let mut state = self.lock();
        let now = state.clock.now();
        state.forget_old(now);
        let account = grant.account;
        if state.by_account.get(&account).is_some_and(|made| *made >= TOKENS_PER_ACCOUNT_MAX) {
            return Err(MintRefusal::AccountFull);
        }
        if state.made.len() >= TOKENS_MAX {
            return Err(MintRefusal::Full);
        }
        let mut client = u64::from_le_bytes(renetcode::generate_random_bytes());
        while state.by_client.contains_key(&client) {
            client = client.wrapping_add(1);
        }
        let user_data = renetcode::generate_random_bytes();
        let token = ConnectToken::generate(
            now,
            self.identity.id,
            TOKEN_SECONDS,
            client,
            NETCODE_TIMEOUT_SECONDS,
            vec![ANY_ADDRESS],
            Some(&user_data),
            &self.key,
        )
        .map_err(|_| MintRefusal::Sealing)?;
        let mut bytes = Vec::with_capacity(TOKEN_BYTES_MAX);
        token.write(&mut bytes).map_err(|_| MintRefusal::Sealing)?;
        let seal = seal_of(&token.private_data).ok_or(MintRefusal::Sealing)?;
        let expires_at = Duration::from_secs(token.expire_timestamp);
        let grant = Grant { name: fit_name(&grant.name), ..grant };
        state.by_client.insert(client, seal);
        *state.by_account.entry(account).or_default() += 1;
        state.made.push_back((expires_at, seal, account));
        let token = Outstanding { client, user_data, grant, expires_at, from: None };
        state.by_seal.insert(seal, token);
        Ok(bytes)
    }

    /// Tokens neither used nor expired.
    pub fn outstanding(&self) -> usize {
        self.lock().by_seal.len()
    }

    /// A source of tokens for a program of the same process with this `identity`, in tests and benches. As
    /// over HTTPS, a program with another identity gets none.
    pub fn source(&self, grant: Grant, identity: &ProtocolIdentity, server: SocketAddr) -> MintSource {
        MintSource { mint: self.clone(), grant, identity: identity.clone(), server }
    }

    /// Whether a connection request with this seal may be answered: the token must be outstanding, and come
    /// from the address it came from before. One look-up, so that forged requests cost next to nothing.
    pub(crate) fn admits(&self, seal: &Seal, from: SocketAddr) -> Result<(), PacketRefusal> {
        let mut state = self.lock();
        let now = state.clock.now();
        let token = state.by_seal.get_mut(seal).ok_or(PacketRefusal::UnknownToken)?;
        if now >= token.expires_at {
            return Err(PacketRefusal::OutOfDate);
        }
        if token.grant.family.is_some_and(|family| family != Family::of(from)) {
            return Err(PacketRefusal::MisusedToken);
        }
        if *token.from.get_or_insert(from) != from {
            return Err(PacketRefusal::MisusedToken);
        }
        Ok(())
    }

    /// The holder that connects with this client id and user data, if both are of one token, which is then
    /// used up.
    pub(crate) fn redeem(
        &self,
        client: u64,
        user_data: &[u8; NETCODE_USER_DATA_BYTES],
        from: SocketAddr,
    ) -> Result<Grant, &'static str> {
        let mut state = self.lock();
        let now = state.clock.now();
        let seal = *state.by_client.get(&client).ok_or("its token is used, or not ours")?;
        let token = state.remove(&seal).ok_or("its token is used, or not ours")?;
        if token.user_data != *user_data {
            return Err("its challenge was another token's");
        }
        if token.from != Some(from) || now >= token.expires_at {
            return Err("its token is out of date, or tied to another address");
        }
        Ok(token.grant)
    }

    /// The key that seals tokens.
    pub(crate) fn key(&self) -> &SealKey {
        &self.key
    }

    /// What netcode checks tokens with.
    pub(crate) fn authentication(&self) -> ServerAuthentication {
        ServerAuthentication::Secure { private_key: self.key }
    }

    /// The addresses that every token names.
    pub(crate) fn addresses() -> Vec<SocketAddr> {
        vec![ANY_ADDRESS]
    }

    /// netcode's time.
    pub(crate) fn now(&self) -> Duration {
        self.lock().clock.now()
    }

    /// Sets the time, which from then on only these calls advance: for a network in memory, which runs on
    /// manual time.
    pub(crate) fn set_time(&self, time: Duration) {
        self.lock().clock = Clock::Manual(time);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn now(&self) -> Duration {
        match self {
            Self::Monotonic(started) => EPOCH + started.elapsed(),
            Self::Manual(time) => *time,
        }
    }
}

impl State {
    fn forget_old(&mut self, now: Duration) {
        while let Some((_, seal, account)) = self.made.pop_front_if(|(expires_at, ..)| *expires_at <= now) {
            self.remove(&seal);
            if let Some(made) = self.by_account.get_mut(&account) {
                *made -= 1;
                if *made == 0 {
                    self.by_account.remove(&account);
                }
            }
        }
    }

    fn remove(&mut self, seal: &Seal) -> Option<Outstanding> {
        let gone = self.by_seal.remove(seal)?;
        self.by_client.remove(&gone.client);
        Some(gone)
    }
}

fn seal_of(private_part: &[u8]) -> Option<Seal> {
    private_part.last_chunk::<SEAL_BYTES>().copied()
}

/// Tokens directly from a mint of the same process.
#[derive(Clone, Debug)]
pub struct MintSource {
    mint: Mint,
    grant: Grant,
    identity: ProtocolIdentity,
    server: SocketAddr,
}

impl TokenSource for MintSource {
    fn ask(&self, answer: TokenAnswer) {
        let (ours, theirs) = (&self.mint.identity, &self.identity);
        if ours.id != theirs.id {
            let detail =
                format!("the coordinator speaks {ours}, this program {theirs}: update the older one");
            let reason = problem::other_version(theirs, &ours.text, detail);
            return answer.give(Err(NoToken::Refused { reason }));
        }
        let token = self.mint.issue(self.grant.clone());
        answer.give(match token {
            Ok(token) => Ok(Access { token, server: self.server }),
            Err(refusal) => Err(NoToken::Refused { reason: problem::busy(refusal.to_string()) }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

    fn grant(account: u8) -> Grant {
        Grant { account: AccountKey([account; 32]), ..Grant::of_name(Role::Gamer, "ann") }
    }

    fn mint() -> Mint {
        let mint = Mint::new(&ProtocolIdentity { id: 7, text: String::new() });
        mint.set_time(EPOCH);
        mint
    }

    /// A token's id, user data and seal.
    fn issued(mint: &Mint, account: u8) -> (u64, [u8; NETCODE_USER_DATA_BYTES], Seal) {
        let token = ConnectToken::read(&mut mint.issue(grant(account)).unwrap().as_slice()).unwrap();
        let seal = seal_of(&token.private_data).unwrap();
        let user_data = mint.lock().by_seal[&seal].user_data;
        (token.client_id, user_data, seal)
    }

    #[test]
    fn a_token_is_good_once_and_from_the_address_it_first_came_from() {
        let mint = mint();
        let (client, user_data, seal) = issued(&mint, 1);
        let elsewhere = SocketAddr::new(FROM.ip(), 10);
        assert_eq!(mint.admits(&seal, FROM), Ok(()));
        assert_eq!(mint.admits(&seal, FROM), Ok(()), "a request may be repeated");
        assert!(mint.admits(&seal, elsewhere).is_err());
        assert_eq!(mint.redeem(client, &user_data, FROM).unwrap().account, AccountKey([1; 32]));
        assert!(mint.admits(&seal, FROM).is_err() && mint.redeem(client, &user_data, FROM).is_err());
        assert!(mint.outstanding() == 0 && mint.lock().by_client.is_empty());
    }

    #[test]
    fn a_challenge_of_one_token_does_not_let_another_in() {
        let mint = mint();
        let (client, _, seal) = issued(&mint, 1);
        let (_, held, _) = issued(&mint, 2);
        mint.admits(&seal, FROM).unwrap();
        assert!(mint.redeem(client, &held, FROM).is_err());
        assert!(mint.redeem(client, &held, FROM).is_err(), "and its own token is used up");
    }

    #[test]
    fn a_token_is_over_after_its_seconds_and_bound_to_its_ip_version() {
        let mint = mint();
        let (client, user_data, seal) = issued(&mint, 1);
        mint.admits(&seal, FROM).unwrap();
        mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
        assert!(mint.admits(&seal, FROM).is_err() && mint.redeem(client, &user_data, FROM).is_err());
        let family = Some(Family::V6);
        let token = mint.issue(Grant { family, ..grant(1) }).unwrap();
        let seal = seal_of(&ConnectToken::read(&mut token.as_slice()).unwrap().private_data).unwrap();
        assert!(mint.admits(&seal, FROM).is_err());
        assert!(mint.admits(&seal, "[2001:db8::1]:1".parse().unwrap()).is_ok());
        assert_eq!(Family::of("[::ffff:1.2.3.4]:1".parse().unwrap()), Family::V4);
    }

    #[test]
    fn tokens_are_bounded_per_account_and_in_sum_and_forgotten_in_time() {
        let mint = mint();
        for _ in 0..TOKENS_PER_ACCOUNT_MAX {
            issued(&mint, 1);
        }
        assert_eq!(mint.issue(grant(1)), Err(MintRefusal::AccountFull));
        let account = |number: usize| AccountKey(std::array::from_fn(|at| (number >> (8 * (at % 4))) as u8));
        let mut number = 1 << 20;
        while mint.issue(Grant { account: account(number), ..grant(0) }).is_ok() {
            number += 1;
        }
        assert_eq!(mint.issue(grant(2)), Err(MintRefusal::Full));
        assert_eq!(mint.outstanding(), TOKENS_MAX);
        mint.set_time(EPOCH + Duration::from_secs(TOKEN_SECONDS));
        issued(&mint, 1);
        let state = mint.lock();
        assert_eq!((state.by_seal.len(), state.made.len(), state.by_account.len()), (1, 1, 1));
    }

    #[test]
    fn two_mints_have_two_keys() {
        assert_ne!(mint().key, mint().key);
    }
}
