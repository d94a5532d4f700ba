//! Every setting of the coordinator, with its default and its range: see [`p2c2r_program::settings`] for where they come
//! from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use clap::ValueEnum;
use p2c2r_join::join_link::PORT_DEFAULT;
use p2c2r_link::runner::BUSY_POLL_DEFAULT;
use p2c2r_link::{BUSY_POLL_MAX, Impairment, RateLimit};
use p2c2r_program::settings::{
    self, ProgramSettings, SettingError, SettingFormat, SettingRow, choice, hours, log_filter, micros,
    millis, named, number, parsed, path, rates, rows_of, seconds, table, text, within,
};
use p2c2r_program::{LogFormat, settings_table};
use p2c2r_protocol::limits::{KINDS_MAX, PEERS_MAX};
use p2c2r_protocol::{KindId, Nanos, PriceList};
use p2c2r_tasks::KindRegistry;
use serde::{Deserialize, Serialize};

use crate::core::Policy;
pub use crate::core::state::trust::TrustRules;
use crate::error::ServerError;
use crate::join::JoinSettings;
use crate::join::settings::default_data_dir;
use crate::ledger::{CREDIT_MAX, GROUP_COMMIT_MAX, LedgerId, LedgerOptions};

/// Nano-dollars for a million work units, unless the price list says otherwise: a helper's fully used core
/// then earns $0.32 an hour after the fee, whatever the kind.
pub const NANOS_PER_MEGA_UNIT: u64 = 98_765;
/// A unit costs this many times as much on cores as on a graphics processor, for kinds that have a kernel for both. A card
/// does a unit in a tenth to a fiftieth of a core's time, so at a quarter of the price it still earns several cores' pay. With
/// a larger factor a small card would earn less than the cores beside it; with a smaller one gamers would gain little.
pub const GRAPHICS_CHEAPER: u64 = 4;
/// The coordinator's share, in hundredths of a per cent.
pub const FEE_BASIS_POINTS: u32 = 1_000;
/// Highest price of a million work units, in nano-dollars: a dollar for a second of one core. Above that, the price of one
/// long task would outgrow what an account may hold.
const NANOS_PER_MEGA_UNIT_MAX: u64 = Nanos::DOLLAR.0 as u64;
/// Largest share of work that may be done twice: above half, hedging itself would be the load.
const HEDGE_PERCENT_MAX: u32 = 50;
/// Most compute threads: more than any machine has cores that this is meant for.
const COMPUTE_THREADS_MAX: usize = 1_024;
/// Most own kernels that may wait: their places are allocated at the start, some hundred bytes each, and a task behind so
/// many would miss any deadline.
const COMPUTE_QUEUE_MAX: usize = 65_536;
/// Most outcomes kept in memory: each takes about a hundred bytes of index beside its own.
const CACHE_ENTRIES_MAX: usize = 1 << 20;
/// Most tasks that the ledger records one by one: they take a quarter of a terabyte.
const LEDGER_TASKS_MAX: u64 = 1_000_000_000;
/// Most bytes of outcomes kept in memory: as many are read from the ledger at the start.
const CACHE_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// Longest time for which earnings stay pending: a year. Longer would be as good as no pay.
const FRAUD_WINDOW_MAX: Duration = Duration::from_hours(365 * 24);
/// Smallest rate limit, in bytes a second to a peer: below it, heartbeats alone would fill the link.
const BYTES_PER_SECOND_MIN: u32 = 1_000;
/// Longest time for which a drain waits: service managers kill a program that takes longer than some minutes.
const DRAIN_MAX: Duration = Duration::from_hours(1);
/// Time between summary lines: at least a second, or they would crowd out everything else; at most a day.
const SUMMARY_EVERY: RangeInclusive<u64> = 1..=24 * 60 * 60;

/// Hours between heads of the ledger: at least one, because folding keeps one hash an hour; at most a year.
const HEAD_HOURS: RangeInclusive<u64> = 1..=365 * 24;

/// Name of the ledger in the data folder.
pub const LEDGER_FILE: &str = "results.db";

