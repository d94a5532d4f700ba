//! Asks, several times a second, for the light around the ship, so that hulls can mirror what happens.
//!
//! | file | owns |
//! |---|---|
//! | `scene` | the spec: what of the arena is near enough to be mirrored |
//! | `surfaces` | what things are made of, in the spec's units |
//! | `embers` | explosions and other light that stays for a moment after its event |

mod embers;
mod scene;
mod surfaces;

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::reflection::Reflection;

use super::Battlefield;
use crate::graphics::Quality;
use embers::Embers;
pub(crate) use surfaces::{ORES, is_ore, ore_of};

/// The most that one task may cost: several times what the finest probe costs.
const PRICE_CAP: Nanos = Nanos(100_000);
/// Specs whose outcome may still come; an outcome of an older one finds no place and is not shown.
const REMEMBERED: usize = 64;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Reflecting>()
        .init_resource::<Embers>()
        .add_offload_kind::<Reflection>(KindSettings {
            deadline: Duration::from_millis(400),
            price_cap: PRICE_CAP,
            // What was seen a moment ago still looks right; a second kernel here would cost the frames it is to save.
            late: OnLate::Reuse,
        })
        .add_systems(Update, (embers::kindle, ask_for_light).chain())
        .add_observer(clear_up)
        .add_observer(clear_up_failure);
}

/// How fine and how often the light around is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fineness {
    /// Texels along the edge of a face, as a power of two.
    face_log2: u8,
    /// Levels, from sharp to rough.
    levels: u8,
    /// Paths per texel.
    samples: u8,
    /// Surfaces a path may meet.
    bounces: u8,
    /// From one task to the next.
    interval: Duration,
    /// Rocks that are mirrored at most: the nearest.
    rocks_max: usize,
}

impl Fineness {
    /// Texels along the edge of a face, and levels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (1 << self.face_log2, u32::from(self.levels.clamp(1, self.face_log2 + 1)))
    }

    /// What goes with a quality of drawing.
    pub(crate) fn of(quality: Quality) -> Self {
        match quality {
            // About 10 ms of a core five times a second, and 0.3 Mbit/s.
            Quality::Low => Self {
                face_log2: 5,
                levels: 5,
                samples: 1,
                bounces: 2,
                interval: Duration::from_millis(190),
                rocks_max: 48,
            },
            // Four times the texels: a bolt is a bolt and not a blur.
            Quality::High => Self {
                face_log2: 6,
                levels: 7,
                samples: 1,
                bounces: 3,
                interval: Duration::from_millis(160),
                rocks_max: 96,
            },
        }
    }
}

/// Whether reflections are on, and what has been asked.
#[derive(Resource)]
pub(crate) struct Reflecting {
    /// Whether they are on. Off, nothing is asked and nothing is drawn of them.
    pub(crate) enabled: bool,
    fineness: Fineness,
    newest: Option<(Entity, Duration)>,
    /// When specs were asked, and where their probes are.
    asked: VecDeque<(Duration, Vec3)>,
}

impl Default for Reflecting {
    fn default() -> Self {
        Self::new(true, Quality::Low)
    }
}

impl Reflecting {
    /// Reflections that go with a quality of drawing.
    pub(crate) fn new(enabled: bool, quality: Quality) -> Self {
        Self { enabled, fineness: Fineness::of(quality), newest: None, asked: VecDeque::new() }
    }

    /// How fine they are; for the whole run.
    pub(crate) fn fineness(&self) -> &Fineness {
        &self.fineness
    }

    /// Where the probe is of the spec that was asked at `when`.
    pub(crate) fn probe_asked_at(&self, when: Duration) -> Option<Vec3> {
        // The plugin keeps microseconds.
        let is_it = |asked: Duration| asked.abs_diff(when) < Duration::from_micros(2);
        self.asked.iter().rev().find(|(asked, _)| is_it(*asked)).map(|(_, probe)| *probe)
    }

    fn is_due(&self, now: Duration, is_open: impl Fn(Entity) -> bool) -> bool {
        self.newest.is_none_or(|(entity, asked)| {
            let since = now.saturating_sub(asked);
            // Two intervals without an answer, and the next spec is asked all the same.
            since >= self.fineness.interval && (!is_open(entity) || since >= self.fineness.interval * 2)
        })
    }
}

fn ask_for_light(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    embers: Res<Embers>,
    real: Res<Time<Real>>,
    clock: Res<Time<Virtual>>,
    open: Query<Entity, With<Offloading<Reflection>>>,
    mut reflecting: ResMut<Reflecting>,
) {
    let now = real.elapsed();
    if !reflecting.enabled {
        // What is out is of no use any more; taking it back is free if nobody has begun it.
        open.iter().for_each(|entity| commands.entity(entity).despawn());
        return;
    }
    if clock.is_paused() || !reflecting.is_due(now, |entity| open.contains(entity)) {
        return;
    }
    let (spec, probe) = scene::spec(&battlefield.arena, &embers, &reflecting.fineness);
    let entity = commands.spawn(Offloading::<Reflection>::new(spec, Blobs::default())).id();
    reflecting.newest = Some((entity, now));
    if reflecting.asked.len() == REMEMBERED {
        reflecting.asked.pop_front();
    }
    reflecting.asked.push_back((now, probe));
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
    fn the_next_is_asked_when_the_last_is_answered_or_overdue() {
        let mut reflecting = Reflecting::new(true, Quality::Low);
        let interval = reflecting.fineness.interval;
        assert!(reflecting.is_due(Duration::ZERO, |_| true), "the first is due at once");
        reflecting.newest = Some((Entity::PLACEHOLDER, Duration::ZERO));
        let early = interval.saturating_sub(Duration::from_millis(1));
        assert!(!reflecting.is_due(early, |_| false), "never more often than the interval");
        assert!(reflecting.is_due(interval, |_| false));
        assert!(!reflecting.is_due(interval, |_| true), "the last is still out");
        assert!(reflecting.is_due(interval * 2, |_| true), "but not for ever");
    }

    #[test]
    fn an_outcome_finds_its_probe_by_the_time_it_was_asked() {
        let mut reflecting = Reflecting::default();
        for step in 0..4_u32 {
            let when = Duration::from_nanos(1_234_567) + Duration::from_millis(100) * step;
            reflecting.asked.push_back((when, Vec3::X * step as f32));
        }
        let rounded = Duration::from_micros(1_234) + Duration::from_millis(200);
        assert_eq!(reflecting.probe_asked_at(rounded), Some(Vec3::X * 2.0));
        assert_eq!(reflecting.probe_asked_at(Duration::from_secs(9)), None);
    }
}
