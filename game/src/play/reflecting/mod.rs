//! Reflections.
use p2c2r_arena::RockId;
/// Whether this rock is of ore.
pub(crate) fn is_ore(rock: RockId) -> bool { rock.0 % 5 == 2 }
