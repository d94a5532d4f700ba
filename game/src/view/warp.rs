//! The warp from one sector to the next: streaks along the ship's path that grow until the jump and fade
//! after it. They add light and cover nothing.

use bevy::prelude::*;

use super::camera::Eye;
use super::glow::{GlowShape, Lights, bright};
use super::shapes::VisualRng;
use super::{ViewSystems, between, place};
use crate::graphics::Quality;
use crate::play::{Battlefield, TickShare};
use crate::settings::Settings;
use crate::view::DrawQuality;

/// Seconds in which the streaks fade after the jump. With the rules' longest countdown (90 ticks) a warp
/// stays below two seconds.
const ARRIVAL_SECONDS: f32 = 0.45;
/// Streaks at high quality; a third of them at low.
const STREAKS: u32 = 120;
/// Half the width and depth of the field of streaks around the ship, metres.
const FIELD: Vec2 = Vec2::new(34.0, 26.0);
/// Length of a streak at the jump, metres, and its speed then, metres a second.
const LENGTH: f32 = 16.0;
const SPEED: f32 = 90.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Warp>()
        .add_systems(Update, follow_warp.in_set(ViewSystems::Follow))
        .add_systems(Update, shine_warp.in_set(ViewSystems::Shine));
}

/// The visible state of a warp.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(super) struct Warp {
    /// 0 without one, 1 at the jump.
    pub(super) strength: f32,
    /// The present sector, to detect the jump.
    sector: (u32, u64),
    /// Seconds left of the fade.
    arriving: f32,
    /// Metres by which the streaks have moved.
    passed: f32,
    /// Whether the jump was in this frame.
    pub(super) jumped: bool,
}

pub(super) fn follow_warp(battlefield: Res<Battlefield>, time: Res<Time>, mut warp: ResMut<Warp>) {
    let arena = &battlefield.arena;
    let sector = (arena.sector().number, arena.sector().seed);
    let first = warp.sector == (0, 0);
    warp.jumped = !first && sector != warp.sector;
    if warp.jumped && sector.0 > 1 {
        warp.arriving = ARRIVAL_SECONDS;
    }
    warp.sector = sector;
    warp.arriving = (warp.arriving - time.delta_secs()).max(0.0);
    let all = f32::from(arena.config().sectors.warp_ticks.max(1));
    let charge = arena.warp_ticks().map_or(0.0, |left| 1.0 - f32::from(left) / all);
    warp.strength = (charge * charge).max(warp.arriving / ARRIVAL_SECONDS);
    warp.passed += warp.strength * SPEED * time.delta_secs();
}

fn shine_warp(
    warp: Res<Warp>,
    battlefield: Res<Battlefield>,
    share: TickShare,
    eye: Res<Eye>,
    quality: Res<DrawQuality>,
    settings: Res<Settings>,
    mut lights: ResMut<Lights>,
) {
    if warp.strength <= 0.01 {
        return;
    }
    let lights = &mut lights.0;
    let (ship, star) = (battlefield.arena.ship(), battlefield.arena.sector().plan().star);
    let ahead = place(ship.heading, 0.0).normalize_or(Vec3::NEG_Z);
    let side = ahead.cross(Vec3::Y);
    let centre = place(between(ship.previous, ship.position, share.get()), 0.0);
    let [red, green, blue] = star.map(|part| f32::from(part) / 255.0);
    let count = if quality.0 == Quality::High { STREAKS } else { STREAKS / 3 };
    // The same seed in every frame: a streak keeps its place and only moves along.
    let mut dice = VisualRng::new(0x3A9F);
    let reach = FIELD.x.max(FIELD.y);
    for _ in 0..count {
        let (across, along, deep) = (dice.within(-reach, reach), dice.unit(), dice.within(-14.0, 3.0));
        let pace = dice.within(0.6, 1.4);
        let along = (along * 2.0 * reach - warp.passed * pace).rem_euclid(2.0 * reach) - reach;
        let head = centre + side * across + ahead * along + Vec3::Y * deep;
        let tail = head + ahead * (LENGTH * warp.strength * pace);
        lights.beam(&eye, head, tail, 0.09, bright(red, green, blue, 1.5 * warp.strength));
    }
    let flash = f32::from(settings.video.flashes) / 100.0;
    let glow = bright(red, green, blue, 0.5 * warp.strength * flash);
    lights.flat(GlowShape::Ring, centre, 2.0 + 9.0 * (1.0 - warp.strength), glow);
    if warp.arriving > 0.0 {
        let gone = 1.0 - warp.arriving / ARRIVAL_SECONDS;
        lights.flat(
            GlowShape::Ring,
            centre,
            4.0 + 30.0 * gone,
            bright(red, green, blue, (1.0 - gone) * flash),
        );
    }
}
