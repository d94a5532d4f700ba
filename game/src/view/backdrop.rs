//! What lies behind the fight: a nebula with a planet, stars at many depths, the arena's grid and its wall.

use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};

use super::glow::{Glow, GlowShape, Quads, ShapeAtlas, bright};
use super::shapes::{self, VisualRng};
use crate::play::Battlefield;

/// Pixels of the nebula's picture; it is soft, so few are enough.
const NEBULA_WIDTH: u32 = 640;
const NEBULA_HEIGHT: u32 = 400;
/// Stars.
const STARS: u32 = 1_100;
/// Metres between two lines of the grid.
const GRID_METRES: f32 = 8.0;
/// How far below the plane the nebula hangs, metres: the further, the slower it passes.
const NEBULA_DEPTH: f32 = 95.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, (spawn_nebula, spawn_stars, spawn_field));
}

fn spawn_nebula(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<Glow>>,
) {
    let image = images.add(nebula(battlefield.arena.config().seed as u32));
    let half_height = 110.0 + battlefield.arena.config().size * 0.5;
    let half_width = half_height * NEBULA_WIDTH as f32 / NEBULA_HEIGHT as f32;
    let corners = [(-1.0, 1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)];
    let mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(
            Mesh::ATTRIBUTE_POSITION,
            corners.map(|(x, z)| [x * half_width, -NEBULA_DEPTH, z * half_height - 55.0]).to_vec(),
        )
        .with_inserted_attribute(
            Mesh::ATTRIBUTE_UV_0,
            corners.map(|(x, z)| [x * 0.5 + 0.5, z * 0.5 + 0.5]).to_vec(),
        )
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, vec![[1.0; 4]; 4])
        .with_inserted_indices(Indices::U32(vec![0, 1, 2, 0, 2, 3]));
    commands.spawn((
        Name::new("nebula"),
        Mesh3d(meshes.add(mesh)),
        MeshMaterial3d(materials.add(Glow { shape: image })),
    ));
}

/// Clouds of gas and, towards a corner, a planet lit from the side.
fn nebula(seed: u32) -> Image {
    let offset = Vec3::new((seed % 97) as f32 * 3.1, (seed % 89) as f32 * 1.7, 0.5);
    let mut data = Vec::with_capacity((NEBULA_WIDTH * NEBULA_HEIGHT * 4) as usize);
    for y in 0..NEBULA_HEIGHT {
        for x in 0..NEBULA_WIDTH {
            let at = Vec2::new(x as f32, y as f32) / NEBULA_HEIGHT as f32;
            let colour = with_planet(gas(at, offset), at);
            let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as u8;
            data.extend([byte(colour.x), byte(colour.y), byte(colour.z), 255]);
        }
    }
    let size = Extent3d { width: NEBULA_WIDTH, height: NEBULA_HEIGHT, depth_or_array_layers: 1 };
    Image::new(
        size,
        TextureDimension::D2,
        data,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    )
}

/// The gas at a point of the picture; colours as sRGB in 0..1.
fn gas(at: Vec2, offset: Vec3) -> Vec3 {
    let point = (at * 2.6).extend(0.0) + offset;
    let warp = Vec3::new(shapes::clouds(point, 3), shapes::clouds(point + Vec3::splat(5.2), 3), 0.0);
    let thick = (shapes::clouds(point + warp * 1.1, 5) * 1.5 + 0.42).clamp(0.0, 1.0);
    let hue = (shapes::clouds(point * 0.7 + Vec3::splat(9.0), 2) * 1.6 + 0.5).clamp(0.0, 1.0);
    let blue = Vec3::new(0.05, 0.13, 0.36);
    let violet = Vec3::new(0.27, 0.07, 0.33);
    let teal = Vec3::new(0.03, 0.24, 0.30);
    let tint = if hue < 0.5 { teal.lerp(blue, hue * 2.0) } else { blue.lerp(violet, hue * 2.0 - 1.0) };
    let lanes = (shapes::clouds(point * 2.1 - warp, 4) * 2.2 + 0.75).clamp(0.25, 1.0);
    tint * (thick * thick.sqrt() * 1.25 * lanes) + Vec3::new(0.010, 0.013, 0.030)
}

