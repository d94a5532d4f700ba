//! The client's side: every address of a name, challenge, signature, token.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2c2r_link::problem::{self, fit};
use p2c2r_link::{Access, LinkProblem, NoToken, TokenAnswer, TokenSource};
use p2c2r_protocol::{AccountKey, ProtocolIdentity, Role, printable};
use rustls::ClientConfig;

use crate::api::{
    CHALLENGE_CHARS_MAX, CHALLENGE_PATH, Challenge, Instance, RefusalCode, TOKEN_PATH, TokenGrant,
    TokenRefusal, TokenRequest,
};
use crate::https::{CONNECT_MAX, Https, QuestionError, RECONNECT_MAX};
use crate::join_link::{HOSTS_MAX, Host, JoinLink};
use crate::key::AccountSecret;
use crate::pin::client_config;
use crate::probe::look_up;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// How many addresses that failed over UDP are remembered: as many as a link can lead to.
const FAILED_MAX: usize = ADDRESSES_MAX * HOSTS_MAX;
/// How many of the addresses that failed a message names.
const NAMED_MAX: usize = 3;
/// Characters of a coordinator's sentence that are shown to a person.
pub(crate) const CLIENT_SENTENCE_CHARS_MAX: usize = 400;
/// Characters of a name that are shown on one line.
const NAME_SHOWN_MAX: usize = 33;
/// Challenges requested for one token, in case the first expires on the way.
const CHALLENGES_MAX: usize = 2;
/// How long one try for a token may take over all places and addresses of a link; only a name that is being looked up when it is over
/// makes it longer. Two slow requests, or six addresses that do not answer, fit in. With a longer time the player would
/// wait longer to be told why there is no connection.
pub const FETCH_MAX: Duration = Duration::from_secs(30);

/// A program's way to its coordinator: gets a fresh connect token for every try of the link. Clones share it.
#[derive(Clone)]
pub struct JoinClient {
    inner: Arc<Inner>,
}

struct Inner {
    link: JoinLink,
    secret: AccountSecret,
    role: Role,
    name: String,
    instance: Instance,
    identity: ProtocolIdentity,
    tls: Result<Arc<ClientConfig>, String>,
    /// The address that answered last: it is tried first, as long as the name still has it.
    answered: Mutex<Option<SocketAddr>>,
    /// Addresses that answered over HTTPS and then not over UDP, for example because a network blocks UDP or a firewall
    /// filters one of the machine's addresses. They are tried last, in the order in which they failed.
    not_over_udp: Mutex<Vec<SocketAddr>>,
    /// The code with which the coordinator refused the latest request, if it did.
    refusal: Mutex<Option<RefusalCode>>,
    /// What tries whose time was over have asked in vain; the next one goes on behind it.
    begun: Mutex<Round>,
}

/// One round over all places and addresses of a link, for which several tries may be needed.
#[derive(Clone, Debug, Default)]
struct Round {
    /// Places that cannot be looked up.
    unknown: Vec<Host>,
    /// Addresses that gave no answer.
    silent: Vec<SocketAddr>,
}

/// One try to get a token.
struct Fetch {
    until: Instant,
    round: Round,
    /// Why addresses gave no answer in this try.
    failures: Vec<(SocketAddr, QuestionError)>,
    /// Whether the time was over before all addresses had been asked.
    broke_off: bool,
}

impl std::fmt::Debug for JoinClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinClient({:?} as {})", self.inner.link, self.inner.name)
    }
}

