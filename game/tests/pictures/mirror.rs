//! What is mirrored of light that was traced somewhere else: the ship has moved on since it was asked for, and the shader
//! corrects for that. The same moment is drawn three times: by that light, by that light without the correction, and by
//! light that was traced where the ship is now.

use bevy::prelude::*;
use bevy::render::storage::ShaderBuffer;
use image::Rgb;
use p2c2r_arena::{Arena, Controls};
use p2c2r_game::Battlefield;
use p2c2r_game::settings::BorrowingDetail;

use super::stage::Stage;

/// Moments that are looked at, and frames before each: everything is lit, and something else is near.
const MOMENTS: usize = 4;
const FRAMES_BEFORE: u32 = 300;
/// Ticks of the ship's way while its light stays what it was: two thirds of a second, a slow answer.
const TICKS_APART: u32 = 40;
/// Frames until the light of the new place has come and is all that is shown.
const FRAMES_AFTER: u32 = 120;
/// Bytes of the shader's uniform, and where the traced place's x and z stand in it: behind three flashes and nine
/// coefficients of four floats each.
const LIGHTING_BYTES: usize = 240;
const PROBE_X: usize = (3 + 9) * 16;
const PROBE_Z: usize = PROBE_X + 8;
/// Difference of a channel, of 255, from which on the correction is seen in a pixel.
const SEEN: u8 = 12;

/// How the three pictures differ on the ship's hull.
struct Apart {
    /// Metres between where the light was traced and the ship.
    metres: f32,
    /// Pixels in which the correction is seen.
    pixels: u32,
    /// Mean difference from freshly traced light in these pixels, of 255: with the correction and without.
    corrected: f64,
    uncorrected: f64,
}

/// What the scene does to the app.
#[derive(Resource, Default)]
struct Scene {
    /// Nothing in the arena moves, while answers come.
    stands_still: bool,
    /// The shader is told that the light was traced where the ship is.
    is_uncorrected: bool,
    /// Where the light was traced that is shown.
    probe: Vec2,
}

fn stand_still(scene: Res<'_, Scene>, mut clock: ResMut<'_, Time<Virtual>>) {
    if scene.stands_still {
        // The game sets its own pace in every frame.
        clock.set_relative_speed(0.0);
    }
}

fn tell_shader(
    mut scene: ResMut<'_, Scene>,
    battlefield: Res<'_, Battlefield>,
    mut buffers: ResMut<'_, Assets<ShaderBuffer>>,
) {
    let is_lighting =
        |buffer: &ShaderBuffer| buffer.data.as_ref().is_some_and(|data| data.len() == LIGHTING_BYTES);
    let found: Vec<_> = buffers.iter().filter(|(_, buffer)| is_lighting(buffer)).map(|(id, _)| id).collect();
    let [id] = found[..] else { panic!("{} buffers are as large as the uniform", found.len()) };
    let ship = battlefield.arena.ship().position;
    let float = |data: &[u8], at: usize| f32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"));
    let data = buffers.get(id).and_then(|buffer| buffer.data.as_ref()).expect("what was found");
    if !scene.is_uncorrected {
        scene.probe = Vec2::new(float(data, PROBE_X), float(data, PROBE_Z));
        return;
    }
    let mut buffer = buffers.get_mut(id).expect("what was found");
    let data = buffer.data.as_mut().expect("what was found");
    data[PROBE_X..PROBE_X + 4].copy_from_slice(&ship.x.to_le_bytes());
    data[PROBE_Z..PROBE_Z + 4].copy_from_slice(&(-ship.y).to_le_bytes());
}

fn arena(stage: &mut Stage) -> Mut<'_, Arena> {
    stage.app().world_mut().resource_mut::<Battlefield>().map_unchanged(|battlefield| &mut battlefield.arena)
}

fn scene(stage: &mut Stage) -> Mut<'_, Scene> {
    stage.app().world_mut().resource_mut::<Scene>()
}

/// Where the ship's hull is in the picture: its middle and how far it reaches, in pixels.
fn hull(stage: &mut Stage) -> (Vec2, f32) {
    let ship = *arena(stage).ship();
    let world = stage.app().world_mut();
    let mut cameras = world.query_filtered::<(&Camera, &GlobalTransform), With<Camera3d>>();
    let (camera, eye) = cameras.single(world).expect("one camera");
    let at = |x: f32| {
        let place = Vec3::new(ship.position.x + x, 0.0, -ship.position.y);
        camera.world_to_viewport(eye, place).expect("the ship is seen")
    };
    (at(0.0), at(0.0).distance(at(1.6 * ship.radius)))
}

/// Holds the three pictures of one moment against each other.
fn moment(stage: &mut Stage) -> Apart {
    // Light that has come is unfolded on another thread: what is shown afterwards is what there is.
    stage.full_picture();
    scene(stage).stands_still = true;
    stage.app().world_mut().resource_mut::<Time<Virtual>>().set_relative_speed(0.0);
    for _ in 0..TICKS_APART {
        arena(stage).step(Controls { thrust: 1, ..Controls::default() }, &[]);
    }
    let corrected = stage.full_picture();
    let ship = arena(stage).ship().position;
    let metres = scene(stage).probe.distance(Vec2::new(ship.x, -ship.y));
    scene(stage).is_uncorrected = true;
    let uncorrected = stage.full_picture();
    scene(stage).is_uncorrected = false;
    stage.play(FRAMES_AFTER);
    let fresh = stage.full_picture();
    scene(stage).stands_still = false;
    let (middle, reach) = hull(stage);
    let apart = |a: &Rgb<u8>, b: &Rgb<u8>| {
        let parts = a.0.iter().zip(&b.0).map(|(a, b)| a.abs_diff(*b));
        (parts.clone().max().unwrap_or_default(), parts.map(f64::from).sum::<f64>() / 3.0)
    };
    let (mut pixels, mut sums) = (0, [0.0; 2]);
    for ((x, y, with), (without, fresh)) in
        corrected.enumerate_pixels().zip(uncorrected.pixels().zip(fresh.pixels()))
    {
        let is_hull = Vec2::new(x as f32, y as f32).distance(middle) < reach;
        if is_hull && apart(with, without).0 >= SEEN {
            pixels += 1;
            sums[0] += apart(with, fresh).1;
            sums[1] += apart(without, fresh).1;
        }
    }
    let [corrected, uncorrected] = sums.map(|sum| sum / f64::from(pixels.max(1)));
    Apart { metres, pixels, corrected, uncorrected }
}

/// Measures and prints a line for each of some moments; `Err` says why nothing can be drawn here.
pub fn measure() -> Result<(), String> {
    let mut stage = Stage::open(1_280, 720, &["--difficulty=pilot", "--preset=max"])?;
    let app = stage.app();
    app.init_resource::<Scene>().add_systems(PostUpdate, tell_shader).add_systems(Last, stand_still);
    stage.choose(|settings| settings.display.level = BorrowingDetail::Off);
    for _ in 0..MOMENTS {
        stage.play(FRAMES_BEFORE);
        let Apart { metres, pixels, corrected, uncorrected } = moment(&mut stage);
        println!(
            "{metres:.1} m from where its light was traced, {pixels} pixels of the hull differ from fresh light by \
             {corrected:.1} of 255 corrected, {uncorrected:.1} uncorrected"
        );
    }
    Ok(())
}
