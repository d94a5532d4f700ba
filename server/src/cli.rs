//! The command line: flags, their environment variables, and the subcommands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use p2c2r_program::settings::{SettingError, SettingsArgs};
use p2c2r_protocol::Role;

use crate::backup::BackupFolderArgs;
use crate::config::ServerConfig;
use crate::join::commands::{AccountsCommand, InviteArgs};
use crate::ledger_commands::LedgerCommand;
use crate::status::commands::{PageArgs, ReadyArgs};
use crate::worker_commands::WorkersCommand;

/// The P2C2R coordinator: hands games' work to workers, checks every answer, keeps the money.
#[derive(Debug, Parser)]
#[command(name = "p2c2r-server", version, args_conflicts_with_subcommands = true)]
pub struct ServerCli {
    /// What to do instead of running the coordinator.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the coordinator.
    #[command(flatten)]
    pub settings: SettingsArgs<ServerConfig>,
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
    /// List workers, quarantine one or let it work again.
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Copy all that brings the coordinator back, ledger, accounts and keys, into a new folder; also while it runs.
    Backup(BackupFolderArgs),
    /// Put such a copy into an empty data folder. The coordinator must not run.
    Restore(BackupFolderArgs),
    /// Look into the ledger, verify, export or copy it, and book what workers were paid.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Replay a run that --record has written, and say where it differs; exit status 1 if it does.
    Replay {
        /// The recording.
        file: PathBuf,
    },
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Which coordinator a command is about. It is found as the coordinator finds its own files: what is given here, then the
/// environment, then the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct WhichCoordinator {
    /// The coordinator's configuration file.
    #[arg(long, env = "P2C2R_CONFIG", value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The coordinator's data folder: ledger, accounts, certificate. [default: as it is set in the file, or p2c2r/server
    /// among the user's data]
    #[arg(long, env = "P2C2R_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The ledger's database file. [default: as it is set in the file, or results.db in the data folder]
    #[arg(long, env = "P2C2R_DB", value_name = "PATH")]
    pub db: Option<PathBuf>,
}

impl WhichCoordinator {
    /// The settings that a coordinator has if it is started with these options.
    pub fn settings(&self) -> Result<ServerConfig, SettingError> {
        let named = [("--config", &self.config), ("--data-dir", &self.data_dir), ("--db", &self.db)];
        let words = named.into_iter().filter_map(|(flag, path)| Some([flag.into(), path.clone()?.into()]));
        SettingsArgs::from_words(words.flatten())?.resolve()
    }
}

/// Whether an account is a gamer's or a worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// A player and their game.
    Gamer,
    /// A helper and their worker.
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
    Check(Box<SettingsArgs<ServerConfig>>),
    /// Print the settings as a configuration file.
    Show(Box<SettingsArgs<ServerConfig>>),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};
    use p2c2r_program::settings::{self, SettingValue, SettingsTable as _};

    use super::*;
    use crate::config::Fallback;

    #[test]
    fn the_command_line_is_consistent() {
        ServerCli::command().debug_assert();
    }

    #[test]
    fn options_in_front_of_a_subcommand_are_answered_with_their_place() {
        let typed = ["p2c2r-server", "--data-dir", "here", "invite", "gamer"].map(Into::into);
        let error = p2c2r_program::command_line::try_parse_from::<ServerCli>(typed).unwrap_err().to_string();
        assert!(
            error.contains("options of 'invite' come after it, see: p2c2r-server invite --help"),
            "{error}"
        );
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        let text =
            "db = \"file.db\"\nfallback = \"refuse\"\n[prices]\nversion = 7\nnanos_per_mega_unit.path = 5\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let cli = ServerCli::try_parse_from(["p2c2r-server", "--config", path, "--db", "flag.db"]).unwrap();
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
            let cli = ServerCli::try_parse_from([&["p2c2r-server"], arguments].concat()).unwrap();
            cli.settings.resolve().unwrap().db
        };
        assert_eq!(db(&["--data-dir", "here"]), PathBuf::from("here/results.db"));
        assert_eq!(db(&["--data-dir", "here", "--db", "there.db"]), PathBuf::from("there.db"));
    }

    #[test]
    fn help_names_the_real_defaults() {
        let help = ServerCli::command().render_long_help().to_string();
        for setting in ["at once [default: 200]", "the same again [default: 67108864]"] {
            assert!(help.contains(setting), "{setting} in {help}");
        }
        assert!(help.contains("--cache-bytes") && help.contains("--impair"), "{help}");
    }

    #[test]
    fn what_config_show_prints_reads_back_the_same() {
        let shown = settings::shown(&ServerConfig::default());
        let mut config = ServerConfig::default();
        settings::apply_text(&mut config, &shown).unwrap();
        assert_eq!(settings::shown(&config), shown);
    }

    #[test]
    fn the_reference_is_up_to_date() {
        settings::assert_reference::<ServerConfig>("p2c2r-server");
    }

    /// A setting that has a value to give is the same by flag, by file and by `config show`.
    #[test]
    fn every_setting_is_the_same_by_flag_and_by_file() {
        for row in ServerConfig::rows() {
            let mut config = ServerConfig::default();
            let value = row.get(&config).unwrap_or_else(|| SettingValue::Text(example(&row.key).to_owned()));
            let written = match &value {
                SettingValue::List(values) if values.is_empty() => continue,
                value => value.to_string(),
            };
            row.set(&mut config, &value).unwrap();
            let flag = format!("--{}={written}", row.flag);
            let args = SettingsArgs::<ServerConfig>::from_arg_matches(
                &SettingsArgs::<ServerConfig>::augment_args(clap::Command::new("test"))
                    .get_matches_from(["test", &flag]),
            );
            // A setting that needs another one beside it is refused if its flag is given alone.
            let by_flag = match args.unwrap().resolve() {
                Err(error) => {
                    assert!(["join.cert", "join.key"].contains(&&*row.key), "{}: {error}", row.key);
                    continue;
                }
                Ok(by_flag) => by_flag,
            };
            assert_eq!(row.get(&by_flag), row.get(&config), "{}", row.key);
        }
    }

    fn example(key: &str) -> &'static str {
        match key {
            "impair" => "wan-100ms",
            "seed" => "18446744073709551615",
            _ => "some/place",
        }
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| {
            let mut config = ServerConfig::default();
            settings::apply_text(&mut config, text).unwrap_err().to_string()
        };
        for (text, expected) in [
            ("listn = \"127.0.0.1:1\"", "listn"),
            ("trust.settled_percent = 101.0", "trust-settled-percent"),
            ("compute_threads = 0", "compute-threads"),
            ("busy_poll_us = 20000", "busy-poll-us"),
            ("impair = \"nonsense\"", "bad-wifi"),
            ("prices.nanos_per_mega_unit.juggling = 1", "juggling"),
        ] {
            let said = refused(text);
            assert!(said.contains(expected), "{said}");
        }
    }
}
