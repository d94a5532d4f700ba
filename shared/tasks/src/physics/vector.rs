//! Vectors and quaternions: just the deterministic arithmetic that the formula and the checks need.
//!
//! Only `+ - * /` and square roots of `f64`, which IEEE 754 defines to the last bit.

pub(super) type Vec3 = [f64; 3];
/// A rotation as a unit quaternion: x, y, z, w.
pub(super) type Quat = [f64; 4];

pub(super) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn scale(a: Vec3, by: f64) -> Vec3 {
    [a[0] * by, a[1] * by, a[2] * by]
}

pub(super) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn length(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

pub(super) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// `a`, shortened to `cap` where it is longer.
pub(super) fn capped(a: Vec3, cap: f64) -> Vec3 {
    let long = length(a);
    if long > cap { scale(a, cap / long) } else { a }
}

/// The rotation `b` followed by `a`.
pub(super) fn compose(a: Quat, b: Quat) -> Quat {
    let (u, v) = ([a[0], a[1], a[2]], [b[0], b[1], b[2]]);
    let axis = add(add(scale(v, a[3]), scale(u, b[3])), cross(u, v));
    [axis[0], axis[1], axis[2], a[3] * b[3] - dot(u, v)]
}

pub(super) fn inverse(a: Quat) -> Quat {
    [-a[0], -a[1], -a[2], a[3]]
}

pub(super) fn normalised(a: Quat) -> Quat {
    let long = (a[0] * a[0] + a[1] * a[1] + a[2] * a[2] + a[3] * a[3]).sqrt();
    if long > 0.0 { a.map(|part| part / long) } else { [0.0, 0.0, 0.0, 1.0] }
}

/// The rotation by `angle`, an axis times radians.
///
/// The angle is halved until the Taylor series of sine and cosine are exact to rounding, then the rotation is
/// squared as often: no platform's trigonometric functions are used.
pub(super) fn turn(angle: Vec3) -> Quat {
    let (mut half, mut doublings) = (scale(angle, 0.5), 0);
    while dot(half, half) > 0.0625 && doublings < 32 {
        half = scale(half, 0.5);
        doublings += 1;
    }
    let square = dot(half, half);
    let series = |first: f64| {
        // 1 - s/(k+1)(k+2) (1 - s/(k+3)(k+4) (..., from the innermost term outwards.
        (0..7).rev().fold(1.0, |sum, term| {
            let k = first + 2.0 * f64::from(term);
            1.0 - square / ((k + 1.0) * (k + 2.0)) * sum
        })
    };
    let (sine_share, cosine) = (series(1.0), series(0.0));
    let mut rotation = [half[0] * sine_share, half[1] * sine_share, half[2] * sine_share, cosine];
    for _ in 0..doublings {
        rotation = compose(rotation, rotation);
    }
    normalised(rotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_those_of_the_platforms_functions() {
        for angle in [0.0, 1e-9, 0.01, 0.7, 3.0, -5.0, 16.0, 900.0f64] {
            let axis = [0.36, 0.48, 0.8];
            let quat = turn(scale(axis, angle));
            let (sine, cosine) = (angle / 2.0).sin_cos();
            let expected = [axis[0] * sine, axis[1] * sine, axis[2] * sine, cosine];
            let apart = (0..4).map(|part| (quat[part] - expected[part]).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-12, "{angle}: {quat:?} {expected:?}");
        }
    }

    #[test]
    fn composing_with_the_inverse_is_nothing() {
        let quat = turn([0.3, -1.2, 2.0]);
        let nothing = compose(quat, inverse(quat));
        assert!((nothing[3] - 1.0).abs() < 1e-15 && length([nothing[0], nothing[1], nothing[2]]) < 1e-15);
        let twice = compose(turn([0.0, 0.4, 0.0]), turn([0.0, 0.5, 0.0]));
        assert!((twice[1] - turn([0.0, 0.9, 0.0])[1]).abs() < 1e-15);
    }
}
