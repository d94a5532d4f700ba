//! Which sound goes with which event.

use bevy::prelude::*;
use p2c2r_arena::{ArenaEvent, Shooter};
use p2c2r_offload::OffloadSwitch;

use super::synth::Cue;
use super::{Order, Speaker};
use crate::play::{Battlefield, Happened};
use crate::screens::{Menu, Nudge, Page};

/// Metres from the ship within which a sound has full volume.
const NEAR: f32 = 8.0;
/// Metres to the side at which a sound comes from one side only.
const SIDE: f32 = 24.0;
/// Rocks knock all the time; softer knocks than this (newton seconds) are not heard.
const ROCKS_HEARD: f32 = 9_000.0;
/// Volume of the engine without boost, relative to boosting.
const THRUST: f32 = 0.55;
/// Sounds of one kind in one frame: more would only be louder.
const SAME_MAX: usize = 3;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (sound_events, sound_menus, sound_switch, follow_page, follow_engine));
}

/// The sound of an event, its volume, and its place.
fn cue_of(event: &ArenaEvent) -> Option<(Cue, f32, Option<p2c2r_arena::Vec2>)> {
    Some(match *event {
        ArenaEvent::Fired { by: Shooter::Ship, at, .. } => (Cue::Shot, 0.35, Some(at)),
        ArenaEvent::Fired { by: Shooter::Wingman(_), at, .. } => (Cue::Shot, 0.2, Some(at)),
        ArenaEvent::Fired { by: Shooter::Enemy(_), at, .. } => (Cue::EnemyShot, 0.5, Some(at)),
        ArenaEvent::MissileLaunched { at, .. } => (Cue::Missile, 0.7, Some(at)),
        ArenaEvent::Hit { at } => (Cue::Hit, 0.5, Some(at)),
        ArenaEvent::Reflected { at } => (Cue::Reflected, 0.7, Some(at)),
        ArenaEvent::Explosion { at, size } if size < 1.6 => (Cue::Burst, 0.8, Some(at)),
        ArenaEvent::Explosion { at, .. } => (Cue::Explosion, 0.9, Some(at)),
        ArenaEvent::ShipHurt { .. } => (Cue::Hurt, 0.9, None),
        ArenaEvent::ShipLost { .. } => (Cue::Lost, 1.0, None),
        ArenaEvent::ShipReturned { .. } => (Cue::Returned, 0.7, None),
        ArenaEvent::RocksMet { at, impulse } if impulse > ROCKS_HEARD => (Cue::Rocks, 0.4, Some(at)),
        ArenaEvent::Bumped { at, .. } => (Cue::Bump, 0.6, Some(at)),
        ArenaEvent::Launched { at } => (Cue::Missile, 0.4, Some(at)),
        ArenaEvent::PickupTaken { .. } => (Cue::Pickup, 0.8, None),
        ArenaEvent::WarpStarted { .. } => (Cue::Warp, 0.8, None),
        ArenaEvent::SectorEntered { .. } => (Cue::Arrived, 0.9, None),
        ArenaEvent::WaveStarted { .. } => (Cue::Wave, 0.8, None),
        ArenaEvent::WaveCleared { .. } => (Cue::Cleared, 0.8, None),
        ArenaEvent::LifeGained { .. } => (Cue::Life, 0.9, None),
        ArenaEvent::GameOver { .. } => (Cue::Over, 1.0, None),
        _ => return None,
    })
}

fn sound_events(mut happened: MessageReader<Happened>, battlefield: Res<Battlefield>, speaker: Res<Speaker>) {
    let ear = battlefield.arena.ship().position;
    let mut played: Vec<Cue> = Vec::new();
    for Happened(event) in happened.read() {
        let Some((cue, gain, at)) = cue_of(event) else { continue };
        if played.iter().filter(|other| **other == cue).count() >= SAME_MAX {
            continue;
        }
        played.push(cue);
        let (gain, pan) = match at {
            Some(at) => (gain * (NEAR / at.distance(ear).max(NEAR)), (at.x - ear.x) / SIDE),
            None => (gain, 0.0),
        };
        speaker.say(Order::Play { cue, gain, pan });
    }
}

fn sound_menus(
    mut nudges: MessageReader<Nudge>,
    menu: Res<Menu>,
    mut chosen: Local<(Page, usize)>,
    speaker: Res<Speaker>,
) {
    let mut cue = None;
    let now = (menu.page, menu.chosen);
    if chosen.0 == now.0 && chosen.1 != now.1 {
        cue = Some(Cue::Move);
    }
    *chosen = now;
    for nudge in nudges.read() {
        cue = match nudge {
            Nudge::Accept => Some(Cue::Accept),
            Nudge::Back => Some(Cue::Back),
            Nudge::Left | Nudge::Right => Some(Cue::Move),
            _ => cue,
        };
    }
    if let Some(cue) = cue {
        speaker.say(Order::Play { cue, gain: 0.8, pan: 0.0 });
    }
}

fn sound_switch(switch: Res<OffloadSwitch>, mut before: Local<Option<bool>>, speaker: Res<Speaker>) {
    if before.replace(switch.enabled).is_some_and(|before| before != switch.enabled) {
        let cue = if switch.enabled { Cue::On } else { Cue::Off };
        speaker.say(Order::Play { cue, gain: 0.8, pan: 0.0 });
    }
}

/// Sets the engine's volume: only in play, and louder when it boosts.
fn follow_engine(
    page: Res<State<Page>>,
    battlefield: Res<Battlefield>,
    mut before: Local<f32>,
    speaker: Res<Speaker>,
) {
    let ship = battlefield.arena.ship();
    let works = *page.get() == Page::Play && ship.alive && ship.thrusting;
    let now = match (works, ship.boosting) {
        (false, _) => 0.0,
        (true, false) => THRUST,
        (true, true) => 1.0,
    };
    if *before != now && speaker.say(Order::Engine(now)) {
        *before = now;
    }
}

/// Lowers the music behind menus.
fn follow_page(page: Res<State<Page>>, speaker: Res<Speaker>, mut is_late: Local<bool>) {
    if page.is_changed() || *is_late {
        *is_late = !speaker.say(Order::Presence(if *page.get() == Page::Play { 1.0 } else { 0.0 }));
    }
}
