//! Connect tokens: made for one account each, good once, and known to the coordinator until they are used or
//! expire.
//!
//! The coordinator that makes a token is the one that admits it, so it records its tokens. The record closes two gaps of
//! renetcode 2.0.0: its table of used tokens evicts the oldest, and a client at the same address may use a token twice.
//! Here a request whose seal is not of an outstanding token never reaches netcode, a token is bound to the first address
//! it comes from, and whoever answers the challenge that went there has used it up.
//!
//! A connected client is given a spare token in advance (`spares.rs`).
//!
//! Nobody can use up all tokens: when as many are outstanding as is allowed, a new one voids the oldest one of the account
//! or address prefix that holds most.

mod holders;
mod spares;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{AccountKey, Digest, Nanos, ProtocolIdentity, Role, SeededHash, fit_name};
use renetcode::{ConnectToken, ServerAuthentication};
use thiserror::Error;

use self::holders::Holders;
use super::handshake::PacketSource;
use super::refusal::PacketRefusal;
use crate::limits::{
    NETCODE_TIMEOUT_SECONDS, TOKEN_BYTES_MAX, TOKEN_SECONDS, TOKENS_MADE_MAX, TOKENS_MAX,
    TOKENS_PER_ACCOUNT_MAX,
};
use crate::problem;
use crate::seal::SealKey;
use crate::tokens::{Access, NoToken, TokenAnswer, TokenSource};

/// The coordinator's address in every token. Clients ignore it: they use the address that answered them over
/// HTTPS, which the coordinator, behind a router, need not know.
const ANY_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1);
/// Bytes of the seal at the end of a token's private part.
const SEAL_BYTES: usize = 16;
/// Start of netcode's time: any value works, since all times are made and read here.
const EPOCH: Duration = Duration::from_secs(1_000_000_000);

/// The seal of a token, which no two tokens share.
pub(crate) type Seal = [u8; SEAL_BYTES];

/// One of an account's programs, which has one connection at most: account and instance.
pub(crate) type ProgramKey = (AccountKey, u64);

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
    /// The address that asked for the token. The token is good over that IP version only, and the addresses of one prefix
    /// count as one holder of outstanding tokens. `None` for a program of the same process.
    pub asked_from: Option<IpAddr>,
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
            asked_from: None,
        }
    }
}

impl Grant {
    /// The program that the token is for.
    pub(crate) fn program(&self) -> ProgramKey {
        (self.account, self.instance)
    }

