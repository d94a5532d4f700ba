//! The lattice of states: every segment starts from exactly the values that travel.

use bincode::{Decode, Encode};

use super::flight::glide;
use super::vector::{Quat, Vec3, normalised};

/// Steps per metre of a position; rounding errs by at most [`POSITION_ERROR_M`] along each axis. All
/// positions in range are exact as `f32`, so the engine starts from exactly the values that travel.
pub const POSITION_STEPS_PER_M: f64 = 1_024.0;
/// Steps per metre a second of a velocity; rounding errs by at most [`VELOCITY_ERROR_M_S`] along each axis.
pub const VELOCITY_STEPS_PER_M_S: f64 = 256.0;
/// Steps per radian a second of a spin; rounding errs by at most [`SPIN_ERROR_RAD_S`] about each axis.
pub const SPIN_STEPS_PER_RAD_S: f64 = 256.0;
/// Largest value of a rotation's three components; it stands for 1/√2.
pub const ROTATION_STEPS: i16 = 16_383;
/// Largest rounding error of a position, metres along each axis.
pub const POSITION_ERROR_M: f64 = 0.5 / POSITION_STEPS_PER_M;
/// Largest rounding error of a velocity, metres a second along each axis.
pub const VELOCITY_ERROR_M_S: f64 = 0.5 / VELOCITY_STEPS_PER_M_S;
/// Largest rounding error of a spin, radians a second about each axis.
pub const SPIN_ERROR_RAD_S: f64 = 0.5 / SPIN_STEPS_PER_RAD_S;
/// Largest rounding error of a rotation, radians.
pub const ROTATION_ERROR_RAD: f64 = 1.6e-4;

/// A rotation by its three smaller quaternion components: the dropped one is the largest and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Rotation {
    /// Which of x, y, z, w is left out, 0 to 3.
    pub dropped: u8,
    /// The others in their order, each -[`ROTATION_STEPS`] to [`ROTATION_STEPS`].
    pub rest: [i16; 3],
}

impl Default for Rotation {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl Rotation {
    /// No rotation.
    pub const IDENTITY: Self = Self { dropped: 3, rest: [0; 3] };

    /// The nearest rotation to a quaternion x, y, z, w, which need not be normalised.
    pub fn of(quaternion: [f64; 4]) -> Self {
        let unit = normalised(quaternion);
        let mut dropped = 0;
        for part in 1..4 {
            if unit[part].abs() > unit[dropped].abs() {
                dropped = part;
            }
        }
        let steps = std::f64::consts::SQRT_2 * f64::from(ROTATION_STEPS) * unit[dropped].signum();
        let mut rest = [0; 3];
        let others = (0..4).filter(|part| *part != dropped);
        others
            .zip(&mut rest)
            .for_each(|(part, to)| *to = rounded(unit[part] * steps, ROTATION_STEPS.into()) as i16);
        Self { dropped: dropped as u8, rest }
    }

    /// The three numbers of a unit quaternion where the component `dropped` is left out, whether it is the largest or not.
    pub(super) fn rest_of(unit: Quat, dropped: u8) -> [i16; 3] {
        let dropped = usize::from(dropped.min(3));
        let sign = if unit[dropped] < 0.0 { -1.0 } else { 1.0 };
        let steps = std::f64::consts::SQRT_2 * f64::from(ROTATION_STEPS) * sign;
        let mut others = (0..4).filter(|part| *part != dropped);
        std::array::from_fn(|_| {
            others.next().map_or(0, |part| rounded(unit[part] * steps, i16::MAX.into()) as i16)
        })
    }

    /// The unit quaternion x, y, z, w. Every value of the type gives some rotation.
    pub fn quaternion(self) -> [f64; 4] {
        let step = std::f64::consts::FRAC_1_SQRT_2 / f64::from(ROTATION_STEPS);
        let rest: Vec3 = self.rest.map(|part| f64::from(part) * step);
        let left: f64 = (1.0 - rest[0] * rest[0] - rest[1] * rest[1] - rest[2] * rest[2]).max(0.0);
        let dropped = usize::from(self.dropped.min(3));
        let mut quaternion: Quat = [0.0; 4];
        quaternion[dropped] = left.sqrt();
        (0..4).filter(|part| *part != dropped).zip(rest).for_each(|(part, from)| quaternion[part] = from);
        normalised(quaternion)
    }

