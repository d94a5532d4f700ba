//! Hit stop: for a few hundredths of a second after a large explosion the game nearly stands still, so that
//! the player notices it.
//!
//! Only the pace of steps changes, and only for a player who steers: the rules take the same steps, and the
//! network uses the real clock. Tasks are asked for slightly early, which does no harm.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_arena::ArenaEvent;

use crate::play::{Battlefield, Happened, Pilot};
use crate::settings::Settings;

/// The pace of the game during a stop.
const PACE: f32 = 0.08;
/// The longest stop, and the least time from the end of one to the next: many hits at once must not hold the
/// game.
const LONGEST: Duration = Duration::from_millis(60);
const APART: Duration = Duration::from_millis(250);
/// No stop while frames are longer than this: one frame would already exceed it.
const FRAME_MAX: Duration = Duration::from_millis(34);
/// Radius from which an explosion is a large one, metres: those of carriers and bosses, and of the largest
/// rocks.
const LARGE: f32 = 2.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HitStop>().add_systems(Update, stop_at_hits);
}

/// Time left of a stop, and until the next one may begin.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
struct HitStop {
    left: Duration,
    apart: Duration,
}

/// How long the game stops for an event.
fn stop_of(event: &ArenaEvent) -> Duration {
    match event {
        ArenaEvent::ShipLost { .. } => LONGEST,
        ArenaEvent::Explosion { size, .. } if *size >= LARGE => Duration::from_millis(50),
        ArenaEvent::ShipHurt { .. } | ArenaEvent::EnemyDestroyed { .. } => Duration::from_millis(40),
        _ => Duration::ZERO,
    }
}

impl HitStop {
    /// Advances by `real` and begins a stop of `wanted`, if allowed. Returns the pace.
    fn go_on(&mut self, real: Duration, wanted: Duration) -> f32 {
        self.left = self.left.saturating_sub(real);
        self.apart = self.apart.saturating_sub(real);
        if !wanted.is_zero() && self.apart.is_zero() {
            self.left = wanted.min(LONGEST);
            self.apart = self.left + APART;
        }
        if self.left.is_zero() { 1.0 } else { PACE }
    }
}

fn stop_at_hits(
    real: Res<Time<Real>>,
    pilot: Res<Pilot>,
    settings: Res<Settings>,
    battlefield: Res<Battlefield>,
    mut happened: MessageReader<Happened>,
    mut stop: ResMut<HitStop>,
    mut clock: ResMut<Time<Virtual>>,
) {
    let steered = matches!(*pilot, Pilot::Gamer) && !battlefield.arena.is_over() && real.delta() <= FRAME_MAX;
    let share = f32::from(settings.video.hit_stop) / 100.0;
    let wanted = happened.read().map(|Happened(event)| stop_of(event)).max().unwrap_or_default();
    let wanted = if steered { wanted.mul_f32(share) } else { Duration::ZERO };
    let pace = stop.go_on(real.delta(), wanted);
    // Written only if it differs: a clock that is written in every frame counts as changed in every frame.
    if (clock.relative_speed() - pace).abs() > f32::EPSILON {
        clock.set_relative_speed(pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_micros(16_667);

    #[test]
    fn a_stop_is_short_and_the_next_waits() {
        let mut stop = HitStop::default();
        assert_eq!(stop.go_on(FRAME, Duration::ZERO), 1.0);
        assert_eq!(stop.go_on(FRAME, LONGEST), PACE);
        let mut slow = 0;
        // A large explosion in every frame.
        for _ in 0..60 {
            slow += u32::from(stop.go_on(FRAME, LONGEST) < 1.0);
        }
        assert!((10..20).contains(&slow), "{slow} of 60 frames stand still");
        for _ in 0..20 {
            stop.go_on(FRAME, Duration::ZERO);
        }
        assert_eq!(stop, HitStop::default());
    }

    #[test]
    fn only_what_matters_stops_the_game() {
        let at = p2c2r_arena::Vec2::ZERO;
        assert_eq!(stop_of(&ArenaEvent::Hit { at }), Duration::ZERO);
        assert_eq!(stop_of(&ArenaEvent::Explosion { at, size: 1.0 }), Duration::ZERO);
        assert!(stop_of(&ArenaEvent::Explosion { at, size: 3.2 }) >= Duration::from_millis(40));
        let lost = ArenaEvent::ShipLost { at, lives: 1, by: p2c2r_arena::Harm::Shot, from: at };
        assert!(stop_of(&lost) <= LONGEST);
    }
}
