//! What the player has chosen, kept from one run to the next.
//!
//! | file | owns |
//! |---|---|
//! | `kept` | reading and writing a file of the player's; a damaged or newer file is set aside |
//! | `rows` | each choice as a row of a menu: its name, its present value as text, and how a step changes it |
//! | `comparison` | what the player's own card would cost, by assumptions that the player changes |
//! | `apply` | making the window, the borrowing and the display follow |

mod apply;
mod comparison;
mod kept;
mod rows;

use std::ops::RangeInclusive;

use bevy::prelude::*;
use clap::ValueEnum;
use p2c2r_arena::Difficulty;
use p2c2r_program::settings::{
    self, ProgramSettings, SettingFormat, SettingsFile, choice, file_table, number, on_off, table,
};
use p2c2r_program::settings_table;
use p2c2r_protocol::Nanos;

use crate::cli::{DifficultyChoice, QualityChoice};
use crate::input::Bindings;
use crate::presets::Preset;
pub(crate) use apply::{SettingsAtStart, window_plugin};
pub use comparison::Comparison;
pub(crate) use kept::{PlayerFile, UserFiles, text_of};
pub use rows::Row;
pub(crate) use rows::next;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Settings>()
        .init_resource::<SettingsAtStart>()
        .init_resource::<UserFiles>()
        .add_plugins(apply::plugin);
}

settings_table! {
    /// What the player prefers: kept in a file that the menus write, for which flags and variables hold for one run. Adding a
    /// preference is a field here, and a [`Row`] where a menu shows it; its place in the file, flag, variable, range and row in
    /// `docs/settings.md` follow. What holds for one run alone is in [`StartOptions`](crate::cli::StartOptions).
    #[derive(Resource, Clone, Debug, PartialEq)]
    pub struct Settings {
        /// How hard the fight is; without the flag, `pilot` for a run that no player steers
        pub difficulty: Difficulty = Difficulty::default() =>
            choice::<DifficultyChoice>().map(Into::into, |difficulty: &Difficulty| Some((*difficulty).into())),
        /// How many wingmen fly with the player, from the next round on
        pub allies: Allies = Allies::default() => choice(),
        /// How it is drawn.
        pub video: Video = Video::default() => table(),
        /// How loud it is.
        pub sound: Sound = Sound::default() => table(),
        /// What is shown about the borrowing.
        pub display: Display = Display::default() => table(),
        /// What is borrowed.
        pub borrowing: Borrowing = Borrowing::default() => table(),
        /// What borrowing is compared with.
        pub comparison: Comparison = Comparison::default() => table(),
        /// What keys, pad buttons and mouse buttons do
        pub keys: Bindings = Bindings::default() => file_table().default_is("what the page of keys shows at first"),
    }
}

impl ProgramSettings for Settings {
    const FILE: SettingsFile = SettingsFile::Kept;
}

/// Per cent.
fn percent() -> SettingFormat<u8> {
    number("PERCENT", 0..=100)
}

/// Who flies with the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Allies {
    /// Nobody.
    Off,
    /// A wingman.
    #[default]
    One,
    /// Two wingmen.
    Two,
}

impl Allies {
    /// How many wingmen.
    pub fn count(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

settings_table! {
    /// How it is drawn.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Video {
        /// How much is drawn; `auto` chooses by the graphics adapter. From the next start on
        pub quality: QualityChoice = QualityChoice::Auto => choice().flag("quality"),
        /// Whether the window fills the screen
        pub fullscreen: bool = false => on_off(),
        /// Frames a second at most: as many as the screen shows, 30, 60, or as many as can be
        pub frames: FrameRate = FrameRate::Screen => choice(),
        /// How far explosions shake the view, per cent
        pub shake: u8 = 100 => percent(),
        /// How bright flashes are, per cent
        pub flashes: u8 = 100 => percent(),
        /// How long the game stands still when something large is destroyed, per cent
        pub hit_stop: u8 = 100 => percent(),
    }
}

/// What bounds the frame rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FrameRate {
    /// The screen: as many frames as it shows.
    #[default]
    Screen,
    /// 30 a second, for a machine that would get too hot.
    Thirty,
    /// 60 a second.
    Sixty,
    /// Nothing.
    Unbounded,
}

