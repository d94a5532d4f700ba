//! The command line: parsed and checked before anything is opened.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use p2c2r_arena::{ArenaConfig, Difficulty};
use p2c2r_program::settings::within;
use p2c2r_program::{LogFormat, log};
use p2c2r_protocol::limits::NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::GameError;
use crate::presets::Preset;

/// What a gamer is called who gives no name.
pub const NAME_DEFAULT: &str = "gamer";

/// Borrowed Light: a space shooter whose heavy work other people's computers do.
#[derive(Clone, Debug, Parser)]
#[command(name = "p2c2r-game", version, about, long_about = None)]
pub struct Cli {
    /// The join link of the coordinator to borrow from; needed once. `-` reads it from standard input, `@FILE` from a
    /// file [default: the coordinator borrowed from last; none yet: play on this machine alone]
    #[arg(long, value_name = "LINK", env = "P2C2R_JOIN", hide_env_values = true)]
    pub join: Option<String>,
    /// The folder that keeps this user's accounts [default: p2c2r/memberships in the folder for user data]
    #[arg(long, value_name = "DIR", env = "P2C2R_KEYS")]
    pub keys: Option<PathBuf>,
    /// Never connect: compute everything on this machine.
    #[arg(long)]
    pub local: bool,
    /// The name this gamer's account goes by [default: gamer]
    #[arg(long, env = "P2C2R_NAME")]
    pub name: Option<String>,
    /// Worsen the connection on purpose, for example `wan-100ms` or `bad-wifi`.
    #[arg(long, value_name = "PRESET", conflicts_with = "local")]
    pub impair: Option<String>,
    /// Play without a window; the game steers itself and prints one line a second.
    #[arg(long)]
    pub headless: bool,
    /// Let the game steer itself.
    #[arg(long)]
    pub autopilot: bool,
    /// Give the ship the inputs recorded in this file, tick by tick.
    #[arg(long, value_name = "FILE", conflicts_with = "autopilot")]
    pub flight: Option<PathBuf>,
    /// Press T every so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub flip_every: Option<u32>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Write a JSON report here at the end.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write one line per frame (CSV) here at the end.
    #[arg(long, value_name = "FILE")]
    pub frames: Option<PathBuf>,
    /// Write entities, open tasks and memory (CSV) here every five seconds.
    #[arg(long, value_name = "FILE")]
    pub vitals: Option<PathBuf>,
    /// Write a picture (PNG) here near the end; needs `--seconds`. With `--headless` it is drawn off-screen.
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Save a picture every eighth of a second into this folder, numbered from 0001.png on; with `--headless` it is drawn
    /// off-screen.
    #[arg(long, value_name = "DIR")]
    pub film: Option<PathBuf>,
    /// Write the display's figures into this file, a line of comma-separated values every half second. F10 does so at any
    /// time.
    #[arg(long, value_name = "FILE")]
    pub log_csv: Option<PathBuf>,
    /// Where the game's randomness starts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Size of the window, or of the off-screen picture.
    #[arg(long, value_name = "WxH")]
    pub window: Option<WindowSize>,
    /// How much is bought from other computers; `--presets` says what each costs. `stress` is for benches [default: the
    /// player's setting, `default` at first]
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// List the presets, what they cost an hour and what they look like, and end.
    #[arg(long)]
    pub presets: bool,
    /// Print one line a second, as `--headless` does.
    #[arg(long)]
    pub hud_log: bool,
    /// How much drawing the machine can bear; `auto` looks at its graphics adapter [default: the player's setting, `auto`
    /// at first]
    #[arg(long, value_enum)]
    pub quality: Option<QualityChoice>,
    /// The page to begin on; `play` goes straight into the fight, as every run does that steers itself or has an end
    #[arg(long, value_enum)]
    pub page: Option<FirstPage>,
    /// How hard the fight is [default: the player's setting, `cadet` at first; `pilot` for a run that begins in it]
    #[arg(long, value_enum)]
    pub difficulty: Option<DifficultyChoice>,
    /// The folder that keeps this player's settings and scores [default: p2c2r in the folder for configuration; none for a
    /// run that begins in the fight]
    #[arg(long, value_name = "DIR", env = "P2C2R_SETTINGS")]
    pub settings: Option<PathBuf>,
    /// Start with offloading switched off.
    #[arg(long)]
    pub offload_off: bool,
    /// Whether hulls and ore mirror what happens around them.
    #[arg(long, value_enum, default_value_t = Reflections::On)]
    pub reflections: Reflections,
    /// What to log to standard error: off, error, warn, info, debug, trace, or a filter such as p2c2r_offload=debug.
    #[arg(long, value_name = "FILTER", env = "P2C2R_LOG")]
    pub log: Option<String>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "P2C2R_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// Whether reflections are traced and drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reflections {
    /// From the start; R switches them off.
    On,
    /// Not until R switches them on.
    Off,
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
    /// For those who want to lose.
    Ace,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

impl Cli {
    /// Checks what clap cannot: options that need or exclude one another.
    pub fn check(&self) -> Result<(), GameError> {
        if self.screenshot.is_some() && self.seconds.is_none() {
            return Err(GameError::Usage("--screenshot needs --seconds, to know when the end is near"));
        }
        let name = self.name.as_deref().unwrap_or(NAME_DEFAULT);
        within("the length of the name in bytes", name.len(), 1..=NAME_BYTES_MAX)?;
        if name.chars().any(char::is_control) {
            return Err(GameError::Usage("--name must not contain control characters"));
        }
        log::check_filter(self.log.as_deref().unwrap_or_default())?;
        Ok(())
    }

