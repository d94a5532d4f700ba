//! Large words in the middle: a wave begins or is cleared, a warp begins, another sector is there, a ship is lost.

use bevy::prelude::*;
use p2c2r_arena::{Arena, ArenaEvent, Harm, Stress};

use super::middle::{Middle, MiddleRoom};
use super::palette::{BRIGHT, EDGE, Ground, PANEL, Rim, SKY_BLUE};
use super::{show, wrapped, write};
use crate::harm;
use crate::input::{Action, Bindings, PadInHand, input_label};
use crate::play::{Battlefield, Happened, LightAround, SECTOR_PARTS};
use crate::settings::Settings;

/// Seconds for which a wave's number stays.
const WAVE_SECONDS: f32 = 3.5;
/// Seconds for which a sector's name stays.
const SECTOR_SECONDS: f32 = 3.0;
/// Seconds for which it says that a wave is cleared.
const CLEARED_SECONDS: f32 = 2.0;
/// Seconds for which it says how a ship was lost: until the next one can be hurt.
const LOST_SECONDS: f32 = 3.2;
/// Seconds for which the first wave's number stays, because the keys stand below it.
const FIRST_WAVE_SECONDS: f32 = 5.0;

/// Size of the large words, and their size beside the panel, where the longest name of a wave must have room.
const TITLE_SIZE: f32 = 46.0;
const TITLE_SIZE_BESIDE: f32 = 30.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (announce, size_title.run_if(resource_changed::<MiddleRoom>)));
}

fn size_title(room: Res<MiddleRoom>, mut title: Single<&mut TextFont, With<Title>>) {
    title.font_size = FontSize::Px(match *room {
        MiddleRoom::Whole => TITLE_SIZE,
        MiddleRoom::BesidePanel => TITLE_SIZE_BESIDE,
    });
}

/// What the words stand on.
#[derive(Component)]
struct Card;

/// The large words.
#[derive(Component)]
struct Title;

/// The small ones below.
#[derive(Component)]
struct Hint;

/// How to play, below the first wave's number.
#[derive(Component)]
struct Keys;

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
            (Title, wrapped("", TITLE_SIZE, BRIGHT)),
            (Hint, wrapped("", 18.0, SKY_BLUE)),
            (Keys, wrapped("", 15.0, BRIGHT)),
        ],
    ));
}

fn announce(
    battlefield: Res<Battlefield>,
    real: Res<Time<Real>>,
    light: Res<LightAround>,
    (settings, in_hand): (Res<Settings>, Res<PadInHand>),
    mut happened: MessageReader<Happened>,
    mut wave: Local<(u32, u32, f32)>,
    mut arrived: Local<f32>,
    mut lost: Local<Option<(Harm, u32, f32)>>,
    mut cleared: Local<(u32, f32)>,
    mut card: Single<&mut Node, With<Card>>,
    mut title: Single<&mut Text, (With<Title>, Without<Hint>, Without<Keys>)>,
    mut hint: Single<&mut Text, (With<Hint>, Without<Title>, Without<Keys>)>,
    mut keys: Single<&mut Text, (With<Keys>, Without<Title>, Without<Hint>)>,
) {
    for Happened(event) in happened.read() {
        match event {
            ArenaEvent::SectorEntered { .. } => *arrived = SECTOR_SECONDS,
            ArenaEvent::WaveStarted { wave: number, enemies } => {
                (*arrived, *lost) = (0.0, None);
                *wave = (*number, *enemies, if *number == 1 { FIRST_WAVE_SECONDS } else { WAVE_SECONDS });
            }
            // The pause before a round's first wave ends as if a wave had been cleared.
            ArenaEvent::WaveCleared { wave: number } if *number > 0 => {
                wave.2 = 0.0;
                *cleared = (*number, CLEARED_SECONDS);
            }
            ArenaEvent::RoundStarted => (*lost, cleared.1) = (None, 0.0),
            ArenaEvent::ShipLost { lives, by, .. } => {
                wave.2 = 0.0;
                *lost = Some((*by, *lives, LOST_SECONDS));
            }
            _ => {}
        }
    }
    *lost = lost.map(|(by, lives, left)| (by, lives, left - real.delta_secs())).filter(|lost| lost.2 > 0.0);
    wave.2 = (wave.2 - real.delta_secs()).max(0.0);
    cleared.1 = (cleared.1 - real.delta_secs()).max(0.0);
    *arrived = (*arrived - real.delta_secs()).max(0.0);
    let arena = &battlefield.arena;
    let learns = wave.0 == 1 && wave.2 > 0.0 && !arena.is_over();
    write(&mut keys, &if learns { keys_words(&settings.keys, in_hand.0.is_some()) } else { String::new() });
    let (words, below) = if let Some((by, lives, _)) = *lost {
        lost_words(by, lives)
    } else if wave.2 > 0.0 && !arena.is_over() {
        wave_words(arena, wave.1)
    } else if arena.warp_ticks().is_some() && !arena.is_over() {
        ("WARP".into(), format!("to {}", arena.next_sector().plan().name))
    } else if *arrived > 0.0 && !arena.is_over() {
        sector_words(arena, light.sector_parts_done())
    } else if cleared.1 > 0.0 && !arena.is_over() {
        (format!("WAVE {} CLEARED", cleared.0), format!("{} points", arena.config().waves.points))
    } else {
        (String::new(), String::new())
    };
    show(&mut card, !words.is_empty());
    write(&mut title, &words);
    write(&mut hint, &below);
}

/// The arrow keys as they are bound at first.
const ARROWS: [KeyCode; 4] = [KeyCode::ArrowUp, KeyCode::ArrowLeft, KeyCode::ArrowDown, KeyCode::ArrowRight];

/// What a new gamer must know, as it is bound just now; the other keys are on the page `How to play`.
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
        let key = |action: &Action| bindings.keys_of(*action).get(number).copied();
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

/// What a sector is called, and how far its light is.
fn sector_words(arena: &Arena, done: Option<usize>) -> (String, String) {
    let sector = arena.sector();
    let wells = match arena.wells().len() {
        0 => String::new(),
        1 => "A gravity well bends every way.   ".into(),
        count => format!("{count} gravity wells bend every way.   "),
    };
    let light = done.filter(|done| *done < SECTOR_PARTS).map_or_else(String::new, |done| {
        format!("Its light is being computed: {done} of {SECTOR_PARTS} parts")
    });
    (format!("SECTOR {}: {}", sector.number, sector.plan().name.to_uppercase()), wells + &light)
}

/// What a wave is called, what it teaches, and which borrowed work it needs most of.
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
    use super::*;
    use crate::input::Input;

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
