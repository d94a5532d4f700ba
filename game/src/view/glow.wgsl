// Light that adds to what is behind it: one texture lookup and no lighting, so that software renderers keep up.
#import bevy_pbr::forward_io::VertexOutput

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var shape: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var shape_sampler: sampler;

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
    let texel = textureSample(shape, shape_sampler, in.uv);
    // Zero alpha under premultiplied blending adds.
    return vec4<f32>(texel.rgb * in.color.rgb * (texel.a * in.color.a), 0.0);
}
