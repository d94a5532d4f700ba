//! Every setting of the worker, with its default and its range: see [`p2c2r_program::settings`] for where they come from.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use p2c2r_join::{JoinChoice, Membership, machine_name, read_link};
use p2c2r_link::runner::BUSY_POLL_DEFAULT;
use p2c2r_link::{BUSY_POLL_MAX, Impairment};
use p2c2r_program::settings::{
    self, ProgramSettings, SettingFormat, SettingsArgs, choice, log_filter, micros, named, number, parsed,
    path, switch, text,
};
use p2c2r_program::{LogFormat, settings_table};
use p2c2r_protocol::limits::SLOTS_PER_WORKER_MAX;
use p2c2r_protocol::{Region, Role};
use p2c2r_tasks::gpu::GpuChoice;

use crate::availability::{Hours, WorkingTimes};
use crate::config::{Execution, WorkerConfig, cores, impaired, upload};
use crate::earnings::Electricity;
use crate::error::{KernelsError, WorkerError};
use crate::kernels::{MEMORY_MB_DEFAULT, Sandbox};
use crate::page::may_be_at;
use crate::share::Share;

/// Range of a kernel process's memory in megabytes: with less it cannot start its threads, and no kernel needs more.
const MEMORY_MB: RangeInclusive<u64> = 64..=1_000_000;
/// Range of the upload limit in kilobits a second: with less, the answer to one task takes longer than its lease.
const UPLOAD_KBIT: RangeInclusive<u32> = 100..=10_000_000;
/// Range of the idle time in minutes: nobody leaves for less than a minute, and after a day the setting has no meaning.
const IDLE_MINUTES: RangeInclusive<u32> = 1..=24 * 60;
/// Range of the heat limit in degrees Celsius: an idle computer in summer has some forty, and above a hundred
/// processors protect themselves.
const CELSIUS: RangeInclusive<u8> = 50..=100;
/// Watts that computing may be said to take, and cents that a kilowatt hour may be said to cost.
const WATTS: RangeInclusive<u16> = 1..=5_000;
const CENTS_PER_KWH: RangeInclusive<u16> = 1..=1_000;

settings_table! {
    /// What a worker's owner may set. Adding a setting is a field here: its flag, variable, place in the file, row in
    /// `docs/settings.md` and check follow.
    #[derive(Clone, Debug)]
    pub struct WorkerOptions {
        /// Join link of the coordinator to work for; needed once. `-` reads it from standard input, `@FILE` from a file
        pub join: Option<String> = None =>
            text("LINK").optional().secret().default_is("the coordinator worked for last"),
        /// Folder that keeps this user's accounts
        pub keys: Option<PathBuf> = None =>
            path("DIR").optional().default_is("p2c2r/memberships in the folder for user data"),
        /// Public name of this worker
        pub name: Option<String> = None => text("NAME").optional().default_is("this machine's name"),
        /// Where this worker is, in a word of your choice such as eu-west: gamers and the coordinator's operator see it. At
        /// most twelve letters A to Z, digits and -
        pub region: Option<Region> = None => parsed("REGION").optional().default_is("nothing is said"),
        /// Tasks to run at the same time
        pub slots: u16 = cores() => number("N", 1..=SLOTS_PER_WORKER_MAX).default_is("this machine's cores"),
        /// Megabytes that each process which computes tasks may use; there is one for each slot, and one for tiny tasks
        pub memory_mb: u64 = MEMORY_MB_DEFAULT => number("MB", MEMORY_MB),
        /// Kilobits a second to send, at most
        pub upload_kbit: Option<u32> = None =>
            number("KBIT", UPLOAD_KBIT).optional()
                .default_is("1000, and no limit to a coordinator on this computer"),
        /// Hours of the day to work in, such as 22:00-07:00 or 09:00-12:30,14:00-24:00
        pub hours: Option<Hours> = None => parsed("HOURS").optional().default_is("always"),
        /// Minutes without anybody at this computer before the worker works: nothing was typed, and other programs took
        /// less than a quarter of the processor
        pub idle_minutes: Option<u32> = None =>
            number("MINUTES", IDLE_MINUTES).optional().default_is("also while it is used"),
        /// Tasks to run at the same time while somebody uses this computer, at most --slots. The computer counts as used
        /// until nobody has used it for --idle-minutes, or for three minutes
        pub slots_in_use: u16 = 0 =>
            number("N", 0..=SLOTS_PER_WORKER_MAX).default_is("0 with --idle-minutes, and all without"),
        /// Degrees Celsius of the processor at which the worker rests until it has cooled down by ten; from five below on,
        /// half of the slots compute
        pub celsius_max: Option<u8> = None => number("DEGREES", CELSIUS).optional().default_is("no limit"),
        /// Work on battery power too
        pub on_battery: bool = false => switch(),
        /// Start paused: take no work until `p2c2r-worker resume`
        pub paused: bool = false => switch(),
        /// Compute tasks in this process, where a fault in a kernel could reach this computer's files and network. Needed
        /// where the system has no Landlock and seccomp
        pub unsandboxed: bool = false => switch(),
        /// What to compute light on: auto (the fastest graphics processor, if there is one), off (the cores), or part of a
        /// name, which may name software such as llvmpipe too
        pub gpu: GpuChoice = GpuChoice::default() => parsed("auto|off|NAME"),
        /// Per cent of the time that the graphics processor may compute, by what tasks were measured to take; it rests in
        /// between
        pub gpu_percent: Share = Share::ALL => share(),
        /// Per cent of the time that each slot may compute; it rests in between
        pub cpu_percent: Share = Share::ALL => share(),
        /// Address of a page for browsers on this computer that says how the worker stands, such as 127.0.0.1:8766. Only a
        /// loopback address, because the page asks for no password
        pub page: Option<SocketAddr> = None => parsed("ADDRESS").optional().default_is("no page"),
        /// Watts that this computer draws more while all slots compute. With --cents-per-kwh, `status` says what is left of
        /// the earnings
        pub watts: Option<u16> = None => number("WATTS", WATTS).optional(),
        /// Price of a kilowatt hour, in hundredths of a dollar
        pub cents_per_kwh: Option<u16> = None => number("CENTS", CENTS_PER_KWH).optional(),
        /// Worsen the network on purpose, for tests and demonstrations, for example wan-100ms or bad-wifi
        pub impair: Option<Impairment> = None =>
            named("PRESET", "impairment", Impairment::PRESETS, Impairment::preset, Impairment::name).optional(),
        /// Microseconds to look for the next task before sleeping, while tasks come that fast and few at a time. More bring
        /// answers sooner and take more processor time; 0 sleeps at once
        pub busy_poll: Duration = BUSY_POLL_DEFAULT =>
            micros(0..=BUSY_POLL_MAX.as_micros() as u64).key("busy_poll_us"),
        /// What the worker's owner types to run this program, for the commands that the page names
        pub command: String = "p2c2r-worker".to_owned() => text("COMMAND"),
        /// What to log: off, error, warn, info, debug, trace, or a filter such as p2c2r_worker=debug
        pub log: String = "info".to_owned() => log_filter(),
        /// Format of log lines
        pub log_format: LogFormat = LogFormat::default() => choice(),
    }
}

