//! The background of each sector: a nebula with a planet, stars at many depths, the arena's grid and its
//! wall.

use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on};

use super::ViewSystems;
use super::glow::{Glow, GlowShape, Quads, ShapeAtlas, bright};
use super::shapes::{self, VisualRng};
use crate::play::{Battlefield, Scenery};

/// Pixels of the nebula's picture; it is soft, so few are enough.
const NEBULA_WIDTH: u32 = 640;
const NEBULA_HEIGHT: u32 = 400;
/// How many stars are drawn.
const STARS: u32 = 1_100;
/// Metres between two lines of the grid.
const GRID_METRES: f32 = 8.0;
/// How far below the plane the nebula is, metres: the further, the slower it moves.
const NEBULA_DEPTH: f32 = 95.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_backdrop).add_systems(Update, follow_sector.in_set(ViewSystems::Live));
}

/// The hue of the sector's star, its largest part 1.
fn hue_of(scenery: Scenery) -> Vec3 {
    let star = Vec3::from(scenery.star.map(f32::from));
    star / star.max_element().max(1.0)
}

/// The backdrop that is shown, and the next one while its nebula is being painted.
#[derive(Resource)]
struct Backdrop {
    shown: Scenery,
    nebula: Handle<Glow>,
    stars: Handle<Mesh>,
    field: Handle<Mesh>,
    painting: Option<(Scenery, Task<Vec<u8>>)>,
    painted: Option<(Scenery, Vec<u8>)>,
}

fn spawn_backdrop(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    atlas: Res<ShapeAtlas>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<Glow>>,
) {
    let arena = &battlefield.arena;
    let shown = Scenery::of(arena.sector(), arena);
    let nebula = materials.add(Glow { shape: images.add(picture(paint_nebula(shown))) });
    let stars = meshes.add(stars(shown).into_mesh());
    let field = meshes.add(field(shown).into_mesh());
    let canvas = meshes.add(canvas(shown.size));
    commands.spawn((Name::new("nebula"), Mesh3d(canvas), MeshMaterial3d(nebula.clone())));
    commands.spawn((Name::new("stars"), Mesh3d(stars.clone()), MeshMaterial3d(atlas.0.clone())));
    commands.spawn((Name::new("field"), Mesh3d(field.clone()), MeshMaterial3d(atlas.0.clone())));
    commands.insert_resource(Backdrop { shown, nebula, stars, field, painting: None, painted: None });
}

/// Paints the nebula of a warp's target on another thread, and shows it from the jump on.
fn follow_sector(
    battlefield: Res<Battlefield>,
    backdrop: ResMut<Backdrop>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<Glow>>,
) {
    let arena = &battlefield.arena;
    let here = Scenery::of(arena.sector(), arena);
    let wanted = arena.warp_ticks().map_or(here, |_| Scenery::of(&arena.next_sector(), arena));
    if wanted == backdrop.shown && here == backdrop.shown {
        return;
    }
    let backdrop = backdrop.into_inner();
    let is_there = backdrop.painted.as_ref().is_some_and(|(scenery, _)| *scenery == wanted);
    let comes = backdrop.painting.as_ref().is_some_and(|(scenery, _)| *scenery == wanted);
    if !is_there && !comes {
        let task = AsyncComputeTaskPool::get().spawn(async move { paint_nebula(wanted) });
        backdrop.painting = Some((wanted, task));
    }
    if let Some((scenery, task)) = backdrop.painting.take_if(|(_, task)| task.is_finished()) {
        backdrop.painted = Some((scenery, block_on(task)));
    }
    if here == backdrop.shown {
        return;
    }
    let Some((_, data)) = backdrop.painted.take_if(|(scenery, _)| *scenery == here) else { return };
    if let Some(mut material) = materials.get_mut(&backdrop.nebula) {
        material.shape = images.add(picture(data));
    }
    for (handle, quads) in [(&backdrop.stars, stars(here)), (&backdrop.field, field(here))] {
        if let Some(mut mesh) = meshes.get_mut(handle) {
            *mesh = quads.into_mesh();
        }
    }
    backdrop.shown = here;
}

/// The mesh that shows the nebula.
fn canvas(size: f32) -> Mesh {
    let half_height = 110.0 + size * 0.5;
    let half_width = half_height * NEBULA_WIDTH as f32 / NEBULA_HEIGHT as f32;
    let corners = [(-1.0, 1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)];
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(
            Mesh::ATTRIBUTE_POSITION,
            corners.map(|(x, z)| [x * half_width, -NEBULA_DEPTH, z * half_height - 55.0]).to_vec(),
        )
        .with_inserted_attribute(
            Mesh::ATTRIBUTE_UV_0,
            corners.map(|(x, z)| [x * 0.5 + 0.5, z * 0.5 + 0.5]).to_vec(),
        )
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, vec![[1.0; 4]; 4])
        .with_inserted_indices(Indices::U32(vec![0, 1, 2, 0, 2, 3]))
}

