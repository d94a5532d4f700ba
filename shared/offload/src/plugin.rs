//! The plugin: what it adds to an app, in which schedules, in which order.

use std::sync::Arc;

use bevy_app::{App, AppExit, Last, Plugin, PostUpdate, PreUpdate};
use bevy_ecs::change_detection::DetectChanges;
use bevy_ecs::message::{Message, MessageReader, MessageWriter, Messages};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};
use bevy_ecs::system::{Commands, Local, Res, ResMut};
use bevy_ecs::world::World;
use bevy_time::TimePlugin;
use p2c2r_link::{
    ClientLink, ClientLinkConfig, ClientLinkPlugin, FromServer, GameSide, LinkDown, LinkStatus, LinkSystems,
    LinkUp, ToServer, TokenSource,
};
use p2c2r_protocol::{GameToServer, ServerToGame};
use tracing::info;

use crate::account::OffloadAccount;
use crate::config::OffloadConfig;
use crate::diagnostics;
use crate::horizon::OffloadHorizon;
use crate::inbox::Inbox;
use crate::kind::{Kind, KindTable, Spent};
use crate::ladder::{CONNECTING, Ladder, connecting};
use crate::ladder_context::LadderContext;
use crate::publish::publish;
use crate::switch::{
    LocalReason, OffloadCaps, OffloadElsewhere, OffloadFrameBudget, OffloadMode, OffloadState, OffloadSwitch,
};
use crate::totals::OffloadTotals;
use crate::window::KindWindows;

/// Lets a game offload tasks. Add kinds with
/// [`add_offload_kind`](crate::OffloadAppExt::add_offload_kind). Needs nothing but what `MinimalPlugins`
/// has, and adds Bevy's time plugin if it is absent: so add it after the engine's own plugin groups.
#[derive(Default)]
pub struct OffloadPlugin {
    /// How it is set up.
    pub config: OffloadConfig,
}

/// Moves to the coordinator that these connect tokens are for. The one before is told to stop, its tasks are computed
/// here, and new patient tasks are not stored on disk until the next start. Does nothing in an app without
/// [`OffloadConfig::link`].
#[derive(Message, Clone, Debug)]
pub struct BorrowFrom(pub Arc<dyn TokenSource>);

/// When the plugin works; order your own systems by these.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffloadSystems {
    /// `PreUpdate`, after [`LinkSystems::Receive`]: outcomes from the coordinator are delivered, as events
    /// and messages.
    Receive,
    /// `PreUpdate`, after [`OffloadSystems::Receive`]: finished local outcomes are delivered, and local
    /// compute is started for tasks that can wait no longer. A game's systems in `Update` see what both sets
    /// deliver.
    Fallback,
    /// `PostUpdate`, before [`LinkSystems::Send`]: tasks that the game submitted or cancelled in this frame
    /// are sent.
    Dispatch,
    /// `PostUpdate`, after [`OffloadSystems::Dispatch`]: diagnostics are written, twice a second, for the HUD
    /// of the frames that follow.
    Diagnostics,
}

impl Plugin for OffloadPlugin {
    fn build(&self, app: &mut App) {
        if !app.is_plugin_added::<TimePlugin>() {
            app.add_plugins(TimePlugin);
        }
        if let Some(transport) = &self.config.link {
            app.add_plugins(ClientLinkPlugin::<GameSide>::new(ClientLinkConfig {
                transport: transport.clone(),
                identity: self.config.kinds.identity(),
                name: self.config.name.clone(),
                rate_limit: self.config.rate_limit,
                impair: self.config.impair,
                reconnect: self.config.reconnect,
            }));
        }
        app.add_message::<AppExit>()
            .add_message::<LinkUp>()
            .add_message::<LinkDown>()
            .add_message::<FromServer<ServerToGame>>()
            .add_message::<ToServer<GameToServer>>()
            .add_message::<BorrowFrom>()
            .init_resource::<Inbox>()
            .init_resource::<KindTable>()
            .init_resource::<Spent>()
            .init_resource::<KindWindows>()
            .init_resource::<OffloadSwitch>()
            .init_resource::<OffloadFrameBudget>()
            .init_resource::<OffloadElsewhere>()
            .init_resource::<OffloadAccount>()
            .init_resource::<OffloadHorizon>()
            .init_resource::<OffloadTotals>()
            .insert_resource(OffloadState { mode: OffloadMode::Local(LocalReason::NoCoordinator) })
            .insert_resource(OffloadCaps { session: self.config.session_cap, hour: self.config.hour_cap })
            .insert_resource(Ladder::new(&self.config));
        diagnostics::register_shared(app);
        app.configure_sets(
            PreUpdate,
            (OffloadSystems::Receive, OffloadSystems::Fallback).chain().after(LinkSystems::Receive),
        )
        .configure_sets(
            PostUpdate,
            (OffloadSystems::Dispatch.before(LinkSystems::Send), OffloadSystems::Diagnostics).chain(),
        )
        .add_systems(
            PreUpdate,
            (receive.in_set(OffloadSystems::Receive), fall_back.in_set(OffloadSystems::Fallback)),
        )
        .add_systems(
            PostUpdate,
            (dispatch.in_set(OffloadSystems::Dispatch), publish.in_set(OffloadSystems::Diagnostics)),
        )
        .add_systems(Last, despawn_spent);
    }

