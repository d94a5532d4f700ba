//! Every setting of the coordinator, with its default and its range.
//!
//! Settings come from flags, then `P2C2R_*` environment variables, then a TOML file, then the defaults here;
//! [`crate::cli`] reads the first two, [`ServerFile`] the third.

mod trust_settings;

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
use p2c2r_program::settings::within;
use p2c2r_program::{LogFormat, log};
use p2c2r_protocol::limits::{KINDS_MAX, PEERS_MAX};
use p2c2r_protocol::{KindId, Nanos, PriceList};
use p2c2r_tasks::KindRegistry;
use serde::{Deserialize, Serialize};

use crate::core::Policy;
pub use crate::core::state::trust::TrustRules;
use crate::error::ServerError;
use crate::join::JoinSettings;
use crate::join::settings::{JoinFile, default_data_dir};
use crate::ledger::{CREDIT_MAX, GROUP_COMMIT_MAX};
pub use trust_settings::TrustFile;

/// Nano-dollars for a million work units, unless the price list says otherwise: a helper's fully used core
/// then earns $0.32 an hour after the fee, whatever the kind.
pub const NANOS_PER_MEGA_UNIT: u64 = 98_765;
/// How many times as much a unit costs on cores as on a graphics processor, for kinds with a kernel for those: such a unit
/// is done in a tenth to a fiftieth of a core's time, so a helper's card earns several cores' pay at a quarter of the price.
/// More, and a small card would earn less than the cores beside it; less, and gamers gain little by it.
pub const GRAPHICS_CHEAPER: u64 = 4;
/// The coordinator's share, in hundredths of a per cent.
pub const FEE_BASIS_POINTS: u32 = 1_000;
/// Nano-dollars for a million work units at the most: a dollar for a second of one core. Above that, the price of one
/// long task would outgrow what an account may hold.
const NANOS_PER_MEGA_UNIT_MAX: u64 = Nanos::DOLLAR.0 as u64;
/// Work of second attempts for a hundred units of first ones: with more than half as much again, hedging is the load.
const HEDGE_PERCENT_MAX: u32 = 50;
/// More compute threads than any machine this is meant for has cores.
const COMPUTE_THREADS_MAX: usize = 1_024;
/// Own kernels that may wait: places are set aside at start, some hundred bytes each, and whatever waits behind as
/// many is too late for a deadline.
const COMPUTE_QUEUE_MAX: usize = 65_536;
/// Outcomes kept for reuse: about a hundred bytes of index each, beside their own.
const CACHE_ENTRIES_MAX: usize = 1 << 20;
/// Bytes of outcomes kept for reuse: the ledger reads as much back at start.
const CACHE_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// Time for which earnings stay pending: a year. A worker that is paid later than that is not paid.
const FRAUD_WINDOW_MAX: Duration = Duration::from_hours(365 * 24);
/// Bytes a second to a peer, at least, where there is a limit: below it, heartbeats alone fill the link.
const BYTES_PER_SECOND_MIN: u32 = 1_000;
/// Time for which a drain waits: service managers kill what takes longer than some minutes.
const DRAIN_MAX: Duration = Duration::from_hours(1);
/// Time between summary lines: at least a second, or they would crowd out everything else; at most a day.
const SUMMARY_EVERY: RangeInclusive<u64> = 1..=24 * 60 * 60;

/// Hours between heads of the ledger: at least one, of which folding keeps one hash; at most a year.
const HEAD_HOURS: RangeInclusive<u64> = 1..=365 * 24;

/// Name of the ledger in the data folder.
pub const LEDGER_FILE: &str = "results.db";

/// What happens to a timely task when no worker can do it in time. Patient tasks always wait for a worker,
/// except that `refuse` does not admit them while there is none.
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

/// Who may read the figures at `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsFor {
    /// Who is logged in, or shows the token that `p2c2r-server page --metrics-token` prints.
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