impl ProgramSettings for WorkerOptions {}

/// The format of shares: per cent, with or without the sign.
fn share() -> SettingFormat<Share> {
    number("PERCENT", 1..=100_u8)
        .map(|percent| Share::try_from(percent).unwrap_or_default(), |share| Some(share.percent()))
}

/// Everything that a run needs: the settings and the account.
pub struct WorkerSettings {
    /// The worker.
    pub worker: WorkerConfig,
    /// What it computes on besides its cores.
    pub gpu: GpuChoice,
    /// The share of its time that may be used.
    pub gpu_share: Share,
    /// The account at the coordinator, and where that is.
    pub membership: Membership,
    /// The folder that keeps it.
    pub folder: PathBuf,
    /// Where its owner's page is served.
    pub page: Option<SocketAddr>,
    /// How the commands begin that its owner types.
    pub command: String,
    /// What to log.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

impl WorkerOptions {
    /// The settings: flags, then environment, then the file, then defaults; checked as for running.
    pub fn resolve(given: &SettingsArgs<Self>) -> Result<Self, WorkerError> {
        let options = given.resolve()?;
        options.worker()?;
        Ok(options)
    }

    /// Adds to the options what running needs beside them: the account.
    pub fn settle(self) -> Result<WorkerSettings, WorkerError> {
        let mut worker = self.worker()?;
        let choice = self.choice();
        let folder = choice.folder()?;
        let membership = choice.settle(Role::Worker, &worker.name)?.ok_or(WorkerError::NotJoined)?;
        worker.name.clone_from(&membership.name);
        worker.coordinator = membership.link.hosts.first().map(ToString::to_string).unwrap_or_default();
        let Self { gpu, gpu_percent: gpu_share, page, command, log, log_format, .. } = self;
        Ok(WorkerSettings { worker, gpu, gpu_share, membership, folder, page, command, log, log_format })
    }

    /// Checks what a start would check, as far as that has no side effects: the settings together, and the join link
    /// unless it is read from standard input.
    pub fn check(&self) -> Result<(), WorkerError> {
        self.worker()?;
        if let Some(link) = self.join.as_deref().filter(|link| *link != "-") {
            read_link(link)?;
        }
        Ok(())
    }

    /// The settings as a configuration file, with the name and without the join link, which is secret and works only
    /// once.
    pub fn shown(mut self) -> String {
        self.name.get_or_insert_with(machine_name);
        settings::shown(&self)
    }

    fn choice(&self) -> JoinChoice {
        JoinChoice { link: self.join.clone(), name: self.name.clone(), folder: self.keys.clone() }
    }

