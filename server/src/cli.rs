//! The command line: flags, their environment variables, and the subcommands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use p2c2r_program::{LogFormat, settings};
use p2c2r_protocol::{Nanos, Role};

use crate::config::{
    ComputeMode, Fallback, LEDGER_FILE, MetricsFor, ServerConfig, ServerFile, rate_limit_of,
};
use crate::error::ServerError;
use crate::join::commands::{AccountsCommand, DataDirArgs, InviteArgs};
use crate::join::settings::JoinArgs;
use crate::ledger_commands::LedgerCommand;
use crate::status::commands::{PageArgs, ReadyArgs};
use crate::worker_commands::WorkersCommand;

/// The P2C2R coordinator: hands games' work to workers, checks every answer, keeps the money.
#[derive(Debug, Parser)]
#[command(name = "p2c2r-server", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of running the coordinator.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the coordinator.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// What to do instead of running the coordinator.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a join link, good for one account unless --uses says otherwise; prints the link and nothing else.
    Invite(InviteArgs),
    /// Print a link that logs a browser in to the status page, once, or a token for /metrics.
    Page(PageArgs),
    /// Say whether the coordinator on this machine takes tasks; exit status 1 if not.
    Ready(ReadyArgs),
    /// Look at the accounts, close, rename or credit one.
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Look at what is known of workers, take one's work away or let it work again.
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Look into the ledger, verify, export or copy it, and book what workers were paid.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Run again what --record has written, and say where it differs; exit status 1 if it does.
    Replay {
        /// The recording.
        file: PathBuf,
    },
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// On which side an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// A game's.
    Gamer,
    /// A helper's.
    Worker,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Gamer => Self::Gamer,
            RoleArg::Worker => Self::Worker,
        }
    }
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the settings are valid; exit status 2 if not.
    Check(Box<SettingsArgs>),
    /// Print the settings as a configuration file.
    Show(Box<SettingsArgs>),
}