    /// The prefix of the address that asked for the token.
    fn prefix(&self) -> Option<u128> {
        self.asked_from.map(|address| PacketSource::of(address).narrow)
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MintRefusal {
    /// The limit of tokens per minute for this account is reached.
    #[error("this account connects too often; try again in a minute")]
    AccountFull,
    /// The operator has closed this account since the coordinator started.
    #[error("the coordinator's operator has closed this account")]
    AccountClosed,
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
    /// The tokens that count against accounts' limits: until when, and the account, oldest first; at most
    /// [`TOKENS_MADE_MAX`]. A token counts for [`TOKEN_SECONDS`], from when it is made or, if it is a spare one, used.
    made: VecDeque<(Duration, AccountKey)>,
    /// Number of them by account.
    made_for: HashMap<AccountKey, usize, SeededHash>,
    /// Outstanding tokens by number; a later number expires no earlier.
    by_number: BTreeMap<u64, Seal>,
    numbered: u64,
    /// Their numbers by account, and by the address prefix that asked for them.
    of_account: Holders<AccountKey>,
    of_prefix: Holders<u128>,
    /// Accounts that the operator has closed since the start.
    closed: HashSet<AccountKey, SeededHash>,
}

/// netcode's time, which dates tokens: monotonic, so a wall clock that steps locks no client out.
enum Clock {
    Monotonic(Instant),
    /// In memory: the time of the coordinator's updates.
    Manual(Duration),
}

struct Outstanding {
    number: u64,
    grant: Grant,
    expires_at: Duration,
    /// The first address that it came from, and when.
    from: Option<(SocketAddr, Duration)>,
    /// Whether it was given in advance over a session.
    is_spare: bool,
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
            made: VecDeque::new(),
            made_for: HashMap::default(),
            by_number: BTreeMap::new(),
            numbered: 0,
            of_account: Holders::default(),
            of_prefix: Holders::default(),
            closed: HashSet::default(),
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
        if state.closed.contains(&account) {
            return Err(MintRefusal::AccountClosed);
        }
        if state.made_for.get(&account).is_some_and(|made| *made >= TOKENS_PER_ACCOUNT_MAX) {
            return Err(MintRefusal::AccountFull);
        }
        let (bytes, seal, token) = self.make(now, grant, false)?;
        state.count_made(token.expires_at, account);
        state.add(seal, token);
        Ok(bytes)
    }

    /// Makes a token: its bytes as netcode writes them, its seal, and the record to keep of it.
    fn make(
        &self,
        now: Duration,
        grant: Grant,
        is_spare: bool,
    ) -> Result<(Vec<u8>, Seal, Outstanding), MintRefusal> {
        // netcode's number of the connection, which must be no other connection's.
        let client = u64::from_le_bytes(renetcode::generate_random_bytes());
        let token = ConnectToken::generate(
            now,
            self.identity.id,
            TOKEN_SECONDS,
            client,
            NETCODE_TIMEOUT_SECONDS,
            vec![ANY_ADDRESS],
            None,
            &self.key,
        )
        .map_err(|_| MintRefusal::Sealing)?;
        let mut bytes = Vec::with_capacity(TOKEN_BYTES_MAX);
        token.write(&mut bytes).map_err(|_| MintRefusal::Sealing)?;
        let seal = seal_of(&token.private_data).ok_or(MintRefusal::Sealing)?;
        let expires_at = Duration::from_secs(token.expire_timestamp);
        let grant = Grant { name: fit_name(&grant.name), ..grant };
        Ok((bytes, seal, Outstanding { number: 0, grant, expires_at, from: None, is_spare }))
    }

    /// Tokens neither used nor expired.
    pub fn outstanding(&self) -> usize {
        let mut state = self.lock();
        let now = state.clock.now();
        state.forget_old(now);
        state.by_seal.len()
    }

    /// A source of tokens for a program of the same process with this `identity`, in tests and benches. As
    /// over HTTPS, a program with another identity gets none.
    pub fn source(&self, grant: Grant, identity: &ProtocolIdentity, server: SocketAddr) -> MintSource {
        MintSource { mint: self.clone(), grant, identity: identity.clone(), server }
    }

    /// The program of the token with this seal, if a connection request with it may be answered: the token must be
    /// outstanding, and come from the address it came from before. This takes one look-up, so that forged requests cost
    /// next to nothing.
    pub(crate) fn admits(&self, seal: &Seal, from: SocketAddr) -> Result<ProgramKey, PacketRefusal> {
        let mut state = self.lock();
        let now = state.clock.now();
        state.shown(seal, from, now).map(|token| token.grant.program())
    }

    /// Uses up the token with this seal and returns its holder. The caller has verified that the holder is at this address
    /// and knows the token's keys.
    pub(crate) fn redeem(&self, seal: &Seal, from: SocketAddr) -> Result<Grant, PacketRefusal> {
        let mut state = self.lock();
        let now = state.clock.now();
        state.shown(seal, from, now)?;
        let token = state.remove(seal).ok_or(PacketRefusal::UnknownToken)?;
        if token.is_spare {
            state.forget_old(now);
            state.count_made(expiry(now), token.grant.account);
        }
        Ok(token.grant)
    }

    /// Voids all outstanding tokens of an account.
    pub fn void(&self, account: AccountKey) {
        let mut state = self.lock();
        for seal in state.seals_of(account) {
            state.remove(&seal);
        }
    }

    /// Closes an account on the operator's order: voids its tokens, and makes no more for it.
    pub fn close(&self, account: AccountKey) {
        self.lock().closed.insert(account);
        self.void(account);
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
    /// Records an outstanding token under the next number; evicts others if there are too many.
    fn add(&mut self, seal: Seal, token: Outstanding) {
        while self.by_seal.len() >= TOKENS_MAX && self.evict() {}
        self.numbered += 1;
        let token = Outstanding { number: self.numbered, ..token };
        let account = token.grant.account;
        self.by_number.insert(token.number, seal);
        self.of_account.add(account, token.number);
        if let Some(prefix) = token.grant.prefix() {
            self.of_prefix.add(prefix, token.number);
        }
        self.by_seal.insert(seal, token);
    }

    /// The token with this seal, if it is good now and from this address.
    fn shown(&mut self, seal: &Seal, from: SocketAddr, now: Duration) -> Result<&Outstanding, PacketRefusal> {
        let token = self.by_seal.get_mut(seal).ok_or(PacketRefusal::UnknownToken)?;
        if now >= token.expires_at {
            return Err(PacketRefusal::OutOfDate);
        }
        if token.grant.asked_from.is_some_and(|asked_from| !is_same_version(asked_from, from.ip())) {
            return Err(PacketRefusal::MisusedToken);
        }
        if token.from.get_or_insert((from, now)).0 != from {
            return Err(PacketRefusal::MisusedToken);
        }
        Ok(token)
    }

    /// The seals of an account's tokens.
    fn seals_of(&self, account: AccountKey) -> Vec<Seal> {
        self.of_account.of(account).filter_map(|number| self.by_number.get(&number).copied()).collect()
    }

    /// Counts a token against its account's limit until the given time. If too many are counted in all, the oldest stop
    /// counting.
    fn count_made(&mut self, until: Duration, account: AccountKey) {
        while self.made.len() >= TOKENS_MADE_MAX
            && let Some((_, account)) = self.made.pop_front()
        {
            self.uncount(account);
        }
        *self.made_for.entry(account).or_default() += 1;
        self.made.push_back((until, account));
    }

    fn uncount(&mut self, account: AccountKey) {
        if let Some(made) = self.made_for.get_mut(&account) {
            *made -= 1;
            if *made == 0 {
                self.made_for.remove(&account);
            }
        }
    }

    /// Voids the oldest token of the account or prefix that holds most; false if there is none.
    fn evict(&mut self) -> bool {
        let most = self.of_account.most().max(self.of_prefix.most());
        let seal = most.and_then(|(_, Reverse(oldest))| self.by_number.get(&oldest).copied());
        seal.is_some_and(|seal| self.remove(&seal).is_some())
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some((_, account)) = self.made.pop_front_if(|(until, _)| *until <= now) {
            self.uncount(account);
        }
        while let Some(seal) = self.by_number.first_key_value().map(|(_, seal)| *seal)
            && self.by_seal.get(&seal).is_some_and(|token| token.expires_at <= now)
        {
            self.remove(&seal);
        }
    }

    fn remove(&mut self, seal: &Seal) -> Option<Outstanding> {
        let gone = self.by_seal.remove(seal)?;
        self.by_number.remove(&gone.number);
        self.of_account.remove(gone.grant.account, gone.number);
        if let Some(prefix) = gone.grant.prefix() {
            self.of_prefix.remove(prefix, gone.number);
        }
        Some(gone)
    }
}

/// When a token that is made now expires; netcode counts whole seconds.
fn expiry(now: Duration) -> Duration {
    Duration::from_secs(now.as_secs() + TOKEN_SECONDS)
}

/// Whether both addresses are of one IP version; IPv4 may be mapped into IPv6.
fn is_same_version(one: IpAddr, other: IpAddr) -> bool {
    one.to_canonical().is_ipv4() == other.to_canonical().is_ipv4()
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
mod tests;
