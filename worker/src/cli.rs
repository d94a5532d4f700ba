//! The command line and environment of `p2c2r-worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use p2c2r_join::{JoinChoice, Membership};
use p2c2r_program::{LogFormat, log, settings};
use p2c2r_protocol::Role;
use p2c2r_tasks::gpu::GpuChoice;

use crate::availability::{Hours, WorkingTimes};
use crate::config::{Execution, WorkerConfig, WorkerFile, cores, impairment, machine_name, upload};
use crate::control::ControlRequest;
use crate::earnings::Electricity;
use crate::error::{KernelsError, WorkerError};
use crate::kernels::{MEMORY_MB_DEFAULT, Sandbox};
use crate::share::Share;

/// Lends this computer to P2C2R games and earns for every task its coordinator accepts.
///
/// Every option can also be set in the environment or in the configuration file; an option given here wins
/// over the environment, and that over the file. Ctrl-C finishes what runs and leaves; a second one leaves at
/// once.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "p2c2r-worker", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of working.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The worker's settings.
    #[command(flatten)]
    pub arguments: Arguments,
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
    Check(Box<Arguments>),
    /// Print the settings as a configuration file
    Show(Box<Arguments>),
}

/// Which running workers are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Running {
    /// The folder that keeps this user's accounts [default: p2c2r/memberships in the folder for user data]
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

/// The worker's settings.
#[derive(Args, Clone, Debug, Default)]
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
    /// Kilobits a second to send at most, 100 to 10000000 [default: 1000, and no limit to a coordinator on this computer]
    #[arg(long, value_name = "KBIT", env = "P2C2R_UPLOAD_KBIT")]
    pub upload_kbit: Option<u32>,
    /// Work only in these hours of the day, such as 22:00-07:00 or 09:00-12:30,14:00-24:00 [default: always]
    #[arg(long, value_name = "HOURS", env = "P2C2R_HOURS")]
    pub hours: Option<Hours>,
    /// Work only after nobody has used this computer for so many minutes, 1 to 1440: nothing was typed, and other programs
    /// took less than a quarter of the processor [default: also while it is used]
    #[arg(long, value_name = "MINUTES", env = "P2C2R_IDLE_MINUTES")]
    pub idle_minutes: Option<u32>,
    /// While somebody uses this computer, do not rest but compute so many tasks at the same time, 0 to --slots; used is what
    /// --idle-minutes says, or three minutes [default: 0 with --idle-minutes, and all without]
    #[arg(long, value_name = "N", env = "P2C2R_SLOTS_IN_USE")]
    pub slots_in_use: Option<u16>,
    /// Rest from so many degrees Celsius of a processor on, 50 to 100, until it has cooled down by ten; from five below on
    /// half of the slots compute [default: no limit]
    #[arg(long, value_name = "DEGREES", env = "P2C2R_CELSIUS_MAX")]
    pub celsius_max: Option<u8>,
    /// Work on battery too
    #[arg(long, env = "P2C2R_ON_BATTERY", value_parser = BoolishValueParser::new())]
    pub on_battery: bool,
    /// Take no work until `p2c2r-worker resume`
    #[arg(long, env = "P2C2R_PAUSED", value_parser = BoolishValueParser::new())]
    pub paused: bool,
    /// Run kernels in this process, where a fault in one could reach this computer's files and network. Needed where the
    /// system has no Landlock and seccomp
    #[arg(long, env = "P2C2R_UNSANDBOXED", value_parser = BoolishValueParser::new())]
    pub unsandboxed: bool,
    /// What to compute reflections on: auto (the fastest graphics processor, if there is one), off, or part of a
    /// name, which takes software such as llvmpipe too [default: auto]
    #[arg(long, value_name = "auto|off|NAME", env = "P2C2R_GPU")]
    pub gpu: Option<GpuChoice>,
    /// Per cent of its time that the graphics processor may compute, 1 to 100, by what tasks are measured to take; it rests
    /// in between [default: 100]
    #[arg(long, value_name = "PERCENT", env = "P2C2R_GPU_PERCENT")]
    pub gpu_percent: Option<Share>,
    /// Per cent of the time that each slot may compute, 1 to 100; it rests in between [default: 100]
    #[arg(long, value_name = "PERCENT", env = "P2C2R_CPU_PERCENT")]
    pub cpu_percent: Option<Share>,
    /// Watts that this computer takes more while all slots compute, 1 to 5000: with --cents-per-kwh, `status` tells what is
    /// left of the earnings
    #[arg(long, value_name = "WATTS", env = "P2C2R_WATTS")]
    pub watts: Option<u16>,
    /// Hundredths of a dollar that a kilowatt hour costs here, 1 to 1000
    #[arg(long, value_name = "CENTS", env = "P2C2R_CENTS_PER_KWH")]
    pub cents_per_kwh: Option<u16>,
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
    /// A TOML file with any of: join, keys, name, slots, memory_mb, upload_kbit, hours, idle_minutes, slots_in_use,
    /// celsius_max, on_battery, paused, unsandboxed, gpu, gpu_percent, cpu_percent, watts, cents_per_kwh, impair, busy_poll_us, log, log_format
    #[arg(long, value_name = "FILE", env = "P2C2R_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Everything the program needs, settled.
