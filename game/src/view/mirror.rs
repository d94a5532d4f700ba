//! The cube maps that polished surfaces reflect: each new outcome is blended in until the next comes, and the
//! present blend is written into permanent textures, one for each ship with light of its own.
//!
//! Blending here rather than in the shader costs a few thousand multiplications a frame and saves a software
//! renderer a second look-up per pixel. Writing into the existing texture, rather than giving the engine a
//! changed image, keeps every level (the engine would write only the first) and every bind group.

use bevy::asset::RenderAssetUsages;
use bevy::image::{ImageSampler, ImageSamplerDescriptor};
use bevy::prelude::*;
use bevy::render::render_asset::RenderAssets;
use bevy::render::render_resource::{
    Extent3d, Origin3d, TexelCopyBufferLayout, TexelCopyTextureInfo, TextureAspect, TextureDescriptor,
    TextureDimension, TextureFormat, TextureUsages, TextureViewDescriptor, TextureViewDimension,
};
use bevy::render::renderer::RenderQueue;
use bevy::render::texture::GpuImage;
use bevy::render::{Extract, ExtractSchedule, Render, RenderApp, RenderSystems};
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on};
use p2c2r_offload::LastOutcome;
use p2c2r_tasks::reflection::{CubeMap, FACES, Probe, Reflection};

use super::ViewSystems;
use super::lighting::Lit;
use super::ship_mirrors::ShipMirrors;
use crate::play::{MirroredShip, Reflecting, SHIPS_MAX};

/// Coefficients of the irradiance.
pub(super) const HARMONICS: usize = 9;
/// Bytes of a texel.
const TEXEL_BYTES: usize = 8;
/// Seconds of the fade of reflections when they are switched.
const SWITCH_SECONDS: f32 = 0.35;
/// Shortest and longest blend from one traced light to the next, seconds: fast enough to follow, slow enough
/// not to flicker.
const BLEND_SECONDS: (f32, f32) = (0.06, 0.5);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Mirror>()
        .add_systems(Update, (take_light, turn_mirror).chain().in_set(ViewSystems::Live));
    if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
        render_app
            .init_resource::<Uploads>()
            .add_systems(ExtractSchedule, extract_uploads)
            .add_systems(Render, write_textures.in_set(RenderSystems::PrepareResources));
    }
}

/// A black image for a cube map with this face and these levels. Made once: a material keeps the texture that
/// it found first.
pub(super) fn black_cube_map(face: u32, levels: u32) -> Image {
    let texels: u32 = (0..levels).map(|level| (face >> level).max(1).pow(2)).sum();
    let mut image = Image {
        data: Some(vec![0; FACES * texels as usize * TEXEL_BYTES]),
        texture_descriptor: TextureDescriptor {
            label: Some("mirror"),
            size: Extent3d { width: face, height: face, depth_or_array_layers: FACES as u32 },
            mip_level_count: levels,
            sample_count: 1,
            dimension: TextureDimension::D2,
            format: TextureFormat::Rgba16Float,
            usage: TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST,
            view_formats: &[],
        },
        sampler: ImageSampler::Descriptor(ImageSamplerDescriptor::linear()),
        asset_usage: RenderAssetUsages::RENDER_WORLD,
        ..default()
    };
    image.texture_view_descriptor =
        Some(TextureViewDescriptor { dimension: Some(TextureViewDimension::Cube), ..default() });
    image
}

/// Light around a point.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// From sharp to rough, each half the size of the one before.
    pub(super) levels: Vec<CubeMap>,
    /// Irradiance over π, as the shader's polynomial.
    pub(super) irradiance: [[f32; 3]; HARMONICS],
}

