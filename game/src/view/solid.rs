//! The material of everything that is lit, and the flashes that explosions throw on it.

use bevy::asset::embedded_asset;
use bevy::prelude::*;
use bevy::render::render_resource::{AsBindGroup, ShaderType};
use bevy::shader::ShaderRef;

use super::ViewSystems;

/// Explosions that can light the scene at the same time; the shader has as many.
const FLASHES: usize = 3;
/// Seconds a flash takes to fade.
const FLASH_SECONDS: f32 = 0.45;
/// Light of a fresh flash one metre away.
const FLASH_STRENGTH: f32 = 90.0;

pub(super) fn plugin(app: &mut App) {
    embedded_asset!(app, "solid.wgsl");
    app.add_plugins(MaterialPlugin::<Solid>::default())
        .init_resource::<Flashes>()
        .add_systems(Update, fade_flashes.in_set(ViewSystems::Upload));
}

/// A lit surface whose colours are its mesh's.
#[derive(Asset, AsBindGroup, Clone, Debug, TypePath)]
pub(super) struct Solid {
    #[uniform(0)]
    surface: Surface,
}

/// What the shader knows about a surface.
#[derive(Clone, Debug, Default, ShaderType)]
struct Surface {
    emission: Vec4,
    finish: Vec4,
    flashes: [Vec4; FLASHES],
}

impl Solid {
    /// A surface with highlights of this strength, 0 to 1.
    pub(super) fn matter(shine: f32) -> Self {
        Self { surface: Surface { finish: Vec4::X * shine, ..default() } }
    }

    /// A surface that shines by itself.
    pub(super) fn lamp(red: f32, green: f32, blue: f32) -> Self {
        Self { surface: Surface { emission: Vec4::new(red, green, blue, 0.0), ..default() } }
    }
}

impl Material for Solid {
    fn fragment_shader() -> ShaderRef {
        "embedded://p2c2r_game/view/solid.wgsl".into()
    }
    fn enable_prepass() -> bool {
        false
    }
    fn enable_shadows() -> bool {
        false
    }
}

/// Flashes that light the scene now: where, and seconds left.
#[derive(Resource, Default)]
pub(super) struct Flashes {
    burning: [(Vec3, f32); FLASHES],
    dark: bool,
}

impl Flashes {
    /// Lights a flash, in place of the weakest if all are burning.
    pub(super) fn ignite(&mut self, at: Vec3) {
        if let Some(weakest) = self.burning.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (at, FLASH_SECONDS);
        }
    }
}

fn fade_flashes(time: Res<Time>, mut flashes: ResMut<Flashes>, mut materials: ResMut<Assets<Solid>>) {
    let is_dark = flashes.burning.iter().all(|(_, left)| *left <= 0.0);
    if is_dark && flashes.dark {
        return;
    }
    flashes.dark = is_dark;
    let lights = flashes.burning.map(|(at, left)| {
        let share = left / FLASH_SECONDS;
        at.extend(share * share * FLASH_STRENGTH)
    });
    for (_, solid) in materials.iter_mut() {
        solid.surface.flashes = lights;
    }
    for (_, left) in &mut flashes.burning {
        *left = (*left - time.delta_secs()).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    /// Lavapipe recompiles, in every frame, a shader that branches on a uniform, and never frees the result.
    #[test]
    fn shaders_do_not_branch() {
        for shader in [include_str!("solid.wgsl"), include_str!("glow.wgsl")] {
            let code = shader.lines().map(|line| line.split("//").next().unwrap_or_default());
            for word in code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric())) {
                assert!(!["if", "switch", "while"].contains(&word), "`{word}` in {shader}");
            }
        }
    }
}
