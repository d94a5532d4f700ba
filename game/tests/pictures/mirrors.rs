//! Whether a ship beside the player's mirrors what is around itself: a wingman with a fire on its far side, drawn three times.
//! With light of its own its hull shows the fire; without, it shows the light around the player's ship; and with light of its
//! own and no fire there is none to show. Nothing moves, so that nothing else differs.

use bevy::prelude::*;
use image::RgbImage;
use p2c2r_arena::{Arena, ArenaConfig, ArenaEvent, Controls};
use p2c2r_game::{Battlefield, Happened, mirror_ships};

use super::stage::Stage;

/// Size of the pictures: a hull is some hundred pixels long.
const WIDTH: u32 = 1_920;
const HEIGHT: u32 = 1_080;
/// Ticks after which the wingman flies beside the ship, before there are enemies.
const TICKS: u32 = 40;
/// Metres from the wingman to the fire, on the side away from the ship.
const AWAY: f32 = 4.5;
/// Frames between two explosions in the same place, sooner than the light of the first is gone; and how many there are.
const BETWEEN: u32 = 15;
const EXPLOSIONS: u32 = 6;
/// Other ships with light of their own, where they have any.
const SHIPS: usize = 2;
/// Half the edge of the part that is looked at, pixels: the hull and a little around it. Then the edge of the tiles that
/// are compared.
const AROUND: u32 = 48;
const PART: u32 = 4;
/// By how much a part of the hull that mirrors the fire is redder at least, of 255.
const REDDER: f64 = 40.0;

/// The arena stands still.
#[derive(Resource)]
struct Still(Arena);

fn stand_still(still: Res<'_, Still>, mut battlefield: ResMut<'_, Battlefield>) {
    battlefield.arena.clone_from(&still.0);
}

/// The ship and its wingman in the pause before the first wave.
fn arena() -> Arena {
    let mut arena = Arena::new(ArenaConfig { seed: 5, ..ArenaConfig::default() }.with_allies(1));
    for _ in 0..TICKS {
        arena.step(Controls::default(), &[]);
    }
    assert!(arena.enemies().is_empty() && arena.wingmen()[0].is_there());
    arena
}

/// The part of the picture around the wingman, with or without the fire, and with or without light of its own.
fn look(fire: bool, ships: usize) -> Result<RgbImage, String> {
    let mut stage =
        Stage::open(WIDTH, HEIGHT, &["--difficulty=pilot", "--display-level=off", "--preset=rich"])?;
    let still = arena();
    let (ship, wingman) = (still.ship().position, still.wingmen()[0].position);
    let outwards = (wingman - ship).unit_or(p2c2r_arena::Vec2::FORWARD);
    let app = stage.app();
    app.insert_resource(Still(still)).add_systems(PreUpdate, stand_still);
    mirror_ships(app, ships);
    stage.choose(|settings| (settings.video.shake, settings.video.flashes) = (0, 0));
    stage.play(60);
    for _ in 0..EXPLOSIONS {
        if fire {
            let event = ArenaEvent::Explosion { at: wingman + outwards * AWAY, size: 1.0 };
            stage.app().world_mut().write_message(Happened(event));
        }
        stage.play(BETWEEN);
    }
    let picture = stage.full_picture();
    let at = place_of(&mut stage, wingman);
    let (left, top) = (at.x as u32 - AROUND, at.y as u32 - AROUND);
    Ok(image::imageops::crop_imm(&picture, left, top, 2 * AROUND, 2 * AROUND).to_image())
}

/// Where a point of the arena's plane is in the picture, in pixels.
fn place_of(stage: &mut Stage, point: p2c2r_arena::Vec2) -> Vec2 {
    let world = stage.app().world_mut();
    let mut cameras = world.query::<(&Camera, &GlobalTransform)>();
    let (camera, eye) = cameras.single(world).expect("one eye");
    camera.world_to_viewport(eye, Vec3::new(point.x, 0.0, -point.y)).expect("it is in the picture")
}

/// How much redder one picture is than the other in the part where that is largest: the difference of their means of red
/// less blue, of 255.
fn redder(one: &RgbImage, other: &RgbImage) -> f64 {
    let mean = |picture: &RgbImage, left: u32, top: u32| {
        let pixels =
            (0..PART * PART).map(|number| picture.get_pixel(left + number % PART, top + number / PART));
        let red = |pixel: &image::Rgb<u8>| f64::from(pixel.0[0]) - f64::from(pixel.0[2]);
        pixels.map(red).sum::<f64>() / f64::from(PART * PART)
    };
    let corners = || (0..=one.width() - PART).step_by(PART as usize);
    let differences =
        corners().flat_map(|left| corners().map(move |top| mean(one, left, top) - mean(other, left, top)));
    differences.fold(f64::MIN, f64::max)
}

/// What is wrong; `Err` says why nothing can be drawn here.
pub fn check() -> Result<Vec<String>, String> {
    let own = look(true, SHIPS)?;
    let players = look(true, 0)?;
    let dark = look(false, SHIPS)?;
    let mut wrong = Vec::new();
    for (other, name) in
        [(&players, "the light around the player's ship"), (&dark, "its own light without a fire")]
    {
        let found = redder(&own, other);
        println!("the hull with the fire in it is redder by {found:.1} than with {name}");
        if found < REDDER {
            wrong.push(format!("the hull is redder by {found:.1}, not {REDDER}, than with {name}"));
        }
    }
    if !wrong.is_empty() {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        for (picture, name) in [(&own, "own"), (&players, "players"), (&dark, "dark")] {
            let path = folder.join(format!("mirror-{name}.png"));
            picture.save(&path).map_err(|error| error.to_string())?;
            wrong.push(format!("see {}", path.display()));
        }
    }
    Ok(wrong)
}