/// The coordinator's settings.
#[derive(Clone)]
pub struct ServerConfig {
    /// Address to listen on, UDP and TCP; port 0 lets the system choose. `[::]` is every address of both IP versions, and
    /// every IPv4 address on a machine without IPv6.
    pub listen: SocketAddr,
    /// The ledger's database file.
    pub db: PathBuf,
    /// The folder of accounts, certificate and, unless `db` says otherwise, ledger.
    pub data_dir: PathBuf,
    /// How people join.
    pub join: JoinSettings,
    /// What happens to timely tasks that no worker can do in time.
    pub fallback: Fallback,
    /// How workers' answers are checked, and how trust is earned and lost.
    pub trust: TrustRules,
    /// Work of second attempts for a hundred units of first ones, at most: where a worker is late, another one is asked as
    /// well. Zero asks nobody twice.
    pub hedge_percent: u32,
    /// Where kernels and checks run.
    pub compute: ComputeMode,
    /// Own kernels that may wait for a compute thread.
    pub compute_queue_max: usize,
    /// Outcomes kept for reuse; zero keeps none.
    pub cache_entries_max: usize,
    /// Bytes of outcomes kept for reuse.
    pub cache_bytes_max: usize,
    /// What an invite gives a gamer, once, unless it says otherwise.
    pub opening_credit: Nanos,
    /// How long a worker's earnings stay pending.
    pub fraud_window: Duration,
    /// File that signed heads of the ledger are added to; `None` for no file.
    pub head_file: Option<PathBuf>,
    /// How often a head is added.
    pub head_every: Duration,
    /// How long the ledger may gather entries before it commits them.
    pub group_commit: Duration,
    /// What work costs.
    pub prices: PriceList,
    /// Peers at the same time.
    pub peers_max: usize,
    /// Bytes a second to each peer; `None` is no limit, which suits loopback.
    pub rate_limit: Option<RateLimit>,
    /// Network impairment, for tests and demonstrations.
    pub impair: Option<Impairment>,
    /// How long the program may look for the next packet before it sleeps; see
    /// [`EventDrivenPlugin`](p2c2r_link::EventDrivenPlugin).
    pub busy_poll: Duration,
    /// Seed of the draws that choose workers and checks, for tests that must repeat. `None`, the default, draws from
    /// the system at every start: whoever knows the seed knows which answers are checked deeply, and where.
    pub seed: Option<u64>,
    /// How long a drain waits for tasks in flight.
    pub drain_limit: Duration,
    /// How often the summary line is written, if something changed.
    pub summary_every: Duration,
    /// File that the scheduler's run is recorded in; `None` records nothing.
    pub record: Option<PathBuf>,
    /// File that is written with the real address once the coordinator listens.
    pub ready_file: Option<PathBuf>,
    /// Who may read the figures at `/metrics`.
    pub metrics: MetricsFor,
    /// What the status page calls this coordinator.
    pub label: Option<String>,
    /// `tracing` filter, for example `info` or `p2c2r_server=debug`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The kinds of work on offer.
    pub kinds: KindRegistry,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let kinds = KindRegistry::builtin();
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT_DEFAULT)),
            db: default_data_dir().join(LEDGER_FILE),
            data_dir: default_data_dir(),
            join: JoinSettings::default(),
            fallback: Fallback::default(),
            trust: TrustRules::default(),
            hedge_percent: 10,
            compute: ComputeMode::Threads(std::thread::available_parallelism().map_or(1, usize::from)),
            compute_queue_max: 256,
            cache_entries_max: 16_384,
            cache_bytes_max: 64 * 1024 * 1024,
            opening_credit: Nanos::DOLLAR,
            fraud_window: Duration::from_hours(1),
            head_file: None,
            head_every: Duration::from_hours(1),
            group_commit: Duration::from_millis(20),
            prices: default_prices(&kinds),
            peers_max: PEERS_MAX,
            rate_limit: None,
            impair: None,
            busy_poll: BUSY_POLL_DEFAULT,
            seed: None,
            drain_limit: Duration::from_secs(10),
            summary_every: Duration::from_secs(10),
            record: None,
            ready_file: None,
            metrics: MetricsFor::default(),
            label: None,
            log: "info".into(),
            log_format: LogFormat::default(),
            kinds,
        }
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
        self.join.validate()?;
        trust_settings::validate(&self.trust)?;
        if let ComputeMode::Threads(threads) = self.compute {
            within("compute-threads", threads, 1..=COMPUTE_THREADS_MAX)?;
        }
        within("hedge-percent", self.hedge_percent, 0..=HEDGE_PERCENT_MAX)?;
        within("compute-queue", self.compute_queue_max, 1..=COMPUTE_QUEUE_MAX)?;
        within("cache-entries", self.cache_entries_max, 0..=CACHE_ENTRIES_MAX)?;
        within("cache-bytes", self.cache_bytes_max, 0..=CACHE_BYTES_MAX)?;
        within("peers-max", self.peers_max, 1..=PEERS_MAX)?;
        if let Some(limit) = self.rate_limit {
            within("bytes-per-second", limit.bytes_per_second, BYTES_PER_SECOND_MIN..=u32::MAX)?;
        }
        self.validate_money()?;
        self.validate_times()?;
        if self.db.as_os_str().is_empty() {
            return Err(ServerError::Config("db is empty, not the path of a file".into()));
        }
        log::check_filter(&self.log)?;
        Ok(())
    }

    fn validate_money(&self) -> Result<(), ServerError> {
        within("opening-credit-nanos", self.opening_credit.0, 0..=CREDIT_MAX.0)?;
        within("prices.fee_basis_points", self.prices.fee_basis_points, 0..=10_000)?;
        within("the number of kinds in prices", self.prices.nanos_per_mega_unit.len(), 0..=KINDS_MAX)?;
        for (_, nanos) in &self.prices.nanos_per_mega_unit {
            within("prices.nanos_per_mega_unit", *nanos, 0..=NANOS_PER_MEGA_UNIT_MAX)?;
        }
        for (_, nanos) in &self.prices.graphics_nanos_per_mega_unit {
            within("prices.graphics_nanos_per_mega_unit", *nanos, 0..=NANOS_PER_MEGA_UNIT_MAX)?;
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), ServerError> {
        within("fraud-window-seconds", self.fraud_window.as_secs(), 0..=FRAUD_WINDOW_MAX.as_secs())?;
        within("head-hours", self.head_every.as_secs() / (60 * 60), HEAD_HOURS)?;
        within("group_commit_ms", self.group_commit.as_millis(), 0..=GROUP_COMMIT_MAX.as_millis())?;
        within("drain_seconds", self.drain_limit.as_secs(), 0..=DRAIN_MAX.as_secs())?;
        within("summary-seconds", self.summary_every.as_secs(), SUMMARY_EVERY)?;
        within("busy-poll-us", self.busy_poll.as_micros(), 0..=BUSY_POLL_MAX.as_micros())?;
        Ok(())
    }

    /// What the scheduler has to know of the settings.
    pub fn policy(&self) -> Policy {
        let (compute_threads, compute_waiting_max) = match self.compute {
            // Done when it is begun: nothing ever waits.
            ComputeMode::Inline => (usize::MAX, usize::MAX),
            ComputeMode::Threads(threads) => (threads, self.compute_queue_max),
        };
        Policy {
            kinds: self.kinds.clone(),
            prices: self.prices.clone(),
            fallback: self.fallback,
            trust: self.trust,
            hedge_percent: self.hedge_percent,
            cache_entries_max: self.cache_entries_max,
            cache_bytes_max: self.cache_bytes_max,
            compute_threads,
            compute_waiting_max,
        }
    }

    /// Takes every setting that `file` names.
    pub fn apply_file(&mut self, file: ServerFile) -> Result<(), ServerError> {
        take(&mut self.listen, file.listen);
        take(&mut self.data_dir, file.data_dir);
        take(&mut self.db, file.db);
        if let Some(join) = file.join {
            self.join.apply_file(join)?;
        }
        take(&mut self.fallback, file.fallback);
        if let Some(trust) = file.trust {
            trust.apply(&mut self.trust);
        }
        take(&mut self.hedge_percent, file.hedge_percent);
        take(&mut self.compute, file.compute_threads.map(ComputeMode::Threads));
        take(&mut self.compute_queue_max, file.compute_queue);
        take(&mut self.cache_entries_max, file.cache_entries);
        take(&mut self.opening_credit, file.opening_credit_nanos.map(Nanos));
        take(&mut self.fraud_window, file.fraud_window_seconds.map(Duration::from_secs));
        take(&mut self.head_file, file.head_file.map(Some));
        take(&mut self.head_every, file.head_hours.map(Duration::from_hours));
        take(&mut self.group_commit, file.group_commit_ms.map(Duration::from_millis));
        take(&mut self.peers_max, file.peers_max);
        take(&mut self.rate_limit, file.bytes_per_second.map(rate_limit_of));
        take(&mut self.busy_poll, file.busy_poll_us.map(Duration::from_micros));
        take(&mut self.seed, file.seed.map(Some));
        take(&mut self.drain_limit, file.drain_seconds.map(Duration::from_secs));
        take(&mut self.summary_every, file.summary_seconds.map(Duration::from_secs));
        take(&mut self.record, file.record.map(Some));
        take(&mut self.metrics, file.metrics);
        take(&mut self.label, file.label.map(Some));
        take(&mut self.log, file.log);
        take(&mut self.log_format, file.log_format);
        if let Some(prices) = file.prices {
            self.apply_prices(&prices)?;
        }
        Ok(())
    }

    fn apply_prices(&mut self, file: &FilePrices) -> Result<(), ServerError> {
        self.prices.version = file.version.unwrap_or(self.prices.version);
        self.prices.fee_basis_points = file.fee_basis_points.unwrap_or(self.prices.fee_basis_points);
        let Self { kinds, prices, .. } = self;
        set_rates(kinds, &file.nanos_per_mega_unit, &mut prices.nanos_per_mega_unit)?;
        set_rates(kinds, &file.graphics_nanos_per_mega_unit, &mut prices.graphics_nanos_per_mega_unit)
    }

    /// The settings as a configuration file would give them.
    pub fn to_file(&self) -> ServerFile {
        ServerFile {
            listen: Some(self.listen),
            db: Some(self.db.clone()),
            data_dir: Some(self.data_dir.clone()),
            join: Some(self.join.to_file()),
            fallback: Some(self.fallback),
            hedge_percent: Some(self.hedge_percent),
            compute_threads: match self.compute {
                ComputeMode::Inline => None,
                ComputeMode::Threads(threads) => Some(threads),
            },
            compute_queue: Some(self.compute_queue_max),
            cache_entries: Some(self.cache_entries_max),
            opening_credit_nanos: Some(self.opening_credit.0),
            fraud_window_seconds: Some(self.fraud_window.as_secs()),
            head_file: self.head_file.clone(),
            head_hours: Some(self.head_every.as_secs() / (60 * 60)),
            group_commit_ms: Some(self.group_commit.as_millis() as u64),
            peers_max: Some(self.peers_max),
            bytes_per_second: self.rate_limit.as_ref().map(|limit| limit.bytes_per_second),
            busy_poll_us: Some(self.busy_poll.as_micros() as u64),
            seed: self.seed,
            drain_seconds: Some(self.drain_limit.as_secs()),
            summary_seconds: Some(self.summary_every.as_secs()),
            record: self.record.clone(),
            metrics: Some(self.metrics),
            label: self.label.clone(),
            log: Some(self.log.clone()),
            log_format: Some(self.log_format),
            trust: Some(TrustFile::from(&self.trust)),
            prices: Some(FilePrices {
                version: Some(self.prices.version),
                fee_basis_points: Some(self.prices.fee_basis_points),
                nanos_per_mega_unit: named_rates(&self.kinds, &self.prices.nanos_per_mega_unit),
                graphics_nanos_per_mega_unit: named_rates(
                    &self.kinds,
                    &self.prices.graphics_nanos_per_mega_unit,
                ),
            }),
        }
    }
}