/// What happens to a timely task when no worker can do it in time. Of patient tasks [`PatientFallback`] decides, except
/// that `refuse` does not admit them while there is no worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// The coordinator's own kernel does it.
    #[default]
    Compute,
    /// It waits for a worker until its deadline.
    Queue,
    /// It is refused at once.
    Refuse,
}

/// What happens to a patient task while no worker offers its kind or all that do have failed it.
///
/// Waiting is the default: it costs the gamer nothing but time, whereas one such task may take minutes of a core, for
/// which whoever pays for the coordinator's machine has to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatientFallback {
    /// It waits until a worker is there.
    #[default]
    Queue,
    /// The coordinator's own kernel does it, as long as nothing else needs the threads.
    Compute,
}

/// Who may read the figures at `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsFor {
    /// Whoever is logged in, or shows the token that `p2c2r-server page --metrics-token` prints.
    #[default]
    Operator,
    /// Everybody who reaches the port. The figures name no account, but tell what the coordinator takes.
    Everybody,
}

/// Where kernels and checks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputeMode {
    /// At once, in the update that asks: deterministic, for tests.
    Inline,
    /// On this many threads.
    Threads(usize),
}

/// The settings, as systems read them.
#[derive(Resource)]
pub struct ServerSettings(pub ServerConfig);

