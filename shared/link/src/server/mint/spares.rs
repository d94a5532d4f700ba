//! Spare tokens: given in advance over a session, so that a client that was cut off need not fetch one over HTTPS.
//!
//! Each connection has one at most; the next one voids it. A spare token is outstanding at once, but counts against its
//! account's limit only once it is used: the coordinator makes spare tokens unasked, and an account that runs many programs
//! must still get tokens over HTTPS.

use std::time::Duration;

use p2c2r_protocol::{AccountKey, SpareToken, fit_name};

use super::{Grant, Mint, Seal};
use crate::limits::{HANDSHAKE_TIME_MAX, SPARE_EVERY, TOKEN_SECONDS, TOKENS_PER_ACCOUNT_MAX};

impl Mint {
    /// Makes a spare token for a connection that needs one, because its `former` one is old, or is not outstanding, or a
    /// handshake with it was begun and not finished in time. The former one is then void. `None` if the former one is
    /// still of use, or if the account has had too many tokens.
    pub(crate) fn spare(&self, former: Option<Seal>, grant: Grant) -> Option<(Seal, SpareToken)> {
        let mut state = self.lock();
        let now = state.clock.now();
        state.forget_old(now);
        if let Some(former) = former.and_then(|seal| state.by_seal.get(&seal)) {
            let is_over = match former.from {
                Some((_, shown_at)) => now >= shown_at + HANDSHAKE_TIME_MAX,
                None => now + Duration::from_secs(TOKEN_SECONDS) >= former.expires_at + SPARE_EVERY,
            };
            if !is_over {
                return None;
            }
        }
        if state.made_for.get(&grant.account).is_some_and(|made| *made >= TOKENS_PER_ACCOUNT_MAX) {
            return None;
        }
        let (bytes, seal, token) = self.make(now, grant, true).ok()?;
        if let Some(former) = former {
            state.remove(&former);
        }
        state.add(seal, token);
        Some((seal, SpareToken(bytes)))
    }

    /// Voids a token, if it is outstanding.
    pub(crate) fn withdraw(&self, seal: &Seal) {
        self.lock().remove(seal);
    }

    /// Renames an account on the operator's order: programs that connect with an outstanding token have the new name.
    pub fn rename(&self, account: AccountKey, name: &str) {
        let mut state = self.lock();
        for seal in state.seals_of(account) {
            if let Some(token) = state.by_seal.get_mut(&seal) {
                token.grant.name = fit_name(name);
            }
        }
    }
}
