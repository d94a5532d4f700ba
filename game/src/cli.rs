//! The command line: parsed and checked before anything is opened.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum};
use p2c2r_arena::Difficulty;
use p2c2r_program::settings::{
    ProgramSettings, SettingError, SettingsArgs, SettingsFile, choice, log_filter, number, parsed, path,
    switch, text, within,
};
use p2c2r_program::{LogFormat, settings_table};
use p2c2r_protocol::check_name;
use p2c2r_protocol::limits::NAME_BYTES_MAX;

use crate::GameError;
use crate::settings::Settings;

/// The name of a gamer who gives none.
pub const NAME_DEFAULT: &str = p2c2r_join::GAMER_NAME_DEFAULT;
/// Longest run and longest interval between two presses of T, seconds.
const SECONDS_MAX: u32 = 86_400;

/// Borrowed Light: a space shooter whose heavy work other people's computers do.
///
/// Every option can also be set in the environment; an option given here wins over that. Preferences are what the menus
/// change, too, and are kept from one run to the next; given here or in the environment, they hold for one run.
#[derive(Clone, Debug, Parser)]
#[command(name = "p2c2r-game", version, args_conflicts_with_subcommands = true)]
pub struct GameCli {
    /// What to do instead of playing.
    #[command(subcommand)]
    pub verb: Option<GameVerb>,
    /// List the presets, what they cost an hour and what they look like, and end.
    #[arg(long)]
    pub presets: bool,
    /// How this run starts and ends.
    #[command(flatten)]
    pub start: StartOptions,
    /// Preferences for this run.
    #[command(flatten, next_help_heading = "Preferences")]
    pub preferences: SettingsArgs<Settings>,
}

/// What to do instead of playing.
#[derive(Clone, Debug, Subcommand)]
pub enum GameVerb {
    /// Look at the preferences
    #[command(subcommand)]
    Config(PreferencesVerb),
}

/// What to do with the preferences.
#[derive(Clone, Debug, Subcommand)]
pub enum PreferencesVerb {
    /// Say whether the preferences are valid; exit status 2 if not
    Check(Box<Preferred>),
    /// Print the preferences as the file that keeps them
    Show(Box<Preferred>),
}

/// Where the preferences are kept, and what overrides them.
#[derive(Args, Clone, Debug)]
pub struct Preferred {
    /// Folder that keeps this player's settings and scores [default: p2c2r in the folder for configuration]
    #[arg(long, value_name = "DIR", env = "P2C2R_SETTINGS")]
    pub settings: Option<PathBuf>,
    /// Preferences for this run.
    #[command(flatten)]
    pub preferences: SettingsArgs<Settings>,
}

settings_table! {
    /// How a run starts and ends: what holds for one run and is kept nowhere. Adding an option is a field here; its flag,
    /// variable, range and row in `docs/settings.md` follow. What the player prefers is in [`Settings`].
    #[derive(Clone, Debug)]
    pub struct StartOptions {
        /// Join link of the coordinator to borrow from; needed once. `-` reads it from standard input, `@FILE` from a file
        pub join: Option<String> = None => text("LINK").optional().secret()
            .default_is("the coordinator borrowed from last; none yet: play on this machine alone"),
        /// Folder that keeps this user's accounts
        pub keys: Option<PathBuf> = None =>
            path("DIR").optional().default_is("p2c2r/memberships in the folder for user data"),
        /// Never connect: compute everything on this machine
        pub local: bool = false => switch(),
        /// Name of this gamer's account
        pub name: Option<String> = None => text("NAME").refusing(is_name).optional().default_is(NAME_DEFAULT),
        /// Worsen the network on purpose, for tests and demonstrations, for example wan-100ms or bad-wifi
        pub impair: Option<String> = None => text("PRESET").optional(),
        /// Play without a window; the game steers itself and prints a line of figures every second
        pub headless: bool = false => switch(),
        /// Let the game steer itself
        pub autopilot: bool = false => switch(),
        /// Give the ship the inputs recorded in this file, tick by tick
        pub flight: Option<PathBuf> = None => path("FILE").optional(),
        /// Switch borrowing off or on every so many seconds, as T does
        pub flip_every: Option<u32> = None => number("SECONDS", 1..=SECONDS_MAX).optional(),
        /// Stop after this many seconds
        pub seconds: Option<u32> = None => number("N", 1..=SECONDS_MAX).optional(),
        /// Write a JSON report here at the end
        pub report: Option<PathBuf> = None => path("FILE").optional(),
        /// Write one line for each frame (CSV) here at the end
        pub frames: Option<PathBuf> = None => path("FILE").optional(),
        /// Write entities, open tasks and memory (CSV) here every five seconds
        pub vitals: Option<PathBuf> = None => path("FILE").optional(),
        /// Write a picture (PNG) here near the end; needs `--seconds`. With `--headless` it is drawn off-screen
        pub screenshot: Option<PathBuf> = None => path("FILE").optional(),
        /// Save a picture every eighth of a second into this folder, numbered from 0001.png on; with `--headless` it is
        /// drawn off-screen
        pub film: Option<PathBuf> = None => path("DIR").optional(),
        /// Write the display's figures into this file, a line of comma-separated values every half second. F10 does so at
        /// any time
        pub log_csv: Option<PathBuf> = None => path("FILE").optional(),
        /// Number from which sectors and enemies follow: the same number gives the same ones
        pub seed: u64 = 1 => number("N", 0..=u64::MAX),
        /// Size of the window, or of the off-screen picture
        pub window: Option<WindowSize> = None =>
            parsed("WxH").optional().default_is("1280x720; off-screen 960x540"),
        /// Print a line of figures every second, as `--headless` does
        pub hud_log: bool = false => switch(),
        /// The page to begin on; `play` goes straight into the fight, as every run does that steers itself or has an end
        pub page: Option<FirstPage> = None => choice().optional(),
        /// Folder that keeps this player's settings and scores
        pub settings: Option<PathBuf> = None => path("DIR").optional()
            .default_is("p2c2r in the folder for configuration; none for a run without a window or that steers itself"),
        /// Start with borrowing switched off, as T does
        pub offload_off: bool = false => switch(),
        /// What to log to standard error: off, error, warn, info, debug, trace, or a filter such as p2c2r_offload=debug
        pub log: Option<String> = None => log_filter().optional().default_is("warnings"),
        /// Format of log lines
        pub log_format: LogFormat = LogFormat::Text => choice(),
    }
}

