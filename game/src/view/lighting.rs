//! The light that falls on everything: the sector's star, the flashes of explosions, and the traced light
//! (`field` has the light of each object). It is one small buffer that all materials share, written when it
//! changes.

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{BufferUsages, ShaderType};
use bevy::render::storage::ShaderBuffer;

use super::ViewSystems;
use super::camera::DrawQuality;
use super::field::ObjectLights;
use super::mirror::{self, Mirror};
use crate::graphics::Quality;
use crate::play::{Battlefield, Reflecting};

/// Explosions that can light the scene at the same time; the shader has the same number.
const FLASHES: usize = 3;
/// Light of a star of full red on a surface that faces it; the other colours in proportion.
const SUN_STRENGTH: f32 = 1.70 / 240.0;
/// Seconds a flash takes to fade.
const FLASH_SECONDS: f32 = 0.45;
/// Light of a fresh flash one metre away.
const FLASH_STRENGTH: f32 = 90.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Flashes>()
        .add_systems(PreStartup, make_light.in_set(MakeLight))
        .add_systems(Update, (fade_flashes, write_lighting).chain().in_set(ViewSystems::Upload));
}

/// The set that makes the resources of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub(super) struct MakeLight;

/// Resources that all lit surfaces share.
#[derive(Resource)]
pub(super) struct Lit {
    /// A [`Lighting`].
    pub(super) lighting: Handle<ShaderBuffer>,
    /// The light of the field on each object: [`ObjectLights`].
    pub(super) objects: Handle<ShaderBuffer>,
    /// The cube map that polished surfaces reflect.
    pub(super) mirror: Handle<Image>,
}

/// The shader's data of the light.
#[derive(Clone, Debug, Default, PartialEq, ShaderType)]
pub(super) struct Lighting {
    /// Places and strengths of explosions' flashes.
    flashes: [Vec4; FLASHES],
    /// Irradiance over π by direction, as the coefficients of the shader's polynomial.
    irradiance: [Vec4; mirror::HARMONICS],
    /// The ship's place, and the weight of reflections.
    ship: Vec4,
    /// Highest level of the cube map, and how strongly a reflection's brightness is compressed.
    range: Vec2,
    /// Colour and strength of the sector's star.
    sun: Vec4,
}

fn make_light(
    mut commands: Commands,
    mut buffers: ResMut<Assets<ShaderBuffer>>,
    mut images: ResMut<Assets<Image>>,
    reflecting: Res<Reflecting>,
) {
    let (face, levels) = reflecting.fineness().size();
    let mut uniform = |mut buffer: ShaderBuffer, label| {
        buffer.buffer_description.label = Some(label);
        buffer.buffer_description.usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        buffer.asset_usage = RenderAssetUsages::RENDER_WORLD | RenderAssetUsages::MAIN_WORLD;
        buffers.add(buffer)
    };
    commands.insert_resource(Lit {
        lighting: uniform(Lighting::default().into(), "lighting"),
        objects: uniform(ObjectLights::default().into(), "light on objects"),
        mirror: images.add(mirror::black_cube_map(face, levels)),
    });
}

/// Active flashes: place, and seconds left.
#[derive(Resource, Default)]
pub(super) struct Flashes {
    burning: [(Vec3, f32); FLASHES],
}

impl Flashes {
    /// Starts a flash, in place of the weakest if all are active.
    pub(super) fn ignite(&mut self, at: Vec3) {
        if let Some(weakest) = self.burning.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (at, FLASH_SECONDS);
        }
    }
}

fn fade_flashes(time: Res<Time>, mut flashes: ResMut<Flashes>) {
    for (_, left) in &mut flashes.burning {
        *left = (*left - time.delta_secs()).max(0.0);
    }
}

fn write_lighting(
    flashes: Res<Flashes>,
    mirror: Res<Mirror>,
    quality: Res<DrawQuality>,
    battlefield: Res<Battlefield>,
    lit: Res<Lit>,
    mut buffers: ResMut<Assets<ShaderBuffer>>,
    mut written: Local<Lighting>,
) {
    let ship = battlefield.arena.ship().position;
    let lighting = Lighting {
        flashes: flashes.burning.map(|(at, left)| {
            let share = left / FLASH_SECONDS;
            at.extend(share * share * FLASH_STRENGTH)
        }),
        irradiance: mirror.irradiance(),
        ship: Vec4::new(ship.x, 0.0, -ship.y, mirror.strength()),
        // A picture without glow and tone mapping ends at 1, where a bright bolt would be white.
        range: Vec2::new(mirror.level_max(), if quality.0 == Quality::High { 0.06 } else { 0.55 }),
        sun: Vec3::from(battlefield.arena.sector().plan().star.map(|part| f32::from(part) * SUN_STRENGTH))
            .extend(0.0),
    };
    if lighting != *written {
        *written = lighting.clone();
        if let Some(mut buffer) = buffers.get_mut(&lit.lighting) {
            buffer.set_data(lighting);
        }
    }
}