    /// How the game is to be shown.
    pub fn screen(&self) -> Screen {
        match (self.headless, self.screenshot.is_some() || self.film.is_some()) {
            (true, false) => Screen::None,
            (true, true) => Screen::Offscreen,
            (false, _) => Screen::Window,
        }
    }

    /// The size of the window or picture. Off-screen pictures are small because software renders most of them.
    pub fn size(&self) -> WindowSize {
        self.window.unwrap_or(match self.screen() {
            Screen::Window => WindowSize { width: 1280, height: 720 },
            Screen::None | Screen::Offscreen => WindowSize { width: 960, height: 540 },
        })
    }

    /// Whether the game steers itself; nobody else could without a window.
    pub fn steers_itself(&self) -> bool {
        self.autopilot || (self.headless && self.flight.is_none())
    }

    /// Whether the run begins in the fight: nobody goes through menus where it steers itself or has an end.
    pub fn starts_in_play(&self) -> bool {
        match self.page {
            Some(page) => page == FirstPage::Play,
            None => {
                self.screen() != Screen::Window
                    || self.autopilot
                    || self.flight.is_some()
                    || self.seconds.is_some()
            }
        }
    }

    /// The arena to play in.
    pub fn arena(&self) -> ArenaConfig {
        let base = match self.preset {
            Some(Preset::Stress) => ArenaConfig::stress(),
            _ => ArenaConfig::of(self.difficulty.map_or(Difficulty::Pilot, Difficulty::from)),
        };
        ArenaConfig { seed: self.seed, ..base }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["p2c2r-game"], arguments].concat())
    }

    #[test]
    fn defaults_open_a_window_and_borrow_where_this_user_did_last() {
        let cli = parse(&[]).unwrap();
        assert_eq!(cli.screen(), Screen::Window);
        assert_eq!(cli.size(), WindowSize { width: 1280, height: 720 });
        assert!(!cli.steers_itself() && !cli.local && cli.join.is_none());
        assert_eq!(cli.reflections, Reflections::On);
        assert_eq!(cli.arena(), ArenaConfig { seed: 1, ..ArenaConfig::default() });
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
        let error = parse(&["--screenshot", "a.png"]).unwrap().check().unwrap_err();
        assert!(error.to_string().contains("--seconds"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(
            parse(&["--window", "640x360"]).unwrap().window,
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
    }
}
