//! Enrolment: the account of a known key, a new account by invite, or one by open registration.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::Sender;
use p2c2r_join::RefusalCode;
use p2c2r_protocol::{Nanos, Role};
use tracing::{info, warn};

use super::error::JoinError;
use super::limits::{Buckets, GcraLimiter, LastComplaint, OpenRegistration, Prefix, Rate};
use super::store::{AccountRecord, AccountStore, Newcomer, OpenedAccount, OperatorChange, WallSeconds};
use crate::ledger::Standings;

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
    /// The ledger, which says what an account has done.
    ledger: PathBuf,
    /// Where the app hears of accounts that have made place.
    changes: Sender<OperatorChange>,
    complained: LastComplaint,
}

impl Registrar {
    /// Lets people in to `store`. Gamers who register openly are given `open_credit`, once; `ledger` is the file that says
    /// which accounts are of use, and `changes` takes those that have made place for others.
    pub fn new(
        store: AccountStore,
        (open, open_credit): (OpenRegistration, Nanos),
        ledger: PathBuf,
        changes: Sender<OperatorChange>,
    ) -> Self {
        let rate = Rate { burst: open.accounts_per_prefix_hour, per: HOUR };
        Self {
            store,
            open,
            open_credit,
            opened: GcraLimiter::default(),
            opened_by_prefix: Buckets::new(rate),
            ledger,
            changes,
            complained: LastComplaint::default(),
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
        self.open_account(newcomer, credit, now)
    }

    fn open_account(
        &mut self,
        newcomer: &Newcomer<'_>,
        credit: Nanos,
        now: (WallSeconds, Duration),
    ) -> Result<Result<AccountRecord, RefusalCode>, JoinError> {
        let accounts_max = self.open.accounts_max;
        let mut opened = self.store.enrol_openly(newcomer, (credit, accounts_max), None, now.0)?;
        if opened == Err(RefusalCode::RegistrationFull) {
            let books = Standings::open(&self.ledger).map_err(JoinError::Books)?;
            opened = self.store.enrol_openly(newcomer, (credit, accounts_max), Some(&books), now.0)?;
        }
        match opened {
            Ok(OpenedAccount { account, in_place_of }) => {
                if let Some(gone) = in_place_of {
                    info!(
                        account = gone.short(),
                        "An openly registered account of no use made place for another"
                    );
                    // Fails only where the app has ended; then nobody has to be disconnected.
                    let _ = self.changes.send(OperatorChange::MadePlace(gone));
                }
                Ok(Ok(account))
            }
            Err(code) => {
                if code == RefusalCode::RegistrationFull && self.complained.is_due(now.1) {
                    warn!(
                        "open registration is full: all of its {accounts_max} accounts are in use. Invite people \
                         (`invite`), raise join.open_accounts, or close accounts (`accounts revoke`)"
                    );
                }
                Ok(Err(code))
            }
        }
    }

    /// The store.
    pub fn store(&mut self) -> &mut AccountStore {
        &mut self.store
    }
}