    /// Whether rounding some rotation gives this value.
    pub(crate) fn is_legal(self) -> bool {
        let most = i64::from(ROTATION_STEPS);
        let squares = self.rest.map(|part| i64::from(part) * i64::from(part));
        let left = 2 * most * most - squares.iter().sum::<i64>();
        // Each component is off by half a step at most, and its square by the component's own size.
        let slack = 6 * (most + 1);
        let largest = squares.into_iter().max().unwrap_or(0);
        self.dropped < 4
            && self.rest.iter().all(|part| i64::from(*part).abs() <= most)
            && left + slack >= largest
    }
}

/// Where a body is and how it moves, on the lattice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Centre of mass, in [`POSITION_STEPS_PER_M`].
    pub position: [i32; 3],
    /// Orientation.
    pub rotation: Rotation,
    /// Velocity of the centre of mass, in [`VELOCITY_STEPS_PER_M_S`].
    pub velocity: [i16; 3],
    /// Angular velocity about the world's axes, in [`SPIN_STEPS_PER_RAD_S`].
    pub spin: [i16; 3],
}

/// Where a body is and how it moves, in metres, radians and seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Centre of mass, metres.
    pub position: [f64; 3],
    /// Orientation: unit quaternion x, y, z, w.
    pub rotation: [f64; 4],
    /// Velocity, metres a second.
    pub velocity: [f64; 3],
    /// Angular velocity about the world's axes, radians a second.
    pub spin: [f64; 3],
}

impl Default for Motion {
    fn default() -> Self {
        Self { position: [0.0; 3], rotation: [0.0, 0.0, 0.0, 1.0], velocity: [0.0; 3], spin: [0.0; 3] }
    }
}

impl Motion {
    /// The motion `seconds` on (or back) where nothing pulls and nothing is touched: the formula of this kind.
    #[must_use]
    pub fn after(&self, seconds: f64) -> Self {
        glide(self, seconds)
    }
}

fn rounded(value: f64, most: f64) -> i32 {
    value.round().clamp(-most, most) as i32
}

impl State {
    /// The nearest state on the lattice; values beyond its range are clamped, NaN becomes 0.
    pub fn of(motion: &Motion) -> Self {
        let small = |value: f64, steps: f64| rounded(value * steps, i16::MAX.into()) as i16;
        Self {
            position: motion.position.map(|value| {
                rounded(value * POSITION_STEPS_PER_M, super::POSITION_MAX_M * POSITION_STEPS_PER_M)
            }),
            rotation: Rotation::of(motion.rotation),
            velocity: motion.velocity.map(|value| small(value, VELOCITY_STEPS_PER_M_S)),
            spin: motion.spin.map(|value| small(value, SPIN_STEPS_PER_RAD_S)),
        }
    }

    /// The state in metres, radians and seconds.
    pub fn motion(&self) -> Motion {
        Motion {
            position: self.position_m(),
            rotation: self.rotation.quaternion(),
            velocity: self.velocity_m_s(),
            spin: self.spin_rad_s(),
        }
    }

    /// Whether it neither moves nor turns.
    pub(super) fn is_still(&self) -> bool {
        self.velocity == [0; 3] && self.spin == [0; 3]
    }

    /// The state with `drag` 256ths of velocity and spin lost, rounded towards rest.
    pub(super) fn slowed(&self, drag: u8) -> Self {
        let slowed = |part: i16| (i32::from(part) * (256 - i32::from(drag)) / 256) as i16;
        Self { velocity: self.velocity.map(slowed), spin: self.spin.map(slowed), ..*self }
    }

    pub(super) fn position_m(&self) -> Vec3 {
        self.position.map(|steps| f64::from(steps) / POSITION_STEPS_PER_M)
    }

    pub(super) fn velocity_m_s(&self) -> Vec3 {
        self.velocity.map(|steps| f64::from(steps) / VELOCITY_STEPS_PER_M_S)
    }

    pub(super) fn spin_rad_s(&self) -> Vec3 {
        self.spin.map(|steps| f64::from(steps) / SPIN_STEPS_PER_RAD_S)
    }
}
