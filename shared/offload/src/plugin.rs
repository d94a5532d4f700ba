//! The plugin: what it adds to an app, in which schedules, in which order.

use bevy_app::{App, Last, Plugin, PostUpdate, PreUpdate};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};
use bevy_ecs::system::{Commands, ResMut};
use bevy_time::TimePlugin;

use crate::account::OffloadAccount;
use crate::config::OffloadConfig;
use crate::diagnostics;
use crate::inbox::Inbox;
use crate::kind::{KindTable, Spent};
use crate::switch::{LocalReason, OffloadMode, OffloadState, OffloadSwitch};
use crate::totals::OffloadTotals;

/// Lets a game offload tasks. Add kinds with
/// [`add_offload_kind`](crate::OffloadAppExt::add_offload_kind); needs nothing but what
/// `MinimalPlugins` has, and adds Bevy's time plugin if it is absent.
#[derive(Default)]
pub struct OffloadPlugin {
    /// How it is set up.
    pub config: OffloadConfig,
}

/// When the plugin works; order your own systems by these.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffloadSystems {
    /// `PreUpdate`, after the link has received: outcomes from the coordinator are delivered.
    Receive,
    /// `PreUpdate`, after [`OffloadSystems::Receive`]: finished local outcomes are delivered, and local
    /// compute is started for tasks that can wait no longer. Both sets' events and messages are there for
    /// all of `Update`.
    Fallback,
    /// `PostUpdate`, before the link sends: tasks asked for in this frame go out, tasks taken back are
    /// cancelled.
    Dispatch,
    /// `PostUpdate`, after [`OffloadSystems::Dispatch`]: diagnostics are written, twice a second.
    Diagnostics,
}

impl Plugin for OffloadPlugin {
    fn build(&self, app: &mut App) {
        if !app.is_plugin_added::<TimePlugin>() {
            app.add_plugins(TimePlugin);
        }
        app.init_resource::<Inbox>()
            .init_resource::<KindTable>()
            .init_resource::<Spent>()
            .init_resource::<OffloadSwitch>()
            .init_resource::<OffloadAccount>()
            .init_resource::<OffloadTotals>()
            .insert_resource(OffloadState { mode: OffloadMode::Local(LocalReason::NoCoordinator) });
        diagnostics::register_shared(app);
        app.configure_sets(PreUpdate, (OffloadSystems::Receive, OffloadSystems::Fallback).chain())
            .configure_sets(PostUpdate, (OffloadSystems::Dispatch, OffloadSystems::Diagnostics).chain())
            .add_systems(Last, despawn_spent);
    }
}

/// Despawns the entities that existed for a task which ended in this frame.
fn despawn_spent(mut commands: Commands<'_, '_>, mut spent: ResMut<'_, Spent>) {
    for entity in spent.0.drain(..) {
        commands.entity(entity).try_despawn();
    }
}
