//! Hands the arena's wishes to the offload plugin and its outcomes back to the arena.

use std::sync::Arc;
use std::time::Duration;

use bevy::app::RunFixedMainLoopSystems;
use bevy::prelude::*;
use p2c2r_arena::{DueOutcome, OutcomeBody, RequestId, TICKS_PER_SECOND, WantedSpec, WantedTask};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::path::Path;

/// The most one path task may cost: several times what the largest grid and all its enemies cost.
const PATH_PRICE_CAP: Nanos = Nanos(100_000);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Wants>()
        .init_resource::<Due>()
        .init_resource::<PathOrigin>()
        .add_offload_kind::<Path>(KindSettings {
            deadline: Duration::from_millis(200),
            price_cap: PATH_PRICE_CAP,
            late: OnLate::ComputeLocally,
        })
        .add_systems(RunFixedMainLoop, submit_wants.in_set(RunFixedMainLoopSystems::AfterFixedMainLoop))
        .add_observer(take_paths)
        .add_observer(note_failed_paths);
}

/// What the arena wished for in this frame's steps.
#[derive(Resource, Default)]
pub(super) struct Wants(pub(super) Vec<WantedTask>);

/// Outcomes that wait for the next step. Which step that is depends on when they came: it is part of the
/// run's input.
#[derive(Resource, Default)]
pub(super) struct Due(Vec<DueOutcome>);

impl Due {
    pub(super) fn take(&mut self) -> Vec<DueOutcome> {
        std::mem::take(&mut self.0)
    }
}

/// Who computed the paths that the enemies follow now.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PathOrigin {
    /// There are none yet.
    #[default]
    Nobody,
    /// Someone else's computer.
    Remote,
    /// The coordinator, by computing or from its cache.
    Coordinator,
    /// This computer.
    Local,
}

/// Which of the arena's requests an offloaded task answers.
#[derive(Component, Clone, Copy, Debug)]
struct Asked(RequestId);

fn submit_wants(mut commands: Commands, mut wants: ResMut<Wants>) {
    for task in wants.0.drain(..) {
        let WantedSpec::Path { spec, grid } = task.spec;
        let deadline = Duration::from_secs(1) * u32::from(task.deadline_ticks) / TICKS_PER_SECOND;
        commands.spawn((
            Asked(task.request),
            Offloading::<Path>::new(spec, Blobs::new(vec![grid])).deadline(deadline),
        ));
    }
}

fn take_paths(
    done: On<OffloadDone<Path>>,
    asked: Query<&Asked>,
    mut due: ResMut<Due>,
    mut origin: ResMut<PathOrigin>,
    mut commands: Commands,
) {
    if let Ok(Asked(request)) = asked.get(done.entity) {
        let outcome = OutcomeBody::Path(Arc::clone(&done.outcome));
        due.0.push(DueOutcome { request: *request, outcome });
        origin.set_if_neq(match done.place {
            Place::Worker { .. } => PathOrigin::Remote,
            Place::Coordinator | Place::Cache => PathOrigin::Coordinator,
            Place::Local => PathOrigin::Local,
        });
        commands.entity(done.entity).try_despawn();
    }
}

fn note_failed_paths(
    failed: On<OffloadFailed<Path>>,
    asked: Query<&Asked>,
    mut due: ResMut<Due>,
    mut commands: Commands,
) {
    if let Ok(Asked(request)) = asked.get(failed.entity) {
        due.0.push(DueOutcome { request: *request, outcome: OutcomeBody::None });
        commands.entity(failed.entity).try_despawn();
    }
}