impl Around {
    /// `self` becomes the blend of `from` and `to`, which have the same levels.
    fn blend(&mut self, from: &Self, to: &Self, share: f32) {
        let mix = |from: f32, to: f32| from + (to - from) * share;
        for (level, (from, to)) in self.levels.iter_mut().zip(from.levels.iter().zip(&to.levels)) {
            let texels = level.texels_mut().as_flattened_mut();
            let both = from.texels().as_flattened().iter().zip(to.texels().as_flattened());
            for (texel, (from, to)) in texels.iter_mut().zip(both) {
                *texel = mix(*from, *to);
            }
        }
        let both = from.irradiance.as_flattened().iter().zip(to.irradiance.as_flattened());
        for (part, (from, to)) in self.irradiance.as_flattened_mut().iter_mut().zip(both) {
            *part = mix(*from, *to);
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let sizes = |around: &Self| around.levels.iter().map(CubeMap::face).collect::<Vec<_>>();
        sizes(self) == sizes(other)
    }
}

/// The light around the player's ship, which polished surfaces reflect.
#[derive(Resource, Default)]
pub(super) struct Mirror {
    /// Whether reflections are wanted.
    pub(super) wanted: bool,
    strength: f32,
    shown: Shown,
}

/// The light around a ship as shown, blending to the newest.
#[derive(Default)]
pub(super) struct Shown {
    turn: Option<Turn>,
    since_last: f32,
    bytes: Vec<u8>,
    written: u64,
}

/// The blend from one light to the next.
struct Turn {
    from: Around,
    to: Around,
    shown: Around,
    share: f32,
    seconds: f32,
}

impl Mirror {
    /// Weight of reflections in the picture, 0 to 1.
    pub(super) fn strength(&self) -> f32 {
        self.strength * self.strength * (3.0 - 2.0 * self.strength)
    }

    /// Index of the roughest level.
    pub(super) fn level_max(&self) -> f32 {
        self.shown.turn.as_ref().map_or(0.0, |turn| turn.shown.levels.len().saturating_sub(1) as f32)
    }

    /// Irradiance over π of the present light.
    pub(super) fn irradiance(&self) -> [Vec4; HARMONICS] {
        let zero = [[0.0; 3]; HARMONICS];
        let irradiance = self.shown.turn.as_ref().map_or(zero, |turn| turn.shown.irradiance);
        irradiance.map(|part| Vec3::from_array(part).extend(0.0))
    }

    fn advance(&mut self, delta: f32) {
        self.shown.advance(delta);
        let goal = if self.wanted && self.shown.turn.is_some() { 1.0 } else { 0.0 };
        let step = delta / SWITCH_SECONDS;
        self.strength += (goal - self.strength).clamp(-step, step);
    }
}

impl Shown {
    /// Begins a blend to newly traced light, of the time since the last came.
    pub(super) fn turn_to(&mut self, to: Around) {
        let seconds = self.since_last.clamp(BLEND_SECONDS.0, BLEND_SECONDS.1);
        self.since_last = 0.0;
        self.turn = Some(match self.turn.take() {
            Some(turn) if turn.shown.is_like(&to) => {
                Turn { from: turn.shown.clone(), to, shown: turn.shown, share: 0.0, seconds }
            }
            _ => Turn { from: to.clone(), shown: to.clone(), to, share: 0.0, seconds },
        });
    }

    /// Shows nothing until the next light comes, which is not blended.
    pub(super) fn forget(&mut self) {
        self.turn = None;
        self.bytes.clear();
    }

    #[cfg(test)]
    pub(super) fn brightest(&self) -> f32 {
        let levels = self.turn.iter().flat_map(|turn| &turn.shown.levels);
        levels.flat_map(|level| level.texels().as_flattened()).copied().fold(0.0, f32::max)
    }