impl ProgramSettings for StartOptions {
    const FILE: SettingsFile = SettingsFile::None;

    fn settle(&mut self, _: &dyn Fn(&str) -> bool) -> Result<(), SettingError> {
        let wrong = |sentence: &str| Err(SettingError::Contradiction(sentence.into()));
        if self.local && self.impair.is_some() {
            return wrong("--impair cannot be used with --local: there is no connection to worsen");
        }
        if self.autopilot && self.flight.is_some() {
            return wrong("--flight cannot be used with --autopilot: both steer");
        }
        if self.screenshot.is_some() && self.seconds.is_none() {
            return wrong("--screenshot needs --seconds, to know when the end is near");
        }
        Ok(())
    }
}

#[expect(clippy::ptr_arg, reason = "what a setting is refused with takes a reference to it")]
fn is_name(name: &String) -> Result<(), String> {
    within("its length in bytes", name.len(), 1..=NAME_BYTES_MAX).map_err(|error| error.to_string())?;
    check_name(name).map_err(|must| format!("it {must}"))
}

impl Args for StartOptions {
    fn augment_args(command: Command) -> Command {
        SettingsArgs::<Self>::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for StartOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        SettingsArgs::<Self>::from_arg_matches(matches)?
            .resolve()
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The page to begin on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirstPage {
    /// The title, once everything that draws is ready.
    Title,
    /// The fight.
    Play,
}

/// How hard the fight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DifficultyChoice {
    /// For newcomers.
    Cadet,
    /// For those who have played.
    Pilot,
    /// For experts.
    Ace,
}

impl From<Difficulty> for DifficultyChoice {
    fn from(difficulty: Difficulty) -> Self {
        match difficulty {
            Difficulty::Cadet => Self::Cadet,
            Difficulty::Pilot => Self::Pilot,
            Difficulty::Ace => Self::Ace,
        }
    }
}

impl From<DifficultyChoice> for Difficulty {
    fn from(choice: DifficultyChoice) -> Self {
        match choice {
            DifficultyChoice::Cadet => Self::Cadet,
            DifficultyChoice::Pilot => Self::Pilot,
            DifficultyChoice::Ace => Self::Ace,
        }
    }
}

/// What was asked about drawing quality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum QualityChoice {
    /// Low on a software renderer, high elsewhere.
    #[default]
    Auto,
    /// No glow, no smoothing: for software rendering and old machines.
    Low,
    /// Everything.
    High,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// 320 to 7,680 pixels.
    pub width: u32,
    /// 180 to 4,320 pixels.
    pub height: u32,
}

impl std::fmt::Display for WindowSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl std::str::FromStr for WindowSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size such as 1280x720");
        let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
        let size =
            Self { width: width.parse().map_err(|_| wrong())?, height: height.parse().map_err(|_| wrong())? };
        if (320..=7_680).contains(&size.width) && (180..=4_320).contains(&size.height) {
            Ok(size)
        } else {
            Err("a size lies between 320x180 and 7680x4320".into())
        }
    }
}

/// How the game is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Nothing is drawn.
    None,
    /// Drawn into an image that nobody sees until it is saved.
    Offscreen,
    /// A window.
    Window,
}

