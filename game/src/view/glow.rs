//! All additive light: bolts, flames, sparks, path lines, stars. Moving ones share one mesh rebuilt each
//! frame.

use bevy::asset::{RenderAssetUsages, embedded_asset};
use bevy::camera::visibility::NoFrustumCulling;
use bevy::mesh::{Indices, MeshVertexBufferLayoutRef, PrimitiveTopology, VertexAttributeValues};
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_resource::{
    AsBindGroup, Extent3d, RenderPipelineDescriptor, SpecializedMeshPipelineError, TextureDimension,
    TextureFormat,
};
use bevy::shader::ShaderRef;

use super::ViewSystems;
use super::camera::Eye;

/// Most quads of one frame; more are left out. 4,096 quads are 0.6 MB of vertices.
const QUADS_MAX: usize = 4_096;
/// Pixels along each edge of one shape in the atlas.
const SHAPE_PIXELS: u32 = 64;
/// Shapes side by side in the atlas.
const SHAPES: u32 = 3;

pub(super) fn plugin(app: &mut App) {
    embedded_asset!(app, "glow.wgsl");
    app.add_plugins(MaterialPlugin::<Glow>::default())
        .init_resource::<Lights>()
        .add_systems(PreStartup, make_shapes)
        .add_systems(Startup, spawn_lights)
        .add_systems(First, forget_lights)
        .add_systems(Update, upload_lights.in_set(ViewSystems::Upload));
}

/// A material that adds its texture times the vertex colours to what is behind it.
#[derive(Asset, AsBindGroup, Clone, Debug, TypePath)]
pub(super) struct Glow {
    #[texture(0)]
    #[sampler(1)]
    pub(super) shape: Handle<Image>,
}

impl Material for Glow {
    fn fragment_shader() -> ShaderRef {
        "embedded://p2c2r_game/view/glow.wgsl".into()
    }
    fn alpha_mode(&self) -> AlphaMode {
        AlphaMode::Add
    }
    fn enable_prepass() -> bool {
        false
    }
    fn enable_shadows() -> bool {
        false
    }
    fn specialize(
        _: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        _: &MeshVertexBufferLayoutRef,
        _: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        // Quads of light are visible from both sides.
        descriptor.primitive.cull_mode = None;
        Ok(())
    }
}

/// Which part of the atlas a quad shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GlowShape {
    /// A soft round spot.
    Spot = 0,
    /// A bright core with a halo, for beams.
    Beam = 1,
    /// A thin ring.
    Ring = 2,
}

/// The atlas's material.
#[derive(Resource)]
pub(super) struct ShapeAtlas(pub(super) Handle<Glow>);

/// The mesh of this frame's lights.
#[derive(Component)]
struct LightMesh(Handle<Mesh>);

/// This frame's lights, as quads.
#[derive(Resource, Default)]
pub(super) struct Lights(pub(super) Quads);

/// A growing list of quads with colours, without those that are outside the picture.
#[derive(Default)]
pub(super) struct Quads {
    positions: Vec<[f32; 3]>,
    uvs: Vec<[f32; 2]>,
    colours: Vec<[f32; 4]>,
    /// The picture's sides as planes, with their fronts inwards: unit normal, and distance of the origin. At first all are
    /// zero, and everything counts as inside.
    sides: [Vec4; 4],
}

impl Quads {
    /// From now on quads outside these [sides](super::camera::sides) are left out: a software renderer has most of its work
    /// with a quad's corners whether or not it is seen.
    pub(super) fn look_within(&mut self, sides: [Vec4; 4]) {
        self.sides = sides;
    }

    /// Whether a part of this ball may be in the picture.
    pub(super) fn may_show(&self, centre: Vec3, radius: f32) -> bool {
        self.sides.iter().all(|side| side.dot(centre.extend(1.0)) >= -radius)
    }