    /// Advances by `delta` seconds.
    pub(super) fn advance(&mut self, delta: f32) {
        self.since_last += delta;
        let Some(turn) = &mut self.turn else { return };
        // The first light is written once, without a blend.
        let first = self.bytes.is_empty();
        if turn.share >= 1.0 && !first {
            return;
        }
        turn.share = (turn.share + delta / turn.seconds).min(1.0);
        let Turn { from, to, shown, share, .. } = turn;
        shown.blend(from, to, *share);
        let count = shown.levels.iter().map(|level| level.texels().len()).sum::<usize>();
        self.bytes.resize(count * TEXEL_BYTES, 0);
        let mut bytes = self.bytes.chunks_exact_mut(TEXEL_BYTES);
        for level in &shown.levels {
            for (texel, bytes) in level.texels().iter().zip(&mut bytes) {
                let [red, green, blue] = texel.map(half);
                let all = u64::from(red) | u64::from(green) << 16 | u64::from(blue) << 32;
                bytes.copy_from_slice(&all.to_le_bytes());
            }
        }
        self.written += 1;
    }
}

/// The half-precision float nearest to a number that is not negative.
fn half(value: f32) -> u16 {
    const MAX: f32 = 65_504.0;
    // Scaled by 2^-112, an f32 has the exponent of a half, and its upper bits are the half's, rounded.
    let scaled = value.clamp(0.0, MAX) * f32::from_bits((127 - 112) << 23);
    ((scaled.to_bits() + 0x1000) >> 13) as u16
}

/// Unfolds each newest outcome on another thread, because that takes a millisecond or two, and begins to
/// blend to it: for the player's ship, and for the others of the task.
fn take_light(
    last: Res<LastOutcome<Reflection>>,
    reflecting: Res<Reflecting>,
    mut mirror: ResMut<Mirror>,
    mut others: ResMut<ShipMirrors>,
    mut unfolding: Local<Option<(Vec<MirroredShip>, Task<Option<Vec<Around>>>)>>,
) {
    mirror.wanted = reflecting.enabled;
    if last.is_changed()
        && let (Some(outcome), Some(task)) = (last.outcome().cloned(), last.task())
    {
        let unfolded = AsyncComputeTaskPool::get().spawn(async move {
            let probes = outcome
                .unfold()
                .inspect_err(|error| tracing::error!(%error, "a reflection is not shown"))
                .ok()?;
            let around = |probe: Probe| Around { levels: probe.levels, irradiance: probe.irradiance };
            Some(probes.into_iter().map(around).collect())
        });
        // An outcome that is still being unfolded is older, so it is dropped.
        *unfolding = Some((reflecting.ships_of(task).to_vec(), unfolded));
    }
    if let Some((ships, task)) = unfolding.take_if(|(_, task)| task.is_finished())
        && let Some(brought) = block_on(task)
    {
        let mut brought = brought.into_iter();
        if let Some(around) = brought.next() {
            mirror.shown.turn_to(around);
        }
        others.turn_to(ships.into_iter().zip(brought));
    }
}

/// In real time, so that the switch works in a paused game too.
fn turn_mirror(time: Res<Time<Real>>, mut mirror: ResMut<Mirror>, mut others: ResMut<ShipMirrors>) {
    mirror.advance(time.delta_secs());
    others.advance(time.delta_secs());
}

/// The writes of this frame, in the render world: the texture of the player's ship, then the others'.
#[derive(Resource, Default)]
struct Uploads(Vec<Upload>);

/// The data of one texture.
#[derive(Default)]
struct Upload {
    bytes: Vec<u8>,
    texture: Option<AssetId<Image>>,
    seen: u64,
    due: bool,
}

impl Upload {
    fn follow(&mut self, shown: &Shown, texture: AssetId<Image>) {
        if shown.written != self.seen {
            self.seen = shown.written;
            self.texture = Some(texture);
            self.bytes.clone_from(&shown.bytes);
            self.due = !shown.bytes.is_empty();
        }
    }
}

fn extract_uploads(
    mut uploads: ResMut<Uploads>,
    mirror: Extract<Res<Mirror>>,
    others: Extract<Res<ShipMirrors>>,
    lit: Extract<Res<Lit>>,
) {
    uploads.0.resize_with(1 + SHIPS_MAX, Upload::default);
    let all = std::iter::once((&mirror.shown, lit.mirror.id())).chain(others.shown());
    for (upload, (shown, texture)) in uploads.0.iter_mut().zip(all) {
        upload.follow(shown, texture);
    }
}

fn write_textures(
    mut uploads: ResMut<Uploads>,
    images: Res<RenderAssets<GpuImage>>,
    queue: Res<RenderQueue>,
) {
    for upload in &mut uploads.0 {
        write_texture(upload, &images, &queue);
    }
}

fn write_texture(upload: &mut Upload, images: &RenderAssets<GpuImage>, queue: &RenderQueue) {
    let Some(image) = upload.texture.filter(|_| upload.due).and_then(|id| images.get(id)) else { return };
    let descriptor = &image.texture_descriptor;
    let (face, levels) = (descriptor.size.width, descriptor.mip_level_count);
    let level_bytes = |level: u32| FACES * ((face >> level).max(1) as usize).pow(2) * TEXEL_BYTES;
    // Light of another size is not shown: only a cheating coordinator sends any.
    if (0..levels).map(level_bytes).sum::<usize>() != upload.bytes.len() {
        return;
    }
    let mut from = 0;
    for level in 0..levels {
        let size = (face >> level).max(1);
        queue.write_texture(
            TexelCopyTextureInfo {
                texture: &image.texture,
                mip_level: level,
                origin: Origin3d::ZERO,
                aspect: TextureAspect::All,
            },
            &upload.bytes[from..from + level_bytes(level)],
            TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(size * TEXEL_BYTES as u32),
                rows_per_image: Some(size),
            },
            Extent3d { width: size, height: size, depth_or_array_layers: FACES as u32 },
        );
        from += level_bytes(level);
    }
    upload.due = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(light: f32) -> Around {
        let mut levels = vec![CubeMap::black(2), CubeMap::black(1)];
        for level in &mut levels {
            level.texels_mut().fill([light; 3]);
        }
        Around { levels, irradiance: [[light; 3]; HARMONICS] }
    }