/// Settings: a flag wins over its environment variable, that over the file, that over the default.
#[derive(Debug, Default, Args)]
pub struct SettingsArgs {
    /// Configuration file (TOML); `config show` prints one.
    #[arg(long, env = "P2C2R_CONFIG", value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Address to listen on, UDP and TCP; port 0 lets the system choose, `[::]` is every address of this machine, of both
    /// IP versions. 127.0.0.1:8765 keeps everybody else out. [default: `[::]:8765`]
    #[arg(long, env = "P2C2R_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The ledger's database file. [default: results.db in the data folder]
    #[arg(long, env = "P2C2R_DB", value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// The data folder.
    #[command(flatten)]
    pub data_dir: DataDirArgs,
    /// How people join.
    #[command(flatten)]
    pub join: JoinArgs,
    /// What happens to a timely task that no worker can do in time. [default: compute]
    #[arg(long, env = "P2C2R_FALLBACK", value_enum)]
    pub fallback: Option<Fallback>,
    /// Time that deep checks of workers' answers may take, in per cent of one core. How often whose answers are checked
    /// stands in the configuration file's table `[trust]`. [default: 10]
    #[arg(long, env = "P2C2R_CHECK_BUDGET_PERCENT", value_name = "PERCENT")]
    pub check_budget_percent: Option<f64>,
    /// Work of second attempts for a hundred units of first ones, at most: where a worker is late, another one is asked as
    /// well. 0 asks nobody twice. [default: 10]
    #[arg(long, env = "P2C2R_HEDGE_PERCENT", value_name = "PERCENT")]
    pub hedge_percent: Option<u32>,
    /// Threads for own kernels and costly checks. [default: one per core]
    #[arg(long, env = "P2C2R_COMPUTE_THREADS", value_name = "N")]
    pub compute_threads: Option<usize>,
    /// Own kernels that may wait for a thread. [default: 256]
    #[arg(long, env = "P2C2R_COMPUTE_QUEUE", value_name = "N")]
    pub compute_queue: Option<usize>,
    /// Outcomes kept for reuse; 0 keeps none. [default: 16384]
    #[arg(long, env = "P2C2R_CACHE_ENTRIES", value_name = "N")]
    pub cache_entries: Option<usize>,
    /// Nano-dollars that an invite gives a gamer, once, unless it says otherwise. [default: 1000000000]
    #[arg(long, env = "P2C2R_OPENING_CREDIT_NANOS", value_name = "NANOS")]
    pub opening_credit_nanos: Option<i64>,
    /// Seconds for which a worker's earnings stay pending. [default: 3600]
    #[arg(long, env = "P2C2R_FRAUD_WINDOW_SECONDS", value_name = "SECONDS")]
    pub fraud_window_seconds: Option<u64>,
    /// Add a signed head of the ledger's chain to the end of this file at start, every --head-hours, and at the end: kept
    /// elsewhere, it shows later whether the ledger was rewritten. [default: none]
    #[arg(long, env = "P2C2R_HEAD_FILE", value_name = "PATH")]
    pub head_file: Option<PathBuf>,
    /// Hours between heads. [default: 1]
    #[arg(long, env = "P2C2R_HEAD_HOURS", value_name = "HOURS")]
    pub head_hours: Option<u64>,
    /// Bytes a second to each peer; 0 is no limit. [default: 0 on this machine]
    #[arg(long, env = "P2C2R_BYTES_PER_SECOND", value_name = "BYTES")]
    pub bytes_per_second: Option<u32>,
    /// Peers at the same time. [default: 1024]
    #[arg(long, env = "P2C2R_PEERS_MAX", value_name = "N")]
    pub peers_max: Option<usize>,
    /// Microseconds to look for the next packet before sleeping, while packets come that fast with few messages at a
    /// time: sooner answers for more processor time; 0 sleeps at once. [default: 200]
    #[arg(long, env = "P2C2R_BUSY_POLL_US", value_name = "MICROSECONDS")]
    pub busy_poll_us: Option<u64>,
    /// Seconds between summary lines. [default: 10]
    #[arg(long, env = "P2C2R_SUMMARY_SECONDS", value_name = "SECONDS")]
    pub summary_seconds: Option<u64>,
    /// Seed of the random draws that choose workers and checks, for tests: whoever knows it knows which answers are
    /// checked deeply. [default: drawn from the system at every start]
    #[arg(long, env = "P2C2R_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Record all that the scheduler is told and does in this new file, for `p2c2r-server replay`. It grows by about what
    /// peers send, and holds accounts' names, specs and the seed of the checks. [default: none]
    #[arg(long, env = "P2C2R_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write the real address to this file once the coordinator listens.
    #[arg(long, env = "P2C2R_READY_FILE", value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Who may read the figures at /metrics. [default: operator]
    #[arg(long, env = "P2C2R_METRICS", value_enum)]
    pub metrics: Option<MetricsFor>,
    /// What the status page calls this coordinator, to tell it from others. [default: nothing]
    #[arg(long, env = "P2C2R_LABEL", value_name = "TEXT")]
    pub label: Option<String>,
    /// What to log: off, error, warn, info, debug, trace, or a tracing filter. [default: info]
    #[arg(long, env = "P2C2R_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look. [default: text]
    #[arg(long, env = "P2C2R_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

impl SettingsArgs {
    /// The settings, all four sources taken together and checked.
    pub fn resolve(self) -> Result<ServerConfig, ServerError> {
        let mut config = ServerConfig::default();
        let mut names_ledger = self.db.is_some();
        if let Some(path) = &self.config {
            let file: ServerFile = settings::read_file(path)?;
            names_ledger |= file.db.is_some();
            config.apply_file(file)?;
        }
        self.apply(&mut config);
        if !names_ledger {
            config.db = config.data_dir.join(LEDGER_FILE);
        }
        config.validate()?;
        Ok(config)
    }