settings_table! {
    /// The coordinator's settings. Adding one is a field here: its flag, variable, place in the file, row in
    /// `docs/settings.md` and check follow.
    #[derive(Clone)]
    pub struct ServerConfig {
        /// Address to listen on, UDP and TCP. `[::]` is every address of this machine: IPv6, where it has that, and IPv4.
        /// 127.0.0.1:8765 keeps everybody else out; port 0 lets the system choose
        pub listen: SocketAddr = (Ipv6Addr::UNSPECIFIED, PORT_DEFAULT).into() => parsed("ADDR:PORT"),
        /// Database file of the ledger: what everybody paid, earned and has left
        pub db: PathBuf = default_data_dir().join(LEDGER_FILE) =>
            path("PATH").default_is("results.db in the data folder"),
        /// Folder of the coordinator's data: accounts, certificate and, unless `db` says otherwise, the ledger
        pub data_dir: PathBuf = default_data_dir() => path("DIR").default_is("p2c2r/server among the user's data"),
        /// How people join.
        pub join: JoinSettings = JoinSettings::default() => table(),
        /// What happens to a task with a deadline that no worker can do in time: the coordinator computes it, it waits in
        /// the queue until its deadline, or it is refused at once
        pub fallback: Fallback = Fallback::default() => choice(),
        /// What happens to a task without a deadline while no worker offers its kind or all that do have failed it: it waits
        /// in the queue until one can do it, or the coordinator computes it, one at a time, when it has had nothing else to
        /// compute for five seconds; it stops for any other task, and for checks that would have to wait for its thread
        pub patient_fallback: PatientFallback = PatientFallback::default() => choice(),
        /// How workers' answers are checked, and how trust is earned and lost.
        pub trust: TrustRules = TrustRules::default() => table(),
        /// Work that may be done twice, in per cent of all work: where a worker is late, a second one is asked. 0 asks
        /// nobody twice
        pub hedge_percent: u32 = 7 => number("PERCENT", 0..=HEDGE_PERCENT_MAX),
        /// Threads on which the coordinator computes tasks itself and makes costly checks
        pub compute: ComputeMode = default_compute() =>
            number("N", 1..=COMPUTE_THREADS_MAX).map(ComputeMode::Threads, ComputeMode::threads)
                .key("compute_threads").default_is("one per core"),
        /// Tasks handed to those threads before one of them is free. More keep them no busier, and every task that comes
        /// later waits longer
        pub compute_queue_max: usize = 1 => number("N", 1..=COMPUTE_QUEUE_MAX).key("compute_queue"),
        /// Outcomes kept in memory for whoever asks for the same again; older ones are read from disk; 0 for no reuse
        pub cache_entries_max: usize = 16_384 => number("N", 0..=CACHE_ENTRIES_MAX).key("cache_entries"),
        /// Bytes of outcomes kept in memory for whoever asks for the same again
        pub cache_bytes_max: usize = 64 * 1024 * 1024 => number("BYTES", 0..=CACHE_BYTES_MAX).key("cache_bytes"),
        /// Nano-dollars that an invite gives a gamer, once, unless the invite says otherwise
        pub opening_credit: Nanos = Nanos::DOLLAR =>
            number("NANOS", 0..=CREDIT_MAX.0).map(Nanos, |nanos| Some(nanos.0)).key("opening_credit_nanos"),
        /// Nano-dollars that a gamer's account may spend in an hour, unless `accounts cap` says otherwise for it; 0 for no
        /// cap
        pub hour_cap: Option<Nanos> = None =>
            number("NANOS", 0..=CREDIT_MAX.0)
                .map(|nanos| (nanos != 0).then_some(Nanos(nanos)), |cap| Some(cap.map_or(0, |cap| cap.0)))
                .key("hour_cap_nanos"),
        /// Seconds for which a worker's earnings stay pending: it loses them if it is caught cheating meanwhile
        pub fraud_window: Duration = Duration::from_hours(1) =>
            seconds(0..=FRAUD_WINDOW_MAX.as_secs()).key("fraud_window_seconds"),
        /// File to which a signed head of the ledger's chain is added at the start, every --head-hours and at the end. Kept
        /// on another machine, it shows later whether the ledger was rewritten
        pub head_file: Option<PathBuf> = None => path("PATH").optional(),
        /// Hours between two heads in --head-file
        pub head_every: Duration = Duration::from_hours(1) => hours(HEAD_HOURS).key("head_hours"),
        /// Milliseconds for which the ledger gathers entries before it writes them to disk together
        pub group_commit: Duration = Duration::from_millis(20) =>
            millis(0..=GROUP_COMMIT_MAX.as_millis() as u64).key("group_commit_ms"),
        /// Most tasks that the ledger records one by one, 100 to 300 bytes each. Above half of that, the oldest are folded into
        /// sums before their day is over and their outcomes deleted, except while pay for them is pending
        pub ledger_tasks: u64 = 64_000_000 => number("N", 1_000..=LEDGER_TASKS_MAX),
        /// Most of these tasks that one account may have once three quarters of ledger_tasks are in use, and at most a 16th of
        /// what other accounts leave: its further ones are refused
        pub ledger_tasks_per_account: u64 = 1_000_000 => number("N", 1..=LEDGER_TASKS_MAX),
        /// What work costs.
        pub prices: PriceList = default_prices(&KindRegistry::builtin()) => rows_of(price_rows),
        /// Games and workers that may be connected at the same time
        pub peers_max: usize = PEERS_MAX => number("N", 1..=PEERS_MAX),
        /// Bytes a second to each game and worker, at most; 0 is no limit within this machine and 125000, which is 1
        /// Mbit/s, to others
        pub rate_limit: Option<RateLimit> = None => bytes_per_second(),
        /// Worsen the network on purpose, for tests and demonstrations, for example wan-100ms or bad-wifi
        pub impair: Option<Impairment> = None =>
            named("PRESET", "impairment", Impairment::PRESETS, Impairment::preset, Impairment::name).optional(),
        /// Microseconds to look for the next packet before sleeping, while packets come that fast and carry few messages.
        /// More bring answers sooner and take more processor time; 0 sleeps at once
        pub busy_poll: Duration = BUSY_POLL_DEFAULT =>
            micros(0..=BUSY_POLL_MAX.as_micros() as u64).key("busy_poll_us"),
        /// Seed of the random draws that choose workers and checks, for tests. Who knows it knows which answers are checked
        /// deeply, and where
        pub seed: Option<u64> = None =>
            number("N", 0..=u64::MAX).optional().default_is("drawn from the system at every start"),
        /// Seconds for which an orderly end waits for tasks under way
        pub drain_limit: Duration = Duration::from_secs(10) =>
            seconds(0..=DRAIN_MAX.as_secs()).key("drain_seconds"),
        /// Seconds between two summary lines; one is written only if something changed
        pub summary_every: Duration = Duration::from_secs(10) => seconds(SUMMARY_EVERY).key("summary_seconds"),
        /// New file that records all that the scheduler is told and does, for `p2c2r-server replay`. It grows by about what
        /// games and workers send, and holds accounts' names, tasks and the seed of the checks
        pub record: Option<PathBuf> = None => path("FILE").optional(),
        /// File to which the address in use is written once the coordinator listens
        pub ready_file: Option<PathBuf> = None => path("PATH").optional(),
        /// Who may read the figures at /metrics: whoever is logged in or has a token, or everybody
        pub metrics: MetricsFor = MetricsFor::default() => choice(),
        /// Name of this coordinator on the status page, to tell it from others
        pub label: Option<String> = None => text("TEXT").optional().default_is("nothing"),
        /// What the operator types to run this program, for the commands that status page and log name
        pub command: String = "p2c2r-server".to_owned() => text("COMMAND"),
        /// What to log: off, error, warn, info, debug, trace, or a tracing filter such as p2c2r_server=debug
        pub log: String = "info".to_owned() => log_filter(),
        /// Format of log lines
        pub log_format: LogFormat = LogFormat::default() => choice(),
        /// The kinds of work on offer.
        pub kinds: KindRegistry = KindRegistry::builtin(),
        /// The ledger that the accounts in the data folder belong to; `None` before one was opened.
        pub ledger_id: Option<LedgerId> = None,
    }
}

