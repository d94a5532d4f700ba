//! The command line and environment of `p2c2r-worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::BoolishValueParser;
use p2c2r_join::{JoinChoice, Membership};
use p2c2r_program::{LogFormat, log, settings};
use p2c2r_protocol::Role;
use p2c2r_tasks::gpu::GpuChoice;

use crate::config::{Execution, FileConfig, WorkerConfig, cores, impairment, machine_name};
use crate::error::{KernelsError, WorkerError};
use crate::kernels::{MEMORY_MB_DEFAULT, Sandbox};

/// Lends this computer to P2C2R games and earns for every task its coordinator accepts.
///
/// Every option can also be set in the environment or in the configuration file; an option given here wins
/// over the environment, and that over the file. Ctrl-C finishes what runs and leaves; a second one leaves at
/// once.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "p2c2r-worker", version)]
pub struct Arguments {
    /// The join link of the coordinator to work for; needed once. `-` reads it from standard input, `@FILE` from a file
    /// [default: the coordinator worked for last]
    #[arg(long, value_name = "LINK", env = "P2C2R_JOIN", hide_env_values = true)]
    pub join: Option<String>,
    /// The folder that keeps this user's accounts [default: p2c2r/memberships in the folder for user data]
    #[arg(long, value_name = "DIR", env = "P2C2R_KEYS")]
    pub keys: Option<PathBuf>,
    /// Public name of this worker [default: this machine's name]
    #[arg(long, env = "P2C2R_NAME")]
    pub name: Option<String>,
    /// Tasks to run at the same time, 1 to 256 [default: this machine's cores]
    #[arg(long, value_name = "N", env = "P2C2R_SLOTS")]
    pub slots: Option<u16>,
    /// Megabytes that each kernel process may use, 64 to 1000000; there is one for each slot and one for tiny tasks
    /// [default: 1024]
    #[arg(long, value_name = "MB", env = "P2C2R_MEMORY_MB")]
    pub memory_mb: Option<u64>,
    /// Run kernels in this process, where a fault in one could reach this computer's files and network. Needed where the
    /// system has no Landlock and seccomp
    #[arg(long, env = "P2C2R_UNSANDBOXED", value_parser = BoolishValueParser::new())]
    pub unsandboxed: bool,
    /// What to compute reflections on: auto (the fastest graphics processor, if there is one), off, or part of a
    /// name, which takes software such as llvmpipe too [default: auto]
    #[arg(long, value_name = "auto|off|NAME", env = "P2C2R_GPU")]
    pub gpu: Option<GpuChoice>,
    /// Make the network worse, for tests: wan-100ms, bad-wifi, ...
    #[arg(long, value_name = "PRESET", env = "P2C2R_IMPAIR")]
    pub impair: Option<String>,
    /// Microseconds to look for the next task before sleeping, while tasks come that fast and few at a time; 0 sleeps
    /// at once [default: 200]
    #[arg(long, value_name = "MICROSECONDS", env = "P2C2R_BUSY_POLL_US")]
    pub busy_poll_us: Option<u64>,
    /// What to log: error, warn, info, debug, trace, or a filter such as p2c2r_worker=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "P2C2R_LOG")]
    pub log: Option<String>,
    /// How to log [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "P2C2R_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// A TOML file with any of: join, keys, name, slots, memory_mb, unsandboxed, gpu, impair, busy_poll_us, log, log_format
    #[arg(long, value_name = "FILE", env = "P2C2R_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Everything the program needs, settled.
pub struct Settings {
    /// The worker.
    pub worker: WorkerConfig,
    /// What it computes on besides its cores.
    pub gpu: GpuChoice,
    /// The account at the coordinator, and where that is.
    pub membership: Membership,
    /// What to log.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

impl Arguments {
    /// Settles every setting: these arguments (flags, then environment), then the file, then defaults.
    pub fn settle(self) -> Result<Settings, WorkerError> {
        let file: FileConfig =
            self.config.as_deref().map(settings::read_file).transpose()?.unwrap_or_default();
        let name = self.name.or(file.name);
        let mut worker = WorkerConfig::named(name.clone().unwrap_or_else(machine_name));
        worker.slots = self.slots.or(file.slots).unwrap_or_else(cores);
        worker.impair =
            self.impair.or(file.impair).map(|preset| impairment(&preset, &worker.name)).transpose()?;
        if let Some(micros) = self.busy_poll_us.or(file.busy_poll_us) {
            worker.busy_poll = Duration::from_micros(micros);
        }
        let gpu = self.gpu.or(file.gpu).unwrap_or_default();
        let choice = JoinChoice { link: self.join.or(file.join), name, folder: self.keys.or(file.keys) };
        if !self.unsandboxed && !file.unsandboxed.unwrap_or(false) {
            let private = choice.folder()?;
            let mut sandbox = Sandbox::of_this_program(private).map_err(KernelsError::Start)?;
            let megabytes = self.memory_mb.or(file.memory_mb).unwrap_or(MEMORY_MB_DEFAULT);
            sandbox.memory_bytes = megabytes.saturating_mul(1_000_000);
            sandbox.gpu = gpu.clone();
            sandbox.look = worker.busy_poll;
            worker.execution = Execution::Processes(sandbox);
        }
        worker.validate()?;
        let filter = self.log.or(file.log).unwrap_or_else(|| "info".into());
        log::check_filter(&filter)?;
        let membership = choice.settle(Role::Worker, &worker.name)?.ok_or(WorkerError::NotJoined)?;
        worker.name.clone_from(&membership.name);
        worker.coordinator = membership.link.hosts.first().map(ToString::to_string).unwrap_or_default();
        Ok(Settings {
            worker,
            gpu,
            membership,
            log: filter,
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn options_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(
            file,
            "name = 'from-file'\nslots = 3\njoin = 'p2c2r://127.0.0.1:9'\nlog = 'debug'\ngpu = 'off'"
        )
        .unwrap();
        let arguments = Arguments {
            name: Some("from-flag".into()),
            config: Some(file.path().into()),
            keys: Some(folder.path().into()),
            ..Arguments::default()
        };
        let settings = arguments.settle().unwrap();
        assert_eq!(settings.worker.name, "from-flag");
        assert_eq!(settings.worker.slots, 3);
        assert_eq!(settings.gpu, GpuChoice::Off);
        assert_eq!(settings.membership.link.hosts[0].port, 9);
        assert_eq!(settings.log, "debug");
        assert_eq!(settings.log_format, LogFormat::Text);
    }

    #[test]
    fn a_link_that_is_none_is_refused_and_so_is_a_worker_that_never_joined() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Some(folder.path().to_owned());
        let arguments =
            Arguments { join: Some("nonsense".into()), keys: keys.clone(), ..Arguments::default() };
        let error = arguments.settle().err().unwrap().to_string();
        assert!(error.contains("p2c2r://"), "{error}");
        let error = Arguments { keys, ..Arguments::default() }.settle().err().unwrap().to_string();
        assert!(error.contains("--join"), "{error}");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
