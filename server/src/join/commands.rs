//! The operator's commands: `invite` and `accounts`. They open the account store of a data folder beside the running
//! coordinator, which notices what they change within a second.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use p2c2r_join::JoinLink;
use p2c2r_protocol::{Nanos, Role};
use serde::Serialize;

use super::error::JoinError;
use super::store::{
    ACCOUNTS_FILE, AccountRecord, AccountStore, INVITE_USES_MAX, KEY_DIGITS, NewInvite, WallSeconds,
};
use crate::cli::{ReportFormat, RoleArg, WhichCoordinator};
use crate::core::state::gamers::HourCap;
use crate::ledger::CREDIT_MAX;

/// Uses of an invite, unless `--uses` says otherwise.
const USES_DEFAULT: u32 = 1;
/// How long an invite is good for, unless `--expires` says otherwise.
const EXPIRES_DEFAULT: &str = "24h";
/// The longest that an invite may be good for: ten years.
const EXPIRES_MAX: Duration = Duration::from_hours(3_650 * 24);
/// Uses of each of the links that are printed at the first start.
const FIRST_USES: u32 = 8;
/// How long these links are good for.
const FIRST_EXPIRES: Duration = Duration::from_hours(7 * 24);

/// An invite to be made.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// Whom the link is for.
    #[arg(value_enum)]
    pub role: RoleArg,
    /// Name of the accounts it opens. [default: as their owners like]
    #[arg(long)]
    pub name: Option<String>,
    /// Accounts it may open.
    #[arg(long, value_name = "K", default_value_t = USES_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_USES_MAX)))]
    pub uses: u32,
    /// How long it is good for, such as 30m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = EXPIRES_DEFAULT, value_parser = expiry)]
    pub expires: Duration,
    /// Dollars that each gamer's account it opens is given, once. [default: the coordinator's opening credit]
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    pub credit: Option<Nanos>,
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Print all accounts.
    List {
        /// For people, or for programs.
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Close an account for good: its programs are disconnected within a second.
    Revoke {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Give an account a name that its owner cannot change.
    Rename {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// The new name.
        name: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Cap what an hour may cost a gamer's account; a running coordinator applies it within a second.
    Cap {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// Dollars an hour such as 0.05, `none` for no cap, or `default` for that of the coordinator's settings.
        #[arg(value_parser = hour_cap)]
        cap: HourCap,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Give a gamer's account money, which the running coordinator books.
    Credit {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// How many dollars, such as 0.50.
        #[arg(value_parser = some_dollars)]
        dollars: Nanos,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
}

/// Makes an invite; the answer is its join link and nothing else.
pub fn invite(args: &InviteArgs) -> Result<String, JoinError> {
    let folder = args.which.settings()?.data_dir;
    let mut store = open_existing(&folder)?;
    let (link, opening_credit) =
        store.published()?.ok_or_else(|| JoinError::NeverStarted { path: folder.clone() })?;
    let role = Role::from(args.role);
    if role == Role::Worker && args.credit.is_some_and(|credit| credit > Nanos::ZERO) {
        return Err(JoinError::CreditForWorker);
    }
    let credit = args.credit.unwrap_or(if role == Role::Gamer { opening_credit } else { Nanos::ZERO });
    let label = args.name.clone();
    let invite = NewInvite { role, label, uses: args.uses, expires_in: args.expires, credit };
    let secret = store.invite(&invite, WallSeconds::now())?;
    Ok(JoinLink { invite: Some(secret), ..link }.to_string())
}

/// One link per role for a coordinator that has never made an invite; nothing for others.
pub fn first_links(
    folder: &Path,
    link: &JoinLink,
    opening_credit: Nanos,
) -> Result<Vec<(Role, JoinLink)>, JoinError> {
    let mut store = AccountStore::open(folder)?;
    if store.has_invites()? {
        return Ok(Vec::new());
    }
    let mut links = Vec::new();
    for (role, credit) in [(Role::Gamer, opening_credit), (Role::Worker, Nanos::ZERO)] {
        let invite = NewInvite { role, label: None, uses: FIRST_USES, expires_in: FIRST_EXPIRES, credit };
        let invite = Some(store.invite(&invite, WallSeconds::now())?);
        links.push((role, JoinLink { invite, ..link.clone() }));
    }
    Ok(links)
}

/// Carries out a command about accounts; returns what to print.
pub fn accounts(command: &AccountsCommand) -> Result<String, JoinError> {
    match command {
        AccountsCommand::List { format, which } => {
            let accounts = open_store(which)?.accounts()?;
            Ok(match format {
                ReportFormat::Text => table(&accounts),
                ReportFormat::Json => json(&accounts),
            })
        }
        AccountsCommand::Revoke { account, which } => {
            let mut store = open_store(which)?;
            let account = store.account_called(account, None)?;
            store.revoke(account.key, WallSeconds::now())?;
            Ok(format!("{} ({}) is closed and will be disconnected", account.name, account.key.short()))
        }
        AccountsCommand::Rename { account, name, which } => {
            let mut store = open_store(which)?;
            let account = store.account_called(account, None)?;
            let name = store.rename(account.key, name)?;
            Ok(format!("{} ({}) is now called {name}", account.name, account.key.short()))
        }
        AccountsCommand::Cap { account, cap, which } => {
            let mut store = open_store(which)?;
            let found = store.account_called(account, Some(Role::Gamer))?;
            refuse_unless_spending(&found, account)?;
            store.cap_hour(found.key, *cap)?;
            let (name, key) = (&found.name, found.key.short());
            let said = match cap {
                HourCap::AsEverybody => "what the coordinator's settings say".to_owned(),
                HourCap::Unlimited => "whatever it has".to_owned(),
                HourCap::At(cap) => format!("{cap} at most"),
            };
            Ok(format!("an hour may cost {name} ({key}) {said}"))
        }
        AccountsCommand::Credit { account, dollars, which } => {
            let mut store = open_store(which)?;
            let found = store.account_called(account, Some(Role::Gamer))?;
            refuse_unless_spending(&found, account)?;
            store.credit(found.key, *dollars, WallSeconds::now())?;
            let (name, key) = (&found.name, found.key.short());
            Ok(format!(
                "{name} ({key}) gets {dollars}, booked once the coordinator runs and knows the account"
            ))
        }
    }
}

/// Refuses an account that spends nothing: a worker's, or one that is closed.
fn refuse_unless_spending(account: &AccountRecord, called: &str) -> Result<(), JoinError> {
    if account.role != Role::Gamer {
        return Err(JoinError::NotAGamer(called.to_owned()));
    }
    if account.revoked_at.is_some() { Err(JoinError::Closed(called.to_owned())) } else { Ok(()) }
}

/// Records the operator's order to quarantine a worker or to release it; returns what to print.
pub fn judge(account: &str, quarantined: bool, which: &WhichCoordinator) -> Result<String, JoinError> {
    let mut store = open_store(which)?;
    let found = store.account_called(account, Some(Role::Worker))?;
    if found.role != Role::Worker {
        return Err(JoinError::NotAWorker(account.to_owned()));
    }
    store.judge(found.key, quarantined, WallSeconds::now())?;
    let (name, key) = (&found.name, found.key.short());
    let said = if quarantined { "gets no more work" } else { "may work again, as a newcomer" };
    Ok(format!("{name} ({key}) {said}: at once if the coordinator runs, or else when it starts"))
}

fn open_store(which: &WhichCoordinator) -> Result<AccountStore, JoinError> {
    open_existing(&which.settings()?.data_dir)
}

/// The store of a folder where a coordinator has run; a mistyped folder is not made.
pub(crate) fn open_existing(folder: &Path) -> Result<AccountStore, JoinError> {
    if !folder.join(ACCOUNTS_FILE).exists() {
        return Err(JoinError::NeverStarted { path: folder.to_owned() });
    }
    AccountStore::open(folder)
}

fn table(accounts: &[AccountRecord]) -> String {
    let mut text =
        format!("{:<16}  {:<6}  {:<20}  {:<7}  {:>8}  name", "key", "role", "since", "state", "credit");
    for account in accounts {
        let key = account.key.to_string();
        let state = if account.revoked_at.is_some() { "closed" } else { "open" };
        let (role, since, credit) = (account.role, date(account.enrolled_at), account.credit);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{:<16}  {:<6}  {since:<20}  {state:<7}  {credit:>8}  {}",
            &key[..KEY_DIGITS],
            role.to_string(),
            account.name
        );
    }
    text
}

fn json(accounts: &[AccountRecord]) -> String {
    #[derive(Serialize)]
    struct Shown {
        key: String,
        role: Role,
        name: String,
        since: String,
        closed: Option<String>,
        by_invite: bool,
        credit_nanos: i64,
    }
    let shown: Vec<_> = accounts
        .iter()
        .map(|account| Shown {
            key: account.key.to_string(),
            role: account.role,
            name: account.name.clone(),
            since: date(account.enrolled_at),
            closed: account.revoked_at.map(date),
            by_invite: account.by_invite,
            credit_nanos: account.credit.0,
        })
        .collect();
    // Plain strings and numbers always have a JSON form.
    serde_json::to_string_pretty(&shown).unwrap_or_default()
}

fn date(at: WallSeconds) -> String {
    let since = Duration::from_secs(u64::try_from(at.0).unwrap_or_default());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

fn expiry(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|_| "not a time such as 30m, 24h or 7d".to_owned())?;
    if time.as_secs() == 0 || time > EXPIRES_MAX {
        return Err("an invite is good for a second to ten years".to_owned());
    }
    Ok(time)
}

/// Dollars with at most nine decimals, exactly.
fn dollars(text: &str) -> Result<Nanos, String> {
    let wrong = || format!("`{text}` is not an amount in dollars such as 0.50");
    let amount = text.strip_prefix('$').unwrap_or(text);
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > 9 || !is_number(whole) || !is_number(part) {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let part: i64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
    let nanos = Nanos(whole * Nanos::DOLLAR.0 + part);
    if nanos > CREDIT_MAX { Err(format!("at most {CREDIT_MAX} at once")) } else { Ok(nanos) }
}

/// Parses an hourly cap.
fn hour_cap(text: &str) -> Result<HourCap, String> {
    match text {
        "none" => Ok(HourCap::Unlimited),
        "default" => Ok(HourCap::AsEverybody),
        _ => dollars(text).map(HourCap::At),
    }
}

/// Parses an amount in dollars that is more than zero.
pub(crate) fn some_dollars(text: &str) -> Result<Nanos, String> {
    dollars(text).and_then(|nanos| {
        if nanos > Nanos::ZERO { Ok(nanos) } else { Err("the amount must be more than zero".to_owned()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(dollars("0.50"), Ok(Nanos(500_000_000)));
        assert_eq!(dollars("$3"), Ok(Nanos(3_000_000_000)));
        assert_eq!(dollars("0.000000001"), Ok(Nanos(1)));
        assert_eq!(dollars("1000000"), Ok(CREDIT_MAX));
        for wrong in ["", ".5", "-1", "+1", "1e3", "1,50", "0.0000000001", "1000000.1", "$$1", "9999999999"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_short_and_bounded() {
        assert_eq!(expiry("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(expiry("7d"), Ok(Duration::from_hours(7 * 24)));
        for wrong in ["", "24", "0s", "-1h", "100years"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_of_the_calendar() {
        assert_eq!(date(WallSeconds(1_800_000_000)), "2027-01-15T08:00:00Z");
    }
}