impl GameCli {
    /// Refuses preferences out of their range: they are checked when they are applied, here to the defaults.
    pub fn check(&self) -> Result<(), GameError> {
        Ok(self.preferences.apply(&mut Settings::default())?)
    }

    /// How the game is to be shown.
    pub fn screen(&self) -> Screen {
        match (self.start.headless, self.start.screenshot.is_some() || self.start.film.is_some()) {
            (true, false) => Screen::None,
            (true, true) => Screen::Offscreen,
            (false, _) => Screen::Window,
        }
    }

    /// The size of the window or picture. Off-screen pictures are small because software renders most of them.
    pub fn size(&self) -> WindowSize {
        self.start.window.unwrap_or(match self.screen() {
            Screen::Window => WindowSize { width: 1280, height: 720 },
            Screen::None | Screen::Offscreen => WindowSize { width: 960, height: 540 },
        })
    }

    /// Whether the game steers itself: it was asked to, or there is neither a window nor a recorded flight to steer it.
    /// A run that begins at the title is a test that presses keys itself.
    pub fn steers_itself(&self) -> bool {
        let nobody_else_could = self.start.headless && self.start.page != Some(FirstPage::Title);
        self.start.autopilot || (nobody_else_could && self.start.flight.is_none())
    }

    /// Whether a player steers, so that the run uses the player's own preferences, caps and scores.
    pub fn is_steered_by_player(&self) -> bool {
        self.screen() == Screen::Window && !self.start.autopilot && self.start.flight.is_none()
    }

    /// Whether the run begins in the fight instead of at the title: it does where it steers itself or ends by itself,
    /// since nobody is there to go through menus.
    pub fn starts_in_play(&self) -> bool {
        match self.start.page {
            Some(page) => page == FirstPage::Play,
            None => {
                self.screen() != Screen::Window
                    || self.start.autopilot
                    || self.start.flight.is_some()
                    || self.start.seconds.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<GameCli, clap::Error> {
        GameCli::try_parse_from([&["p2c2r-game"], arguments].concat())
    }

    #[test]
    fn defaults_open_a_window_and_borrow_where_this_user_did_last() {
        let cli = parse(&[]).unwrap();
        assert_eq!(cli.screen(), Screen::Window);
        assert_eq!(cli.size(), WindowSize { width: 1280, height: 720 });
        assert!(!cli.steers_itself() && !cli.start.local && cli.start.join.is_none());
        cli.check().unwrap();
    }

    #[test]
    fn menus_come_first_unless_nobody_is_there_to_go_through_them() {
        assert!(!parse(&[]).unwrap().starts_in_play());
        for scripted in [&["--headless"][..], &["--autopilot"], &["--seconds", "5"], &["--page", "play"]] {
            assert!(parse(scripted).unwrap().starts_in_play(), "{scripted:?}");
        }
        assert!(!parse(&["--headless", "--page", "title"]).unwrap().starts_in_play());
    }

    #[test]
    fn headless_steers_itself_and_draws_only_for_a_picture() {
        assert_eq!(parse(&["--headless"]).unwrap().screen(), Screen::None);
        assert!(parse(&["--headless"]).unwrap().steers_itself());
        let with_picture = parse(&["--headless", "--screenshot", "a.png", "--seconds", "5"]).unwrap();
        assert_eq!(with_picture.screen(), Screen::Offscreen);
        assert_eq!(with_picture.size(), WindowSize { width: 960, height: 540 });
        assert_eq!(parse(&["--headless", "--film", "a"]).unwrap().screen(), Screen::Offscreen);
        with_picture.check().unwrap();
    }

    #[test]
    fn a_picture_without_an_end_is_refused() {
        let error = parse(&["--screenshot", "a.png"]).unwrap_err();
        assert!(error.to_string().contains("--seconds"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(
            parse(&["--window", "640x360"]).unwrap().start.window,
            Some(WindowSize { width: 640, height: 360 })
        );
        for wrong in ["640", "x", "640x", "0x0", "99999x99999", "-1x5"] {
            assert!(parse(&[&format!("--window={wrong}")]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_game_that_never_connects_has_no_connection_to_worsen() {
        assert!(parse(&["--local", "--impair", "wan-100ms"]).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(parse(&["--seconds", "0"]).is_err());
        assert!(parse(&["--seconds", "-3"]).is_err());
        assert!(parse(&["--seed", "x"]).is_err());
        assert!(parse(&["--quality", "ultra"]).is_err());
        assert!(parse(&["--reflections", "some"]).is_err());
        let error = parse(&["--sound-music", "101"]).unwrap().check().unwrap_err();
        assert_eq!(error.to_string(), "sound-music is 101, not 0 to 100");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        GameCli::command().debug_assert();
    }

    #[test]
    fn names_that_no_account_can_have_are_refused() {
        for wrong in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(parse(&["--name", wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_reference_is_up_to_date() {
        p2c2r_program::settings::assert_reference::<StartOptions>("p2c2r-game, one run");
    }
}