settings_table! {
    /// How loud it is, per cent.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Sound {
        /// How loud everything is, per cent
        pub master: u8 = 80 => percent(),
        /// How loud the music is, per cent
        pub music: u8 = 60 => percent(),
        /// How loud the sounds of the fight are, per cent
        pub effects: u8 = 90 => percent(),
        /// How loud the menus are, per cent
        pub interface: u8 = 70 => percent(),
    }
}

settings_table! {
    /// What is shown about the borrowing.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Display {
        /// How much the display shows about borrowing; F3 changes it
        pub level: BorrowingDetail = BorrowingDetail::Compact => choice(),
        /// How large the display and the menus are, per cent
        pub scale: u8 = 100 => number("PERCENT", SCALE),
        /// Corner of the screen in which the display is; F4 changes it
        pub corner: Corner = Corner::TopRight => choice(),
        /// Colours of the display and the menus
        pub palette: Palette = Palette::Standard => choice(),
    }
}

/// Sizes that the display may have, per cent.
const SCALE: RangeInclusive<u8> = 75..=200;

/// How much is shown about the borrowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum BorrowingDetail {
    /// Nothing.
    Off,
    /// Whether borrowing is on, and what it costs.
    Chip,
    /// That, and the numbers of each kind of work.
    #[default]
    Compact,
    /// That, and everything else a player may want, with the keys.
    Full,
    /// That, and what only a developer of the game wants.
    Developer,
}

/// Where the display is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Corner {
    /// Top right.
    #[default]
    TopRight,
    /// Bottom right.
    BottomRight,
    /// Bottom left.
    BottomLeft,
    /// Top left.
    TopLeft,
}

/// The colours of texts, and of the panels behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Palette {
    /// Okabe and Ito's, on panels that are slightly transparent.
    #[default]
    Standard,
    /// The same hues, lighter, on black with white edges.
    HighContrast,
}

impl Corner {
    /// Whether it is at the top.
    pub(crate) fn is_top(self) -> bool {
        matches!(self, Self::TopRight | Self::TopLeft)
    }

    /// Whether it is at the right.
    pub(crate) fn is_right(self) -> bool {
        matches!(self, Self::TopRight | Self::BottomRight)
    }
}

settings_table! {
    /// What is borrowed.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Borrowing {
        /// Whether work is borrowed from other computers; T changes it
        pub enabled: bool = true => on_off(),
        /// Whether enemies' paths are borrowed, or computed here
        pub paths: bool = true => on_off(),
        /// Whether rocks' motions are borrowed, or computed here
        pub physics: bool = true => on_off(),
        /// Whether plans of wingmen and bosses are borrowed, or computed here
        pub plans: bool = true => on_off(),
        /// Whether light and mirrors are borrowed, or computed here: what hulls mirror, and the light on everything around
        pub reflections: bool = true => on_off(),
        /// Whether light and mirrors are computed and shown at all; R changes it
        pub mirrors: bool = true => on_off().flag("reflections"),
        /// How much is bought from other computers; `--presets` says what each costs. `stress` is for benches
        pub preset: Preset = Preset::Default => choice().flag("preset"),
        /// Thousandths of a dollar that an hour may cost; 0 for no cap of the game's own
        pub cap_millidollars_per_hour: u32 = 0 => number("N", 0..=rows::CAP_MAX),
    }
}

/// Money is counted in nano-dollars, caps are set in thousandths of a dollar.
const NANOS_PER_MILLIDOLLAR: i64 = 1_000_000;

impl Borrowing {
    /// The most that an hour may cost; `None` for no bound of the game's own.
    pub fn hour_cap(&self) -> Option<Nanos> {
        let cap = i64::from(self.cap_millidollars_per_hour);
        (cap > 0).then(|| Nanos(cap * NANOS_PER_MILLIDOLLAR))
    }
}

impl PlayerFile for Settings {
    const FILE: &'static str = "settings.toml";
    const WHAT: &'static str = "settings";

    fn read(file: &toml::Table) -> Result<Self, String> {
        let mut settings = Self::default();
        settings::apply_kept(&mut settings, file).map_err(|error| error.to_string())?;
        settings.keys.mend();
        Ok(settings)
    }

    fn written(&self) -> Result<toml::Table, String> {
        Ok(settings::kept(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_up_to_date() {
        settings::assert_reference::<Settings>("p2c2r-game");
    }
}
