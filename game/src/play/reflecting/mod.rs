//! Asks, several times a second, for the light around the ship, so that hulls can mirror what happens.
//!
//! However long answers take, they come as often as they are asked for: several are under way at once. What is traced is
//! moved on by what they usually take (at most [`LEAD_MAX`]).
//!
//! | file | owns |
//! |---|---|
//! | `fineness` | how fine and how often it is traced, by what is bought |
//! | `scene` | the spec: what of the arena is near enough to be mirrored |
//! | `surfaces` | what things are made of, in the spec's units |
//! | `embers` | explosions and other light that stays for a moment after its event |

pub(in crate::play) mod embers;
mod fineness;
pub(in crate::play) mod scene;
pub(in crate::play) mod surfaces;

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::reflection::Reflection;

use super::{Battlefield, nobody_plays};
use crate::graphics::Quality;
use embers::Embers;
pub(crate) use fineness::Fineness;
pub(crate) use surfaces::{ORES, is_ore, ore_of};

/// The most that one task may cost: several times what the finest probe costs.
const PRICE_CAP: Nanos = Nanos(100_000);
/// The shortest deadline: an answer that took this long still looks right where answers usually take less.
pub(in crate::play) const DEADLINE_MIN: Duration = Duration::from_millis(400);
/// Tasks under way at once: as many as there are in two seconds, which is as long as anyone waits.
pub(in crate::play) const UNDER_WAY_MAX: usize = 12;
/// How long after the start no light is asked for while the coordinator has not answered yet.
pub(in crate::play) const CONNECTING_MAX: Duration = Duration::from_secs(3);
/// The farthest by which what is traced is moved on: beyond it bolts have met something and ships have turned.
pub(in crate::play) const LEAD_MAX: Duration = Duration::from_millis(400);
/// What passes from an outcome's coming until half of it is blended in.
const BLENDING: Duration = Duration::from_millis(60);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Reflecting>()
        .init_resource::<Embers>()
        .add_offload_kind::<Reflection>(KindSettings {
            deadline: DEADLINE_MIN,
            price_cap: PRICE_CAP,
            // What was seen a moment ago still looks right; a second kernel here would cost the frames it is to save.
            late: OnLate::Reuse,
        })
        .add_systems(Update, (embers::kindle, ask_for_light).chain())
        .add_observer(clear_up)
        .add_observer(clear_up_failure);
}

/// Whether reflections are on, and what has been asked.
#[derive(Resource)]
pub(crate) struct Reflecting {
    /// Whether they are on. Off, nothing is asked and nothing is drawn of them.
    pub(crate) enabled: bool,
    fineness: Fineness,
    /// When a spec was last asked.
    asked: Option<Duration>,
}

impl Default for Reflecting {
    fn default() -> Self {
        Self::new(true, Quality::Low)
    }
}

impl Reflecting {
    /// Reflections that go with a quality of drawing.
    pub(crate) fn new(enabled: bool, quality: Quality) -> Self {
        Self { enabled, fineness: Fineness::of(quality), asked: None }
    }

    /// How fine they are.
    pub(crate) fn fineness(&self) -> &Fineness {
        &self.fineness
    }

    /// Goes over to another fineness of the same size, from the next task on.
    pub(crate) fn refine(&mut self, fineness: Fineness) {
        self.fineness = fineness;
    }

    fn is_due(&self, now: Duration, under_way: usize) -> bool {
        let is_time = |asked| now.saturating_sub(asked) >= self.fineness.interval;
        under_way < UNDER_WAY_MAX && self.asked.is_none_or(is_time)
    }
}

fn ask_for_light(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    embers: Res<Embers>,
    real: Res<Time<Real>>,
    clock: Res<Time<Virtual>>,
    horizon: Res<OffloadHorizon>,
    state: Res<OffloadState>,
    open: Query<Entity, With<Offloading<Reflection>>>,
    mut reflecting: ResMut<Reflecting>,
) {
    let now = real.elapsed();
    if !reflecting.enabled || nobody_plays(&battlefield, &clock) {
        // What is out is of no use any more; taking it back is free if nobody has begun it.
        open.iter().for_each(|entity| commands.entity(entity).despawn());
        return;
    }
    // What is computed here in the meantime would cost the frames that it is to save.
    let may_soon_borrow = now < CONNECTING_MAX && is_connecting(&state);
    if may_soon_borrow || !reflecting.is_due(now, open.iter().count()) {
        return;
    }
    let lead = (horizon.typical::<Reflection>() + BLENDING).min(LEAD_MAX);
    let (spec, _) = scene::spec(&battlefield.arena, &embers, &reflecting.fineness, lead.as_secs_f32());
    let deadline = DEADLINE_MIN.max(horizon.of::<Reflection>());
    commands.spawn(Offloading::<Reflection>::new(spec, Blobs::default()).deadline(deadline));
    reflecting.asked = Some(now);
}

/// Whether there is a coordinator that may answer yet.
pub(in crate::play) fn is_connecting(state: &OffloadState) -> bool {
    matches!(state.mode, OffloadMode::Local(LocalReason::NotConnected { .. }))
}

fn clear_up(done: On<OffloadDone<Reflection>>, mut commands: Commands) {
    commands.entity(done.entity).try_despawn();
}

fn clear_up_failure(failed: On<OffloadFailed<Reflection>>, mut commands: Commands) {
    if failed.reused.is_none() {
        tracing::debug!(reason = %failed.reason, "no light around");
    }
    commands.entity(failed.entity).try_despawn();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_is_asked_after_an_interval_whether_or_not_the_last_is_answered() {
        let mut reflecting = Reflecting::new(true, Quality::Low);
        let interval = reflecting.fineness.interval;
        assert!(reflecting.is_due(Duration::ZERO, 0), "the first is due at once");
        reflecting.asked = Some(Duration::ZERO);
        let early = interval.saturating_sub(Duration::from_millis(1));
        assert!(!reflecting.is_due(early, 0), "never more often than the interval");
        assert!(reflecting.is_due(interval, 0) && reflecting.is_due(interval, UNDER_WAY_MAX - 1));
        assert!(!reflecting.is_due(interval, UNDER_WAY_MAX), "but not without end");
    }
}
