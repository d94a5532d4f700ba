//! Gravity wells: a dark centre with bright rings that move inwards, and dust that spirals into it.

use bevy::prelude::*;

use super::camera::{DrawQuality, Eye};
use super::glow::{GlowShape, Lights, bright};
use super::shapes::VisualRng;
use super::{ViewSystems, place};
use crate::graphics::Quality;
use crate::play::Battlefield;

/// Radius of the widest ring, metres: about where the pull becomes noticeable.
const REACH: f32 = 9.0;
/// Rings moving inwards, and the seconds that one takes.
const RINGS: u32 = 4;
const RING_SECONDS: f32 = 3.2;
/// Grains of dust at high quality; a third at low.
const GRAINS: u32 = 54;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, shine_wells.in_set(ViewSystems::Shine));
}

fn shine_wells(
    battlefield: Res<Battlefield>,
    time: Res<Time>,
    quality: Res<DrawQuality>,
    eye: Res<Eye>,
    mut lights: ResMut<Lights>,
) {
    let lights = &mut lights.0;
    let clock = time.elapsed_secs();
    for well in battlefield.arena.wells() {
        let centre = place(well.position, 0.0);
        if !lights.may_show(centre, REACH) {
            continue;
        }
        for ring in 0..RINGS {
            let share = (clock / RING_SECONDS + ring as f32 / RINGS as f32).fract();
            // Faster and brighter towards the centre, like falling matter.
            let radius = well.core + (REACH - well.core) * (1.0 - share * share);
            lights.flat(GlowShape::Ring, centre, radius, bright(0.45, 0.25, 1.0, 0.34 * share));
        }
        lights.flat(GlowShape::Ring, centre + Vec3::Y * 0.05, well.core * 1.9, bright(0.9, 0.7, 1.0, 1.6));
        lights.flat(GlowShape::Spot, centre - Vec3::Y * 0.3, REACH * 0.8, bright(0.22, 0.1, 0.55, 0.45));
        let grains = if quality.0 == Quality::High { GRAINS } else { GRAINS / 3 };
        let mut dice = VisualRng::new(0x77E1);
        for _ in 0..grains {
            let (start, pace, turn) = (dice.unit(), dice.within(0.12, 0.3), dice.unit());
            let fallen = (clock * pace + start).fract();
            let at = |fallen: f32| {
                let radius = well.core + (REACH - well.core) * (1.0 - fallen * fallen);
                let angle = (turn + fallen * fallen * 1.3) * std::f32::consts::TAU;
                centre + Vec3::new(angle.cos(), 0.02, -angle.sin()) * radius
            };
            let colour = bright(0.7, 0.5, 1.0, 1.1 * fallen);
            lights.beam(&eye, at((fallen - 0.05).max(0.0)), at(fallen), 0.07, colour);
        }
    }
}