    /// Adds a quad from its centre and its half edges.
    pub(super) fn quad(&mut self, shape: GlowShape, centre: Vec3, right: Vec3, up: Vec3, colour: LinearRgba) {
        // No corner is farther from the centre than the sum of both along each axis.
        if self.positions.len() >= QUADS_MAX * 4 || !self.may_show(centre, (right.abs() + up.abs()).length())
        {
            return;
        }
        // A margin of half a pixel on each side, so that neighbours in the atlas do not bleed in.
        let margin = 0.5 / (SHAPE_PIXELS * SHAPES) as f32;
        let left_u = shape as u32 as f32 / SHAPES as f32 + margin;
        let right_u = (shape as u32 + 1) as f32 / SHAPES as f32 - margin;
        for (x, y) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
            self.positions.push((centre + right * x + up * y).to_array());
            self.uvs.push([if x < 0.0 { left_u } else { right_u }, 0.5 - y * 0.49]);
            self.colours.push(colour.to_f32_array());
        }
    }

    /// Adds a quad that faces the camera.
    pub(super) fn spot(
        &mut self,
        eye: &Eye,
        shape: GlowShape,
        centre: Vec3,
        radius: f32,
        colour: LinearRgba,
    ) {
        self.quad(shape, centre, eye.right * radius, eye.up * radius, colour);
    }

    /// Adds a beam between two points, turned to the camera.
    pub(super) fn beam(&mut self, eye: &Eye, from: Vec3, to: Vec3, half_width: f32, colour: LinearRgba) {
        let along = (to - from) * 0.5;
        let middle = from + along;
        let across = along.cross(middle - eye.position).normalize_or(eye.right) * half_width;
        self.quad(GlowShape::Beam, middle, across, along, colour);
    }

    /// Adds a quad that lies on the plane.
    pub(super) fn flat(&mut self, shape: GlowShape, centre: Vec3, radius: f32, colour: LinearRgba) {
        self.quad(shape, centre, Vec3::X * radius, Vec3::NEG_Z * radius, colour);
    }

    /// Moves the quads into `mesh`, padded with empty ones to a power of two so that buffers are reused. Keeps what the mesh
    /// had, for its allocations, until the quads are cleared.
    pub(super) fn write_to(&mut self, mesh: &mut Mesh) {
        let vertices = (self.positions.len() / 4).next_power_of_two().max(256) * 4;
        self.positions.resize(vertices, [0.0; 3]);
        self.uvs.resize(vertices, [0.0; 2]);
        self.colours.resize(vertices, [0.0; 4]);
        if mesh.count_vertices() != vertices {
            let quads = 0..(vertices / 4) as u32;
            let corners = quads.flat_map(|quad| [0, 1, 2, 0, 2, 3].map(|corner| quad * 4 + corner));
            mesh.insert_indices(Indices::U32(corners.collect()));
        }
        match mesh.attribute_mut(Mesh::ATTRIBUTE_POSITION) {
            Some(VertexAttributeValues::Float32x3(last)) => std::mem::swap(last, &mut self.positions),
            _ => mesh.insert_attribute(Mesh::ATTRIBUTE_POSITION, std::mem::take(&mut self.positions)),
        }
        match mesh.attribute_mut(Mesh::ATTRIBUTE_UV_0) {
            Some(VertexAttributeValues::Float32x2(last)) => std::mem::swap(last, &mut self.uvs),
            _ => mesh.insert_attribute(Mesh::ATTRIBUTE_UV_0, std::mem::take(&mut self.uvs)),
        }
        match mesh.attribute_mut(Mesh::ATTRIBUTE_COLOR) {
            Some(VertexAttributeValues::Float32x4(last)) => std::mem::swap(last, &mut self.colours),
            _ => mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, std::mem::take(&mut self.colours)),
        }
    }

    /// The quads as a mesh of their own.
    pub(super) fn into_mesh(mut self) -> Mesh {
        let mut mesh = empty_mesh();
        self.write_to(&mut mesh);
        mesh
    }

    /// Number of quads.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.positions.len() / 4
    }

    /// Removes all quads, and keeps the allocation.
    pub(super) fn clear(&mut self) {
        self.positions.clear();
        self.uvs.clear();
        self.colours.clear();
    }
}

/// A mesh without quads.
pub(super) fn empty_mesh() -> Mesh {
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, Vec::<[f32; 3]>::new())
}

/// A colour whose parts may exceed 1, which the glow pass then spreads.
pub(super) fn bright(red: f32, green: f32, blue: f32, brightness: f32) -> LinearRgba {
    LinearRgba::new(red * brightness, green * brightness, blue * brightness, 1.0)
}

