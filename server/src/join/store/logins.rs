//! The operator's authentication over HTTPS: login links, valid once and for a limited time, and the token for the
//! metrics collector. Both are stored as hashes.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::invites::{hash_of, new_secret};
use super::{AccountStore, JoinError, WallSeconds};

impl AccountStore {
    /// Makes the secret of a login link, valid once and for `expires_in`; only its hash is stored. Deletes expired
    /// ones.
    pub fn make_login(&mut self, expires_in: Duration, now: WallSeconds) -> Result<String, JoinError> {
        let secret = new_secret()?;
        let seconds = i64::try_from(expires_in.as_secs()).unwrap_or(i64::MAX);
        self.write(|transaction| {
            transaction.execute("DELETE FROM logins WHERE expires_at <= ?1", [now.0])?;
            let sql = "INSERT INTO logins (secret_hash, expires_at) VALUES (?1, ?2)";
            transaction.execute(sql, params![hash_of(&secret), now.0.saturating_add(seconds)])
        })?;
        Ok(secret)
    }

    /// Whether this is the secret of a login link that has not expired and was not used; from now on it is used.
    pub fn use_login(&mut self, secret: &str, now: WallSeconds) -> Result<bool, JoinError> {
        let hash = hash_of(secret);
        // Checked without a write first: guesses must not keep the store locked for writing.
        let sql = "SELECT EXISTS (SELECT 1 FROM logins WHERE secret_hash = ?1)";
        let known: bool =
            self.connection.query_row(sql, [hash], |row| row.get(0)).map_err(|error| self.explain(&error))?;
        if !known {
            return Ok(false);
        }
        self.write(|transaction| {
            let sql = "DELETE FROM logins WHERE secret_hash = ?1 RETURNING expires_at";
            let expires_at: Option<i64> = transaction.query_row(sql, [hash], |row| row.get(0)).optional()?;
            Ok(expires_at.is_some_and(|at| at > now.0))
        })
    }

    /// Makes the metrics collector's token; an earlier one becomes invalid.
    pub fn make_metrics_token(&mut self) -> Result<String, JoinError> {
        let secret = new_secret()?;
        self.write(|transaction| {
            let sql = "INSERT INTO metrics_token (id, secret_hash) VALUES (1, ?1)
                       ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash";
            transaction.execute(sql, [hash_of(&secret)])
        })?;
        Ok(secret)
    }

    /// Whether this is the metrics collector's token.
    pub fn is_metrics_token(&self, secret: &str) -> Result<bool, JoinError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM metrics_token WHERE secret_hash = ?1)";
        self.connection
            .query_row(sql, [hash_of(secret)], |row| row.get(0))
            .map_err(|error| self.explain(&error))
    }
}