    fn finish(&self, app: &mut App) {
        resume_former(app.world_mut());
        if self.config.link.is_none() {
            return;
        }
        for kind in &app.world().resource::<KindTable>().kinds {
            let shared = self.config.kinds.get(kind.id);
            assert!(
                shared.is_some_and(|shared| shared.kernel_version() == kind.kernel_version),
                "kind `{0}` version {1} is offloaded but not in OffloadConfig::kinds, the list that coordinator \
                 and workers share: add it to KindRegistry::builtin(), with which all three are built",
                kind.name,
                kind.kernel_version
            );
        }
    }
}

/// Spawns the patient tasks of an earlier run; drops those of kinds that the game does not have.
fn resume_former(world: &mut World) {
    let former = world.resource_mut::<Ladder>().take_former();
    for former in former {
        let submit = &former.submit;
        let kinds = &world.resource::<KindTable>().kinds;
        let is_same = |kind: &&Kind| (kind.id, kind.kernel_version) == (submit.kind, submit.kernel_version);
        let resume = kinds.iter().find(is_same).map(|kind| kind.resume);
        if resume.is_none_or(|resume| resume(world, &former).is_err()) {
            info!(kind = former.submit.kind.0, "a patient task of an earlier version of the game is dropped");
            world.resource_mut::<Ladder>().forget_former(&former);
        }
    }
}

/// Handles the coordinator's messages.
fn receive(
    mut ladder: ResMut<'_, Ladder>,
    mut context: LadderContext<'_>,
    mut inbox: ResMut<'_, Inbox>,
    mut messages: ResMut<'_, Messages<FromServer<ServerToGame>>>,
    mut downs: MessageReader<'_, '_, LinkDown>,
    mut others: MessageReader<'_, '_, BorrowFrom>,
    link: Option<ResMut<'_, ClientLink>>,
    mut commands: Commands<'_, '_>,
) {
    let intents = inbox.take();
    ladder.take_in(&mut context, intents);
    let connected = link.as_ref().is_none_or(|link| *link.status() == LinkStatus::Connected);
    let offset = link.as_ref().and_then(|link| link.stats().clock_offset_us);
    // Answers first, since a connection that is lost in this update may have brought some; events of the
    // connection last, since it may have been re-established in this update.
    let mut control = Vec::new();
    for FromServer { message, .. } in messages.drain() {
        match message {
            ServerToGame::Welcome(_) | ServerToGame::Statement(_) | ServerToGame::Closing { .. } => {
                control.push(message);
            }
            _ => ladder.hear(&mut context, message, offset),
        }
    }
    if let Some(LinkDown { reason }) = downs.read().last() {
        ladder.lose_link(&mut context, reason.clone());
    }
    if connected {
        for message in control {
            ladder.hear(&mut context, message, offset);
        }
    }
    // Last, so that messages of the previous coordinator in this update still count.
    if let (Some(BorrowFrom(tokens)), Some(mut link)) = (others.read().last(), link) {
        ladder.leave_coordinator(&mut context);
        context.account.leave_coordinator();
        // The link still sends this update's messages, and leaves the coordinator with the next update.
        link.connect_to(Arc::clone(tokens));
    }
    deliver(&mut ladder, &context, &mut commands);
}

