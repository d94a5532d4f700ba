//! Announces events in large words in the middle: a wave that begins or is cleared, a warp, another sector, a lost ship.

use bevy::prelude::*;
use p2c2r_arena::{Arena, ArenaEvent, Harm, Stress};

use super::middle::{Middle, MiddleRoom};
use super::palette::{BRIGHT, EDGE, Ground, PANEL, Rim, SKY_BLUE};
use super::{show, wrapped, write};
use crate::harm;
use crate::input::{Action, Bindings, PadInHand, input_label};
use crate::play::{Battlefield, Happened, LightAround, SECTOR_PARTS};
use crate::screens::Page;
use crate::settings::Settings;

/// Seconds for which a wave's number stays.
const WAVE_SECONDS: f32 = 3.5;
/// Seconds for which a sector's name stays.
const SECTOR_SECONDS: f32 = 3.0;
/// Seconds for which the words say that a wave is cleared.
const CLEARED_SECONDS: f32 = 2.0;
/// Seconds for which the words say how a ship was lost: until the next ship can be hurt.
const LOST_SECONDS: f32 = 3.2;
/// Seconds for which the first wave's number stays, because the keys stand below it.
const FIRST_WAVE_SECONDS: f32 = 5.0;

/// Size of the large words, and their size beside the panel, where the longest name of a wave must have room.
const TITLE_SIZE: f32 = 46.0;
const TITLE_SIZE_BESIDE: f32 = 30.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (announce, size_title.run_if(resource_changed::<MiddleRoom>)));
}

/// An announcement.
#[derive(Clone, Copy, Debug, PartialEq)]
enum News {
    /// A wave has come.
    Wave { wave: u32, enemies: u32 },
    /// A wave is cleared.
    Cleared { wave: u32 },
    /// A warp has begun.
    Warp,
    /// The ship is in another sector.
    Sector,
    /// A ship was lost, and so many are left.
    Lost { by: Harm, lives: u32 },
}

impl News {
    /// The announcement that an event makes, if any, and for how many seconds of play it stays.
    fn of(event: ArenaEvent) -> Option<(Self, f32)> {
        Some(match event {
            ArenaEvent::WaveStarted { wave, enemies } => {
                let seconds = if wave == 1 { FIRST_WAVE_SECONDS } else { WAVE_SECONDS };
                (Self::Wave { wave, enemies }, seconds)
            }
            // The pause before a round's first wave ends as if a wave had been cleared.
            ArenaEvent::WaveCleared { wave } if wave > 0 => (Self::Cleared { wave }, CLEARED_SECONDS),
            // It stays until the sector's name takes its place.
            ArenaEvent::WarpStarted { .. } => (Self::Warp, f32::INFINITY),
            ArenaEvent::SectorEntered { .. } => (Self::Sector, SECTOR_SECONDS),
            ArenaEvent::ShipLost { lives, by, .. } => (Self::Lost { by, lives }, LOST_SECONDS),
            _ => return None,
        })
    }

    /// The large words, and the small ones below.
    fn words(self, arena: &Arena, light: &LightAround) -> (String, String) {
        match self {
            Self::Wave { enemies, .. } => wave_words(arena, enemies),
            Self::Cleared { wave } => {
                (format!("WAVE {wave} CLEARED"), format!("{} points", arena.config().waves.points))
            }
            Self::Warp => ("WARP".into(), format!("to {}", arena.next_sector().plan().name)),
            Self::Sector => sector_words(arena, light.sector_parts_done()),
            Self::Lost { by, lives } => lost_words(by, lives),
        }
    }
}

/// What is announced now.
#[derive(Default)]
struct Announced {
    /// The announcement, and the seconds of play for which it still stays.
    news: Option<(News, f32)>,
    /// The seed of the round that it belongs to.
    round: u64,
}

impl Announced {
    /// Replaces the announcement by the latest, except that a lost ship's gives way only to a wave or another lost ship.
    fn hear(&mut self, event: ArenaEvent) {
        if event == ArenaEvent::RoundStarted {
            self.news = None;
        }
        let Some((news, seconds)) = News::of(event) else { return };
        let is_lost = matches!(self.news, Some((News::Lost { .. }, _)));
        if !is_lost || matches!(news, News::Wave { .. } | News::Lost { .. }) {
            self.news = Some((news, seconds));
        }
    }

