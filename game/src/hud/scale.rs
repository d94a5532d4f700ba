//! Scales what is written with the height of the picture, so that it is as readable in a small window as in a large one,
//! and never larger than there is room for.

use bevy::prelude::*;

use super::level::BorrowingDetail;
use crate::screens::{MenuCard, Page};
use crate::settings::Settings;

/// The height at which sizes are as written, in logical pixels.
const DESIGN_HEIGHT: f32 = 720.0;
/// Limits of the scale. Below the lower one, text of 15 pixels is not legible; no screen needs more than the upper one.
const SCALES: std::ops::RangeInclusive<f32> = 0.7..=4.0;
/// The share of the picture that a page may take.
const PAGE_SHARE: f32 = 0.98;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Room>().add_systems(Update, follow_picture);
}

/// The picture's size in pixels at a scale of 1: smaller where everything is written larger.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub(super) struct Room(pub(super) Vec2);

impl Default for Room {
    fn default() -> Self {
        Self(Vec2::new(DESIGN_HEIGHT * 16.0 / 9.0, DESIGN_HEIGHT))
    }
}

fn follow_picture(
    camera: Single<&Camera>,
    page: Res<State<Page>>,
    card: Query<&ComputedNode, With<MenuCard>>,
    settings: Res<Settings>,
    mut scale: ResMut<UiScale>,
    mut room_now: ResMut<Room>,
) {
    let Some(picture) = camera.logical_target_size() else { return };
    let shown = &settings.display;
    // As laid out, in pixels at a scale of 1.
    let page_size = card
        .iter()
        .find(|_| !page.get().shows_display())
        .map(|card| card.size() * card.inverse_scale_factor() / PAGE_SHARE);
    let room = page_size.unwrap_or_else(|| room_for(shown.level));
    let wanted = scale_of(picture, f32::from(shown.scale) / 100.0, room);
    if (scale.0 - wanted).abs() > 1e-3 {
        scale.0 = wanted;
    }
    room_now.set_if_neq(Room(picture / scale.0));
}

/// How large a picture must be for the display of this level and all that stands around it, at a scale of 1.
fn room_for(level: BorrowingDetail) -> Vec2 {
    match level {
        BorrowingDetail::Off | BorrowingDetail::Chip => Vec2::new(760.0, 464.0),
        BorrowingDetail::Compact => Vec2::new(832.0, 604.0),
        BorrowingDetail::Full | BorrowingDetail::Developer => Vec2::new(900.0, 715.0),
    }
}

/// The scale in a picture of this size: as the player wants it, or smaller where the `room` that is needed would not fit.
/// A page that has not been laid out needs no room yet.
fn scale_of(picture: Vec2, wanted: f32, room: Vec2) -> f32 {
    let fits = (picture / room.max(Vec2::ONE)).min_element();
    (picture.y / DESIGN_HEIGHT * wanted).min(fits).clamp(*SCALES.start(), *SCALES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_picture_and_the_player_as_far_as_there_is_room() {
        let room = room_for(BorrowingDetail::Compact);
        let scale = |width: f32, height: f32, wanted| scale_of(Vec2::new(width, height), wanted, room);
        assert_eq!(scale(1_280.0, 720.0, 1.0), 1.0);
        assert_eq!(scale(1_920.0, 1_080.0, 1.0), 1.5);
        assert_eq!(scale(1_920.0, 1_080.0, 0.75), 1.125);
        assert!(scale(1_280.0, 720.0, 2.0) < 1.5, "no room for twice the size");
        assert_eq!(scale(320.0, 180.0, 1.0), *SCALES.start(), "still legible");
    }

    #[test]
    fn a_page_that_is_larger_than_the_picture_is_made_smaller() {
        let picture = Vec2::new(800.0, 600.0);
        let fits = scale_of(picture, 2.0, Vec2::new(700.0, 560.0));
        assert!((560.0 * fits) <= picture.y && (700.0 * fits) <= picture.x);
        assert_eq!(scale_of(picture, 1.0, Vec2::ZERO), 600.0 / 720.0, "before it has been laid out");
    }
}
