//! Enrolment: the account of a known key, a new account by invite, or one by open registration.

use std::net::IpAddr;
use std::time::Duration;

use p2c2r_join::RefusalCode;
use p2c2r_protocol::{Nanos, Role};

use super::error::JoinError;
use super::limits::{Buckets, GcraLimiter, OpenRegistration, Prefix, Rate};
use super::store::{AccountRecord, AccountStore, Newcomer, WallSeconds};

const HOUR: Duration = Duration::from_hours(1);

/// Lets people in.
#[derive(Debug)]
pub struct Registrar {
    store: AccountStore,
    open: OpenRegistration,
    open_credit: Nanos,
    /// Uses monotonic time; the buckets are full at start.
    opened: GcraLimiter,
    opened_by_prefix: Buckets,
}

impl Registrar {
    /// Lets people in to `store`. Gamers who register openly are given `open_credit`, once.
    pub fn new(store: AccountStore, open: OpenRegistration, open_credit: Nanos) -> Self {
        let rate = Rate { burst: open.accounts_per_prefix_hour, per: HOUR };
        Self {
            store,
            open,
            open_credit,
            opened: GcraLimiter::default(),
            opened_by_prefix: Buckets::new(rate),
        }
    }

    /// The account of the newcomer's key; opened if the key has none and is entitled to one. `now` is the wall-clock
    /// time, for rows and expiry, and the monotonic time, for rates.
    pub fn enrol_or_find(
        &mut self,
        newcomer: &Newcomer<'_>,
        from: IpAddr,
        now: (WallSeconds, Duration),
    ) -> Result<Result<AccountRecord, RefusalCode>, JoinError> {
        match self.store.find(newcomer)? {
            Ok(Some(account)) => return Ok(Ok(account)),
            Ok(None) => {}
            Err(code) => return Ok(Err(code)),
        }
        if let Some(secret) = newcomer.invite {
            return self.store.enrol_by_invite(newcomer, secret, now.0);
        }
        let (is_open, credit) = match newcomer.role {
            Role::Gamer => (self.open.gamers, self.open_credit),
            Role::Worker => (self.open.workers, Nanos::ZERO),
        };
        if !is_open {
            return Ok(Err(RefusalCode::NoAccount));
        }
        let all = Rate { burst: self.open.accounts_per_hour, per: HOUR };
        // The address's own bucket is taken from first: a flooding address must not empty the shared one.
        if !self.opened_by_prefix.take(Prefix::of(from), now.1) || !self.opened.take(all, now.1) {
            return Ok(Err(RefusalCode::TooMany));
        }
        self.store.enrol_openly(newcomer, (credit, self.open.accounts_max), now.0)
    }

    /// The store.
    pub fn store(&mut self) -> &mut AccountStore {
        &mut self.store
    }
}