impl JoinClient {
    /// A client of the coordinator of `link` for the account of `secret`, with the requested `name`.
    pub fn new(
        link: JoinLink,
        secret: AccountSecret,
        (role, name): (Role, &str),
        identity: ProtocolIdentity,
    ) -> Self {
        let mut number = [0; 8];
        // Without randomness TLS fails too, and the fetch reports that.
        let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut number);
        let tls = client_config(link.fingerprint).map(Arc::new).map_err(|error| error.to_string());
        let inner = Inner {
            link,
            secret,
            role,
            name: name.to_owned(),
            instance: Instance(u64::from_le_bytes(number)),
            identity,
            tls,
            answered: Mutex::new(None),
            not_over_udp: Mutex::new(Vec::new()),
            refusal: Mutex::new(None),
            begun: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The account.
    pub fn account(&self) -> AccountKey {
        self.inner.secret.public()
    }

    /// The code with which the coordinator refused the latest request for a token; `None` if it did not refuse it.
    pub fn refusal(&self) -> Option<RefusalCode> {
        *lock(&self.inner.refusal)
    }

    /// Where the coordinator is, for people.
    pub fn place(&self) -> String {
        self.inner.link.hosts.first().map(ToString::to_string).unwrap_or_default()
    }
}

impl TokenSource for JoinClient {
    fn ask(&self, answer: TokenAnswer) {
        let inner = Arc::clone(&self.inner);
        let spawned = std::thread::Builder::new()
            .name("connect token".to_owned())
            .spawn(move || answer.give(inner.fetch(FETCH_MAX)));
        if let Err(error) = spawned {
            // The answer's sender was dropped with the thread that could not be started; the dialer treats that as a
            // failure.
            tracing::warn!(%error, "cannot look for a connect token");
        }
    }

