//! Borrowed Light: a space shooter whose heavy work other people's computers do.
//!
//! The program is this library plus a `main` of a few lines, so that tests build the very same app.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line |
//! | `graphics` | opening the graphics device, because the engine panics where there is none |
//! | [`app`] | putting the app together |
//! | [`presets`] | how much is bought from other computers, and what that costs |
//! | `play` | stepping the arena, controls, the bridge to the offload plugin, the end of the run |
//! | [`figures`] | the numbers people see, read from diagnostics, and how they are written |
//! | `figures_file` | the same numbers as a file of comma-separated values |
//! | `frame_budget` | how long a frame may take |
//! | [`console`] | one line a second and the summary |
//! | [`report`], `frames`, `vitals` | the JSON report; one line per frame for benches; what must not grow |
//! | `joining` | joining a coordinator by a link that is typed in the settings |
//! | `clipboard` | the text that another program copied, for pasting a join link |
//! | `last_hour` | what the last hour has cost, kept over a restart |
//! | `alone` | why the game borrows from nobody, in words |
//! | `view` | drawing the arena; reads it, never writes it |
//! | `hud` | the numbers on the screen |
//! | [`screens`] | title, pause, settings and the other pages; rounds and scores |
//! | `sound` | every sound and the music, made here |
//! | [`settings`] | what the player has chosen, and the files that keep it |
//! | [`input`] | keys and pads, and what they are bound to |

#![expect(elided_lifetimes_in_paths, reason = "system parameters would all carry lifetimes that say nothing")]

mod alone;
pub mod app;
pub mod cli;
mod clipboard;
pub mod console;
mod error;
pub mod figures;
mod figures_file;
mod frame_budget;
mod frames;
mod graphics;
mod harm;
mod hud;
pub mod input;
mod joining;
mod last_hour;
mod play;
pub mod presets;
pub mod report;
pub mod screens;
pub mod settings;
mod sound;
mod view;
mod vitals;

pub use app::{build, run};
pub use clipboard::Clipboard;
pub use error::GameError;
pub use graphics::Quality;
pub use play::{Battlefield, Happened};
pub use sound::Silence;
pub use view::ViewTarget;

/// For scripted scenes: until the preset changes, at most this many ships beside the player's get their own reflections.
#[doc(hidden)]
pub fn mirror_ships(app: &mut bevy::app::App, most: usize) {
    app.world_mut().resource_mut::<play::Reflecting>().mirror_ships(most);
}
