//! Passes the arena's requests to the offload plugin and outcomes back to the arena: what all kinds share.
//! Each kind has a file beside this one, and `due` decides when outcomes are given back.

mod due;
mod path;
mod physics;
mod plans;

use std::sync::Arc;
use std::time::Duration;

use bevy::app::RunFixedMainLoopSystems;
use bevy::prelude::*;
use p2c2r_arena::{Horizon, RequestId, TICKS_PER_SECOND, WantedSpec, WantedTask};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::tactics::Tactics;

pub(super) use due::Due;
use due::{RequestDue, RequestState};
pub(super) use plans::DepthOfPlans;
pub(crate) use plans::bought as plans_bought;

use super::sources::{Source, Sources};

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Wants>()
        .init_resource::<Due>()
        .init_resource::<Sources>()
        .add_systems(RunFixedMainLoop, submit_wants.in_set(RunFixedMainLoopSystems::AfterFixedMainLoop));
    borrow::<Path>(app);
    borrow::<Physics>(app);
    borrow::<Tactics>(app);
}

/// A kind of work that the arena wants done.
trait Wanted: TaskKind {
    /// The most one task may cost: several times what the largest one costs.
    const PRICE_CAP: Nanos;
    /// What happens to a task that nobody else has computed in time.
    const LATE: OnLate = OnLate::ComputeLocally;

    /// The state that an outcome brings its request to.
    fn answer(outcome: &Arc<Self::Outcome>, expected: &RequestDue) -> RequestState;
}

fn borrow<K: Wanted>(app: &mut App) {
    app.add_offload_kind::<K>(KindSettings {
        // A default; each task brings its own.
        deadline: Duration::from_millis(200),
        price_cap: K::PRICE_CAP,
        late: K::LATE,
    })
    .add_observer(take_outcome::<K>)
    .add_observer(note_failure::<K>);
}

/// The tasks that the arena wanted in this frame's steps.
#[derive(Resource, Default)]
pub(super) struct Wants(pub(super) Vec<WantedTask>);

/// How far ahead the arena asks, by how long answers take: part of the run's input.
pub(super) fn horizon(measured: &OffloadHorizon) -> Horizon {
    let ticks = |ahead: Duration| (ahead.as_secs_f64() * f64::from(TICKS_PER_SECOND)).ceil() as u16;
    Horizon {
        paths: ticks(measured.of::<Path>()),
        motions: ticks(measured.of::<Physics>()),
        plans: ticks(measured.of::<Tactics>()),
    }
}

/// Which of the arena's requests an offloaded task answers.
#[derive(Component, Clone, Copy, Debug)]
struct Asked(RequestId);

fn submit_wants(mut commands: Commands, mut wants: ResMut<Wants>, mut due: ResMut<Due>) {
    for task in wants.0.drain(..) {
        due.expect(&task);
        let asked = Asked(task.request);
        let deadline = Duration::from_secs(1) * u32::from(task.deadline_ticks) / TICKS_PER_SECOND;
        match task.spec {
            WantedSpec::Path { spec, grid } => commands
                .spawn((asked, Offloading::<Path>::new(spec, Blobs::new(vec![grid])).deadline(deadline))),
            WantedSpec::Physics { spec, before } => {
                let before = before.filter(|(request, _)| due.is_kept_there(*request));
                let offloading = match before.and_then(|(_, motions)| motions.changes(&spec)) {
                    Some((changes, left)) => {
                        let name = left.digest();
                        Offloading::<Physics>::new(changes, Blobs::new(vec![left])).left(name)
                    }
                    None => Offloading::new(spec, Blobs::default()),
                };
                commands.spawn((asked, offloading.deadline(deadline)))
            }
            WantedSpec::Tactics { spec } => {
                commands.spawn((asked, Offloading::<Tactics>::new(spec, Blobs::default()).deadline(deadline)))
            }
        };
    }
}

fn take_outcome<K: Wanted>(
    done: On<OffloadDone<K>>,
    asked: Query<&Asked>,
    time: Res<Time<Real>>,
    mut due: ResMut<Due>,
    mut sources: ResMut<Sources>,
    mut commands: Commands,
) {
    if let Ok(Asked(request)) = asked.get(done.entity) {
        due.came(*request, |expected| K::answer(&done.outcome, expected));
        if matches!(done.place, Place::Worker { .. } | Place::Coordinator) {
            due.keeps_there(*request);
        }
        sources.note(*request, Source::of(&done.done, time.elapsed()));
        commands.entity(done.entity).try_despawn();
    }
}

fn note_failure<K: Wanted>(
    failed: On<OffloadFailed<K>>,
    asked: Query<&Asked>,
    mut due: ResMut<Due>,
    mut commands: Commands,
) {
    if let Ok(Asked(request)) = asked.get(failed.entity) {
        due.failed(*request);
        commands.entity(failed.entity).try_despawn();
    }
}
