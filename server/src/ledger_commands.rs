//! The operator's commands about the ledger: `ledger check`, `head`, `report`, `export`, `payout`, `backup`, `replace`,
//! `claim`.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use p2c2r_program::output::Output;
use p2c2r_program::say;
use p2c2r_protocol::{AccountKey, Nanos};
use p2c2r_tasks::KindRegistry;
use serde::Serialize;

use crate::cli::{ReportFormat, RoleArg, WhichCoordinator};
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::join::commands::some_dollars;
use crate::join::store::ACCOUNTS_FILE;
use crate::join::{self, AccountStore};
use crate::ledger::{self, CheckReport, HeadsRead, LedgerError, SignedHead};
use crate::private_file::private;

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Verify that the books balance and that nothing was changed; exit status 1 if not.
    Check(CheckArgs),
    /// Print a signed head of the hash chain. Keep it elsewhere: with it `ledger check --head` can later tell whether the ledger
    /// was rewritten.
    Head(WhichCoordinator),
    /// Print balances, fees and earnings.
    Report(ReportArgs),
    /// Write all transfers as comma-separated values, and what was folded as a sum for each account.
    Export(ExportArgs),
    /// Record what workers were paid outside, and list what they can be paid.
    #[command(subcommand)]
    Payout(PayoutCommand),
    /// Make a whole copy and verify it, also while the coordinator runs.
    Backup(BackupArgs),
    /// Let the next start use another ledger than before: the file that is there, or an empty one if there is none. Everybody
    /// then has what that ledger says.
    Replace(WhichCoordinator),
    /// Give an account of an older ledger, in which accounts had no keys, to the owner of a key. The coordinator must not run.
    Claim(ClaimArgs),
}

/// Which ledger is verified, and against what.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
    /// A file of heads that were signed earlier: the ledger must still contain them. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub head: Vec<PathBuf>,
    /// The public key that heads must be signed with. [default: that of the key in the data folder, if it is there]
    #[arg(long, value_name = "HEX", value_parser = account_key)]
    pub key: Option<AccountKey>,
    /// For people, or for programs.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// Which ledger, and how to print.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
    /// For people, or for programs.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// Which ledger is exported, how and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
    /// Comma-separated values with exact dollars: the only form there is.
    #[arg(long, required = true)]
    pub csv: bool,
    /// Where the rows go; nothing is replaced. [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// What to do with payouts.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Print what workers can be paid and have been paid.
    List(ReportArgs),
    /// Record that a worker was paid outside. The coordinator must not run.
    Record {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// How many dollars, such as 0.50; no more than it has available.
        #[arg(value_parser = some_dollars)]
        dollars: Nanos,
        /// The payment's reference at the bank or service that made it: each is recorded once.
        reference: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Record that a payment came back, by an entry of its own. The coordinator must not run.
    Undo {
        /// The reference that it was recorded under.
        reference: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
}

/// Which ledger is copied, and where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
    /// Where the copy goes; nothing is replaced.
    #[arg(value_name = "COPY")]
    pub path: PathBuf,
}

/// Which account goes to which key.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
    /// Whether it is a gamer's or a worker's account.
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// The account's name, as `ledger report` prints it.
    #[arg(long, value_name = "OLD")]
    pub name: String,
    /// The public key that gets the account, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = account_key)]
    pub key: AccountKey,
}

fn account_key(text: &str) -> Result<AccountKey, String> {
    AccountKey::from_hex(text).ok_or_else(|| "a key is 64 hexadecimal digits".to_owned())
}