fn make_shapes(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<Glow>>,
) {
    let (width, height) = (SHAPE_PIXELS * SHAPES, SHAPE_PIXELS);
    let mut data = Vec::with_capacity((width * height * 4) as usize);
    for y in 0..height {
        for x in 0..width {
            let at = Vec2::new((x % SHAPE_PIXELS) as f32 + 0.5, y as f32 + 0.5) / (SHAPE_PIXELS as f32 / 2.0)
                - Vec2::ONE;
            let strength = match x / SHAPE_PIXELS {
                0 => spot(at.length()),
                1 => beam(at),
                _ => ring(at.length()),
            };
            data.extend([255, 255, 255, (strength.clamp(0.0, 1.0) * 255.0) as u8]);
        }
    }
    let image = Image::new(
        Extent3d { width, height, depth_or_array_layers: 1 },
        TextureDimension::D2,
        data,
        TextureFormat::Rgba8Unorm,
        RenderAssetUsages::RENDER_WORLD,
    );
    let material = materials.add(Glow { shape: images.add(image) });
    commands.insert_resource(ShapeAtlas(material));
}

fn spot(distance: f32) -> f32 {
    let falloff = (1.0 - distance).max(0.0);
    falloff * falloff * (0.35 + 0.65 * falloff)
}

fn beam(at: Vec2) -> f32 {
    let across = (1.0 - at.x.abs()).max(0.0);
    let ends = (1.0 - at.y.abs().powi(4)).max(0.0);
    let core = ((0.28 - at.x.abs()) / 0.12).clamp(0.0, 1.0);
    (across.powi(3) * 0.5 + core * 0.5) * ends
}

fn ring(distance: f32) -> f32 {
    let outside = ((0.96 - distance) / 0.08).clamp(0.0, 1.0);
    let inside = ((distance - 0.45) / 0.47).clamp(0.0, 1.0);
    outside * inside.powi(3)
}

fn spawn_lights(mut commands: Commands, mut meshes: ResMut<Assets<Mesh>>, atlas: Res<ShapeAtlas>) {
    let mesh = meshes.add(Quads::default().into_mesh());
    commands.spawn((
        Name::new("lights"),
        Mesh3d(mesh.clone()),
        MeshMaterial3d(atlas.0.clone()),
        LightMesh(mesh),
        NoFrustumCulling,
    ));
}

fn forget_lights(mut lights: ResMut<Lights>) {
    lights.0.clear();
}

fn upload_lights(mut lights: ResMut<Lights>, holder: Single<&LightMesh>, mut meshes: ResMut<Assets<Mesh>>) {
    if let Some(mut mesh) = meshes.get_mut(&holder.0) {
        lights.0.write_to(&mut mesh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(mesh: &Mesh) -> Vec<[f32; 3]> {
        mesh.attribute(Mesh::ATTRIBUTE_POSITION).unwrap().as_float3().unwrap().to_vec()
    }

    #[test]
    fn a_mesh_has_this_frames_quads_and_none_of_earlier_ones() {
        let (mut mesh, mut quads) = (Quads::default().into_mesh(), Quads::default());
        for count in [3, 700, 1, 0, 5] {
            quads.clear();
            for number in 0..count {
                quads.flat(GlowShape::Spot, Vec3::new(number as f32, 0.0, 0.0), 0.5, LinearRgba::WHITE);
            }
            quads.write_to(&mut mesh);
            let positions = positions(&mesh);
            let padded = usize::max(256, usize::next_power_of_two(count)) * 4;
            assert_eq!(positions.len(), padded);
            assert_eq!(mesh.indices().map(Indices::len), Some(padded / 4 * 6));
            for (number, quad) in positions.chunks(4).enumerate() {
                let middle = quad.iter().map(|corner| corner[0]).sum::<f32>() / 4.0;
                assert_eq!(
                    middle,
                    if number < count { number as f32 } else { 0.0 },
                    "quad {number} of {count}"
                );
            }
            for attribute in [Mesh::ATTRIBUTE_UV_0, Mesh::ATTRIBUTE_COLOR] {
                assert_eq!(mesh.attribute(attribute).map(VertexAttributeValues::len), Some(padded));
            }
        }
    }
}
