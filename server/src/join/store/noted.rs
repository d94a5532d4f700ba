//! What the running coordinator notes for other processes and for its next start, in the store's table `meta`.

use std::net::SocketAddr;

use p2c2r_join::JoinLink;
use p2c2r_protocol::Nanos;
use rusqlite::OptionalExtension as _;

use super::{AccountStore, JoinError};
use crate::ledger::LedgerId;

const LINK: &str = "link";
const OPENING_CREDIT: &str = "opening_credit_nanos";
const LISTENING: &str = "listening";
const LEDGER: &str = "ledger";

impl AccountStore {
    /// Notes where the coordinator is reached, as in a join link without invite, what an invite gives a gamer unless it says
    /// otherwise, and at which address the coordinator listens.
    pub fn publish(
        &mut self,
        link: &JoinLink,
        opening_credit: Nanos,
        listening: SocketAddr,
    ) -> Result<(), JoinError> {
        self.note(&[
            (LINK, link.without_invite().to_string()),
            (OPENING_CREDIT, opening_credit.0.to_string()),
            (LISTENING, listening.to_string()),
        ])
    }

    /// The link and the credit that [`publish`](Self::publish) noted last.
    pub fn published(&self) -> Result<Option<(JoinLink, Nanos)>, JoinError> {
        let link = self.noted(LINK)?.and_then(|text| text.parse().ok());
        let credit = self.noted(OPENING_CREDIT)?.and_then(|text| text.parse().ok());
        Ok(link.map(|link| (link, credit.map_or(Nanos::ZERO, Nanos))))
    }

    /// The address that [`publish`](Self::publish) noted last; an older coordinator noted none.
    pub fn listening(&self) -> Result<Option<SocketAddr>, JoinError> {
        Ok(self.noted(LISTENING)?.and_then(|text| text.parse().ok()))
    }

    /// Notes that these accounts belong to this ledger, so that no other is taken for it, and no empty one made in its place.
    pub fn note_ledger(&mut self, LedgerId(id): LedgerId) -> Result<(), JoinError> {
        self.note(&[(LEDGER, id.to_string())])
    }

    /// The ledger that these accounts belong to; `None` before the first start, and after
    /// [`forget_ledger`](Self::forget_ledger).
    pub fn ledger(&self) -> Result<Option<LedgerId>, JoinError> {
        Ok(self.noted(LEDGER)?.and_then(|text| text.parse().ok()).map(LedgerId))
    }

    /// Lets the next start go on with any ledger, or begin one.
    pub fn forget_ledger(&mut self) -> Result<(), JoinError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM meta WHERE name = ?1", [LEDGER]).map(|_| ())
        })
    }

    fn note(&mut self, values: &[(&str, String)]) -> Result<(), JoinError> {
        self.write(|transaction| {
            let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            values.iter().try_for_each(|value| transaction.execute(sql, (value.0, &value.1)).map(|_| ()))
        })
    }

    fn noted(&self, name: &str) -> Result<Option<String>, JoinError> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        let read = self.connection.query_row(sql, [name], |row| row.get(0)).optional();
        read.map_err(|error| self.explain(&error))
    }
}
