//! Draws the arena. The view reads the arena and never writes it, so drawing cannot change a game's course.

mod actors;
mod backdrop;
mod bolts;
mod camera;
mod debris;
mod effects;
mod field;
mod glow;
mod hit_stop;
mod hulls;
mod lighting;
mod mirror;
mod paths;
mod picture;
mod pointers;
mod rocks;
mod shapes;
mod ship_mirrors;
mod solid;
mod trails;
mod warp;
mod wells;

use bevy::prelude::*;

pub(crate) use camera::DrawQuality;
pub use camera::ViewTarget;
pub(crate) use paths::PATH_HEIGHT;
pub(crate) use picture::Picture;
pub(crate) use pointers::HidesFight;

/// The view's systems in a frame, in this order, all in `Update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
enum ViewSystems {
    /// Moves entities that show something of the arena.
    Follow,
    /// Moves what exists in the view only.
    Live,
    /// Collects this frame's lights.
    Shine,
    /// Hands the lights to the renderer.
    Upload,
}

pub(super) fn plugin(app: &mut App) {
    app.configure_sets(
        Update,
        (ViewSystems::Follow, ViewSystems::Live, ViewSystems::Shine, ViewSystems::Upload).chain(),
    );
    app.add_plugins((
        camera::plugin,
        glow::plugin,
        solid::plugin,
        lighting::plugin,
        field::plugin,
        mirror::plugin,
        ship_mirrors::plugin,
        backdrop::plugin,
        hulls::plugin,
        actors::plugin,
        bolts::plugin,
        paths::plugin,
        effects::plugin,
        debris::plugin,
        picture::plugin,
    ));
    app.add_plugins((wells::plugin, trails::plugin, warp::plugin, hit_stop::plugin, pointers::plugin));
}

/// The place in the scene of a point of the arena's plane, `height` metres above it.
pub(crate) fn place(point: p2c2r_arena::Vec2, height: f32) -> Vec3 {
    Vec3::new(point.x, height, -point.y)
}

/// The arena's point below or above a place in the scene.
pub(crate) fn arena_point(at: Vec3) -> p2c2r_arena::Vec2 {
    p2c2r_arena::Vec2::new(at.x, -at.z)
}

/// A position between the arena's last two ticks.
fn between(previous: p2c2r_arena::Vec2, now: p2c2r_arena::Vec2, share: f32) -> p2c2r_arena::Vec2 {
    previous + (now - previous) * share
}

/// The rotation of a model that points along `heading` on the plane; models point along -Z.
fn facing(heading: p2c2r_arena::Vec2) -> Quat {
    Quat::from_rotation_y(heading.y.atan2(heading.x) - std::f32::consts::FRAC_PI_2)
}