    fn apply(self, config: &mut ServerConfig) {
        fn take<T>(slot: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *slot = value;
            }
        }
        take(&mut config.listen, self.listen);
        take(&mut config.db, self.db);
        take(&mut config.data_dir, self.data_dir.data_dir);
        config.join.apply_args(self.join);
        take(&mut config.fallback, self.fallback);
        take(&mut config.trust.budget_percent, self.check_budget_percent);
        take(&mut config.hedge_percent, self.hedge_percent);
        take(&mut config.compute, self.compute_threads.map(ComputeMode::Threads));
        take(&mut config.compute_queue_max, self.compute_queue);
        take(&mut config.cache_entries_max, self.cache_entries);
        take(&mut config.opening_credit, self.opening_credit_nanos.map(Nanos));
        take(&mut config.fraud_window, self.fraud_window_seconds.map(Duration::from_secs));
        take(&mut config.head_file, self.head_file.map(Some));
        take(&mut config.head_every, self.head_hours.map(Duration::from_hours));
        take(&mut config.rate_limit, self.bytes_per_second.map(rate_limit_of));
        take(&mut config.peers_max, self.peers_max);
        take(&mut config.summary_every, self.summary_seconds.map(Duration::from_secs));
        take(&mut config.busy_poll, self.busy_poll_us.map(Duration::from_micros));
        take(&mut config.seed, self.seed.map(Some));
        take(&mut config.record, self.record.map(Some));
        take(&mut config.ready_file, self.ready_file.map(Some));
        take(&mut config.metrics, self.metrics);
        take(&mut config.label, self.label.map(Some));
        take(&mut config.log, self.log);
        take(&mut config.log_format, self.log_format);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::ServerFile;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        let text =
            "db = \"file.db\"\nfallback = \"refuse\"\n[prices]\nversion = 7\nnanos_per_mega_unit.path = 5\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let cli = Cli::try_parse_from(["p2c2r-server", "--config", path, "--db", "flag.db"]).unwrap();
        let config = cli.settings.resolve().unwrap();
        assert_eq!(config.db, PathBuf::from("flag.db"));
        assert_eq!(config.fallback, Fallback::Refuse);
        assert_eq!(config.prices.version, 7);
        assert_eq!(config.prices.nanos_per_mega_unit[0].1, 5);
        assert_eq!(config.listen, "[::]:8765".parse().unwrap(), "everybody with a link may come");
    }

    #[test]
    fn the_ledger_lies_in_the_data_folder_unless_it_is_named() {
        let db = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["p2c2r-server"], arguments].concat()).unwrap();
            cli.settings.resolve().unwrap().db
        };
        assert_eq!(db(&["--data-dir", "here"]), PathBuf::from("here/results.db"));
        assert_eq!(db(&["--data-dir", "here", "--db", "there.db"]), PathBuf::from("there.db"));
    }

    #[test]
    fn the_help_names_the_real_default_of_busy_polling() {
        let help = Cli::command().render_long_help().to_string();
        let default = ServerConfig::default().busy_poll.as_micros();
        assert!(help.contains(&format!("sleeps at once. [default: {default}]")), "{help}");
    }

    #[test]
    fn what_config_show_prints_reads_back_the_same() {
        let shown = toml::to_string(&ServerConfig::default().to_file()).unwrap();
        let mut config = ServerConfig::default();
        config.apply_file(toml::from_str(&shown).unwrap()).unwrap();
        assert_eq!(toml::to_string(&config.to_file()).unwrap(), shown);
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| {
            let mut config = ServerConfig::default();
            let file = toml::from_str::<ServerFile>(text).map_err(|error| error.to_string())?;
            config.apply_file(file).and_then(|()| config.validate()).map_err(|error| error.to_string())
        };
        for (text, expected) in [
            ("listn = \"127.0.0.1:1\"", "listn"),
            ("trust.settled_percent = 101.0", "trust.settled_percent"),
            ("compute_threads = 0", "compute-threads"),
            ("busy_poll_us = 20000", "busy-poll-us"),
            ("prices.nanos_per_mega_unit.juggling = 1", "juggling"),
        ] {
            let said = refused(text).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