pub struct WorkerSettings {
    /// The worker.
    pub worker: WorkerConfig,
    /// What it computes on besides its cores.
    pub gpu: GpuChoice,
    /// What part of its time may be used.
    pub gpu_share: Share,
    /// The account at the coordinator, and where that is.
    pub membership: Membership,
    /// The folder that keeps it.
    pub folder: PathBuf,
    /// What to log.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

/// The settings but for the account.
struct Resolved {
    worker: WorkerConfig,
    gpu: GpuChoice,
    gpu_share: Share,
    choice: JoinChoice,
    log: String,
    log_format: LogFormat,
    /// As a configuration file.
    file: WorkerFile,
}

impl Arguments {
    /// Settles every setting: these arguments (flags, then environment), then the file, then defaults.
    pub fn settle(self) -> Result<WorkerSettings, WorkerError> {
        let Resolved { mut worker, gpu, gpu_share, choice, log, log_format, file: _ } = self.resolve()?;
        let folder = choice.folder()?;
        let membership = choice.settle(Role::Worker, &worker.name)?.ok_or(WorkerError::NotJoined)?;
        worker.name.clone_from(&membership.name);
        worker.coordinator = membership.link.hosts.first().map(ToString::to_string).unwrap_or_default();
        Ok(WorkerSettings { worker, gpu, gpu_share, membership, folder, log, log_format })
    }

    /// The settings as a configuration file, every one of them checked.
    pub fn shown(self) -> Result<String, WorkerError> {
        let mut file = self.resolve()?.file;
        // Good once, and not for everybody's eyes.
        file.join = None;
        let text = toml::to_string(&file);
        text.map_err(|error| WorkerError::Setting(format!("the settings cannot be written as TOML: {error}")))
    }