/// Carries out a command and prints its result.
pub fn run(command: LedgerCommand) -> Result<ExitCode, ServerError> {
    match command {
        LedgerCommand::Check(args) => {
            let report = check(&args)?;
            print(&report, args.format)?;
            return Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        LedgerCommand::Head(which) => {
            let settings = which.settings()?;
            say(ledger::head(&settings.db, &ledger::head_key(&settings.data_dir)?)?);
        }
        LedgerCommand::Report(args) => {
            let mut report = ledger::report(&args.which.settings()?.db)?;
            let kinds = KindRegistry::builtin();
            report.name_kinds(|kind| kinds.get(kind).map(|kind| kind.name().to_owned()));
            print(&report, args.format)?;
        }
        LedgerCommand::Export(args) => export(&args)?,
        LedgerCommand::Payout(command) => payout(command)?,
        LedgerCommand::Backup(args) => say(ledger::backup(&args.which.settings()?.db, &args.path)?),
        LedgerCommand::Replace(which) => say(replace(&which)?),
        LedgerCommand::Claim(args) => claim(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print<T: std::fmt::Display + Serialize>(report: &T, format: ReportFormat) -> Result<(), ServerError> {
    match format {
        ReportFormat::Text => say(report),
        ReportFormat::Json => say(serde_json::to_string_pretty(report).map_err(|error| {
            ServerError::Config(format!("the report cannot be written as JSON: {error}"))
        })?),
    }
    Ok(())
}

fn check(args: &CheckArgs) -> Result<CheckReport, ServerError> {
    let (mut heads, mut skipped) = (Vec::new(), Vec::new());
    for path in &args.head {
        let read = read_heads(path)?;
        heads.extend(read.heads);
        skipped.extend(read.incomplete_line.map(|line| {
            format!(
                "{}: the last head, from line {line} on, was only written in part; it was skipped",
                path.display()
            )
        }));
    }
    let settings = args.which.settings()?;
    let mut report = ledger::check_with_heads(&settings.db, &heads)?;
    report.heads.extend(skipped);
    if !heads.is_empty() {
        let own = || -> Result<_, LedgerError> {
            let found = ledger::existing_head_key(&settings.data_dir)?;
            Ok(found.map(|secret| secret.public()))
        };
        // An auditor may not read the key.
        let expected = args.key.or_else(|| own().ok().flatten());
        judge_signers(&heads, expected, &mut report);
    }
    Ok(report)
}

/// Reports which keys signed the heads. Anyone can sign a head: only the coordinator's key is evidence.
fn judge_signers(heads: &[SignedHead], expected: Option<AccountKey>, report: &mut CheckReport) {
    let mut keys: Vec<AccountKey> = heads.iter().map(|head| head.key).collect();
    keys.dedup();
    for key in keys {
        match expected {
            None => report.heads.push(format!(
                "signed with the key {key}: whether that is the coordinator's is for you to compare (or give --key)"
            )),
            Some(expected) if expected != key => report.add_problem(format!(
                "a head was signed with the key {key}, which is not this coordinator's ({expected})"
            )),
            Some(_) => {}
        }
    }
}

/// Size of the largest file of heads that is read: it has room for a head an hour for a century.
const HEADS_BYTES_MAX: u64 = 1 << 30;

fn read_heads(path: &Path) -> Result<HeadsRead, LedgerError> {
    let bad = |reason: String| LedgerError::BadHeads { path: path.to_owned(), reason };
    let bytes = path.metadata().map_err(|error| bad(error.to_string()))?.len();
    if bytes > HEADS_BYTES_MAX {
        return Err(bad("it is larger than any file of heads".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    ledger::read_heads(&text).map_err(|error| bad(error.to_string()))
}

/// Writes the transfers. Errors of writing to a file are reported; that the reader of standard output has gone is no error.
fn export(args: &ExportArgs) -> Result<(), ServerError> {
    let ledger = args.which.settings()?.db;
    let Some(path) = &args.to else {
        let mut out = BufWriter::new(Output::Standard);
        ledger::export(&ledger, &mut out)?;
        out.flush().map_err(|error| LedgerError::Output(error.to_string()))?;
        return Ok(());
    };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => LedgerError::Exists { path: path.clone() },
        _ => LedgerError::Output(format!("{}: {error}", path.display())),
    };
    let mut out = BufWriter::new(private().create_new(true).open(path).map_err(failed)?);
    let rows = ledger::export(&ledger, &mut out)?;
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    say(format_args!("{rows} rows written to {}.", path.display()));
    Ok(())
}

/// The coordinator's settings, with the ledger that its accounts belong to, so that nothing is written to another one.
fn settings_to_write(which: &WhichCoordinator) -> Result<ServerConfig, ServerError> {
    let mut settings = which.settings()?;
    if settings.data_dir.join(ACCOUNTS_FILE).exists() {
        settings.ledger_id = AccountStore::open(&settings.data_dir)?.ledger()?;
    }
    Ok(settings)
}

fn replace(which: &WhichCoordinator) -> Result<String, ServerError> {
    let settings = which.settings()?;
    join::commands::open_existing(&settings.data_dir)?.forget_ledger()?;
    let path = settings.db.display();
    Ok(if settings.db.exists() {
        format!("The next start goes on with the ledger {path}, whichever it is.")
    } else {
        format!(
            "The next start begins an empty ledger, {path}: everybody has their opening credit again and nothing else."
        )
    })
}

fn payout(command: PayoutCommand) -> Result<(), ServerError> {
    match command {
        PayoutCommand::List(args) => print(&ledger::payables(&args.which.settings()?.db)?, args.format),
        PayoutCommand::Record { account, dollars, reference, which } => {
            let settings = settings_to_write(&which)?;
            let worker = ledger::payables(&settings.db)?.find(&account)?.account;
            let ledger = ledger::open_existing(&settings.db, settings.ledger_options())?;
            let paid = ledger.pay_out(worker, dollars, &reference);
            ledger.close()?;
            let paid = paid?;
            say(format_args!(
                "{} was paid {dollars} ({reference}); {} can still be paid.",
                paid.name, paid.available
            ));
            Ok(())
        }
        PayoutCommand::Undo { reference, which } => {
            let settings = settings_to_write(&which)?;
            let ledger = ledger::open_existing(&settings.db, settings.ledger_options())?;
            let undone = ledger.take_back_payout(&reference);
            ledger.close()?;
            let undone = undone?;
            say(format_args!(
                "The payout {reference} to {} is taken back; {} can be paid.",
                undone.name, undone.available
            ));
            Ok(())
        }
    }
}

fn claim(args: ClaimArgs) -> Result<(), ServerError> {
    let settings = settings_to_write(&args.which)?;
    let ledger = ledger::open_existing(&settings.db, settings.ledger_options())?;
    let account = ledger.claim(args.role.into(), &args.name, args.key)?;
    ledger.close()?;
    say(format_args!(
        "The {} account {} with {} now belongs to {}.",
        account.role, args.name, account.available, args.key
    ));
    Ok(())
}