impl ComputeMode {
    /// How many threads; none where kernels run at once.
    fn threads(&self) -> Option<usize> {
        match self {
            Self::Inline => None,
            Self::Threads(threads) => Some(*threads),
        }
    }
}

fn default_compute() -> ComputeMode {
    ComputeMode::Threads(std::thread::available_parallelism().map_or(1, usize::from))
}

fn bytes_per_second() -> SettingFormat<Option<RateLimit>> {
    number("BYTES", 0..=u32::MAX)
        .refusing(|bytes| match bytes {
            1..BYTES_PER_SECOND_MIN => {
                Err(format!("it is not 0, for no limit, or {BYTES_PER_SECOND_MIN} to {}", u32::MAX))
            }
            _ => Ok(()),
        })
        .map(rate_limit_of, |limit| Some(limit.map_or(0, |limit| limit.bytes_per_second)))
        .key("bytes_per_second")
}

/// The settings of prices, built by hand because a table by kind needs the registered kinds.
fn price_rows() -> Vec<SettingRow<ServerConfig>> {
    let per_mega_unit = || rates(0..=NANOS_PER_MEGA_UNIT_MAX);
    vec![
        SettingRow::new(
            "prices.version",
            "Version of the price list, which receipts name. Raise it with every change",
            number("N", 0..=u32::MAX),
            |config: &ServerConfig| Some(config.prices.version),
            |config, version| {
                config.prices.version = version;
                Ok(())
            },
        ),
        SettingRow::new(
            "prices.fee_basis_points",
            "The coordinator's share of what gamers pay, in hundredths of a per cent: 1000 is 10 %",
            number("N", 0..=10_000),
            |config: &ServerConfig| Some(config.prices.fee_basis_points),
            |config, share| {
                config.prices.fee_basis_points = share;
                Ok(())
            },
        ),
        SettingRow::new(
            "prices.nanos_per_mega_unit",
            "Nano-dollars for a million work units (a second of a core), for each kind of work by its name",
            per_mega_unit(),
            |config: &ServerConfig| Some(named_rates(&config.kinds, &config.prices.nanos_per_mega_unit)),
            |config, named| set_rates(&config.kinds, &named, &mut config.prices.nanos_per_mega_unit),
        ),
        SettingRow::new(
            "prices.graphics_nanos_per_mega_unit",
            "Nano-dollars for a million work units done on graphics processors; at most the price on cores counts",
            per_mega_unit(),
            |config: &ServerConfig| {
                Some(named_rates(&config.kinds, &config.prices.graphics_nanos_per_mega_unit))
            },
            |config, named| set_rates(&config.kinds, &named, &mut config.prices.graphics_nanos_per_mega_unit),
        ),
    ]
}

impl ProgramSettings for ServerConfig {
    fn settle(&mut self, is_named: &dyn Fn(&str) -> bool) -> Result<(), SettingError> {
        if !is_named("db") {
            self.db = self.data_dir.join(LEDGER_FILE);
        }
        self.join.settle()
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerConfig({} on {})", self.db.display(), self.listen)
    }
}

