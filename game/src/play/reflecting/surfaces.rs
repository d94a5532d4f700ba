//! The materials of a traced scene: the drawn materials in the spec's units.

use std::f32::consts::SQRT_2;

use p2c2r_arena::{EnemyRole, RockId, Shooter};
use p2c2r_tasks::reflection::{Sun, Surface};

use super::embers::{Ember, Hue};

/// One rock in this many is of ore. No factor of the number of forms, so that every form occurs in ore.
const ORE_EVERY: u32 = 5;
/// Steps in which an ember fades.
const FADES: usize = 4;

/// Whether a rock is of ore, which mirrors.
pub(crate) fn is_ore(rock: RockId) -> bool {
    rock.0 % ORE_EVERY == 2
}

/// Colours of ore, reflected shares of red, green and blue.
pub(crate) const ORES: [[f32; 3]; 3] = [[0.80, 0.84, 0.90], [0.95, 0.70, 0.32], [0.88, 0.50, 0.36]];

/// Which of [`ORES`] a rock of this form has.
pub(crate) fn ore_of(form: u16) -> usize {
    usize::from(form) % ORES.len()
}

/// The drawn scene's sun, in the colour of the sector's star. Its irradiance is π times the colour that
/// `view/lighting.rs` gives to `solid.wgsl`: a white surface that faces it has that colour.
pub(in crate::play) fn sun(star: [u8; 3]) -> Sun {
    Sun { direction: [-71, 94, -47], colour: star, power: power(5.66) }
}

const STONE: usize = 0;
const ORE: usize = 1;
const RAMMER: usize = ORE + ORES.len();
const GUNNER: usize = RAMMER + 1;
const RAMMER_FLAME: usize = GUNNER + 1;
const GUNNER_FLAME: usize = RAMMER_FLAME + 1;
const SHIP_BOLT: usize = GUNNER_FLAME + 1;
const ENEMY_BOLT: usize = SHIP_BOLT + 1;
const WALL: usize = ENEMY_BOLT + 1;
const SHIP: usize = WALL + 1;
const EMBER: usize = SHIP + 1;

/// [`Surface::power`] for a radiance: half octaves above 2^-8, rounded down.
const fn power(radiance: f32) -> u8 {
    let mut power = 1;
    // 2^-7.5; each step multiplies by √2.
    let mut next = 0.005_524_3;
    while next * SQRT_2 <= radiance && power < 32 {
        next *= SQRT_2;
        power += 1;
    }
    power
}

const fn matter(colour: [u8; 3], metal: u8, roughness: u8) -> Surface {
    Surface { colour, metal, roughness, glow: [0; 3], power: 0 }
}

const fn light(glow: [u8; 3], radiance: f32) -> Surface {
    Surface { colour: [0; 3], metal: 0, roughness: 255, glow, power: power(radiance) }
}

/// The surfaces of every spec; objects refer to them by index.
pub(in crate::play) fn palette() -> Vec<Surface> {
    let ore = |colour: [f32; 3]| matter(colour.map(|share| (share * 255.0) as u8), 255, 15);
    let mut surfaces = vec![matter([108, 95, 84], 0, 230)];
    surfaces.extend(ORES.map(ore));
    surfaces.extend([
        matter([150, 30, 20], 170, 60),
        matter([84, 30, 125], 170, 60),
        light([255, 90, 25], 9.0),
        light([205, 70, 255], 8.0),
        light([90, 235, 255], 28.0),
        light([255, 80, 170], 28.0),
        light([50, 140, 255], 1.5),
        matter([128, 146, 178], 230, 40),
    ]);
    for glow in [[255, 120, 35], [90, 190, 255], [255, 90, 170]] {
        surfaces.extend((0..FADES).map(|fade| light(glow, [30.0, 15.0, 6.0, 2.0][fade])));
    }
    surfaces
}

/// The same surfaces for balls in place of bolts and flames, as wide as their drawn glow: few paths of a
/// probe would meet the thin shapes, and the light would flicker from probe to probe. A bolt's ball gives
/// about as much light as the bolt.
pub(in crate::play) fn glowing_palette() -> Vec<Surface> {
    let mut surfaces = palette();
    for (places, radiance) in [([RAMMER_FLAME, GUNNER_FLAME], 8.0), ([SHIP_BOLT, ENEMY_BOLT], 14.0)] {
        for place in places {
            surfaces[place].power = power(radiance);
        }
    }
    surfaces
}

/// The surface of a rock with this number and form.
pub(super) fn rock(id: RockId, form: u16) -> u8 {
    (if is_ore(id) { ORE + ore_of(form) } else { STONE }) as u8
}

/// The surface of an enemy's hull.
pub(super) fn hull(role: EnemyRole) -> u8 {
    (match role {
        EnemyRole::Rammer => RAMMER,
        EnemyRole::Gunner | EnemyRole::Carrier | EnemyRole::Boss => GUNNER,
    }) as u8
}

/// The surface of an enemy's engine.
pub(in crate::play) fn flame(role: EnemyRole) -> u8 {
    (match role {
        EnemyRole::Rammer => RAMMER_FLAME,
        EnemyRole::Gunner | EnemyRole::Carrier | EnemyRole::Boss => GUNNER_FLAME,
    }) as u8
}

/// The surface of a bullet.
pub(in crate::play) fn bolt(shooter: Shooter) -> u8 {
    (match shooter {
        Shooter::Ship | Shooter::Wingman(_) => SHIP_BOLT,
        Shooter::Enemy(_) => ENEMY_BOLT,
    }) as u8
}

/// The surface of the wall around the arena.
pub(super) fn wall() -> u8 {
    WALL as u8
}

/// The surface of the player's ship and of wingmen.
pub(super) fn ship() -> u8 {
    SHIP as u8
}

/// The surface of an ember at its age.
pub(super) fn ember(ember: &Ember) -> u8 {
    let hue = match ember.hue {
        Hue::Fire => 0,
        Hue::Ice => 1,
        Hue::Rose => 2,
    };
    let fade = ((ember.burnt() * FADES as f32) as usize).min(FADES - 1);
    (EMBER + hue * FADES + fade) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_has_a_place_for_everything_named() {
        let palette = palette();
        assert_eq!(palette.len(), EMBER + 3 * FADES);
        let dying = Ember { at: p2c2r_arena::Vec2::ZERO, size: 1.0, hue: Hue::Rose, age: 2.0, life: 1.0 };
        assert_eq!(usize::from(ember(&dying)), palette.len() - 1);
        assert!(palette[usize::from(bolt(Shooter::Ship))].power > 0);
        assert!(palette[usize::from(wall())].power > 0);
        assert!(palette[usize::from(flame(EnemyRole::Gunner))].power > 0);
        assert_eq!(palette[usize::from(hull(EnemyRole::Rammer))].power, 0);
        assert_eq!(palette[usize::from(rock(RockId(2), 4))].metal, 255);
        assert_eq!(palette[usize::from(rock(RockId(3), 4))].metal, 0);
    }

    #[test]
    fn powers_are_the_half_octave_below_the_radiance() {
        for radiance in [0.01_f32, 1.0, 1.5, 9.0, 28.0, 250.0] {
            let meant = 2_f32.powf(f32::from(power(radiance)) / 2.0 - 8.0);
            assert!(meant <= radiance * 1.01 && meant > radiance * 0.69, "{radiance}: {meant}");
        }
    }
}
