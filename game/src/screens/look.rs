//! Draws the menu, and handles the mouse.

use bevy::prelude::*;
use bevy::ui::UiSystems;

use super::obey::Capture;
use super::{Menu, MenuAction, Nudge, Page};
use crate::hud::{
    BRIGHT, CHOSEN, CLEAR, DIM, EDGE, Ground, ORANGE, PAGE, Rim, SHADE, SKY_BLUE, text, wrapped,
};
use crate::input::InputSystems;

/// Above this number of items they are spaced more closely, so that a page fits into a window.
const MANY_ITEMS: usize = 13;
/// Characters of the longest line that is not wrapped: the width of the card.
const LETTERS_MAX: usize = 110;
/// The keys that work on every page.
const LEGEND: &str = "Arrows, stick, mouse: choose   Enter, South, click: do it   Escape, East: back";

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_sheet).add_systems(Update, (draw_menu, hide_display)).add_systems(
        PreUpdate,
        read_mouse.after(UiSystems::Focus).after(InputSystems::Read).before(InputSystems::Act),
    );
}

/// The node that covers the picture while a menu is open.
#[derive(Component)]
struct Sheet;

/// The box that holds the menu's lines.
#[derive(Component)]
pub(crate) struct MenuCard;

/// The item of this number.
#[derive(Component)]
struct Choice(usize);

fn spawn_sheet(mut commands: Commands) {
    commands.spawn((
        Sheet,
        GlobalZIndex(10),
        Node {
            position_type: PositionType::Absolute,
            width: percent(100),
            height: percent(100),
            align_items: AlignItems::Center,
            justify_content: JustifyContent::Center,
            ..default()
        },
        Ground(SHADE),
        Visibility::Hidden,
        children![(
            MenuCard,
            Node {
                flex_direction: FlexDirection::Column,
                align_items: AlignItems::Stretch,
                min_width: px(520),
                // Longer sentences are broken; at the smallest scale, a page so wide is in a window of 800 pixels.
                max_width: px(1_120),
                // A page larger than the picture is scaled, not squeezed.
                flex_shrink: 0.0,
                row_gap: px(3),
                padding: UiRect::axes(px(30), px(22)),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(10)),
                ..default()
            },
            Ground(PAGE),
            Rim(EDGE),
        )],
    ));
}

/// Rebuilds the card when the menu has changed: after a key press, not in every frame.
fn draw_menu(
    mut commands: Commands,
    menu: Res<Menu>,
    sheet: Single<&mut Visibility, With<Sheet>>,
    card: Single<Entity, With<MenuCard>>,
) {
    if !menu.is_changed() {
        return;
    }
    let shown = if menu.page == Page::Play { Visibility::Hidden } else { Visibility::Inherited };
    sheet.into_inner().set_if_neq(shown);
    commands.entity(*card).despawn_children().with_children(|card| {
        let size = if matches!(menu.page, Page::Title | Page::Loading) { 44.0 } else { 30.0 };
        card.spawn((centred(), children![text(menu.title.clone(), size, SKY_BLUE)]));
        for line in &menu.lines {
            if line.is_empty() {
                card.spawn(Node { height: px(8), ..default() });
            } else {
                // A table's line keeps its spaces only without wrapping.
                if line.chars().count() <= LETTERS_MAX {
                    card.spawn((centred(), children![text(line.clone(), 16.0, BRIGHT)]));
                } else {
                    card.spawn((centred(), children![wrapped(line.clone(), 16.0, BRIGHT)]));
                }
            }
        }
        card.spawn(Node { height: px(10), ..default() });
        let padding = if menu.items.len() > MANY_ITEMS { px(1) } else { px(4) };
        for (number, item) in menu.items.iter().enumerate() {
            card.spawn(choice(number, item, number == menu.chosen, padding));
        }
        if !menu.note.is_empty() {
            card.spawn((centred(), children![wrapped(menu.note.clone(), 15.0, ORANGE)]));
        }
        if !menu.items.is_empty() {
            card.spawn(Node { height: px(8), ..default() });
            card.spawn((centred(), children![text(LEGEND, 13.0, DIM)]));
        }
    });
}

fn centred() -> Node {
    Node { justify_content: JustifyContent::Center, ..default() }
}

fn choice(number: usize, item: &super::Item, chosen: bool, padding: Val) -> impl Bundle {
    let turns = matches!(item.verb, MenuAction::Turn(_) | MenuAction::TurnTable);
    // The marks of other items are hidden but laid out, so that the card keeps its width when another item is chosen.
    let marks = if chosen { Visibility::Inherited } else { Visibility::Hidden };
    let mark = |mark: &'static str| (marks, text(if turns { mark } else { "" }, 18.0, SKY_BLUE));
    let value = item.value.clone().unwrap_or_default();
    // A mark besides the colour, for players who cannot tell the colours apart.
    let label = format!("{} {}", if chosen { ">" } else { " " }, item.label);
    (
        Choice(number),
        Interaction::None,
        Node {
            justify_content: JustifyContent::SpaceBetween,
            column_gap: px(36),
            padding: UiRect::axes(px(12), padding),
            border_radius: BorderRadius::all(px(5)),
            ..default()
        },
        Ground(if chosen { CHOSEN } else { CLEAR }),
        children![
            text(label, 18.0, if chosen { BRIGHT } else { DIM }),
            (
                Node { column_gap: px(if turns { 18 } else { 0 }), ..default() },
                children![mark("<"), text(value, 18.0, if chosen { SKY_BLUE } else { DIM }), mark(">")],
            ),
        ],
    )
}

/// The mouse chooses the item it moves over, activates it on a click, and steps back with its right button. A
/// mouse at rest chooses nothing, so that it does not override the keys.
fn read_mouse(
    menu: Res<Menu>,
    capture: Res<Capture>,
    buttons: Option<Res<ButtonInput<MouseButton>>>,
    mut moves: MessageReader<CursorMoved>,
    choices: Query<(&Choice, &Interaction)>,
    mut nudges: MessageWriter<Nudge>,
) {
    // Desktops also report where the mouse is when a window gets the focus; that is no movement.
    let moved = moves.read().filter(|to| to.delta.is_some_and(|by| by != Vec2::ZERO)).count() > 0;
    // While a button is to be bound, the mouse's buttons are bound and choose nothing.
    let Some(buttons) = buttons.filter(|_| !capture.is_waiting()) else { return };
    let Some(place) = choices
        .iter()
        .find(|(_, interaction)| **interaction != Interaction::None)
        .map(|(choice, _)| choice.0)
    else {
        return;
    };
    let (left, right) = (buttons.just_pressed(MouseButton::Left), buttons.just_pressed(MouseButton::Right));
    if (moved || left || right) && place != menu.chosen {
        nudges.write(Nudge::Point(place));
    }
    if left {
        nudges.write(Nudge::Accept);
    }
    if right {
        nudges.write(Nudge::Left);
    }
}

/// Hides all other foreground elements, which belong to the game, while a menu is open.
fn hide_display(
    page: Res<State<Page>>,
    mut roots: Query<&mut Visibility, (With<Node>, Without<ChildOf>, Without<Sheet>)>,
) {
    let wanted = if page.get().shows_display() { Visibility::Inherited } else { Visibility::Hidden };
    for mut visibility in &mut roots {
        visibility.set_if_neq(wanted);
    }
}