/// The gas with the planet before it and the planet's air around it.
fn with_planet(gas: Vec3, at: Vec2) -> Vec3 {
    let (middle, radius) = (Vec2::new(0.42, 0.36), 0.105);
    let from_middle = (at - middle) / radius;
    let distance = from_middle.length();
    let sun = Vec3::new(-0.72, -0.42, 0.55).normalize();
    let normal = from_middle.extend((1.0 - distance * distance).max(0.0).sqrt());
    let day = (normal.dot(sun) * 1.15 + 0.08).clamp(0.0, 1.0);
    let bands = shapes::clouds(Vec3::new(normal.x * 0.9, normal.y * 6.5, normal.z) + Vec3::splat(3.0), 4);
    let land = Vec3::new(0.36, 0.30, 0.42).lerp(Vec3::new(0.66, 0.47, 0.40), bands + 0.5);
    let rim = (1.0 - normal.z).powi(3) * day * 0.9;
    let ground = land * day + Vec3::new(0.25, 0.45, 0.85) * rim;
    let lit = (from_middle.normalize_or_zero().extend(0.0).dot(sun) * 0.8 + 0.2).clamp(0.0, 1.0);
    let air = (1.0 - (distance - 1.0).abs() * 7.0).clamp(0.0, 1.0);
    // The edge is two pixels wide, so that it shows no steps.
    let cover = ((1.0 - distance) * radius * NEBULA_HEIGHT as f32 * 0.5 + 0.5).clamp(0.0, 1.0);
    gas.lerp(ground, cover) + Vec3::new(0.16, 0.30, 0.62) * (air * air * lit)
}

fn spawn_stars(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    mut meshes: ResMut<Assets<Mesh>>,
    atlas: Res<ShapeAtlas>,
) {
    let mut dice = VisualRng::new(battlefield.arena.config().seed as u32 ^ 0x51A2);
    let spread = battlefield.arena.config().size * 0.5;
    let mut stars = Quads::default();
    for _ in 0..STARS {
        let depth = dice.within(8.0, 90.0);
        let (wide, far) = (spread + depth * 1.3, spread + depth);
        let at = Vec3::new(dice.within(-wide, wide), -depth, dice.within(-far * 1.6, far));
        // Few are bright: the square makes most of them dust.
        let size = 0.07 + 0.16 * dice.unit().powi(4) + depth * 0.0016;
        let heat = dice.unit();
        let tint = bright(0.65 + 0.35 * heat, 0.78 + 0.1 * heat, 1.0 - 0.35 * heat, dice.within(0.35, 1.5));
        stars.quad(GlowShape::Spot, at, Vec3::X * size * 1.8, Vec3::new(0.0, 0.5, -0.87) * size * 1.8, tint);
    }
    commands.spawn((
        Name::new("stars"),
        Mesh3d(meshes.add(stars.into_mesh())),
        MeshMaterial3d(atlas.0.clone()),
    ));
}

/// The grid that shows movement and the wall that ships bounce off.
fn spawn_field(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    mut meshes: ResMut<Assets<Mesh>>,
    atlas: Res<ShapeAtlas>,
) {
    let half = battlefield.arena.config().size * 0.5;
    let mut lines = Quads::default();
    let faint = bright(0.10, 0.22, 0.42, 0.22);
    let count = (half * 2.0 / GRID_METRES).floor() as u32;
    for index in 0..=count {
        let at = index as f32 * GRID_METRES - half;
        lines.quad(GlowShape::Beam, Vec3::new(at, -1.2, 0.0), Vec3::X * 0.10, Vec3::Z * half, faint);
        lines.quad(GlowShape::Beam, Vec3::new(0.0, -1.2, at), Vec3::Z * 0.10, Vec3::X * half, faint);
    }
    let wall = bright(0.20, 0.55, 1.0, 0.85);
    let veil = bright(0.10, 0.30, 0.65, 0.22);
    for (outwards, along) in
        [(Vec3::X, Vec3::Z), (Vec3::NEG_X, Vec3::Z), (Vec3::Z, Vec3::X), (Vec3::NEG_Z, Vec3::X)]
    {
        let middle = outwards * half;
        lines.quad(GlowShape::Beam, middle, outwards * 0.28, along * (half + 0.3), wall);
        lines.quad(GlowShape::Beam, middle + Vec3::Y * 0.6, Vec3::Y * 1.6, along * half, veil);
        lines.quad(GlowShape::Beam, middle + outwards * 1.2, outwards * 2.4, along * half, veil * 0.8);
    }
    commands.spawn((
        Name::new("field"),
        Mesh3d(meshes.add(lines.into_mesh())),
        MeshMaterial3d(atlas.0.clone()),
    ));
}