    fn resolve(self) -> Result<Resolved, WorkerError> {
        let file: WorkerFile =
            self.config.as_deref().map(settings::read_file).transpose()?.unwrap_or_default();
        let name = self.name.or(file.name);
        let mut worker = WorkerConfig::named(name.clone().unwrap_or_else(machine_name));
        worker.slots = self.slots.or(file.slots).unwrap_or_else(cores);
        let impair = self.impair.or(file.impair);
        worker.impair = impair.as_deref().map(|preset| impairment(preset, &worker.name)).transpose()?;
        if let Some(micros) = self.busy_poll_us.or(file.busy_poll_us) {
            worker.busy_poll = Duration::from_micros(micros);
        }
        let upload_kbit = self.upload_kbit.or(file.upload_kbit);
        worker.rate_limit = upload_kbit.map(upload);
        let idle_minutes = self.idle_minutes.or(file.idle_minutes);
        worker.times = WorkingTimes {
            paused: self.paused || file.paused.unwrap_or_default(),
            hours: self.hours.or(file.hours),
            idle_for: idle_minutes.map(|minutes| Duration::from_mins(minutes.into())),
            slots_in_use: self.slots_in_use.or(file.slots_in_use).unwrap_or_default(),
            celsius_max: self.celsius_max.or(file.celsius_max),
            on_battery: self.on_battery || file.on_battery.unwrap_or_default(),
        };
        let gpu = self.gpu.or(file.gpu).unwrap_or_default();
        let gpu_share = self.gpu_percent.or(file.gpu_percent).unwrap_or_default();
        worker.cpu_share = self.cpu_percent.or(file.cpu_percent).unwrap_or_default();
        let (watts, cents_per_kwh) = (self.watts.or(file.watts), self.cents_per_kwh.or(file.cents_per_kwh));
        worker.electricity =
            watts.zip(cents_per_kwh).map(|(watts, cents_per_kwh)| Electricity { watts, cents_per_kwh });
        let choice = JoinChoice { link: self.join.or(file.join), name, folder: self.keys.or(file.keys) };
        let unsandboxed = self.unsandboxed || file.unsandboxed.unwrap_or_default();
        let memory_mb = self.memory_mb.or(file.memory_mb).unwrap_or(MEMORY_MB_DEFAULT);
        if !unsandboxed {
            let mut sandbox = Sandbox::of_this_program(choice.folder()?).map_err(KernelsError::Start)?;
            sandbox.memory_bytes = memory_mb.saturating_mul(1_000_000);
            sandbox.gpu = gpu.clone();
            sandbox.gpu_share = gpu_share;
            sandbox.look = worker.busy_poll;
            worker.execution = Execution::Processes(sandbox);
        }
        worker.validate()?;
        let log = self.log.or(file.log).unwrap_or_else(|| "info".into());
        log::check_filter(&log)?;
        let log_format = self.log_format.or(file.log_format).unwrap_or_default();
        let file = WorkerFile {
            join: choice.link.clone(),
            keys: choice.folder.clone(),
            name: Some(worker.name.clone()),
            slots: Some(worker.slots),
            unsandboxed: Some(unsandboxed),
            memory_mb: Some(memory_mb),
            upload_kbit,
            hours: worker.times.hours.clone(),
            idle_minutes,
            slots_in_use: Some(worker.times.slots_in_use),
            celsius_max: worker.times.celsius_max,
            on_battery: Some(worker.times.on_battery),
            paused: Some(worker.times.paused),
            gpu: Some(gpu.clone()),
            gpu_percent: Some(gpu_share),
            cpu_percent: Some(worker.cpu_share),
            watts,
            cents_per_kwh,
            impair,
            busy_poll_us: u64::try_from(worker.busy_poll.as_micros()).ok(),
            log: Some(log.clone()),
            log_format: Some(log_format),
        };
        Ok(Resolved { worker, gpu, gpu_share, choice, log, log_format, file })
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
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_settings_without_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        let arguments = Arguments {
            join: Some("p2c2r://127.0.0.1:9".into()),
            keys: Some(folder.path().into()),
            name: Some("ada".into()),
            hours: Some("22:00-07:00".parse().unwrap()),
            idle_minutes: Some(5),
            upload_kbit: Some(500),
            gpu: Some(GpuChoice::Off),
            gpu_percent: Some("30%".parse().unwrap()),
            cpu_percent: Some("75".parse().unwrap()),
            watts: Some(90),
            cents_per_kwh: Some(30),
            on_battery: true,
            ..Arguments::default()
        };
        let shown = arguments.shown().unwrap();
        assert!(!shown.contains("p2c2r://"), "{shown}");
        std::fs::write(&path, &shown).unwrap();
        let again = Arguments { config: Some(path), ..Arguments::default() };
        let resolved = again.clone().resolve().unwrap().worker;
        assert_eq!(resolved.times.hours, Some("22:00-07:00".parse().unwrap()));
        assert_eq!(resolved.times.idle_for, Some(Duration::from_mins(5)));
        assert!(resolved.times.on_battery && !resolved.times.paused);
        assert_eq!(resolved.rate_limit.map(|limit| limit.bytes_per_second), Some(62_500));
        assert_eq!(resolved.cpu_share.percent(), 75);
        assert_eq!(resolved.electricity, Some(Electricity { watts: 90, cents_per_kwh: 30 }));
        assert!(shown.contains("gpu_percent = 30"), "{shown}");
        assert_eq!(again.shown().unwrap(), shown);
    }
}