    #[test]
    fn halves_are_those_of_the_standard() {
        for (value, bits) in [
            (0.0, 0),
            (1.0, 0x3c00),
            (0.5, 0x3800),
            (2.0, 0x4000),
            (65_504.0, 0x7bff),
            (1e9, 0x7bff),
            (6.103_515_6e-5, 0x0400),
            (5.960_464_5e-8, 0x0001),
            (-3.0, 0),
            (1.0 + 1.0 / 1_024.0, 0x3c01),
        ] {
            assert_eq!(half(value), bits, "{value}");
        }
    }

    #[test]
    fn one_light_turns_into_the_next_without_a_jump() {
        let mut mirror = Mirror { wanted: true, ..default() };
        mirror.shown.turn_to(around(1.0));
        mirror.advance(0.2);
        assert_eq!(mirror.irradiance()[0].x, 1.0, "the first light is there at once");
        mirror.shown.turn_to(around(3.0));
        let mut last = 1.0;
        for _ in 0..4 {
            mirror.advance(0.05);
            let now = mirror.irradiance()[0].x;
            assert!(now > last && now - last < 0.6, "{last} to {now}");
            last = now;
        }
        assert!((last - 3.0).abs() < 1e-4);
        // A third light that comes early blends from what is shown.
        mirror.shown.turn_to(around(0.0));
        mirror.advance(0.001);
        assert!((mirror.irradiance()[0].x - 3.0).abs() < 0.1);
        // The bytes are those of what is shown: all texels alike, four halves each.
        assert_eq!(mirror.shown.bytes.len(), (6 * 4 + 6) * TEXEL_BYTES);
    }

    #[test]
    fn light_of_another_size_replaces_what_is_shown() {
        let mut mirror = Mirror::default();
        mirror.shown.turn_to(around(1.0));
        mirror.advance(0.1);
        let mut larger = around(5.0);
        larger.levels = vec![CubeMap::black(4)];
        mirror.shown.turn_to(larger);
        mirror.advance(0.01);
        assert_eq!(mirror.irradiance()[0].x, 5.0);
        assert_eq!(mirror.shown.bytes.len(), 6 * 16 * TEXEL_BYTES);
        assert_eq!(mirror.level_max(), 0.0);
    }

    #[test]
    fn switched_off_it_fades_and_is_gone() {
        let mut mirror = Mirror { wanted: true, ..default() };
        mirror.advance(1.0);
        assert_eq!(mirror.strength(), 0.0, "there is no light to show yet");
        mirror.shown.turn_to(around(1.0));
        mirror.advance(SWITCH_SECONDS * 0.5);
        assert!((mirror.strength() - 0.5).abs() < 0.01);
        mirror.advance(1.0);
        assert_eq!(mirror.strength(), 1.0);
        mirror.wanted = false;
        mirror.advance(1.0);
        assert_eq!(mirror.strength(), 0.0);
    }
}
