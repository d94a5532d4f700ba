//! Invites: made by the operator, good for some uses and some time, kept as hashes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p2c2r_protocol::{Nanos, Role, fit_name};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{AccountStore, JoinError, WallSeconds, role_number, role_of};

/// Random bytes of an invite's secret: too many to guess from its hash, which a thief of the store has.
const SECRET_BYTES: usize = 24;
/// Accounts that one invite may open.
pub const INVITE_USES_MAX: u32 = 100_000;

/// An invite to be made.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// The role in which its holders join.
    pub role: Role,
    /// The name of the accounts it opens; `None` lets their owners choose.
    pub label: Option<String>,
    /// Accounts it may open, 1 to [`INVITE_USES_MAX`].
    pub uses: u32,
    /// How long it is good for.
    pub expires_in: Duration,
    /// What each account it opens is given, once.
    pub credit: Nanos,
}

/// An invite as it is kept.
#[derive(Clone, Debug)]
pub(super) struct InviteRecord {
    pub id: i64,
    pub role: Role,
    pub label: Option<String>,
    pub uses_left: i64,
    pub expires_at: WallSeconds,
    pub credit: Nanos,
}

impl AccountStore {
    /// Makes an invite and returns its secret, which is not kept.
    pub fn invite(&mut self, invite: &NewInvite, now: WallSeconds) -> Result<String, JoinError> {
        let secret = new_secret()?;
        let seconds = i64::try_from(invite.expires_in.as_secs()).unwrap_or(i64::MAX);
        self.write(|transaction| {
            let sql = "INSERT INTO invites
                           (secret_hash, role, label, uses_left, expires_at, credit_nanos, created_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            transaction.execute(
                sql,
                params![
                    hash_of(&secret),
                    role_number(invite.role),
                    invite.label.as_deref().map(fit_name),
                    invite.uses,
                    now.0.saturating_add(seconds),
                    invite.credit.0,
                    now.0
                ],
            )
        })?;
        Ok(secret)
    }

    /// Whether an invite was ever made.
    pub fn has_invites(&self) -> Result<bool, JoinError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM invites)";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.explain(&error))
    }
}

/// The invite with this secret.
pub(super) fn find(transaction: &Transaction<'_>, secret: &str) -> rusqlite::Result<Option<InviteRecord>> {
    let sql =
        "SELECT id, role, label, uses_left, expires_at, credit_nanos FROM invites WHERE secret_hash = ?1";
    transaction
        .query_row(sql, [hash_of(secret)], |row| {
            Ok(InviteRecord {
                id: row.get(0)?,
                role: role_of(row.get(1)?),
                label: row.get(2)?,
                uses_left: row.get(3)?,
                expires_at: WallSeconds(row.get(4)?),
                credit: Nanos(row.get(5)?),
            })
        })
        .optional()
}

/// Counts one use of it.
pub(super) fn use_up(transaction: &Transaction<'_>, invite: i64) -> rusqlite::Result<()> {
    transaction.execute("UPDATE invites SET uses_left = uses_left - 1 WHERE id = ?1", [invite]).map(|_| ())
}

/// A new secret, in URL-safe base64.
pub(super) fn new_secret() -> Result<String, JoinError> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).map_err(|_| JoinError::Randomness)?;
    Ok(URL_SAFE_NO_PAD.encode(secret))
}

/// A fast hash suffices: 24 random bytes cannot be guessed.
pub(super) fn hash_of(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}
