//! Steps the arena 60 times a second, whatever the frame rate.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_arena::TICKS_PER_SECOND;
use p2c2r_offload::OffloadHorizon;

use super::borrowing::{DepthOfPlans, Due, Wants, horizon};
use super::{Battlefield, Happened, Intent, Pilot, Sources};

/// The most game time one frame may catch up on. A slower machine plays slower instead of stalling in ever
/// longer frames; [`Slips`] counts the lost time.
pub(crate) const CATCH_UP_MAX: Duration = Duration::from_millis(250);

pub(super) fn plugin(app: &mut App) {
    app.insert_resource(Time::<Fixed>::from_hz(f64::from(TICKS_PER_SECOND)))
        .init_resource::<Slips>()
        .add_systems(Startup, limit_catching_up)
        .add_systems(First, count_slips.after(bevy::time::TimeSystems))
        .add_systems(FixedUpdate, step_arena);
}

/// Game time that was skipped because frames took too long.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(crate) struct Slips(pub(crate) Duration);

fn limit_catching_up(mut time: ResMut<Time<Virtual>>) {
    time.set_max_delta(CATCH_UP_MAX);
}

fn count_slips(real: Res<Time<Real>>, clock: Res<Time<Virtual>>, mut slips: ResMut<Slips>) {
    if !clock.is_paused() {
        slips.0 += real.delta().saturating_sub(clock.max_delta());
    }
}

fn step_arena(
    mut battlefield: ResMut<Battlefield>,
    mut pilot: ResMut<Pilot>,
    intent: Res<Intent>,
    measured: Res<OffloadHorizon>,
    depth: DepthOfPlans,
    mut due: ResMut<Due>,
    mut wants: ResMut<Wants>,
    mut sources: ResMut<Sources>,
    mut happened: MessageWriter<Happened>,
) {
    let arena = &mut battlefield.arena;
    let controls = pilot.controls(arena, intent.0);
    arena.look_ahead(horizon(&measured));
    arena.plan_deep(depth.get());
    let outcomes = due.take(arena.tick() + 1);
    sources.given(&outcomes);
    let step = arena.step(controls, &outcomes);
    happened.write_batch(step.events.into_iter().map(Happened));
    wants.0.extend(step.wanted);
}
