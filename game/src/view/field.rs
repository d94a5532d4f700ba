//! The field's light on each object: interpolated between the field's probes on the CPU, once per object and
//! frame, and passed to the shader by the object's tag.

use bevy::mesh::MeshTag;
use bevy::prelude::*;
use bevy::render::render_resource::ShaderType;
use bevy::render::storage::ShaderBuffer;
use p2c2r_tasks::lightfield::LightProbe;

use super::lighting::Lit;
use super::{ViewSystems, place};
use crate::play::{Battlefield, LightAround, Reflecting};

/// Objects that the field can light at once, including one slot for all others. With more, the buffer exceeds
/// the 16 KB that every graphics API allows a uniform buffer; the shader has the same number.
const SLOTS: usize = 256;
/// Vectors of a slot in the buffer.
const VECTORS: usize = 4;
/// Seconds in which an object's light approaches the newest by about two thirds: half of the time between two
/// fields, so that moving light does not jump.
const BLEND_SECONDS: f32 = 0.1;
/// Radiance that is compressed to half: the picture ends at 1, and a bolt beside a rock must not look like a
/// second sun.
const BENT_AT: f32 = 1.7;
/// Metres from the ship beyond which the field lights nothing: past the picture's edge. Farther, and a
/// thousand rocks would need more slots than there are.
const REACH_M: f32 = 40.0;
/// Weight of the field's light below which an object gets none.
const SHARE_MIN: f32 = 1.0 / 256.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, light_receivers.in_set(ViewSystems::Upload));
}

/// The shader's data of the field: [`VECTORS`] for each tag.
#[derive(Clone, Debug, PartialEq, ShaderType)]
pub(super) struct ObjectLights {
    slots: [Vec4; SLOTS * VECTORS],
}

impl Default for ObjectLights {
    fn default() -> Self {
        Self { slots: [Vec4::ZERO; SLOTS * VECTORS] }
    }
}

impl ObjectLights {
    fn put(&mut self, slot: usize, light: &LightProbe, share: f32) {
        let brightest = light.mean.into_iter().fold(0.0, f32::max);
        let bent = 1.0 / (1.0 + brightest / BENT_AT);
        for colour in 0..3 {
            // Irradiance over π of light that is linear in its direction: see `LightProbe::irradiance_over_pi`.
            let towards = Vec3::from(light.towards.map(|axis| axis[colour])) * 2.0;
            self.slots[slot * VECTORS + colour] =
                Vec4::new(light.mean[colour], towards.x, towards.y, towards.z) * bent;
        }
        self.slots[slot * VECTORS + 3] = Vec4::new(share, 0.0, 0.0, 0.0);
    }
}

/// An object that the field lights.
#[derive(Component, Clone, Debug, Default)]
#[require(MeshTag)]
pub(super) struct Receiver {
    light: LightProbe,
    /// Weight of the field's light, 0 to 1.
    share: f32,
}

impl Receiver {
    /// Approaches the light at its place; `step` is the share of the way.
    fn follow(&mut self, newest: Option<(LightProbe, f32)>, step: f32) {
        let (light, share) = newest.unwrap_or((self.light, 0.0));
        // An object that has just come into the field has no earlier light.
        self.light = if self.share < SHARE_MIN { light } else { light.mixed(&self.light, step) };
        self.share += (share - self.share) * step;
    }
}

/// In real time, so that the light settles in a paused game too.
fn light_receivers(
    time: Res<Time<Real>>,
    around: Res<LightAround>,
    reflecting: Res<Reflecting>,
    battlefield: Res<Battlefield>,
    lit: Res<Lit>,
    mut receivers: Query<(&Transform, &mut Receiver, &mut MeshTag)>,
    mut buffers: ResMut<Assets<ShaderBuffer>>,
    mut shown: Local<ObjectLights>,
) {
    let ship = place(battlefield.arena.ship().position, 0.0);
    let step = 1.0 - (-time.delta_secs() / BLEND_SECONDS).exp();
    let mut taken = [false; SLOTS];
    // Slot 0 is for all objects without light of the field, and stays black.
    taken[0] = true;
    let mut lights = ObjectLights::default();
    for (transform, mut receiver, mut tag) in &mut receivers {
        let is_lit = reflecting.enabled && transform.translation.distance(ship) < REACH_M;
        let newest = is_lit.then(|| around.at(transform.translation)).flatten();
        receiver.follow(newest, step);
        let slot = tag.0 as usize;
        if receiver.share < SHARE_MIN {
            tag.set_if_neq(MeshTag(0));
        } else if slot > 0 {
            taken[slot] = true;
            lights.put(slot, &receiver.light, receiver.share);
        }
    }
    let mut free = (0..SLOTS).filter(|slot| !taken[*slot]);
    for (_, receiver, mut tag) in &mut receivers {
        if receiver.share >= SHARE_MIN && tag.0 == 0 {
            // Objects beyond the number of slots get no light.
            let Some(slot) = free.next() else { break };
            tag.0 = slot as u32;
            lights.put(slot, &receiver.light, receiver.share);
        }
    }
    if lights != *shown {
        if let Some(mut buffer) = buffers.get_mut(&lit.objects) {
            buffer.set_data(lights.clone());
        }
        *shown = lights;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(mean: f32) -> LightProbe {
        LightProbe { mean: [mean, mean * 0.5, 0.0], towards: [[mean * 0.5; 3], [0.0; 3], [0.0; 3]] }
    }

    #[test]
    fn an_object_takes_the_first_light_at_once_and_goes_over_to_others_smoothly() {
        let mut receiver = Receiver::default();
        receiver.follow(Some((probe(2.0), 1.0)), 0.25);
        assert_eq!((receiver.light, receiver.share), (probe(2.0), 0.25));
        let mut last = receiver.light.mean[0];
        for _ in 0..20 {
            receiver.follow(Some((probe(4.0), 1.0)), 0.25);
            let now = receiver.light.mean[0];
            assert!(now >= last && now - last <= 0.51, "{last} to {now}");
            last = now;
        }
        assert!(last > 3.9 && receiver.share > 0.99);
        for _ in 0..40 {
            receiver.follow(None, 0.25);
        }
        assert!(
            receiver.share < SHARE_MIN && receiver.light.mean[0] > 3.9,
            "it fades without a change of hue"
        );
    }

    #[test]
    fn the_buffer_says_what_the_probe_says_but_for_its_brightness() {
        let (mut lights, light) = (ObjectLights::default(), probe(0.4));
        lights.put(3, &light, 0.7);
        let normal = Vec3::new(0.6, 0.8, 0.0);
        let said = |colour: usize| lights.slots[3 * VECTORS + colour].dot(Vec4::new(1.0, 0.6, 0.8, 0.0));
        let meant = light.irradiance_over_pi(normal.to_array());
        let bent = said(0) / meant[0];
        assert!(bent < 1.0 && bent > 0.7, "{bent}");
        assert!((said(1) - meant[1] * bent).abs() < 1e-5, "all colours alike");
        assert_eq!(lights.slots[3 * VECTORS + 3].x, 0.7);
        assert_eq!(lights.slots[..VECTORS], [Vec4::ZERO; VECTORS]);
        // The shader has the same number of slots, and they fit into a uniform buffer of every API.
        assert!(include_str!("solid.wgsl").contains("array<vec4<f32>, 1024>") && SLOTS * VECTORS == 1_024);
        assert!(ObjectLights::min_size().get() <= 16_384);
    }
}
