//! The camera above and behind the ship: it follows smoothly, stays inside the arena and shakes at
//! explosions.
//!
//! Shaking is by trauma: events add to it, it falls evenly, and the view moves by its square along smooth
//! curves of incommensurable periods, so that small events hardly move it and large ones do at once (after
//! Squirrel Eiserloh's talk at GDC 2016).

use bevy::camera::{Hdr, RenderTarget};
use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::post_process::bloom::Bloom;
use bevy::prelude::*;
use p2c2r_arena::ArenaEvent;

use super::glow::Lights;
use super::warp::Warp;
use super::{ViewSystems, between, place};
use crate::graphics::Quality;
use crate::play::{Battlefield, Happened, TickShare};
use crate::settings::Settings;

/// Metres above the plane.
const HEIGHT: f32 = 24.0;
/// Metres behind the point it looks at.
const BEHIND: f32 = 13.5;
/// Rate of the exponential approach: per second the camera covers `1 - exp(-rate)` of its way.
const FOLLOW_RATE: f32 = 3.5;
/// Largest displacement by shaking, metres.
const SHAKE_METRES_MAX: f32 = 0.9;
/// Largest roll by shaking, radians.
const SHAKE_ROLL_MAX: f32 = 0.03;
/// Vertical angle of view, radians, and how much wider it is at the jump of a warp.
const VIEW_ANGLE: f32 = 0.82;
const WARP_ANGLE: f32 = 0.16;
/// Trauma that falls in a second.
const TRAUMA_FALL: f32 = 1.5;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ViewTarget>()
        .init_resource::<Eye>()
        .add_systems(Startup, spawn_camera)
        .add_systems(Update, follow_ship.in_set(ViewSystems::Follow).after(super::warp::follow_warp));
}

/// The render target: the window, or an image if there is none.
#[derive(Resource, Clone, Default)]
pub struct ViewTarget(pub Option<Handle<Image>>);

/// The camera's place and orientation.
#[derive(Resource, Clone, Copy, Debug)]
pub(crate) struct Eye {
    /// Where it is.
    pub(super) position: Vec3,
    /// Right in the picture.
    pub(super) right: Vec3,
    /// Up in the picture.
    pub(super) up: Vec3,
    focus: Vec3,
    trauma: f32,
}

impl Default for Eye {
    fn default() -> Self {
        Self { position: Vec3::Y * HEIGHT, right: Vec3::X, up: Vec3::Y, focus: Vec3::ZERO, trauma: 0.0 }
    }
}

fn spawn_camera(mut commands: Commands, target: Res<ViewTarget>, quality: Res<DrawQuality>) {
    let mut camera = commands.spawn((
        Name::new("eye"),
        Camera3d::default(),
        // UI nodes look for a camera on the window; off-screen there is none, so this one is marked.
        IsDefaultUiCamera,
        Camera { clear_color: ClearColorConfig::Custom(Color::srgb(0.008, 0.010, 0.022)), ..default() },
        Projection::Perspective(PerspectiveProjection {
            fov: VIEW_ANGLE,
            near: 1.0,
            far: 400.0,
            ..default()
        }),
        Transform::from_xyz(0.0, HEIGHT, BEHIND).looking_at(Vec3::ZERO, Vec3::Y),
    ));
    match quality.0 {
        Quality::Low => camera.insert((Msaa::Off, Tonemapping::None)),
        Quality::High => camera.insert((
            Msaa::Sample4,
            Hdr,
            Tonemapping::KhronosPbrNeutral,
            Bloom { intensity: 0.18, ..Bloom::NATURAL },
        )),
    };
    if let Some(image) = &target.0 {
        camera.insert(RenderTarget::Image(image.clone().into()));
    }
}

/// The quality of drawing.
#[derive(Resource, Clone, Copy, Debug)]
pub(crate) struct DrawQuality(pub(crate) Quality);