    fn worker(&self) -> Result<WorkerConfig, WorkerError> {
        let mut worker = WorkerConfig::named(self.name.clone().unwrap_or_else(machine_name));
        worker.slots = self.slots;
        worker.region = self.region;
        worker.impair = self.impair.map(|impairment| impaired(impairment, &worker.name));
        worker.busy_poll = self.busy_poll;
        worker.rate_limit = self.upload_kbit.map(upload);
        worker.times = WorkingTimes {
            paused: self.paused,
            hours: self.hours.clone(),
            idle_for: self.idle_minutes.map(|minutes| Duration::from_mins(minutes.into())),
            slots_in_use: self.slots_in_use,
            celsius_max: self.celsius_max,
            on_battery: self.on_battery,
        };
        if let Some(at) = self.page.filter(|at| !may_be_at(*at)) {
            return Err(WorkerError::Setting(format!(
                "{at} is no loopback address, and the page knows no password: say --page 127.0.0.1:{}",
                at.port()
            )));
        }
        worker.cpu_share = self.cpu_percent;
        worker.electricity = self
            .watts
            .zip(self.cents_per_kwh)
            .map(|(watts, cents_per_kwh)| Electricity { watts, cents_per_kwh });
        if !self.unsandboxed {
            let mut sandbox =
                Sandbox::of_this_program(self.choice().folder()?).map_err(KernelsError::Start)?;
            sandbox.memory_bytes = self.memory_mb.saturating_mul(1_000_000);
            sandbox.gpu = self.gpu.clone();
            sandbox.gpu_share = self.gpu_percent;
            sandbox.look = worker.busy_poll;
            worker.execution = Execution::Processes(sandbox);
        }
        worker.validate()?;
        Ok(worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<WorkerOptions, String> {
        let mut options = WorkerOptions::default();
        settings::apply_text(&mut options, text).map_err(|error| error.to_string())?;
        Ok(options)
    }

    #[test]
    fn a_link_that_is_none_is_refused_and_so_is_a_worker_that_never_joined() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Some(folder.path().to_owned());
        let options =
            WorkerOptions { join: Some("nonsense".into()), keys: keys.clone(), ..WorkerOptions::default() };
        assert_eq!(options.check().unwrap_err().exit_code(), 2);
        let error = options.settle().err().unwrap().to_string();
        assert!(error.contains("p2c2r://"), "{error}");
        let error = WorkerOptions { keys, ..WorkerOptions::default() }.settle().err().unwrap().to_string();
        assert!(error.contains("--join"), "{error}");
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_settings_without_the_link() {
        let options = read(
            "join = 'p2c2r://127.0.0.1:9'\nname = 'ada'\nregion = 'eu-west'\nhours = '22:00-07:00'\nidle_minutes = 5\nupload_kbit = 500\n\
             gpu = 'off'\npage = '[::1]:8766'\ngpu_percent = 30\ncpu_percent = '75%'\nwatts = 90\ncents_per_kwh = 30\nimpair = 'wan-100ms'\non_battery = true",
        )
        .unwrap();
        let shown = options.shown();
        assert!(!shown.contains("p2c2r://"), "{shown}");
        let again = read(&shown).unwrap();
        let worker = again.worker().unwrap();
        assert_eq!(worker.times.hours, Some("22:00-07:00".parse().unwrap()));
        assert_eq!(worker.times.idle_for, Some(Duration::from_mins(5)));
        assert!(worker.times.on_battery && !worker.times.paused && worker.impair.is_some());
        assert_eq!(worker.rate_limit.map(|limit| limit.bytes_per_second), Some(62_500));
        assert_eq!(worker.cpu_share.percent(), 75);
        assert_eq!(worker.region, "eu-west".parse().ok());
        assert_eq!(worker.electricity, Some(Electricity { watts: 90, cents_per_kwh: 30 }));
        assert!(shown.contains("gpu_percent = 30"), "{shown}");
        assert_eq!(again.shown(), shown);
    }

    #[test]
    fn a_misspelt_setting_in_a_file_is_an_error() {
        let good = read("name = \"w\"\nslots = 3\nlog_format = \"json\"").unwrap();
        assert_eq!((good.slots, good.log_format), (3, LogFormat::Json));
        assert!(read("slot = 3").unwrap_err().contains("`slot`"));
        assert!(read("region = 'a<b'").unwrap_err().contains("such as eu-west"));
        assert!(read("slots = 70000").unwrap_err().contains("1 to 256"));
        let open = read("page = '0.0.0.0:8766'").unwrap().worker().err().unwrap().to_string();
        assert!(open.contains("loopback") && open.contains("127.0.0.1:8766"), "{open}");
        assert!(read("memory_mb = 1").unwrap_err().contains("64 to 1000000"));
    }

    #[test]
    fn an_unknown_impairment_is_refused_with_the_names_there_are() {
        let error = read("impair = 'nonsense'").unwrap_err();
        assert!(Impairment::PRESETS.iter().all(|name| error.contains(name)), "{error}");
    }

    #[test]
    fn the_reference_is_up_to_date() {
        settings::assert_reference::<WorkerOptions>("p2c2r-worker");
    }
}
