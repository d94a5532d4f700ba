//! What the player has chosen, kept from one run to the next.
//!
//! | file | owns |
//! |---|---|
//! | `kept` | reading and writing a file of the player's; what is damaged or newer is set aside |
//! | `rows` | each choice as a row of a menu: what it is called, what it says, what another step makes of it |
//! | `comparison` | what a card of one's own would cost, by assumptions that the player changes |
//! | `apply` | making the window, the borrowing and the display follow |

mod apply;
mod comparison;
mod kept;
mod rows;

use bevy::prelude::*;
use p2c2r_arena::Difficulty;
use p2c2r_protocol::Nanos;
use serde::{Deserialize, Serialize};

use crate::cli::QualityChoice;
use crate::input::Bindings;
use crate::presets::Preset;
pub(crate) use apply::{set_kinds, window_plugin};
pub use comparison::Comparison;
pub(crate) use kept::{PlayerFile, UserFiles};
pub use rows::Row;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Settings>().init_resource::<UserFiles>().add_plugins(apply::plugin);
}

/// All choices. A file may lack any of them.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How hard it is.
    pub difficulty: Difficulty,
    /// Who flies with the player; from the next round on.
    pub allies: Allies,
    /// How it is drawn.
    pub video: Video,
    /// How loud it is.
    pub sound: Sound,
    /// What is shown about the borrowing.
    pub display: Display,
    /// What is borrowed.
    pub borrowing: Borrowing,
    /// What borrowing is compared with.
    pub comparison: Comparison,
    /// What keys and buttons do.
    pub keys: Bindings,
}

/// Who flies with the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// How it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Video {
    /// How much drawing the machine can bear; from the next start on.
    pub quality: QualityChoice,
    /// Whether the window fills the screen.
    pub fullscreen: bool,
    /// What bounds the frame rate.
    pub frames: FrameRate,
    /// How far explosions shake the view, per cent.
    pub shake: u8,
    /// How bright flashes are, per cent.
    pub flashes: u8,
    /// How long the game stands still when something large ends, per cent.
    pub hit_stop: u8,
}

impl Default for Video {
    fn default() -> Self {
        Self {
            quality: QualityChoice::Auto,
            fullscreen: false,
            frames: FrameRate::Screen,
            shake: 100,
            flashes: 100,
            hit_stop: 100,
        }
    }
}

/// What bounds the frame rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// How loud it is, per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sound {
    /// Everything.
    pub master: u8,
    /// The music.
    pub music: u8,
    /// What happens in the arena.
    pub effects: u8,
    /// The menus.
    pub interface: u8,
}

impl Default for Sound {
    fn default() -> Self {
        Self { master: 80, music: 60, effects: 90, interface: 70 }
    }
}

/// What is shown about the borrowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Display {
    /// How much.
    pub level: BorrowingDetail,
    /// How large, per cent.
    pub scale: u8,
    /// Where.
    pub corner: Corner,
}

impl Default for Display {
    fn default() -> Self {
        Self { level: BorrowingDetail::Compact, scale: 100, corner: Corner::TopRight }
    }
}

/// How much is shown about the borrowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BorrowingDetail {
    /// Nothing.
    Off,
    /// Whether offloading is on, and what it costs.
    Chip,
    /// And the numbers per kind.
    #[default]
    Compact,
    /// And everything else a player may want, with the keys.
    Full,
    /// And what only a developer of the game wants.
    Developer,
}

/// Where the display is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// What is borrowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Borrowing {
    /// Whether anything is.
    pub enabled: bool,
    /// Enemies' paths.
    pub paths: bool,
    /// Rocks' motions.
    pub physics: bool,
    /// Plans of wingmen and bosses.
    pub plans: bool,
    /// The light that hulls mirror, and that falls on rocks.
    pub reflections: bool,
    /// Whether that light is shown at all.
    pub mirrors: bool,
    /// How much is bought.
    pub preset: Preset,
    /// The most that an hour may cost, thousandths of a dollar; 0 for no bound of the game's own.
    pub cap_millidollars_per_hour: u32,
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

impl Default for Borrowing {
    fn default() -> Self {
        Self {
            enabled: true,
            paths: true,
            physics: true,
            plans: true,
            reflections: true,
            mirrors: true,
            preset: Preset::Default,
            cap_millidollars_per_hour: 0,
        }
    }
}

impl Settings {
    /// The same with every number in its range and no key bound twice.
    #[must_use]
    fn mended(mut self) -> Self {
        for percent in [
            &mut self.video.shake,
            &mut self.video.flashes,
            &mut self.sound.master,
            &mut self.sound.music,
            &mut self.sound.effects,
            &mut self.sound.interface,
        ] {
            *percent = (*percent).min(100);
        }
        self.display.scale = self.display.scale.clamp(75, 200);
        self.borrowing.cap_millidollars_per_hour =
            self.borrowing.cap_millidollars_per_hour.min(rows::CAP_MAX);
        self.comparison.mend();
        self.keys.mend();
        self
    }
}

impl PlayerFile for Settings {
    const FILE: &'static str = "settings.toml";
    const WHAT: &'static str = "settings";

    fn sound(self) -> Self {
        self.mended()
    }
}