/// Clouds of gas in the star's light and, towards a corner, a planet lit from the side: rows of red, green,
/// blue and alpha.
fn paint_nebula(scenery: Scenery) -> Vec<u8> {
    let seed = scenery.seed as u32;
    let offset = Vec3::new((seed % 97) as f32 * 3.1, (seed % 89) as f32 * 1.7, 0.5);
    let hue = hue_of(scenery);
    // Half of the gas's light is the star's.
    let tint = (hue * hue * 1.6).lerp(Vec3::ONE, 0.5);
    let mut dice = VisualRng::new(seed ^ 0x2E11);
    let planet = Planet {
        middle: Vec2::new(dice.within(0.3, 1.25), dice.within(0.28, 0.42)),
        radius: dice.within(0.07, 0.14),
        land: Vec3::new(dice.within(0.3, 0.7), dice.within(0.3, 0.55), dice.within(0.3, 0.6)),
        light: hue,
    };
    let mut data = Vec::with_capacity((NEBULA_WIDTH * NEBULA_HEIGHT * 4) as usize);
    for y in 0..NEBULA_HEIGHT {
        for x in 0..NEBULA_WIDTH {
            let at = Vec2::new(x as f32, y as f32) / NEBULA_HEIGHT as f32;
            let colour = planet.before(gas(at, offset) * tint, at);
            let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as u8;
            data.extend([byte(colour.x), byte(colour.y), byte(colour.z), 255]);
        }
    }
    data
}

fn picture(data: Vec<u8>) -> Image {
    let size = Extent3d { width: NEBULA_WIDTH, height: NEBULA_HEIGHT, depth_or_array_layers: 1 };
    let format = TextureFormat::Rgba8UnormSrgb;
    Image::new(size, TextureDimension::D2, data, format, RenderAssetUsages::RENDER_WORLD)
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

/// A planet in the nebula's picture; place and radius in units of the picture's height.
struct Planet {
    middle: Vec2,
    radius: f32,
    /// Colour of its ground.
    land: Vec3,
    /// Colour of the star's light.
    light: Vec3,
}

impl Planet {
    /// The gas with the planet and its atmosphere in front of it.
    fn before(&self, gas: Vec3, at: Vec2) -> Vec3 {
        let from_middle = (at - self.middle) / self.radius;
        let distance = from_middle.length();
        let sun = Vec3::new(-0.72, -0.42, 0.55).normalize();
        let normal = from_middle.extend((1.0 - distance * distance).max(0.0).sqrt());
        let day = (normal.dot(sun) * 1.15 + 0.08).clamp(0.0, 1.0);
        let bands = shapes::clouds(Vec3::new(normal.x * 0.9, normal.y * 6.5, normal.z) + Vec3::splat(3.0), 4);
        let ground = (self.land * 0.75).lerp(self.land * 1.3, bands + 0.5) * self.light * day;
        let rim = (1.0 - normal.z).powi(3) * day * 0.9;
        let ground = ground + Vec3::new(0.25, 0.45, 0.85) * rim;
        let lit = (from_middle.normalize_or_zero().extend(0.0).dot(sun) * 0.8 + 0.2).clamp(0.0, 1.0);
        let air = (1.0 - (distance - 1.0).abs() * 7.0).clamp(0.0, 1.0);
        // The edge is two pixels wide, against aliasing.
        let cover = ((1.0 - distance) * self.radius * NEBULA_HEIGHT as f32 * 0.5 + 0.5).clamp(0.0, 1.0);
        gas.lerp(ground, cover) + Vec3::new(0.16, 0.30, 0.62) * (air * air * lit)
    }
}

/// Stars at many depths, some of them in the hue of the sector's own.
fn stars(scenery: Scenery) -> Quads {
    let mut dice = VisualRng::new(scenery.seed as u32 ^ 0x51A2);
    let spread = scenery.size * 0.5;
    let hue = hue_of(scenery);
    let mut stars = Quads::default();
    for _ in 0..STARS {
        let depth = dice.within(8.0, 90.0);
        let (wide, far) = (spread + depth * 1.3, spread + depth);
        let at = Vec3::new(dice.within(-wide, wide), -depth, dice.within(-far * 1.6, far));
        // The power makes most stars dust and few bright.
        let size = 0.07 + 0.16 * dice.unit().powi(4) + depth * 0.0016;
        let heat = dice.unit();
        let white = Vec3::new(0.65 + 0.35 * heat, 0.78 + 0.1 * heat, 1.0 - 0.35 * heat);
        let [red, green, blue] = (white * Vec3::ONE.lerp(hue, 0.6)).to_array();
        let tint = bright(red, green, blue, dice.within(0.35, 1.5));
        stars.quad(GlowShape::Spot, at, Vec3::X * size * 1.8, Vec3::new(0.0, 0.5, -0.87) * size * 1.8, tint);
    }
    stars
}

/// The grid that shows movement and the wall that ships bounce off.
fn field(scenery: Scenery) -> Quads {
    let half = scenery.size * 0.5;
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
    lines
}