/// Takes every rate that a file has, by the kind's name.
fn set_rates(
    kinds: &KindRegistry,
    file: &BTreeMap<String, u64>,
    rates: &mut Vec<(KindId, u64)>,
) -> Result<(), ServerError> {
    for (name, nanos) in file {
        let kind = kinds
            .by_name(name)
            .ok_or_else(|| ServerError::Config(format!("the price list names the unknown kind `{name}`")))?;
        match rates.iter_mut().find(|(id, _)| *id == kind.id()) {
            Some((_, rate)) => *rate = *nanos,
            None => rates.push((kind.id(), *nanos)),
        }
    }
    Ok(())
}

/// Rates as a file has them.
fn named_rates(kinds: &KindRegistry, rates: &[(KindId, u64)]) -> BTreeMap<String, u64> {
    rates.iter().map(|(kind, nanos)| (kinds.name(*kind).to_owned(), *nanos)).collect()
}

/// Takes a setting that is named.
fn take<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// A rate limit of `bytes_per_second` with a burst of a tenth of a second; zero is no limit.
pub(crate) fn rate_limit_of(bytes_per_second: u32) -> Option<RateLimit> {
    (bytes_per_second > 0)
        .then(|| RateLimit { bytes_per_second, burst_bytes: (bytes_per_second / 10).max(4_096) })
}

