//! The only place that knows how the arena's plane lies in the space of the kind `physics`.
//!
//! The plane is y = 0; the arena's x is the space's x, the arena's y (forward) is the space's -z. So the
//! space is right-handed with y up, and rotations can be drawn unchanged by a renderer that looks along -z.

use crate::vec2::Vec2;

/// The plane's vector in space.
pub(crate) fn lifted(flat: Vec2) -> [f64; 3] {
    [flat.x.into(), 0.0, -f64::from(flat.y)]
}

/// A vector of space, seen from above.
pub(crate) fn flattened(space: [f64; 3]) -> Vec2 {
    Vec2::new(space[0] as f32, -space[2] as f32)
}

/// Velocity at `lever` from the centre of a body that turns with `spin` (about the vertical, radians per
/// second, counter-clockwise seen from above).
pub(crate) fn turning(spin: f32, lever: Vec2) -> Vec2 {
    lever.left() * spin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_about_the_vertical_turns_the_plane_counter_clockwise() {
        let lever = Vec2::new(0.3, -1.7);
        assert_eq!(flattened(lifted(lever)), lever);
        // In space: spin (0, 1, 0) x lever.
        let [x, _, z] = lifted(lever);
        let crossed = flattened([z, 0.0, -x]);
        assert_eq!(turning(1.0, lever), crossed);
    }
}
