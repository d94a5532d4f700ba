//! Light that outlasts its event: explosions, muzzle flashes, hits. The rules forget an event with its tick,
//! but a hull mirrors a fire as long as it burns.

use bevy::prelude::*;
use p2c2r_arena::{ArenaEvent, Shooter, Vec2};

use crate::play::Happened;

/// Most embers; above it new ones replace the oldest.
const EMBERS_MAX: usize = 24;

/// Colour of an ember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hue {
    /// Of burning rock and metal.
    Fire,
    /// Of the gamer's ship and its gun.
    Ice,
    /// Of the enemies' guns.
    Rose,
}

/// A ball of light.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ember {
    /// Where, on the arena's plane.
    pub(crate) at: Vec2,
    /// Radius at full size, metres.
    pub(crate) size: f32,
    /// Its colour.
    pub(crate) hue: Hue,
    /// Seconds since it began to burn.
    pub(crate) age: f32,
    /// Seconds it burns.
    pub(crate) life: f32,
}

impl Ember {
    /// 0 when fresh, 1 when burnt out.
    pub(crate) fn burnt(&self) -> f32 {
        (self.age / self.life).clamp(0.0, 1.0)
    }

    /// Present radius, metres: it grows fast and then stays.
    pub(crate) fn radius(&self) -> f32 {
        self.size * (0.55 + 0.45 * self.burnt().sqrt())
    }

    fn of(event: &ArenaEvent) -> Option<Self> {
        let ember = |at, size, hue, life| Some(Self { at, size, hue, age: 0.0, life });
        match *event {
            ArenaEvent::Explosion { at, size } => ember(at, size.max(0.6) * 1.5, Hue::Fire, 0.9),
            ArenaEvent::ShipLost { at, .. } => ember(at, 2.6, Hue::Ice, 1.2),
            ArenaEvent::Hit { at } => ember(at, 0.45, Hue::Fire, 0.25),
            // Not the ship's own gun: its flash is at the probe, and would cover everything else.
            ArenaEvent::Fired { by: Shooter::Enemy(_), at, .. } => ember(at, 0.35, Hue::Rose, 0.14),
            _ => None,
        }
    }
}

/// All burning embers, oldest first.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Embers(pub(crate) Vec<Ember>);

impl Embers {
    fn burn(&mut self, seconds: f32) {
        for ember in &mut self.0 {
            ember.age += seconds;
        }
        self.0.retain(|ember| ember.age < ember.life);
    }

    fn add(&mut self, ember: Ember) {
        if self.0.len() == EMBERS_MAX {
            self.0.remove(0);
        }
        self.0.push(ember);
    }
}

pub(in crate::play) fn kindle(
    time: Res<Time>,
    mut happened: MessageReader<Happened>,
    mut embers: ResMut<Embers>,
) {
    embers.burn(time.delta_secs());
    for Happened(event) in happened.read() {
        // Embers of another sector are not visible from here.
        if matches!(event, ArenaEvent::SectorEntered { .. }) {
            embers.0.clear();
        }
        if let Some(ember) = Ember::of(event) {
            embers.add(ember);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embers_swell_burn_out_and_never_pile_up() {
        let mut embers = Embers::default();
        let explosion = ArenaEvent::Explosion { at: Vec2::ZERO, size: 1.0 };
        for _ in 0..EMBERS_MAX * 2 {
            embers.add(Ember::of(&explosion).unwrap());
        }
        assert_eq!(embers.0.len(), EMBERS_MAX);
        let fresh = embers.0[0].radius();
        embers.burn(0.3);
        assert!(embers.0[0].radius() > fresh && embers.0[0].burnt() > 0.3);
        embers.burn(0.7);
        assert!(embers.0.is_empty());
    }

    #[test]
    fn what_gives_no_light_leaves_no_ember() {
        assert_eq!(Ember::of(&ArenaEvent::WaveCleared { wave: 1 }), None);
        let fired = |by| Ember::of(&ArenaEvent::Fired { by, at: Vec2::ZERO, heading: Vec2::FORWARD });
        assert_eq!(fired(Shooter::Ship), None);
        assert_eq!(fired(Shooter::Enemy(p2c2r_arena::EnemyId(1))).unwrap().hue, Hue::Rose);
    }
}