/// The configuration file. Every setting may be left out; unknown ones are refused, so that a misspelt one is
/// found at start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFile {
    /// See [`ServerConfig::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`ServerConfig::db`].
    pub db: Option<PathBuf>,
    /// See [`ServerConfig::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// See [`ServerConfig::fallback`].
    pub fallback: Option<Fallback>,
    /// See [`ServerConfig::hedge_percent`].
    pub hedge_percent: Option<u32>,
    /// See [`ServerConfig::compute`].
    pub compute_threads: Option<usize>,
    /// See [`ServerConfig::compute_queue_max`].
    pub compute_queue: Option<usize>,
    /// See [`ServerConfig::cache_entries_max`].
    pub cache_entries: Option<usize>,
    /// See [`ServerConfig::opening_credit`], in nano-dollars.
    pub opening_credit_nanos: Option<i64>,
    /// See [`ServerConfig::fraud_window`].
    pub fraud_window_seconds: Option<u64>,
    /// See [`ServerConfig::head_file`].
    pub head_file: Option<PathBuf>,
    /// See [`ServerConfig::head_every`].
    pub head_hours: Option<u64>,
    /// See [`ServerConfig::group_commit`].
    pub group_commit_ms: Option<u64>,
    /// See [`ServerConfig::peers_max`].
    pub peers_max: Option<usize>,
    /// See [`ServerConfig::rate_limit`]; zero is no limit.
    pub bytes_per_second: Option<u32>,
    /// See [`ServerConfig::busy_poll`].
    pub busy_poll_us: Option<u64>,
    /// See [`ServerConfig::seed`].
    pub seed: Option<u64>,
    /// See [`ServerConfig::drain_limit`].
    pub drain_seconds: Option<u64>,
    /// See [`ServerConfig::summary_every`].
    pub summary_seconds: Option<u64>,
    /// See [`ServerConfig::record`].
    pub record: Option<PathBuf>,
    /// See [`ServerConfig::metrics`].
    pub metrics: Option<MetricsFor>,
    /// See [`ServerConfig::label`].
    pub label: Option<String>,
    /// See [`ServerConfig::log`].
    pub log: Option<String>,
    /// See [`ServerConfig::log_format`].
    pub log_format: Option<LogFormat>,
    /// See [`ServerConfig::trust`].
    pub trust: Option<TrustFile>,
    /// See [`ServerConfig::prices`].
    pub prices: Option<FilePrices>,
    /// See [`ServerConfig::join`].
    pub join: Option<JoinFile>,
}

/// The price list in the configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePrices {
    /// See [`PriceList::version`].
    pub version: Option<u32>,
    /// See [`PriceList::fee_basis_points`].
    pub fee_basis_points: Option<u32>,
    /// Nano-dollars for a million work units, by the kind's name.
    #[serde(default)]
    pub nanos_per_mega_unit: BTreeMap<String, u64>,
    /// The same for units done on graphics processors; at most the other counts.
    #[serde(default)]
    pub graphics_nanos_per_mega_unit: BTreeMap<String, u64>,
}
