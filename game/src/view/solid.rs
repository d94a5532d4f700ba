//! The material of everything that is lit: its own colours, the shared [`Lighting`](super::lighting), the
//! [field](super::field)'s light on the object, and for polished surfaces also the reflection of the
//! surroundings.

use bevy::asset::embedded_asset;
use bevy::ecs::system::SystemParamItem;
use bevy::ecs::system::lifetimeless::SRes;
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_asset::RenderAssets;
use bevy::render::render_resource::binding_types::{sampler, texture_cube, uniform_buffer_sized};
use bevy::render::render_resource::encase::UniformBuffer;
use bevy::render::render_resource::{
    AsBindGroup, AsBindGroupError, BindGroupLayout, BindGroupLayoutEntries, BindGroupLayoutEntry,
    BindingResources, BufferInitDescriptor, BufferUsages, OwnedBindingResource, RenderPipelineDescriptor,
    SamplerBindingType, ShaderStages, ShaderType, SpecializedMeshPipelineError, TextureSampleType,
    TextureViewDimension, UnpreparedBindGroup,
};
use bevy::render::renderer::RenderDevice;
use bevy::render::storage::{GpuShaderBuffer, ShaderBuffer};
use bevy::render::texture::GpuImage;
use bevy::shader::ShaderRef;

use super::field::ObjectLights;
use super::lighting::{Lighting, Lit};

pub(super) fn plugin(app: &mut App) {
    embedded_asset!(app, "solid.wgsl");
    app.add_plugins(MaterialPlugin::<Solid>::default());
}

/// The properties of a lit surface. Its colours are its mesh's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Matter {
    /// Strength of the highlight and the rim, 0 to 1.
    pub(super) shine: f32,
    /// Share of metal: how much of the surroundings it reflects, in its own colour. 0 reflects nothing, and
    /// its shader then has no look-up.
    pub(super) metal: f32,
    /// Perceptual roughness of the mirror, 0 to 1.
    pub(super) roughness: f32,
    /// Emitted light.
    pub(super) emission: Vec3,
}

/// A lit surface.
#[derive(Asset, Clone, Debug, TypePath)]
pub(super) struct Solid {
    surface: Surface,
    lighting: Handle<ShaderBuffer>,
    objects: Handle<ShaderBuffer>,
    mirror: Handle<Image>,
}

/// The shader's data of one surface.
#[derive(Clone, Debug, Default, ShaderType)]
struct Surface {
    emission: Vec4,
    finish: Vec4,
}

impl Solid {
    /// A surface in this light, which reflects the light around the player's ship.
    pub(super) fn new(matter: Matter, lit: &Lit) -> Self {
        Self::mirroring(matter, lit, lit.mirror.clone(), 0.0)
    }

    /// A surface in this light that reflects its own cube map.
    pub(super) fn with_own_mirror(matter: Matter, lit: &Lit, mirror: Handle<Image>) -> Self {
        Self::mirroring(matter, lit, mirror, 1.0)
    }

    /// The cube map that it reflects.
    #[cfg(test)]
    pub(super) fn mirror(&self) -> &Handle<Image> {
        &self.mirror
    }

    fn mirroring(matter: Matter, lit: &Lit, mirror: Handle<Image>, own: f32) -> Self {
        let surface = Surface {
            emission: matter.emission.extend(0.0),
            finish: Vec4::new(matter.shine, matter.metal, matter.roughness, own),
        };
        Self { surface, lighting: lit.lighting.clone(), objects: lit.objects.clone(), mirror }
    }
}

/// Written by hand because the derived one gives each material a copy of its uniforms, and the shared ones
/// change in every frame: one buffer for all is written without touching a material.
impl AsBindGroup for Solid {
    /// Whether it reflects.
    type Data = bool;
    type Param = (SRes<RenderAssets<GpuImage>>, SRes<RenderAssets<GpuShaderBuffer>>);

    fn label() -> &'static str {
        "solid"
    }

    fn bind_group_data(&self) -> bool {
        self.surface.finish.y > 0.0
    }

    fn unprepared_bind_group(
        &self,
        _: &BindGroupLayout,
        device: &RenderDevice,
        (images, buffers): &mut SystemParamItem<'_, '_, Self::Param>,
        _: bool,
    ) -> Result<UnpreparedBindGroup, AsBindGroupError> {
        let lighting = buffers.get(&self.lighting).ok_or(AsBindGroupError::RetryNextUpdate)?;
        let objects = buffers.get(&self.objects).ok_or(AsBindGroupError::RetryNextUpdate)?;
        let mirror = images.get(&self.mirror).ok_or(AsBindGroupError::RetryNextUpdate)?;
        let mut bytes = UniformBuffer::new(Vec::new());
        bytes.write(&self.surface).map_err(|_| AsBindGroupError::RetryNextUpdate)?;
        let surface = device.create_buffer_with_data(&BufferInitDescriptor {
            label: Some("solid surface"),
            contents: bytes.as_ref(),
            usage: BufferUsages::UNIFORM,
        });
        Ok(UnpreparedBindGroup {
            bindings: BindingResources(vec![
                (0, OwnedBindingResource::Buffer(surface)),
                (1, OwnedBindingResource::Buffer(lighting.buffer.clone())),
                (
                    2,
                    OwnedBindingResource::TextureView(
                        TextureViewDimension::Cube,
                        mirror.texture_view.clone(),
                    ),
                ),
                (3, OwnedBindingResource::Sampler(SamplerBindingType::Filtering, mirror.sampler.clone())),
                (4, OwnedBindingResource::Buffer(objects.buffer.clone())),
            ]),
        })
    }

    fn bind_group_layout_entries(_: &RenderDevice, _: bool) -> Vec<BindGroupLayoutEntry> {
        BindGroupLayoutEntries::sequential(
            ShaderStages::FRAGMENT,
            (
                uniform_buffer_sized(false, Some(Surface::min_size())),
                uniform_buffer_sized(false, Some(Lighting::min_size())),
                texture_cube(TextureSampleType::Float { filterable: true }),
                sampler(SamplerBindingType::Filtering),
                uniform_buffer_sized(false, Some(ObjectLights::min_size())).visibility(ShaderStages::VERTEX),
            ),
        )
        .to_vec()
    }
}

impl Material for Solid {
    fn vertex_shader() -> ShaderRef {
        "embedded://p2c2r_game/view/solid.wgsl".into()
    }
    fn fragment_shader() -> ShaderRef {
        "embedded://p2c2r_game/view/solid.wgsl".into()
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
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        // Two pipelines rather than a test per surface: most of the picture reflects nothing, and a software
        // renderer must not look up a cube map for it. A branch would not help, see `solid.wgsl`.
        if key.bind_group_data
            && let Some(fragment) = &mut descriptor.fragment
        {
            fragment.shader_defs.push("MIRRORS".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    /// Lavapipe recompiles, in every frame, a shader that branches on a uniform, and never frees the result.
    #[test]
    fn shaders_do_not_branch() {
        for shader in [include_str!("solid.wgsl"), include_str!("glow.wgsl")] {
            let code = shader.lines().map(|line| line.split("//").next().unwrap_or_default());
            // Preprocessor conditions are decided once, when a pipeline is made.
            let code = code.filter(|line| !line.trim_start().starts_with('#'));
            for word in code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric())) {
                assert!(!["if", "switch", "while"].contains(&word), "`{word}` in {shader}");
            }
        }
    }
}
