//! The command line and environment of `p2c2r-worker`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use p2c2r_tasks::gpu::GpuChoice;

use crate::config::{
    DEFAULT_COORDINATOR, FileConfig, LogFormat, WorkerConfig, cores, impairment, machine_name,
};
use crate::error::WorkerError;

/// Lends this computer to P2C2R games and earns for every task its coordinator accepts.
///
/// Every option can also be set in the environment or in the configuration file; an option given here wins
/// over the environment, and that over the file. Ctrl-C finishes what runs and leaves; a second one leaves at
/// once.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "p2c2r-worker", version)]
pub struct Arguments {
    /// The coordinator to work for [default: 127.0.0.1:8765]
    #[arg(long, value_name = "HOST:PORT", env = "P2C2R_COORDINATOR")]
    pub coordinator: Option<String>,
    /// Public name of this worker [default: this machine's name]
    #[arg(long, env = "P2C2R_NAME")]
    pub name: Option<String>,
    /// Tasks to run at the same time, 1 to 256 [default: this machine's cores]
    #[arg(long, value_name = "N", env = "P2C2R_SLOTS")]
    pub slots: Option<u16>,
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
    /// A TOML file with any of: coordinator, name, slots, gpu, impair, busy_poll_us, log, log_format
    #[arg(long, value_name = "FILE", env = "P2C2R_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Everything the program needs, settled.
pub struct Settings {
    /// The worker.
    pub worker: WorkerConfig,
    /// What it computes on besides its cores.
    pub gpu: GpuChoice,
    /// The coordinator's address.
    pub coordinator: SocketAddr,
    /// What to log.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

impl Arguments {
    /// Settles every setting: these arguments (flags, then environment), then the file, then defaults.
    pub fn settle(self) -> Result<Settings, WorkerError> {
        let file = self.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default();
        let address = self.coordinator.or(file.coordinator).unwrap_or_else(|| DEFAULT_COORDINATOR.into());
        let mut worker = WorkerConfig::named(self.name.or(file.name).unwrap_or_else(machine_name));
        worker.slots = self.slots.or(file.slots).unwrap_or_else(cores);
        worker.impair =
            self.impair.or(file.impair).map(|preset| impairment(&preset, &worker.name)).transpose()?;
        if let Some(micros) = self.busy_poll_us.or(file.busy_poll_us) {
            worker.busy_poll = Duration::from_micros(micros);
        }
        worker.validate()?;
        let coordinator = resolve(&address)?;
        worker.coordinator = address;
        Ok(Settings {
            worker,
            gpu: self.gpu.or(file.gpu).unwrap_or_default(),
            coordinator,
            log: self.log.or(file.log).unwrap_or_else(|| "info".into()),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

/// The address behind a name; IPv4 first, because a coordinator listens there unless told otherwise.
fn resolve(address: &str) -> Result<SocketAddr, WorkerError> {
    let refuse = |reason: String| WorkerError::Coordinator { address: address.to_owned(), reason };
    let mut found: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| refuse(error.to_string()))?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| refuse("the name has no address".into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn options_win_over_the_file_and_the_file_over_defaults() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(
            file,
            "name = 'from-file'\nslots = 3\ncoordinator = '127.0.0.1:9'\nlog = 'debug'\ngpu = 'off'"
        )
        .unwrap();
        let arguments = Arguments {
            name: Some("from-flag".into()),
            config: Some(file.path().into()),
            ..Arguments::default()
        };
        let settings = arguments.settle().unwrap();
        assert_eq!(settings.worker.name, "from-flag");
        assert_eq!(settings.worker.slots, 3);
        assert_eq!(settings.gpu, GpuChoice::Off);
        assert_eq!(settings.coordinator.port(), 9);
        assert_eq!(settings.log, "debug");
        assert_eq!(settings.log_format, LogFormat::Text);
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_an_example() {
        let arguments = Arguments { coordinator: Some("nonsense".into()), ..Arguments::default() };
        let error = arguments.settle().err().unwrap().to_string();
        assert!(error.contains("HOST:PORT"), "{error}");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