fn follow_ship(
    battlefield: Res<Battlefield>,
    share: TickShare,
    time: Res<Time>,
    settings: Res<Settings>,
    warp: Res<Warp>,
    mut happened: MessageReader<Happened>,
    (mut eye, mut lights): (ResMut<Eye>, ResMut<Lights>),
    camera: Single<(&mut Transform, &mut Projection), With<Camera3d>>,
) {
    let (mut camera, mut projection) = camera.into_inner();
    let arena = &battlefield.arena;
    let ship = arena.ship();
    if ship.alive {
        let ahead = ship.velocity * 0.35 + ship.heading * 2.0;
        let wanted = place(between(ship.previous, ship.position, share.get()) + ahead, 0.0);
        // The camera stops short of the wall, so that less of the void outside is visible.
        let half = arena.config().size * 0.5;
        let limit = Vec2::new((half - 14.0).max(0.0), (half - 9.0).max(0.0));
        let wanted = Vec3::new(wanted.x.clamp(-limit.x, limit.x), 0.0, wanted.z.clamp(-limit.y, limit.y));
        // After a jump the camera does not fly after the ship.
        let step = if warp.jumped { 1.0 } else { 1.0 - (-FOLLOW_RATE * time.delta_secs()).exp() };
        eye.focus = eye.focus.lerp(wanted, step);
    }
    for Happened(event) in happened.read() {
        eye.trauma = (eye.trauma + trauma_of(event, eye.focus)).min(1.0);
    }
    eye.trauma = (eye.trauma - time.delta_secs() * TRAUMA_FALL).max(0.0);
    let shake = eye.trauma * eye.trauma * f32::from(settings.video.shake) / 100.0;
    let clock = time.elapsed_secs();
    let curve =
        |rate: f32, phase: f32| (clock * rate + phase).sin() * 0.6 + (clock * rate * 1.73).sin() * 0.4;
    let offset = Vec3::new(curve(31.0, 0.0), 0.0, curve(27.0, 1.7)) * (shake * SHAKE_METRES_MAX);
    let mut transform = Transform::from_translation(eye.focus + Vec3::new(0.0, HEIGHT, BEHIND) + offset)
        .looking_at(eye.focus + offset * 0.5 + Vec3::NEG_Z * 1.5, Vec3::Y);
    transform.rotate_local_z(curve(23.0, 0.4) * shake * SHAKE_ROLL_MAX);
    eye.position = transform.translation;
    eye.right = transform.right().as_vec3();
    eye.up = transform.up().as_vec3();
    *camera = transform;
    let angle = VIEW_ANGLE + WARP_ANGLE * warp.strength;
    if let Projection::Perspective(perspective) = projection.bypass_change_detection() {
        lights.0.look_within(sides(&transform, angle, perspective.aspect_ratio));
        if perspective.fov != angle {
            perspective.fov = angle;
            projection.set_changed();
        }
    }
}

/// The sides of what a camera sees, as planes with their fronts inwards: unit normal, and distance of the origin. `angle` is
/// from its lower to its upper side, radians; `aspect` is its width over its height.
pub(super) fn sides(camera: &Transform, angle: f32, aspect: f32) -> [Vec4; 4] {
    let tall = (angle * 0.5).tan();
    let wide = tall * aspect;
    [(1.0, 0.0, -wide), (-1.0, 0.0, -wide), (0.0, 1.0, -tall), (0.0, -1.0, -tall)].map(|(x, y, z)| {
        let normal = camera.rotation * Vec3::new(x, y, z).normalize();
        normal.extend(-normal.dot(camera.translation))
    })
}

/// Trauma that an event adds for a camera that looks at `focus`.
fn trauma_of(event: &ArenaEvent, focus: Vec3) -> f32 {
    match event {
        ArenaEvent::Explosion { at, size } => {
            let distance = place(*at, 0.0).distance(focus);
            0.25 * size / (1.0 + distance * 0.08)
        }
        ArenaEvent::ShipLost { .. } => 0.9,
        ArenaEvent::ShipHurt { .. } => 0.45,
        ArenaEvent::Bumped { speed, .. } => speed * 0.02,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::glow::{GlowShape, Quads};

    #[test]
    fn only_quads_in_the_picture_are_kept() {
        let camera = Transform::from_xyz(3.0, HEIGHT, BEHIND).looking_at(Vec3::new(3.0, 0.0, -1.5), Vec3::Y);
        let (angle, aspect) = (VIEW_ANGLE, 16.0 / 9.0);
        let clip = Mat4::perspective_infinite_reverse_rh(angle, aspect, 1.0) * camera.to_matrix().inverse();
        let mut inside = 0;
        for at in
            (0..3_600).map(|number| Vec3::new((number % 60) as f32 - 30.0, 0.2, (number / 60) as f32 - 40.0))
        {
            let mut quads = Quads::default();
            quads.look_within(sides(&camera, angle, aspect));
            quads.flat(GlowShape::Spot, at, 0.01, LinearRgba::WHITE);
            let seen = clip.project_point3(at);
            let distance = seen.xy().abs().max_element() - 1.0;
            if distance.abs() > 0.01 {
                assert_eq!(quads.count() == 1, distance < 0.0, "{at} is at {seen} of the picture");
            }
            inside += quads.count();
            quads.flat(GlowShape::Spot, at, 60.0, LinearRgba::WHITE);
            assert!(quads.count() > 0, "a large one reaches into it");
        }
        assert!((500..1_500).contains(&inside), "{inside}");
    }
}
