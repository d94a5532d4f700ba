//! What is answered over HTTPS to those who join: challenges, connect tokens, and bytes to measure bandwidth with.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use p2c2r_join::api::{
    CHALLENGE_PATH, Challenge, PROTOCOL_CHARS_MAX, REQUEST_BYTES_MAX, SPEED_BYTES, SPEED_PATH, TOKEN_PATH,
};
use p2c2r_join::{RefusalCode, TokenGrant, TokenRequest};
use p2c2r_link::{Grant, Mint, MintRefusal};
use p2c2r_protocol::{AccountKey, ProtocolIdentity, printable};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, error};

use super::challenge::Challenges;
use super::enrol::Registrar;
use super::error::JoinError;
use super::limits::{Buckets, GcraLimiter, JoinLimits, LastComplaint, Prefix, Rate};
use super::reach::SharedUdpReach;
use super::refusals::JoinRefusal;
use super::store::{AccountRecord, Newcomer, WallSeconds};

const MINUTE: Duration = Duration::from_mins(1);
/// Bandwidth measurements per minute for one address prefix; a client needs one or two.
const SPEED_PER_MINUTE: u32 = 6;
/// Bandwidth measurements per minute for all addresses: at most some 2 Mbit/s.
const SPEED_PER_MINUTE_IN_ALL: u32 = 60;
/// Characters of an error message in an answer.
const FAULT_CHARS_MAX: usize = 120;

/// What all requests share.
pub(super) struct Front {
    pub limits: JoinLimits,
    pub registrar: Mutex<Registrar>,
    pub mint: Mint,
    pub identity: ProtocolIdentity,
    /// Hears of every token that is handed out.
    pub reach: SharedUdpReach,
    /// Set when the coordinator begins to stop.
    pub closing: Arc<AtomicBool>,
    started: Instant,
    challenges: Mutex<Challenges>,
    challenge_rates: Mutex<Buckets>,
    token_rates: Mutex<Buckets>,
    speed_rates: Mutex<(Buckets, GcraLimiter)>,
    /// Requests that may wait for the account store's thread.
    store_room: Semaphore,
    complained: Mutex<LastComplaint>,
}

impl Front {
    pub fn new(
        limits: JoinLimits,
        registrar: Registrar,
        mint: Mint,
        identity: ProtocolIdentity,
        (reach, closing): (SharedUdpReach, Arc<AtomicBool>),
    ) -> Result<Self, JoinError> {
        let rate = Rate { burst: limits.requests_per_minute, per: MINUTE };
        Ok(Self {
            store_room: Semaphore::new(limits.store_queue_max as usize),
            complained: Mutex::default(),
            limits,
            registrar: Mutex::new(registrar),
            mint,
            identity,
            reach,
            closing,
            started: Instant::now(),
            challenges: Mutex::new(Challenges::new()?),
            challenge_rates: Mutex::new(Buckets::new(rate)),
            token_rates: Mutex::new(Buckets::new(rate)),
            speed_rates: Mutex::new((
                Buckets::new(Rate { burst: SPEED_PER_MINUTE, per: MINUTE }),
                GcraLimiter::default(),
            )),
        })
    }

    /// A new challenge.
    pub fn challenge(&self) -> Result<String, JoinError> {
        lock(&self.challenges).issue(self.now())
    }

    /// Monotonic time since the start.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs `act` on the one thread that may wait for the disk; `None` if too many requests wait for it already.
    pub async fn with_registrar<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Registrar) -> T + Send + 'static,
    ) -> Option<T> {
        let front = Arc::clone(self);
        let _room = self.store_room.try_acquire().ok()?;
        tokio::task::spawn_blocking(move || act(&mut lock(&front.registrar))).await.ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender(pub SocketAddr);

/// All routes: those of joining, and `pages`, which are those of the status page.
pub(super) fn router(front: Arc<Front>, pages: Router) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(SPEED_PATH, get(give_bytes))
        .route(CHALLENGE_PATH, post(give_challenge))
        .route(TOKEN_PATH, post(give_token))
        .fallback(|| async {
            JoinRefusal::malformed(StatusCode::NOT_FOUND, "there is nothing here by this name")
        })
        .method_not_allowed_fallback(|| async {
            JoinRefusal::malformed(StatusCode::METHOD_NOT_ALLOWED, "this is asked for by another method")
        })
        .with_state(front)
        .merge(pages)
}

async fn give_challenge(
    State(front): State<Arc<Front>>,
    Extension(sender): Extension<Sender>,
    body: Body,
) -> Result<Json<Challenge>, JoinRefusal> {
    let now = front.now();
    if !lock(&front.challenge_rates).take(Prefix::of(sender.0.ip()), now) {
        return Err(JoinRefusal::of(RefusalCode::TooMany));
    }
    refuse_while_closing(&front)?;
    // The content is ignored, but must be read: the next request begins after it.
    read(&front, body).await?;
    match front.challenge() {
        Ok(challenge) => Ok(Json(Challenge { challenge })),
        Err(cause) => Err(trouble(&front, &cause)),
    }
}

/// A body of known length, by whose duration a client measures its bandwidth. Plain text, so no decoding is needed.
async fn give_bytes(
    State(front): State<Arc<Front>>,
    Extension(sender): Extension<Sender>,
) -> Result<Vec<u8>, JoinRefusal> {
    let all = Rate { burst: SPEED_PER_MINUTE_IN_ALL, per: MINUTE };
    let (of_prefix, of_all) = &mut *lock(&front.speed_rates);
    // The address's own bucket is taken from first: a flooding address must not empty the shared one.
    if !of_prefix.take(Prefix::of(sender.0.ip()), front.now()) || !of_all.take(all, front.now()) {
        return Err(JoinRefusal::of(RefusalCode::TooMany));
    }
    Ok(vec![b'.'; SPEED_BYTES])
}

