//! The pages that fill the screen, how the player gets from one to the next, and what stands on each.
//!
//! Every page but [`Page::Play`] is a [`Menu`]: sentences and items, of which one is chosen. Keys, mouse and pad all
//! become [`Nudge`]s, and `obey` does what they ask for, so that everything here runs, and is tested, without a window.
//!
//! | file | owns |
//! |---|---|
//! | `menu` | what a menu is |
//! | `nudges` | keys and pad to nudges |
//! | `away` | pausing when the player cannot fly any more |
//! | `obey` | what a nudge does |
//! | `pages` | what stands on each page |
//! | `rounds` | beginning and ending a round |
//! | `scores` | the best rounds, and their file |
//! | `marks` | what the end of a round says about the borrowing |
//! | `loading` | waiting until everything that draws is ready |
//! | `look` | drawing a menu, and the mouse |

mod away;
mod loading;
mod look;
mod marks;
mod menu;
mod nudges;
mod obey;
mod pages;
mod rounds;
mod scores;

use bevy::prelude::*;
use bevy::state::app::StatesPlugin;

pub(crate) use look::MenuCard;
pub use menu::{Item, Menu, MenuAction};
pub use nudges::Nudge;
pub use rounds::LastRound;
pub use scores::{Borrowed, Round, Scores};

use crate::input::InputSystems;

/// A page that fills the screen.
#[derive(States, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Page {
    /// The renderer is being made ready.
    #[default]
    Loading,
    /// The first page.
    Title,
    /// How to play.
    HowToPlay,
    /// The best rounds.
    Scores,
    /// The list of settings.
    Settings,
    /// Settings of drawing.
    Video,
    /// Settings of sound.
    Sound,
    /// Settings of the display: what it shows about borrowing, and where.
    Display,
    /// Settings of borrowing.
    Borrowing,
    /// Joining a coordinator by a link that is typed.
    Join,
    /// What the player's own graphics card would cost instead.
    Comparison,
    /// What keys and buttons do.
    Keys,
    /// Credits and licences.
    Credits,
    /// The game itself.
    Play,
    /// The game stands still.
    Paused,
    /// A round has ended.
    RoundOver,
    /// Asks whether the player really wants to leave.
    Leave,
}

impl Page {
    /// The pages that menus lead to, and the first; a test goes through the menus and finds these.
    pub const MENUS: [Self; 14] = [
        Self::Title,
        Self::HowToPlay,
        Self::Scores,
        Self::Settings,
        Self::Video,
        Self::Sound,
        Self::Display,
        Self::Borrowing,
        Self::Join,
        Self::Comparison,
        Self::Keys,
        Self::Credits,
        Self::Leave,
        Self::Paused,
    ];

    /// Whether the arena goes on. It stands still behind all other pages, so nothing is asked for and nothing paid; after
    /// the end of a round it asks for nothing by itself.
    pub fn runs(self) -> bool {
        matches!(self, Self::Play | Self::RoundOver)
    }

    /// Whether the numbers of the game are shown.
    pub(crate) fn shows_display(self) -> bool {
        self == Self::Play
    }
}

/// The pages to go back to, the nearest last, each with the item that was chosen on it.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Trail {
    pages: Vec<(Page, usize)>,
    /// The item to choose on the page that the player comes back to.
    chosen: Option<usize>,
}

impl Trail {
    /// Leaves `from` behind.
    fn leave(&mut self, from: Page, chosen: usize) {
        self.pages.push((from, chosen));
        self.chosen = None;
    }

    /// The page to go back to.
    fn back(&mut self) -> Option<Page> {
        let (page, chosen) = self.pages.pop()?;
        self.chosen = Some(chosen);
        Some(page)
    }

    fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Pages, starting on `first`.
pub(super) fn plugin(first: Page) -> impl Plugin {
    move |app: &mut App| {
        if !app.is_plugin_added::<StatesPlugin>() {
            app.add_plugins(StatesPlugin);
        }
        app.insert_state(first)
            .init_resource::<Trail>()
            .init_resource::<Menu>()
            .init_resource::<obey::Capture>()
            .add_message::<Nudge>()
            .add_plugins((rounds::plugin, marks::plugin, loading::plugin, away::plugin))
            .add_systems(
                PreUpdate,
                (
                    nudges::listen.in_set(InputSystems::Read),
                    (obey::obey, obey::give_up_waiting).chain().in_set(InputSystems::Act),
                ),
            )
            .add_systems(First, keep_time.after(bevy::time::TimeSystems))
            .add_systems(Update, pages::fill);
    }
}

/// Draws the pages.
pub(super) fn look_plugin(app: &mut App) {
    app.add_plugins((look::plugin, loading::drawn_plugin));
}

/// Stops the arena's time, and with it everything that the arena would ask for, on every page on which it does not run.
/// It acts only when the page changes, so that a test can stop the time itself.
fn keep_time(page: Res<State<Page>>, mut time: ResMut<Time<Virtual>>) {
    if page.is_changed() && page.get().runs() == time.is_paused() {
        if page.get().runs() { time.unpause() } else { time.pause() }
    }
}
