//! The client's side: every address of a name, challenge, signature, token.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_link::{Access, NoToken, TokenAnswer, TokenSource};
use p2c2r_protocol::{AccountKey, ProtocolIdentity, Role, printable};
use rustls::ClientConfig;

use crate::api::{
    CHALLENGE_CHARS_MAX, CHALLENGE_PATH, Challenge, Instance, RefusalCode, TOKEN_PATH, TokenGrant,
    TokenRefusal, TokenRequest,
};
use crate::https::{CONNECT_MAX, Https, HttpsError, RECONNECT_MAX};
use crate::join_link::{Host, JoinLink};
use crate::key::AccountSecret;
use crate::pin::client_config;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Failed addresses that are named to the person.
const NAMED_MAX: usize = 3;
/// Characters of a coordinator's sentence that are shown to a person.
pub(crate) const CLIENT_SENTENCE_CHARS_MAX: usize = 400;
/// Challenges requested for one token, in case the first expires on the way.
const CHALLENGES_MAX: usize = 2;

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
        };
        Self { inner: Arc::new(inner) }
    }

    /// The account.
    pub fn account(&self) -> AccountKey {
        self.inner.secret.public()
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
            .spawn(move || answer.give(inner.fetch()));
        if let Err(error) = spawned {
            // The answer's sender was dropped with the thread that could not be started; the dialer treats that as a
            // failure.
            tracing::warn!(%error, "cannot look for a connect token");
        }
    }
}

impl Inner {
    fn fetch(&self) -> Result<Access, NoToken> {
        let tls = self.tls.as_ref().map_err(|error| NoToken::Unreachable { reason: error.clone() })?;
        let mut failures = Vec::new();
        for host in &self.link.hosts {
            match self.addresses(host) {
                Ok(addresses) => {
                    for address in addresses {
                        match self.ask_at(host, address, tls) {
                            Ok(access) => {
                                *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                                return Ok(access);
                            }
                            Err(Failure::Refused(reason)) => return Err(NoToken::Refused { reason }),
                            Err(Failure::Https(error)) => failures.push((address, error)),
                        }
                    }
                }
                Err(reason) if self.link.hosts.len() == 1 => return Err(NoToken::Unreachable { reason }),
                Err(reason) => tracing::debug!(reason, "one of the coordinator's places"),
            }
        }
        Err(describe(&failures))
    }

    /// Every address that the name has now, since it may have moved.
    fn addresses(&self, host: &Host) -> Result<Vec<SocketAddr>, String> {
        let found = (host.name.as_str(), host.port).to_socket_addrs().map_err(|error| {
            format!(
                "the name {} cannot be looked up ({error}); is it spelled right, and is this machine online?",
                host.name
            )
        })?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        // Stable: the others stay in the order of the system's resolver.
        addresses.sort_by_key(|address| Some(*address) != answered);
        Ok(addresses)
    }

    fn ask_at(&self, host: &Host, address: SocketAddr, tls: &Arc<ClientConfig>) -> Result<Access, Failure> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let connect_max = if answered == Some(address) { RECONNECT_MAX } else { CONNECT_MAX };
        let https = Https::new(host, address, Arc::clone(tls), connect_max);
        let mut tries = 0;
        loop {
            tries += 1;
            let challenge =
                https.post::<_, Challenge, TokenRefusal>(CHALLENGE_PATH, &serde_json::json!({}))?;
            let Challenge { challenge } = challenge.map_err(Failure::refused)?;
            if challenge.len() > CHALLENGE_CHARS_MAX {
                return Err(HttpsError::NotOurs("its challenge is too long".to_owned()).into());
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
                    let unreadable = || HttpsError::NotOurs("its connect token cannot be read".to_owned());
                    let token = grant.token_bytes().ok_or_else(unreadable)?;
                    return Ok(Access { token, server: address });
                }
                Err(refusal) if refusal.code == RefusalCode::StaleChallenge && tries < CHALLENGES_MAX => {}
                Err(refusal) => return Err(Failure::refused(refusal)),
            }
        }
    }
}

enum Failure {
    Https(HttpsError),
    Refused(String),
}

impl Failure {
    fn refused(refusal: TokenRefusal) -> Self {
        Self::Refused(sentence(&refusal))
    }
}

impl From<HttpsError> for Failure {
    fn from(error: HttpsError) -> Self {
        match error {
            HttpsError::OtherKey => Self::Refused(
                "the coordinator shows another key than the join link names: it was set up anew, or somebody on the \
                 way poses as it; ask its operator for a new link"
                    .to_owned(),
            ),
            other => Self::Https(other),
        }
    }
}

/// What a refusal says, as it may be shown.
pub(crate) fn sentence(refusal: &TokenRefusal) -> String {
    printable(&refusal.message, CLIENT_SENTENCE_CHARS_MAX)
}

/// What all addresses failed of, in one sentence.
fn describe(failures: &[(SocketAddr, HttpsError)]) -> NoToken {
    let named: Vec<String> =
        failures.iter().take(NAMED_MAX).map(|(address, error)| format!("{address}: {error}")).collect();
    let reason = if named.is_empty() {
        "none of the coordinator's names can be looked up; is this machine online?".to_owned()
    } else {
        format!(
            "nobody answers ({}); is the coordinator running, is this its port, and does its firewall let it through?",
            named.join("; ")
        )
    };
    NoToken::Unreachable { reason }
}