async fn give_token(
    State(front): State<Arc<Front>>,
    Extension(sender): Extension<Sender>,
    body: Body,
) -> Result<Json<TokenGrant>, JoinRefusal> {
    if !lock(&front.token_rates).take(Prefix::of(sender.0.ip()), front.now()) {
        return Err(JoinRefusal::of(RefusalCode::TooMany));
    }
    refuse_while_closing(&front)?;
    let bytes = read(&front, body).await?;
    let request = parse(&bytes)?;
    let key = check(&front, &request)?;
    let instance = request.instance.0;
    let account = enrol_or_find(&front, key, request, sender.0.ip()).await?;
    let now = WallSeconds::now();
    let (name, is_kept) = (account.name.clone(), account.is_visit_kept(now));
    let grant = Grant {
        role: account.role,
        account: account.key,
        instance,
        name: account.name,
        credit: account.credit,
        asked_from: Some(sender.0.ip()),
    };
    match front.mint.issue(grant) {
        Ok(token) => {
            front.reach.token_given(sender.0.ip());
            if is_kept {
                keep_visit(&front, key, name.clone(), now).await;
            }
            Ok(Json(TokenGrant::new(&token, &name)))
        }
        Err(full @ MintRefusal::AccountFull) => {
            Err(JoinRefusal::saying(RefusalCode::TooMany, full.to_string()))
        }
        // The account was closed after it was found.
        Err(closed @ MintRefusal::AccountClosed) => {
            Err(JoinRefusal::saying(RefusalCode::Revoked, closed.to_string()))
        }
        Err(other) => Err(JoinRefusal::saying(RefusalCode::Unavailable, other.to_string())),
    }
}

/// Stores an account's visit and its new name. If the store is busy or fails, they are stored with the next token.
async fn keep_visit(front: &Arc<Front>, key: AccountKey, name: String, now: WallSeconds) {
    if let Some(Err(cause)) =
        front.with_registrar(move |registrar| registrar.store().keep_visit(key, &name, now)).await
    {
        debug!(?key, %cause, "a visit is not kept yet");
    }
}

/// The request in a body.
pub(super) fn parse(body: &[u8]) -> Result<TokenRequest, JoinRefusal> {
    serde_json::from_slice(body).map_err(|fault| {
        let fault: String = fault.to_string().chars().take(FAULT_CHARS_MAX).collect();
        JoinRefusal::malformed(StatusCode::BAD_REQUEST, format!("this is not a token request: {fault}"))
    })
}

/// The account that signed the request, if the protocol matches and the challenge is genuine and unspent. The cheap
/// checks come first.
pub(super) fn check(front: &Front, request: &TokenRequest) -> Result<AccountKey, JoinRefusal> {
    if AccountKey::from_hex(&request.account).is_none() {
        return Err(JoinRefusal::malformed(
            StatusCode::BAD_REQUEST,
            "the account is not 64 hexadecimal digits",
        ));
    }
    if request.protocol != front.identity.id {
        let theirs = printable(&request.protocol_text, PROTOCOL_CHARS_MAX);
        let message = format!(
            "this program speaks {theirs} and the coordinator {}; use the same version on both sides",
            front.identity.text
        );
        return Err(JoinRefusal::of_another_protocol(&front.identity.text, message));
    }
    let stale = || JoinRefusal::of(RefusalCode::StaleChallenge);
    let live = lock(&front.challenges).check(&request.challenge, front.now()).ok_or_else(stale)?;
    let key = request.verified().ok_or_else(|| JoinRefusal::of(RefusalCode::BadSignature))?;
    if lock(&front.challenges).spend(live, front.now()) { Ok(key) } else { Err(stale()) }
}

async fn enrol_or_find(
    front: &Arc<Front>,
    key: AccountKey,
    request: TokenRequest,
    from: IpAddr,
) -> Result<AccountRecord, JoinRefusal> {
    let now = (WallSeconds::now(), front.now());
    let found = front
        .with_registrar(move |registrar| {
            let newcomer =
                Newcomer { key, role: request.role, name: &request.name, invite: request.invite.as_deref() };
            registrar.enrol_or_find(&newcomer, from, now)
        })
        .await;
    match found {
        None => Err(JoinRefusal::of(RefusalCode::Unavailable)),
        Some(Err(cause)) => Err(trouble(front, &cause)),
        Some(Ok(Err(code))) => {
            debug!(?key, ?code, "not let in");
            Err(JoinRefusal::of(code))
        }
        Some(Ok(Ok(account))) => Ok(account),
    }
}

fn refuse_while_closing(front: &Front) -> Result<(), JoinRefusal> {
    if front.closing.load(Ordering::Relaxed) {
        Err(JoinRefusal::of(RefusalCode::Unavailable))
    } else {
        Ok(())
    }
}

/// An internal error: the cause is logged, and the client learns only that there was one.
fn trouble(front: &Front, cause: &JoinError) -> JoinRefusal {
    if lock(&front.complained).is_due(front.now()) {
        error!(%cause, "nobody can join");
    }
    JoinRefusal::saying(
        RefusalCode::Unavailable,
        "the coordinator has trouble of its own; try again in a minute",
    )
}

/// The body of a request, in time and within its limit.
async fn read(front: &Front, body: Body) -> Result<axum::body::Bytes, JoinRefusal> {
    match timeout(front.limits.body, to_bytes(body, REQUEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(JoinRefusal::malformed(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request breaks off or is over {REQUEST_BYTES_MAX} bytes"),
        )),
        Err(_) => Err(JoinRefusal::malformed(StatusCode::REQUEST_TIMEOUT, "the request came too slowly")),
    }
}
