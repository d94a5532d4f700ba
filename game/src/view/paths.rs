//! Draws the paths that enemies follow, in a colour that tells who computed them.

use bevy::prelude::*;
use p2c2r_offload::Place;

use super::camera::{DrawQuality, Eye};
use super::glow::{GlowShape, Lights};
use super::{ViewSystems, between, place};
use crate::graphics::Quality;
use crate::play::{Battlefield, Sources, TickShare};
use crate::settings::{Palette, Settings};

/// Height at which paths are drawn, metres.
pub(crate) const PATH_HEIGHT: f32 = -0.35;
/// Metres between two of the lights that move along a path, and their speed.
const RUNNER_SPACING: f32 = 5.0;
const RUNNER_SPEED: f32 = 9.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, shine_paths.in_set(ViewSystems::Shine));
}

/// Okabe and Ito's colours, distinguishable with colour blindness: sky blue for workers' paths, bluish green
/// for the coordinator's, orange for our own.
fn colour_of(place: Option<&Place>, palette: Palette) -> LinearRgba {
    let ink = match place {
        None => return LinearRgba::from(Srgba::rgb(0.5, 0.5, 0.5)),
        Some(Place::Worker { .. }) => crate::hud::SKY_BLUE,
        Some(Place::Coordinator | Place::Cache) => crate::hud::BLUISH_GREEN,
        Some(Place::Local) => crate::hud::ORANGE,
    };
    ink.in_palette(palette).into()
}

fn shine_paths(
    settings: Res<Settings>,
    battlefield: Res<Battlefield>,
    sources: Res<Sources>,
    quality: Res<DrawQuality>,
    share: TickShare,
    time: Res<Time>,
    eye: Res<Eye>,
    mut lights: ResMut<Lights>,
) {
    let lights = &mut lights.0;
    let colour = colour_of(sources.paths().map(|source| &source.place), settings.display.palette);
    let phase = (time.elapsed_secs() * RUNNER_SPEED) % RUNNER_SPACING;
    for enemy in battlefield.arena.enemies() {
        let mut from = place(between(enemy.previous, enemy.position, share.get()), PATH_HEIGHT);
        let mut walked = 0.0;
        for waypoint in enemy.waypoints() {
            let to = place(*waypoint, PATH_HEIGHT);
            lights.beam(&eye, from, to, 0.16, colour * 0.34);
            let length = from.distance(to);
            if quality.0 == Quality::High && length > 1e-3 {
                let mut at = (phase - walked).rem_euclid(RUNNER_SPACING);
                while at < length {
                    lights.flat(GlowShape::Spot, from.lerp(to, at / length), 0.32, colour * 0.9);
                    at += RUNNER_SPACING;
                }
            }
            walked += length;
            from = to;
        }
    }
}