/// Handles what local compute has finished, and starts it for tasks whose time runs out.
fn fall_back(
    mut ladder: ResMut<'_, Ladder>,
    mut context: LadderContext<'_>,
    mut horizon: ResMut<'_, OffloadHorizon>,
    budget: Res<'_, OffloadFrameBudget>,
    link: Option<Res<'_, ClientLink>>,
    mut commands: Commands<'_, '_>,
) {
    ladder.note_frame(context.time.delta(), *budget);
    ladder.collect(&mut context);
    ladder.climb(&mut context);
    let rtt = link.and_then(|link| link.stats().rtt);
    let kinds = 0..context.kinds();
    horizon.set(kinds.map(|kind| (context.kind(kind).id, ladder.ahead(&context, kind, rtt))));
    deliver(&mut ladder, &context, &mut commands);
}

/// Sends what the game submitted and cancelled in this frame.
fn dispatch(
    mut ladder: ResMut<'_, Ladder>,
    mut context: LadderContext<'_>,
    mut inbox: ResMut<'_, Inbox>,
    mut state: ResMut<'_, OffloadState>,
    link: Option<ResMut<'_, ClientLink>>,
    mut to_server: MessageWriter<'_, ToServer<GameToServer>>,
    mut exits: MessageReader<'_, '_, AppExit>,
    mut told: Local<'_, Option<OffloadMode>>,
) {
    let intents = inbox.take();
    ladder.take_in(&mut context, intents);
    if context.switch.is_changed() {
        ladder.recall(&mut context);
    }
    ladder.send_waiting(&mut context);
    ladder.climb(&mut context);
    ladder.cancel_orphans();
    to_server.write_batch(ladder.outgoing.drain(..).map(ToServer));
    if exits.read().next().is_some() {
        to_server.write(ToServer(GameToServer::Leaving));
    }
    if let Some(mut link) = link {
        link.mark_busy(ladder.is_busy());
        match link.status() {
            LinkStatus::Refused { reason } => ladder.note_link(reason),
            // While the next attempt is made, the reason why the last one failed stays on show.
            LinkStatus::Connecting => ladder.note_link(link.problem().unwrap_or(&connecting())),
            LinkStatus::Offline => {
                if let Some(problem) = link.problem() {
                    ladder.note_link(problem);
                }
            }
            LinkStatus::Connected => {}
        }
    }
    context.account.reserved = ladder.reserved();
    context.account.at_risk = ladder.at_risk(&context);
    context.account.hour_at_most = ladder.hour_at_most(&context);
    context.account.session_total = ladder.session_total();
    let mode = ladder.mode(&context);
    if state.mode != mode {
        state.mode = mode;
        tell_mode(&state.mode, &mut told);
    }
}

/// Logs where tasks go from now on. Connecting is logged only once, not on every try.
fn tell_mode(mode: &OffloadMode, told: &mut Option<OffloadMode>) {
    if told.as_ref() == Some(mode) {
        return;
    }
    match mode {
        OffloadMode::Local(LocalReason::NotConnected { reason }) if reason.detail == CONNECTING => {
            if matches!(told, Some(OffloadMode::Local(LocalReason::NotConnected { .. }))) {
                return;
            }
            info!("tasks are computed here until the coordinator answers");
        }
        OffloadMode::Local(reason) => info!("tasks are computed here: {reason}"),
        OffloadMode::Remote => info!("tasks go to the coordinator"),
    }
    *told = Some(mode.clone());
}

/// Queues commands that store the newest outcomes and deliver the ends of tasks to their entities, once the
/// system has released the ladder.
fn deliver(ladder: &mut Ladder, context: &LadderContext<'_>, commands: &mut Commands<'_, '_>) {
    for replaced in ladder.replaced.drain(..) {
        commands.entity(replaced).try_despawn();
    }
    if ladder.deliveries.is_empty() && ladder.kept.is_empty() {
        return;
    }
    let kept: Vec<_> = ladder.kept.drain(..).map(|kept| (context.kind(kept.kind).keep, kept)).collect();
    let deliveries: Vec<_> =
        ladder.deliveries.drain(..).map(|delivery| (context.kind(delivery.kind).deliver, delivery)).collect();
    commands.queue(move |world: &mut World| {
        // Stored before the ends are delivered, so that an observer of an outcome finds it in `LastOutcome`.
        for (keep, kept) in kept {
            keep(world, kept);
        }
        for (deliver, delivery) in deliveries {
            deliver(world, delivery);
        }
    });
}

/// Despawns the entities that were spawned for a task which ended in this frame.
fn despawn_spent(mut commands: Commands<'_, '_>, mut spent: ResMut<'_, Spent>) {
    for entity in spent.0.drain(..) {
        commands.entity(entity).try_despawn();
    }
}
