//! Where the mouse points, on the arena's plane.

use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use p2c2r_arena::{Arena, Vec2 as ArenaVec2};

use super::InputSystems;

/// The point of the arena under the mouse; `None` if the mouse is not in the picture.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct Aim(pub Option<ArenaVec2>);

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, read_mouse.in_set(InputSystems::Read));
}

fn read_mouse(
    window: Option<Single<&Window, With<PrimaryWindow>>>,
    camera: Option<Single<(&Camera, &GlobalTransform), With<Camera3d>>>,
    mut aim: ResMut<Aim>,
) {
    let point = window.zip(camera).and_then(|(window, camera)| {
        let (camera, eye) = *camera;
        let ray = camera.viewport_to_world(eye, window.cursor_position()?).ok()?;
        let at = ray.get_point(ray.intersect_plane(Vec3::ZERO, InfinitePlane3d::new(Vec3::Y))?);
        Some(crate::view::arena_point(at))
    });
    aim.0 = point;
}

impl Aim {
    /// The turn that points the ship there: 1 left, -1 right, 0 if it already points there or there is no
    /// point.
    pub(crate) fn turn(self, arena: &Arena) -> i8 {
        let ship = arena.ship();
        let away = self.0.map(|point| point - ship.position).filter(|away| away.length() >= ship.radius);
        away.map_or(0, |away| ship.turn_towards(&arena.config().ship, away.unit_or(ship.heading)))
    }
}
