//! Authentication of the operator: by a login link of `p2c2r-server page`, or by the metrics token. Both are stored as
//! hashes; a browser's cookie is kept as a hash in memory, so a restart logs everyone out.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::join::limits::LastComplaint;
use crate::join::{AccountStore, JoinError, WallSeconds};

/// How long a browser stays logged in: a working day.
pub const SESSION: Duration = Duration::from_hours(12);
/// Browsers logged in at the same time; one more logs the oldest out.
const SESSIONS_MAX: usize = 16;
/// Requests that may wait for the account store; those beyond are told to come again.
const STORE_QUEUE_MAX: usize = 16;
/// Length of a secret in characters; anything of another length is refused without asking the store.
const SECRET_CHARS: usize = 32;
/// The cookie. A browser takes this prefix only with `Secure`, `Path=/` and no domain, so that no neighbour can set it.
pub const COOKIE_NAME: &str = "__Host-p2c2r";

/// The store cannot be asked now.
#[derive(Debug)]
pub struct Busy;

/// Tells whether a request is the operator's.
pub struct OperatorAccess {
    store: Arc<Mutex<AccountStore>>,
    room: Semaphore,
    /// Oldest first: hashes of cookies, and when they were given.
    sessions: Mutex<VecDeque<([u8; 32], Instant)>>,
    opened: Instant,
    complained: Mutex<LastComplaint>,
}

impl OperatorAccess {
    /// Reads the account store in this data folder.
    pub fn open(folder: &Path) -> Result<Self, JoinError> {
        Ok(Self {
            store: Arc::new(Mutex::new(AccountStore::open(folder)?)),
            room: Semaphore::new(STORE_QUEUE_MAX),
            sessions: Mutex::default(),
            opened: Instant::now(),
            complained: Mutex::default(),
        })
    }

    /// Uses up a login link; returns the cookie's value if it was good.
    pub async fn log_in(&self, secret: String) -> Result<Option<String>, Busy> {
        let is_good = secret.len() == SECRET_CHARS
            && self.ask(move |store| store.use_login(&secret, WallSeconds::now())).await?;
        if !is_good {
            return Ok(None);
        }
        let mut value = [0; 32];
        SystemRandom::new().fill(&mut value).map_err(|_| Busy)?;
        let value = URL_SAFE_NO_PAD.encode(value);
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back((hash(&value), Instant::now()));
        Ok(Some(value))
    }

    /// Logs the browser of this request out.
    pub fn log_out(&self, headers: &HeaderMap) {
        if let Some(value) = cookie(headers) {
            let hash = hash(value);
            lock(&self.sessions).retain(|(known, _)| *known != hash);
        }
    }

    /// Whether the browser of this request is logged in.
    pub fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = cookie(headers) else { return false };
        let hash = hash(value);
        // Only hashes are compared, so the time of the comparison reveals nothing about the secret.
        lock(&self.sessions).iter().any(|(known, since)| *known == hash && since.elapsed() < SESSION)
    }

    /// Whether this request shows the token that figures are collected with.
    pub async fn shows_token(&self, headers: &HeaderMap) -> Result<bool, Busy> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        match token.filter(|token| token.len() == SECRET_CHARS) {
            None => Ok(false),
            Some(token) => {
                let token = token.to_owned();
                self.ask(move |store| store.is_metrics_token(&token)).await
            }
        }
    }

    /// Asks the store on the thread that may wait for the disk.
    async fn ask(
        &self,
        question: impl FnOnce(&mut AccountStore) -> Result<bool, JoinError> + Send + 'static,
    ) -> Result<bool, Busy> {
        let _room = self.room.try_acquire().map_err(|_| Busy)?;
        let store = Arc::clone(&self.store);
        let answer = tokio::task::spawn_blocking(move || question(&mut lock(&store))).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(cause)) => {
                if lock(&self.complained).is_due(self.opened.elapsed()) {
                    tracing::error!(%cause, "nobody can log in to the status page");
                }
                Err(Busy)
            }
            Err(_) => Err(Busy),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(value: &str) -> [u8; 32] {
    *blake3::hash(value.as_bytes()).as_bytes()
}

/// The value of our cookie in a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}
