//! The command line and environment of `p2c2r-worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use p2c2r_program::settings::SettingsArgs;

use crate::control::ControlRequest;
use crate::options::WorkerOptions;

/// Lends this computer to P2C2R games and earns for every task its coordinator accepts.
///
/// Every option can also be set in the environment or in the configuration file; an option given here wins
/// over the environment, and that over the file. Ctrl-C finishes what runs and leaves; a second one leaves at
/// once.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "p2c2r-worker", version, args_conflicts_with_subcommands = true)]
pub struct WorkerCli {
    /// What to do instead of working.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The worker's settings.
    #[command(flatten)]
    pub settings: SettingsArgs<WorkerOptions>,
}

/// What to do instead of working.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Say how this user's running workers stand, and what they earned
    Status {
        /// Which workers.
        #[command(flatten)]
        running: Running,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Let running workers take no more work, until `resume` or for a time
    Pause {
        /// For how long, such as 30m or 2h [default: until `resume`]
        #[arg(value_name = "TIME", value_parser = humantime::parse_duration)]
        time: Option<Duration>,
        /// Which workers.
        #[command(flatten)]
        running: Running,
    },
    /// Let paused workers work again
    Resume {
        /// Which workers.
        #[command(flatten)]
        running: Running,
    },
    /// Let running workers finish what they compute, and end
    Finish {
        /// Which workers.
        #[command(flatten)]
        running: Running,
    },
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigVerb),
}

/// What to do with the settings.
#[derive(Subcommand, Clone, Debug)]
pub enum ConfigVerb {
    /// Say whether the settings are valid; exit status 2 if not
    Check(Box<SettingsArgs<WorkerOptions>>),
    /// Print the settings as a configuration file
    Show(Box<SettingsArgs<WorkerOptions>>),
}

/// Which running workers are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Running {
    /// Folder that keeps this user's accounts [default: p2c2r/memberships in the folder for user data]
    #[arg(long, value_name = "DIR", env = "P2C2R_KEYS")]
    pub keys: Option<PathBuf>,
    /// The worker's name [default: all of this user's]
    #[arg(long, env = "P2C2R_NAME")]
    pub name: Option<String>,
}

impl Verb {
    /// What is asked of a running worker, and of which; `None` if nothing is.
    pub fn request(&self) -> Option<(ControlRequest, &Running)> {
        match self {
            Self::Status { running, .. } => Some((ControlRequest::Status, running)),
            Self::Pause { time, running } => {
                Some((ControlRequest::Pause { seconds: time.map(|time| time.as_secs()) }, running))
            }
            Self::Resume { running } => Some((ControlRequest::Resume, running)),
            Self::Finish { running } => Some((ControlRequest::Finish, running)),
            Self::Config(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use p2c2r_program::LogFormat;
    use p2c2r_tasks::gpu::GpuChoice;

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
        let cli = WorkerCli::try_parse_from([
            "p2c2r-worker".as_ref(),
            "--name=from-flag".as_ref(),
            "--config".as_ref(),
            file.path().as_os_str(),
            "--keys".as_ref(),
            folder.path().as_os_str(),
        ]);
        let settings = WorkerOptions::resolve(&cli.unwrap().settings).unwrap().settle().unwrap();
        assert_eq!(settings.worker.name, "from-flag");
        assert_eq!(settings.worker.slots, 3);
        assert_eq!(settings.gpu, GpuChoice::Off);
        assert_eq!(settings.membership.link.hosts[0].port, 9);
        assert_eq!(settings.log, "debug");
        assert_eq!(settings.log_format, LogFormat::Text);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        WorkerCli::command().debug_assert();
    }
}