    fn not_over_udp(&self, server: SocketAddr) {
        let mut failed = lock(&self.inner.not_over_udp);
        failed.retain(|address| *address != server);
        failed.push(server);
        if failed.len() > FAILED_MAX {
            failed.remove(0);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Asks at every address for a token, for `time_max` altogether.
    fn fetch(&self, time_max: Duration) -> Result<Access, NoToken> {
        let tls = self.tls.as_ref().map_err(|error| NoToken::Unreachable {
            reason: LinkProblem::new("This computer cannot connect securely: see the log", error),
        })?;
        *lock(&self.refusal) = None;
        let mut fetch = Fetch {
            until: Instant::now() + time_max,
            round: std::mem::take(&mut *lock(&self.begun)),
            failures: Vec::new(),
            broke_off: false,
        };
        if let Some(answer) = self.ask_around(tls, &mut fetch) {
            return answer;
        }
        if fetch.broke_off {
            *lock(&self.begun) = fetch.round;
        }
        Err(describe(&fetch.failures, fetch.broke_off))
    }

    /// The answer of the first address that gives one.
    fn ask_around(&self, tls: &Arc<ClientConfig>, fetch: &mut Fetch) -> Option<Result<Access, NoToken>> {
        let mut last = Vec::new();
        for host in &self.link.hosts {
            if fetch.round.unknown.contains(host) {
                continue;
            }
            if fetch.is_over() {
                return None;
            }
            match self.addresses(host) {
                Ok(addresses) => {
                    for address in addresses {
                        if let Some(rank) = self.rank_of_failed(address) {
                            last.push((rank, host, address));
                        } else if let Some(answer) = self.try_at(host, address, tls, fetch) {
                            return Some(answer);
                        }
                    }
                }
                Err(reason) if self.link.hosts.len() == 1 => {
                    return Some(Err(NoToken::Unreachable { reason }));
                }
                Err(reason) => {
                    tracing::debug!(%reason, "one of the join link's places is left out");
                    fetch.round.unknown.push(host.clone());
                }
            }
        }
        last.sort_by_key(|(rank, ..)| *rank);
        last.into_iter().find_map(|(_, host, address)| self.try_at(host, address, tls, fetch))
    }

    /// The place of this address in the order in which addresses failed over UDP; `None` if it has not failed.
    fn rank_of_failed(&self, address: SocketAddr) -> Option<usize> {
        lock(&self.not_over_udp).iter().position(|failed| *failed == address)
    }

    /// Asks at one address, unless this round has asked there already. Returns the answer, or notes why there is none.
    fn try_at(
        &self,
        host: &Host,
        address: SocketAddr,
        tls: &Arc<ClientConfig>,
        fetch: &mut Fetch,
    ) -> Option<Result<Access, NoToken>> {
        if fetch.round.silent.contains(&address) || fetch.is_over() {
            return None;
        }
        match self.ask_at(host, address, tls, fetch.until) {
            Ok(access) => {
                *lock(&self.answered) = Some(address);
                Some(Ok(access))
            }
            Err(Failure::Refused(reason)) => Some(Err(NoToken::Refused { reason })),
            Err(Failure::NoAnswer(error)) => {
                fetch.failures.push((address, error));
                fetch.round.silent.push(address);
                None
            }
        }
    }

    /// Every address that the name has now, since it may have moved.
    fn addresses(&self, host: &Host) -> Result<Vec<SocketAddr>, LinkProblem> {
        let name = &host.name;
        let mut addresses = look_up(host).map_err(|error| {
            let detail = format!(
                "the name {name} cannot be looked up ({error}); is it spelled right, and is this machine online?"
            );
            LinkProblem::new(format!("Cannot find {}: are you online?", fit(name, NAME_SHOWN_MAX)), detail)
        })?;
        addresses.truncate(ADDRESSES_MAX);
        let answered = *lock(&self.answered);
        // Stable: the others stay in the order of the system's resolver.
        addresses.sort_by_key(|address| Some(*address) != answered);
        Ok(addresses)
    }

    fn ask_at(
        &self,
        host: &Host,
        address: SocketAddr,
        tls: &Arc<ClientConfig>,
        until: Instant,
    ) -> Result<Access, Failure> {
        let answered = *lock(&self.answered);
        let connect_max = if answered == Some(address) { RECONNECT_MAX } else { CONNECT_MAX };
        let https = Https::new(host, address, Arc::clone(tls), (connect_max, until));
        let mut tries = 0;
        loop {
            tries += 1;
            let challenge =
                https.post::<_, Challenge, TokenRefusal>(CHALLENGE_PATH, &serde_json::json!({}))?;
            let Challenge { challenge } = challenge.map_err(|refusal| self.refused(&refusal))?;
            if challenge.len() > CHALLENGE_CHARS_MAX {
                return Err(QuestionError::NotOurs("its challenge is too long".to_owned()).into());
            }
            let request = TokenRequest::signed(
                &self.secret,
                (self.role, &self.name, self.instance),
                (self.identity.id, &self.identity.text),
                &challenge,
                self.link.invite.as_deref(),
            );
            match https.post::<_, TokenGrant, TokenRefusal>(TOKEN_PATH, &request)? {
                Ok(grant) => {
                    let unreadable = || QuestionError::NotOurs("its connect token cannot be read".to_owned());
                    let token = grant.token_bytes().ok_or_else(unreadable)?;
                    return Ok(Access { token, server: address });
                }
                Err(refusal) if refusal.code == RefusalCode::StaleChallenge && tries < CHALLENGES_MAX => {}
                Err(refusal) => return Err(self.refused(&refusal)),
            }
        }
    }

    /// A refusal as a person reads it: the coordinator's sentence in full, and a line of our own by its code.
    fn refused(&self, refusal: &TokenRefusal) -> Failure {
        *lock(&self.refusal) = Some(refusal.code);
        let detail = sentence(refusal);
        Failure::Refused(match (refusal.code, &refusal.protocol) {
            (RefusalCode::Incompatible, Some(theirs)) => {
                problem::other_version(&self.identity, theirs, detail)
            }
            (code, _) => LinkProblem::new(brief(code, self.role), detail),
        })
    }
}

impl Fetch {
    /// Whether its time is over; notes that something was left to ask.
    fn is_over(&mut self) -> bool {
        self.broke_off |= Instant::now() >= self.until;
        self.broke_off
    }
}

/// A refusal on one line: what is wrong, and what its reader can do.
fn brief(code: RefusalCode, role: Role) -> String {
    let said = match code {
        RefusalCode::Incompatible => "The coordinator has another version: install that one",
        RefusalCode::NoAccount => "You have no account there: ask the operator for a join link",
        RefusalCode::InviteUnknown => "Your join link is unknown there: ask the operator for another",
        RefusalCode::InviteUsedUp => "Your join link has been used up: ask the operator for another",
        RefusalCode::InviteExpired => "Your join link is too old: ask the operator for another",
        RefusalCode::WrongRole => {
            return format!("This link or account is no {role}'s: ask for a {role}'s link");
        }
        RefusalCode::Revoked => "Your account there was closed: ask the operator why",
        RefusalCode::RegistrationFull => "No room for new accounts there: ask for an invite",
        RefusalCode::BadSignature => "Your account's key does not fit: join again with a new link",
        RefusalCode::TooMany => "Too many tries from here: wait, they go on by themselves",
        RefusalCode::StaleChallenge => "The way to the coordinator takes too long: tries go on",
        RefusalCode::Unavailable => problem::BUSY,
        RefusalCode::Malformed | RefusalCode::Unknown => {
            "The coordinator does not take this program: see the log"
        }
    };
    said.to_owned()
}

enum Failure {
    NoAnswer(QuestionError),
    Refused(LinkProblem),
}

impl From<QuestionError> for Failure {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::OtherKey => Self::Refused(LinkProblem::new(
                "The coordinator's key is not your link's: ask for a new link",
                "the coordinator shows another key than the join link names: it was set up anew, or somebody on the \
                 way poses as it; ask its operator for a new link",
            )),
            other => Self::NoAnswer(other),
        }
    }
}

/// The message of a refusal, fit to be shown.
pub(crate) fn sentence(refusal: &TokenRefusal) -> String {
    printable(&refusal.message, CLIENT_SENTENCE_CHARS_MAX)
}

/// Why every address failed that was asked, which are not all if the time was over (`broke_off`). The brief line names the
/// first fault that is more than silence.
fn describe(failures: &[(SocketAddr, QuestionError)], broke_off: bool) -> NoToken {
    let named: Vec<String> =
        failures.iter().take(NAMED_MAX).map(|(address, error)| format!("{address}: {error}")).collect();
    if named.is_empty() {
        let reason = LinkProblem::new(
            "Cannot find the coordinator: are you online?",
            "none of the coordinator's names can be looked up; is this machine online?",
        );
        return NoToken::Unreachable { reason };
    }
    let more = match failures.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let others = if broke_off { "; the link's other addresses are asked at the next try" } else { "" };
    let detail = format!(
        "nobody answers ({}{more}){others}; is the coordinator running, is this its port, and does its firewall let it \
         through?",
        named.join("; ")
    );
    let said = failures.iter().find_map(|(_, error)| match error {
        QuestionError::Certificate(_) => Some("The coordinator's certificate is not valid: ask its operator"),
        QuestionError::NotOurs(_) => Some("Something else answers there: ask the operator for a new link"),
        QuestionError::Unreachable(_) | QuestionError::OtherKey => None,
    });
    let reason = match said {
        Some(said) => LinkProblem::new(said, detail),
        None => problem::no_answer(detail),
    };
    NoToken::Unreachable { reason }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use p2c2r_protocol::Digest;

    use super::*;
    use crate::pin::Fingerprint;

    #[test]
    fn a_try_ends_in_time_says_whom_it_asked_and_the_next_goes_on_with_the_others() {
        // They take connections and say nothing.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let places = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
        let link = format!("p2c2r://{}/sesame#{}", places.join(","), Fingerprint([7; 32])).parse().unwrap();
        let secret = AccountSecret::from_seed([7; 32]).unwrap();
        let client = JoinClient::new(
            link,
            secret,
            (Role::Gamer, "ada"),
            ProtocolIdentity::new(&[], Digest::of_parts(&[b"none"])),
        );
        let asked = |listener: &TcpListener| {
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count()
        };
        let time_max = Duration::from_millis(200);
        for turn in [0, 1, 2, 0] {
            let began = Instant::now();
            let Err(NoToken::Unreachable { reason }) = client.inner.fetch(time_max) else {
                panic!("nobody answers")
            };
            assert!(began.elapsed() < Duration::from_secs(4), "one silent address may take five seconds");
            assert!(reason.detail.contains(&places[turn]), "{}", reason.detail);
            assert_eq!(reason.detail.contains("at the next try"), turn < 2, "{}", reason.detail);
            let counts = listeners.each_ref().map(asked);
            assert!(counts[turn] == 1 && counts.iter().sum::<usize>() == 1, "{turn}: {counts:?}");
        }
    }

    #[test]
    fn no_refusal_is_too_long_for_its_line() {
        for code in RefusalCode::ALL {
            for role in [Role::Gamer, Role::Worker] {
                let said = brief(*code, role);
                let shown = LinkProblem::new(said.clone(), "");
                assert_eq!(shown.brief(), said);
            }
        }
    }
}