/// The default price list for `kinds`: every kind at [`NANOS_PER_MEGA_UNIT`], and where there are kernels for graphics
/// processors a [`GRAPHICS_CHEAPER`]th of that on them.
pub fn default_prices(kinds: &KindRegistry) -> PriceList {
    let on_graphics = kinds.iter().filter(|kind| kind.runs_on_graphics());
    PriceList {
        version: 3,
        nanos_per_mega_unit: kinds.iter().map(|kind| (kind.id(), NANOS_PER_MEGA_UNIT)).collect(),
        graphics_nanos_per_mega_unit: on_graphics
            .map(|kind| (kind.id(), NANOS_PER_MEGA_UNIT / GRAPHICS_CHEAPER))
            .collect(),
        fee_basis_points: FEE_BASIS_POINTS,
    }
}

impl ServerConfig {
    /// Checks every range. What passes here runs: no setting makes the coordinator panic or run out of memory.
    pub fn validate(&self) -> Result<(), ServerError> {
        settings::check(self)?;
        self.join.settle()?;
        within("the number of kinds in prices", self.prices.nanos_per_mega_unit.len(), 0..=KINDS_MAX)?;
        let is_priced = |id: KindId| self.prices.nanos_per_mega_unit.iter().any(|(priced, _)| *priced == id);
        match self.kinds.iter().find(|kind| !is_priced(kind.id())) {
            None => Ok(()),
            // Games compute themselves what is not sold.
            Some(kind) => Err(ServerError::Config(format!(
                "the kind `{}` has no price in prices.nanos_per_mega_unit, and would never be asked for",
                kind.name()
            ))),
        }
    }

    /// How the ledger is opened.
    pub fn ledger_options(&self) -> LedgerOptions {
        LedgerOptions {
            id: self.ledger_id,
            group_commit: self.group_commit,
            fraud_window: self.fraud_window,
            tasks_max: self.ledger_tasks,
            tasks_per_account_max: self.ledger_tasks_per_account,
            cache_entries_max: self.cache_entries_max,
            cache_bytes_max: self.cache_bytes_max,
            ..LedgerOptions::default()
        }
    }

    /// The part of the settings that the scheduler needs.
    pub fn policy(&self) -> Policy {
        let (compute_threads, compute_waiting_max) = match self.compute {
            // A kernel is finished as soon as it is begun, so nothing ever waits.
            ComputeMode::Inline => (usize::MAX, usize::MAX),
            ComputeMode::Threads(threads) => (threads, self.compute_queue_max),
        };
        Policy {
            kinds: self.kinds.clone(),
            prices: self.prices.clone(),
            fallback: self.fallback,
            patient_fallback: self.patient_fallback,
            trust: self.trust,
            hedge_percent: self.hedge_percent,
            hour_cap: self.hour_cap,
            cache_entries_max: self.cache_entries_max,
            cache_bytes_max: self.cache_bytes_max,
            compute_threads,
            compute_waiting_max,
        }
    }
}

/// Sets every rate that is named, by the kind's name.
fn set_rates(
    kinds: &KindRegistry,
    named: &BTreeMap<String, u64>,
    rates: &mut Vec<(KindId, u64)>,
) -> Result<(), String> {
    for (name, nanos) in named {
        let Some(kind) = kinds.by_name(name) else { return Err(format!("there is no kind `{name}`")) };
        match rates.iter_mut().find(|(id, _)| *id == kind.id()) {
            Some((_, rate)) => *rate = *nanos,
            None => rates.push((kind.id(), *nanos)),
        }
    }
    Ok(())
}

/// Rates by the kind's name.
fn named_rates(kinds: &KindRegistry, rates: &[(KindId, u64)]) -> BTreeMap<String, u64> {
    rates.iter().map(|(kind, nanos)| (kinds.name(*kind).to_owned(), *nanos)).collect()
}

/// A rate limit of `bytes_per_second` with a burst of a tenth of a second; zero is no limit.
pub(crate) fn rate_limit_of(bytes_per_second: u32) -> Option<RateLimit> {
    (bytes_per_second > 0)
        .then(|| RateLimit { bytes_per_second, burst_bytes: (bytes_per_second / 10).max(4_096) })
}
