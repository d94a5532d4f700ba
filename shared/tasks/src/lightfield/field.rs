//! Light at many places, in the integers that travel, and the irradiance that surfaces get from it.

use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::BLOB_BYTES_MAX;

use super::PROBES_MAX;
use super::stream;
use crate::blobs;
use crate::reflection::{RadianceMoments, level_of, luminance_of};

/// Steps of a coded level per octave of radiance.
pub const LEVEL_STEPS: f32 = 16.0;
/// Largest level: 24 octaves above the floor.
pub(super) const LEVEL_MAX: i16 = 24 * LEVEL_STEPS as i16;
/// Steps of a coded share from none to all.
pub const SHARE_STEPS: f32 = 16.0;
/// Largest share, either way.
pub(super) const SHARE_MAX: i16 = SHARE_STEPS as i16;

/// Numbers of one probe: the levels of red, green and blue, then for x, y and z the shares of red, green and blue.
pub(super) const NUMBERS: usize = 12;
/// The levels among them.
pub(super) const LEVELS: usize = 3;

/// One probe as it travels. A level is the mean radiance of a colour, in [`LEVEL_STEPS`] per octave above
/// 2^-12. A share is the mean weighted by the direction's x, y or z, divided by the unweighted mean, in
/// [`SHARE_STEPS`]. Where a level is 0, its shares are 0.
pub(super) type Coded = [i16; NUMBERS];

fn rounded(value: f32) -> i16 {
    (value + if value < 0.0 { -0.5 } else { 0.5 }) as i16
}

/// The numbers of the light around a place.
pub(super) fn coded(moments: &RadianceMoments) -> Coded {
    let mut numbers = [0; NUMBERS];
    for colour in 0..3 {
        let mean = moments[0][colour];
        let level = rounded(level_of(mean.max(0.0)) * LEVEL_STEPS).clamp(0, LEVEL_MAX);
        numbers[colour] = level;
        if level > 0 {
            for axis in 0..3 {
                let share = rounded(moments[1 + axis][colour] / mean * SHARE_STEPS);
                numbers[LEVELS + 3 * axis + colour] = share.clamp(-SHARE_MAX, SHARE_MAX);
            }
        }
    }
    numbers
}

/// Light around a place, red, green and blue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LightProbe {
    /// Mean radiance of all directions.
    pub mean: [f32; 3],
    /// Means of the radiance times the direction's x, y and z.
    pub towards: [[f32; 3]; 3],
}

impl LightProbe {
    pub(super) fn of(numbers: &Coded) -> Self {
        let mean = std::array::from_fn(|colour| luminance_of(f32::from(numbers[colour]) / LEVEL_STEPS));
        let share = |axis: usize, colour: usize| f32::from(numbers[LEVELS + 3 * axis + colour]) / SHARE_STEPS;
        let towards =
            std::array::from_fn(|axis| std::array::from_fn(|colour| mean[colour] * share(axis, colour)));
        Self { mean, towards }
    }

    /// Irradiance over π on a surface with the unit normal `normal`: the mean radiance weighted by the
    /// cosine, for light that is linear in its direction. Never below zero.
    pub fn irradiance_over_pi(&self, normal: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|colour| {
            let along: f32 = (0..3).map(|axis| self.towards[axis][colour] * normal[axis]).sum();
            (self.mean[colour] + 2.0 * along).max(0.0)
        })
    }

    /// This much of `self` and the rest of `other`; `share` from 0 to 1.
    #[must_use]
    pub fn mixed(&self, other: &Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a * share + b * (1.0 - share);
        let three = |a: [f32; 3], b: [f32; 3]| std::array::from_fn(|part| mix(a[part], b[part]));
        Self {
            mean: three(self.mean, other.mean),
            towards: std::array::from_fn(|axis| three(self.towards[axis], other.towards[axis])),
        }
    }
}

/// The light at all probes of a spec, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightField {
    pub(super) probes: Vec<Coded>,
    /// See [`Probes::across`](super::Probes::across).
    pub(super) across: usize,
}

impl LightField {
    /// How many probes it has.
    pub fn count(&self) -> usize {
        self.probes.len()
    }

    /// The light at a probe; black if there is no probe of that number.
    pub fn probe(&self, number: usize) -> LightProbe {
        self.probes.get(number).map(LightProbe::of).unwrap_or_default()
    }

    /// The field as a blob that a later spec names as its [base](super::LightfieldSpec::base). `None` if it
    /// is larger than a blob may be, which some thousand probes of noise are.
    pub fn to_blob(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(self.probes.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(self.across as u16).to_le_bytes());
        bytes.extend(stream::pack(self, None));
        (bytes.len() <= BLOB_BYTES_MAX).then_some(bytes)
    }

    /// Its name as a base, if it can be one.
    pub fn digest(&self) -> Option<Digest> {
        self.to_blob().map(|bytes| Digest::of(&bytes))
    }

    /// Undoes [`LightField::to_blob`].
    pub(super) fn from_blob(bytes: &[u8]) -> Result<Self, String> {
        let (count, rest) = bytes.split_first_chunk().ok_or("too short for a field")?;
        let (across, stream) = rest.split_first_chunk().ok_or("too short for a field")?;
        let (count, across) = (u16::from_le_bytes(*count).into(), u16::from_le_bytes(*across).into());
        if !(1..=PROBES_MAX).contains(&count) || !(1..=count).contains(&across) {
            return Err("a field of no or too many probes".into());
        }
        stream::unpack(stream, count, across, None).ok_or_else(|| "not a field's stream".into())
    }
}

impl blobs::Prepared for LightField {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.probes.len() * size_of::<Coded>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_survives_within_its_steps_and_black_is_black() {
        let moments = [[0.5, 0.02, 3.0], [0.25, -0.01, 0.0], [-0.3, 0.0, 1.5], [0.1, 0.015, -2.0]];
        let probe = LightProbe::of(&coded(&moments));
        for (colour, mean) in moments[0].into_iter().enumerate() {
            let octaves = (probe.mean[colour] / mean).log2().abs();
            assert!(octaves <= 0.55 / LEVEL_STEPS, "{octaves} octaves");
            for axis in 0..3 {
                let share = probe.towards[axis][colour] / probe.mean[colour];
                let right = moments[1 + axis][colour] / mean;
                assert!((share - right).abs() <= 0.51 / SHARE_STEPS, "{share} for {right}");
            }
        }
        assert_eq!(LightProbe::of(&coded(&[[0.0; 3]; 4])), LightProbe::default());
        assert_eq!(coded(&[[f32::NAN; 3], [1.0; 3], [1.0; 3], [1.0; 3]]), [0; NUMBERS]);
    }

    #[test]
    fn irradiance_of_light_from_one_side_falls_on_that_side() {
        let probe = LightProbe { mean: [1.0; 3], towards: [[0.0; 3], [0.6; 3], [0.0; 3]] };
        assert_eq!(probe.irradiance_over_pi([0.0, 1.0, 0.0]), [2.2; 3]);
        assert_eq!(probe.irradiance_over_pi([1.0, 0.0, 0.0]), [1.0; 3]);
        assert_eq!(probe.irradiance_over_pi([0.0, -1.0, 0.0]), [0.0; 3]);
        assert_eq!(probe.mixed(&LightProbe::default(), 0.5).mean, [0.5; 3]);
    }
}
