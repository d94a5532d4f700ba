//! Asks, several times a second, for the light around the player's ship and the others near it, so that each hull can
//! mirror what happens around it.
//!
//! Several tasks are under way at once, so answers come as often as they are asked for, however long each takes. The
//! scene is traced as it will be when its answer usually arrives, but at most [`LEAD_MAX`] ahead.
//!
//! | file | owns |
//! |---|---|
//! | `fineness` | how fine and how often the light is traced, by what is bought |
//! | `scene` | the spec: the part of the arena that is near enough to be mirrored |
//! | `ships` | which other ships have light of their own |
//! | `surfaces` | what things are made of, in the spec's units |
//! | `embers` | explosions and other light that stays for a moment after its event |

pub(in crate::play) mod embers;
mod fineness;
#[cfg(test)]
pub(in crate::play) mod late;
pub(in crate::play) mod scene;
mod ships;
pub(in crate::play) mod surfaces;

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::{Nanos, TaskId};
use p2c2r_tasks::reflection::Reflection;

use super::{Battlefield, nobody_plays};
use crate::graphics::Quality;
use embers::Embers;
pub(crate) use fineness::{Fineness, SHIP_FACE, SHIPS_MAX};
pub(crate) use ships::MirroredShip;
pub(crate) use surfaces::{ORES, is_ore, ore_of};

/// The most that one task may cost: several times what the finest probe costs.
const PRICE_CAP: Nanos = Nanos(100_000);
/// The shortest deadline: an answer that took this long still looks right where answers usually take less.
pub(in crate::play) const DEADLINE_MIN: Duration = Duration::from_millis(400);
/// Most pending tasks: about as many as are asked for in two seconds, the longest that an answer is awaited.
pub(in crate::play) const UNDER_WAY_MAX: usize = 12;
/// How long after the start no light is computed here while the coordinator has not answered yet.
pub(in crate::play) const CONNECTING_MAX: Duration = Duration::from_secs(3);
/// The farthest prediction: beyond it bolts have hit something and ships have turned.
pub(in crate::play) const LEAD_MAX: Duration = Duration::from_millis(400);
/// Time after which half of a new outcome is blended in.
const BLENDING: Duration = Duration::from_millis(60);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Reflecting>()
        .init_resource::<Embers>()
        .add_offload_kind::<Reflection>(KindSettings {
            deadline: DEADLINE_MIN,
            price_cap: PRICE_CAP,
            // A reflection of a moment ago still looks right; local compute would cost the frames that
            // offloading is to save.
            late: OnLate::Reuse,
        })
        .add_systems(Update, (embers::kindle, ask_for_light, note_who_was_asked_for).chain())
        .add_observer(clear_up)
        .add_observer(clear_up_failure);
}

/// Whether reflections are on, and the pending requests.
#[derive(Resource)]
pub(crate) struct Reflecting {
    /// Whether they are on. While off, none are asked for or drawn.
    pub(crate) enabled: bool,
    fineness: Fineness,
    /// When a spec was last asked.
    asked: Option<Duration>,
    /// The other ships in the latest tasks, oldest first.
    ships: VecDeque<(TaskId, Vec<MirroredShip>)>,
}

/// Tasks whose ships are remembered: the pending ones, and three times as many, whose answers may come after
/// they were given up.
const KNOWN_TASKS: usize = 4 * UNDER_WAY_MAX;

/// The other ships of a task.
#[derive(Component)]
struct AskedFor(Vec<MirroredShip>);

impl Default for Reflecting {
    fn default() -> Self {
        Self::new(true, Quality::Low)
    }
}

impl Reflecting {
    /// Reflections for a quality of drawing.
    pub(crate) fn new(enabled: bool, quality: Quality) -> Self {
        Self { enabled, fineness: Fineness::of(quality), asked: None, ships: VecDeque::new() }
    }

    /// How fine they are.
    pub(crate) fn fineness(&self) -> &Fineness {
        &self.fineness
    }

    /// Changes to another fineness of the same size, from the next task on.
    pub(crate) fn refine(&mut self, fineness: Fineness) {
        self.fineness = fineness;
    }

    /// From the next task on, at most so many other ships have light of their own.
    pub(crate) fn mirror_ships(&mut self, most: usize) {
        self.fineness.ships_max = most;
    }

    /// The other ships whose light a task brings, in the order of its probes after the first.
    pub(crate) fn ships_of(&self, task: TaskId) -> &[MirroredShip] {
        self.ships.iter().find(|(asked, _)| *asked == task).map_or(&[], |(_, ships)| ships)
    }

    fn note(&mut self, task: TaskId, ships: Vec<MirroredShip>) {
        if self.ships.len() == KNOWN_TASKS {
            self.ships.pop_front();
        }
        self.ships.push_back((task, ships));
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
        // Pending tasks are no longer useful; cancelling is free if no worker has begun.
        open.iter().for_each(|entity| commands.entity(entity).despawn());
        return;
    }
    // Local compute in the meantime would cost the frames that offloading is to save.
    let may_soon_borrow = now < CONNECTING_MAX && is_connecting(&state);
    if may_soon_borrow || !reflecting.is_due(now, open.iter().count()) {
        return;
    }
    let lead = (horizon.typical::<Reflection>() + BLENDING).min(LEAD_MAX);
    let before = reflecting.ships.back().map_or(&[][..], |(_, ships)| ships);
    let arena = &battlefield.arena;
    let wanted = scene::wanted(arena, &embers, &reflecting.fineness, lead.as_secs_f32(), before);
    let deadline = DEADLINE_MIN.max(horizon.of::<Reflection>());
    let task = Offloading::<Reflection>::new(wanted.spec, Blobs::default()).deadline(deadline);
    commands.spawn((AskedFor(wanted.ships), task));
    reflecting.asked = Some(now);
}

/// Records a task's ships once it has its number.
fn note_who_was_asked_for(
    mut asked: Query<(&Offloading<Reflection>, &mut AskedFor), Added<AskedFor>>,
    mut reflecting: ResMut<Reflecting>,
) {
    for (offloading, mut asked) in &mut asked {
        if let Some(task) = offloading.task() {
            reflecting.note(task, std::mem::take(&mut asked.0));
        }
    }
}

/// Whether a coordinator is being connected to.
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

    #[test]
    fn whose_light_a_task_brings_is_known_for_the_last_tasks() {
        let mut reflecting = Reflecting::new(true, Quality::Low);
        let wingman = |number| MirroredShip::Wingman(p2c2r_arena::WingmanId(number));
        for number in 0..=KNOWN_TASKS as u32 {
            reflecting.note(TaskId(u64::from(number) + 1), vec![wingman(number)]);
        }
        assert_eq!(reflecting.ships_of(TaskId(1)), []);
        assert_eq!(reflecting.ships_of(TaskId(2)), [wingman(1)]);
        assert_eq!(reflecting.ships.len(), KNOWN_TASKS);
    }
}