    fn pass(&mut self, seconds: f32) {
        self.news = self.news.map(|(news, left)| (news, left - seconds)).filter(|(_, left)| *left > 0.0);
    }
}

/// The box around the words.
#[derive(Component)]
struct Card;

/// The words, by their place on the card.
#[derive(Component, Clone, Copy, PartialEq)]
enum Line {
    /// The large words.
    Title,
    /// The small ones below.
    Hint,
    /// How to play, below the first wave's number.
    Keys,
}

fn size_title(room: Res<MiddleRoom>, mut lines: Query<(&Line, &mut TextFont)>) {
    for (_, mut font) in lines.iter_mut().filter(|(line, _)| **line == Line::Title) {
        font.font_size = FontSize::Px(match *room {
            MiddleRoom::Whole => TITLE_SIZE,
            MiddleRoom::BesidePanel => TITLE_SIZE_BESIDE,
        });
    }
}

pub(super) fn spawn_words(mut commands: Commands, middle: Single<Entity, With<Middle>>) {
    let card = Node {
        flex_direction: FlexDirection::Column,
        align_items: AlignItems::Center,
        row_gap: px(4),
        padding: UiRect::axes(px(18), px(4)),
        border: UiRect::all(px(1)),
        border_radius: BorderRadius::all(px(8)),
        max_width: percent(100),
        display: Display::None,
        ..default()
    };
    commands.entity(*middle).with_child((
        Card,
        card,
        Ground(PANEL),
        Rim(EDGE),
        children![
            (Line::Title, wrapped("", TITLE_SIZE, BRIGHT)),
            (Line::Hint, wrapped("", 18.0, SKY_BLUE)),
            (Line::Keys, wrapped("", 15.0, BRIGHT)),
        ],
    ));
}

fn announce(
    battlefield: Res<Battlefield>,
    (page, real): (Res<State<Page>>, Res<Time<Real>>),
    light: Res<LightAround>,
    (settings, in_hand): (Res<Settings>, Res<PadInHand>),
    mut happened: MessageReader<Happened>,
    mut announced: Local<Announced>,
    mut card: Single<&mut Node, With<Card>>,
    mut lines: Query<(&Line, &mut Text)>,
) {
    let arena = &battlefield.arena;
    if announced.round != arena.config().seed {
        *announced = Announced { round: arena.config().seed, news: None };
    }
    for Happened(event) in happened.read() {
        announced.hear(*event);
    }
    // Behind a menu nobody reads the words, so their time does not pass there.
    if page.get().shows_display() {
        announced.pass(real.delta_secs());
    }
    let news = announced.news.map(|(news, _)| news);
    let (title, hint) = news.map(|news| news.words(arena, &light)).unwrap_or_default();
    let keys = matches!(news, Some(News::Wave { wave: 1, .. }))
        .then(|| keys_words(&settings.keys, in_hand.0.is_some()))
        .unwrap_or_default();
    for (line, mut text) in &mut lines {
        write(
            &mut text,
            match line {
                Line::Title => &title,
                Line::Hint => &hint,
                Line::Keys => &keys,
            },
        );
    }
    show(&mut card, news.is_some());
}

/// The arrow keys as they are bound at first.
const ARROWS: [KeyCode; 4] = [KeyCode::ArrowUp, KeyCode::ArrowLeft, KeyCode::ArrowDown, KeyCode::ArrowRight];

/// The keys that a new gamer must know, as they are bound now; the page `How to play` has all of them.
fn keys_words(bindings: &Bindings, has_pad: bool) -> String {
    // The left stick always flies: it cannot be bound to anything else.
    let fly = if has_pad { "Left stick flies".into() } else { format!("{} fly", steering(bindings)) };
    let mut words = vec![fly];
    let others =
        [(Action::Fire, "fires"), (Action::Offload, "switches borrowing"), (Action::Pause, "pauses")];
    let named = |(action, does)| Some(format!("{} {does}", bindings.in_hand(action, has_pad)?));
    words.extend(others.into_iter().filter_map(named));
    words.join("   ")
}

