//! Where announcements, toasts and the banner stand: below one another in one column, beside the panel where that would
//! otherwise be in front of them, and above the ship's state.

use bevy::prelude::*;

use super::level::{BorrowingDetail, MARGIN};
use super::{announce, messages, panel, ship};
use crate::settings::{Display as Shown, Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreStartup, spawn_middle)
        .add_systems(Startup, (announce::spawn_words, messages::spawn_messages).chain())
        .add_systems(Update, make_room.run_if(resource_changed::<Settings>));
}

/// The column.
#[derive(Component)]
pub(super) struct Middle;

fn spawn_middle(mut commands: Commands) {
    commands.spawn((
        Middle,
        // In a picture so low that something meets it all the same, in front of that.
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

/// Whether the panel leaves the picture's middle free: it does while it is small and at the top.
fn is_free(shown: &Shown) -> bool {
    shown.level < BorrowingDetail::Compact || (shown.level < BorrowingDetail::Full && shown.corner.is_top())
}

fn make_room(settings: Res<Settings>, mut middle: Single<&mut Node, With<Middle>>) {
    let shown = &settings.display;
    (middle.left, middle.right) = match (is_free(shown), shown.corner.is_right()) {
        (true, _) => (px(MARGIN), px(MARGIN)),
        (false, true) => (px(MARGIN), px(panel::SIDE)),
        (false, false) => (px(panel::SIDE), px(MARGIN)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Corner;

    #[test]
    fn only_a_small_panel_at_the_top_leaves_the_middle_free() {
        let free = |level, corner| is_free(&Shown { level, corner, ..Shown::default() });
        assert!(
            free(BorrowingDetail::Compact, Corner::TopRight)
                && free(BorrowingDetail::Chip, Corner::BottomLeft)
        );
        assert!(
            !free(BorrowingDetail::Compact, Corner::BottomRight)
                && !free(BorrowingDetail::Full, Corner::TopLeft)
        );
    }
}
