//! The column of announcements, toasts and the banner: beside the panel where they would otherwise overlap
//! it, and above the ship's state.

use bevy::prelude::*;

use super::level::{BorrowingDetail, MARGIN};
use super::scale::Room;
use super::{announce, messages, panel, ship};
use crate::settings::{Display as Shown, Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreStartup, spawn_middle)
        .add_systems(Startup, (announce::spawn_words, messages::spawn_messages).chain())
        .init_resource::<MiddleRoom>()
        .add_systems(
            Update,
            make_room.run_if(resource_changed::<Settings>.or_else(resource_changed::<Room>)),
        );
}

/// Pixels that the small panel, a wave's words, a toast and the banner take below one another.
const HEIGHT_FOR_BOTH: f32 = 715.0;

/// The width of the column.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MiddleRoom {
    /// As wide as the picture.
    #[default]
    Whole,
    /// As wide as what the panel leaves of the picture.
    BesidePanel,
}

/// The column.
#[derive(Component)]
pub(super) struct Middle;

fn spawn_middle(mut commands: Commands) {
    commands.spawn((
        Middle,
        // Drawn in front, in case it overlaps something in a very low picture.
        GlobalZIndex(1),
        Node {
            position_type: PositionType::Absolute,
            bottom: px(ship::ABOVE),
            flex_direction: FlexDirection::Column,
            align_items: AlignItems::Center,
            row_gap: px(8),
            ..default()
        },
    ));
}

/// Whether the panel leaves the picture's middle free: it does while it is small and at the top of a picture
/// that is high enough for both, in pixels at a scale of 1.
fn is_free(shown: &Shown, height: f32) -> bool {
    let is_low = shown.level >= BorrowingDetail::Full || !shown.corner.is_top() || height < HEIGHT_FOR_BOTH;
    shown.level < BorrowingDetail::Compact || !is_low
}

fn make_room(
    settings: Res<Settings>,
    picture: Res<Room>,
    mut middle: Single<&mut Node, With<Middle>>,
    mut room: ResMut<MiddleRoom>,
) {
    let shown = &settings.display;
    let is_free = is_free(shown, picture.0.y);
    let sides = match (is_free, shown.corner.is_right()) {
        (true, _) => (px(MARGIN), px(MARGIN)),
        (false, true) => (px(MARGIN), px(panel::side(shown.level))),
        (false, false) => (px(panel::side(shown.level)), px(MARGIN)),
    };
    (middle.left, middle.right) = sides;
    room.set_if_neq(if is_free { MiddleRoom::Whole } else { MiddleRoom::BesidePanel });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Corner;

    #[test]
    fn only_a_small_panel_at_the_top_leaves_the_middle_free() {
        let free = |level, corner, height| is_free(&Shown { level, corner, ..Shown::default() }, height);
        assert!(
            free(BorrowingDetail::Compact, Corner::TopRight, 720.0)
                && free(BorrowingDetail::Chip, Corner::BottomLeft, 400.0)
        );
        assert!(
            !free(BorrowingDetail::Compact, Corner::BottomRight, 720.0)
                && !free(BorrowingDetail::Full, Corner::TopLeft, 720.0)
                && !free(BorrowingDetail::Compact, Corner::TopRight, 600.0)
        );
    }
}