/// `W, A, S, D or arrows`: the keys that turn, thrust and brake.
fn steering(bindings: &Bindings) -> String {
    let actions = [Action::Thrust, Action::Left, Action::Brake, Action::Right];
    let set = |number: usize| -> Option<String> {
        let key = |action: &Action| bindings.keys_of(*action).nth(number);
        let keys: Vec<KeyCode> = actions.iter().map(key).collect::<Option<_>>()?;
        if keys == ARROWS {
            return Some("arrows".into());
        }
        Some(keys.into_iter().map(input_label).collect::<Vec<_>>().join(", "))
    };
    let whole: Vec<String> = (0..2).filter_map(set).collect();
    if whole.is_empty() {
        // One of the four actions has no key, so that there is no whole set: each key is named by itself.
        let named: Vec<String> =
            actions.iter().filter_map(|action| bindings.in_hand(*action, false)).collect();
        return named.join(", ");
    }
    whole.join(" or ")
}

/// How a ship was lost, and how many are left.
fn lost_words(by: Harm, lives: u32) -> (String, String) {
    let left = match lives {
        0 => return ("LAST SHIP LOST".into(), harm::lesson(by).into()),
        1 => "One ship is left.".to_owned(),
        lives => format!("{lives} ships are left."),
    };
    ("SHIP LOST".into(), format!("{}   {left}", harm::lesson(by)))
}

/// A sector's name, its wells, and how much of its light is computed.
fn sector_words(arena: &Arena, done: Option<usize>) -> (String, String) {
    let sector = arena.sector();
    let wells = match arena.wells().len() {
        0 => String::new(),
        1 => "A gravity well pulls at ship, rocks and bolts.   ".into(),
        count => format!("{count} gravity wells pull at ship, rocks and bolts.   "),
    };
    let light = done.filter(|done| *done < SECTOR_PARTS).map_or_else(String::new, |done| {
        format!("Its light is being computed: {done} of {SECTOR_PARTS} parts")
    });
    (format!("SECTOR {}: {}", sector.number, sector.plan().name.to_uppercase()), wells + &light)
}

/// A wave's name, what it teaches, and which borrowed work it needs most of.
fn wave_words(arena: &Arena, enemies: u32) -> (String, String) {
    let heaviest = arena.wave_stress().map_or("", Stress::label);
    let number = arena.wave();
    arena.wave_plan().map_or_else(
        || (format!("WAVE {number}"), format!("{enemies} enemies; heaviest work: {heaviest}")),
        |plan| {
            let title = format!("WAVE {number}: {}", plan.name.to_uppercase());
            (title, format!("{}   ({enemies} enemies; heaviest work: {heaviest})", plan.teaches))
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p2c2r_arena::ArenaConfig;

    use super::*;
    use crate::input::Input;

    /// The announcements of a game in which nothing happens by itself.
    fn quiet_game() -> App {
        let mut app = App::new();
        app.add_message::<Happened>()
            .insert_resource(Battlefield { arena: Arena::new(ArenaConfig::default()) })
            .insert_resource(State::new(Page::Play))
            .init_resource::<Time<Real>>()
            .init_resource::<LightAround>()
            .init_resource::<Settings>()
            .init_resource::<PadInHand>()
            .add_systems(Startup, spawn_words)
            .add_systems(Update, announce);
        app.world_mut().spawn(Middle);
        app.update();
        app
    }

    /// The large words after so many seconds of this page.
    fn title_after(app: &mut App, page: Page, seconds: f32) -> String {
        app.insert_resource(State::new(page));
        app.world_mut().resource_mut::<Time<Real>>().advance_by(Duration::from_secs_f32(seconds));
        app.update();
        let world = app.world_mut();
        let mut lines = world.query::<(&Line, &Text)>();
        let title = lines.iter(world).find(|(line, _)| **line == Line::Title);
        title.expect("a title").1.0.clone()
    }

    #[test]
    fn what_is_announced_stays_unread_behind_a_menu() {
        let (at, from) = (p2c2r_arena::Vec2::ZERO, p2c2r_arena::Vec2::FORWARD);
        for (event, title) in [
            (ArenaEvent::WaveStarted { wave: 1, enemies: 4 }, "WAVE 0"),
            (ArenaEvent::SectorEntered { sector: 2 }, "SECTOR 1"),
            (ArenaEvent::WaveCleared { wave: 3 }, "WAVE 3 CLEARED"),
            (ArenaEvent::ShipLost { at, lives: 2, by: Harm::Shot, from }, "SHIP LOST"),
        ] {
            let mut app = quiet_game();
            app.world_mut().write_message(Happened(event));
            for (page, seconds) in [(Page::Play, 0.5), (Page::Paused, 60.0), (Page::Play, 0.5)] {
                let shown = title_after(&mut app, page, seconds);
                assert!(shown.starts_with(title), "{event:?}, {page:?}: {shown}");
            }
            assert_eq!(title_after(&mut app, Page::Play, 6.0), "", "{event:?}");
        }
    }

    #[test]
    fn how_a_ship_was_lost_stays_until_the_next_wave_and_all_else_gives_way_to_the_latest() {
        let (at, from) = (p2c2r_arena::Vec2::ZERO, p2c2r_arena::Vec2::FORWARD);
        let mut app = quiet_game();
        for (event, title) in [
            (ArenaEvent::WaveCleared { wave: 2 }, "WAVE 2 CLEARED"),
            (ArenaEvent::WarpStarted { ticks: 70 }, "WARP"),
            (ArenaEvent::SectorEntered { sector: 2 }, "SECTOR"),
            (ArenaEvent::ShipLost { at, lives: 2, by: Harm::Shot, from }, "SHIP LOST"),
            (ArenaEvent::WaveCleared { wave: 4 }, "SHIP LOST"),
            (ArenaEvent::WarpStarted { ticks: 70 }, "SHIP LOST"),
            (ArenaEvent::WaveStarted { wave: 5, enemies: 4 }, "WAVE"),
            (ArenaEvent::ShipLost { at, lives: 1, by: Harm::Shot, from }, "SHIP LOST"),
            (ArenaEvent::RoundStarted, ""),
        ] {
            app.world_mut().write_message(Happened(event));
            let shown = title_after(&mut app, Page::Play, 0.1);
            assert!(shown.starts_with(title) && shown.is_empty() == title.is_empty(), "{event:?}: {shown}");
        }
    }

    #[test]
    fn a_round_begins_without_what_the_one_before_it_had_announced() {
        let mut app = quiet_game();
        app.world_mut().write_message(Happened(ArenaEvent::WaveStarted { wave: 5, enemies: 4 }));
        assert_ne!(title_after(&mut app, Page::Play, 0.1), "");
        let next = ArenaConfig { seed: 77, ..ArenaConfig::default() };
        app.world_mut().resource_mut::<Battlefield>().arena.begin(next);
        assert_eq!(title_after(&mut app, Page::Play, 0.1), "");
    }

    #[test]
    fn a_lost_ship_has_a_cause_and_a_number_of_those_that_are_left() {
        let (title, below) = lost_words(Harm::Shot, 2);
        assert!(
            title == "SHIP LOST" && below.contains("rock in between") && below.contains("2 ships"),
            "{below}"
        );
        assert!(lost_words(Harm::Crashed, 1).1.ends_with("One ship is left."));
        assert_eq!(lost_words(Harm::Shot, 0).0, "LAST SHIP LOST");
    }

    #[test]
    fn the_first_waves_hint_names_what_is_bound_and_in_hand() {
        let mut bindings = Bindings::default();
        assert_eq!(
            keys_words(&bindings, false),
            "W, A, S, D or arrows fly   Space fires   T switches borrowing   P pauses"
        );
        assert_eq!(
            keys_words(&bindings, true),
            "Left stick flies   South fires   D-pad up switches borrowing   Start pauses"
        );
        bindings.bind(Action::Fire, Input::Key(KeyCode::ArrowUp));
        bindings.bind(Action::Pause, Input::Key(KeyCode::KeyW));
        let words = keys_words(&bindings, false);
        assert!(
            words.starts_with("Right Trigger, A, S, D fly   Up fires") && words.ends_with("W pauses"),
            "{words}"
        );
    }
}
