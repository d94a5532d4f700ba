//! The same plugin over a real link in memory: handshake, heartbeats, a lost connection, a wrong build.

use std::sync::Arc;

use bevy_time::TimePlugin;
use p2c2r_link::{FromPeer, Mint, PeerJoined, ServerLinkConfig, ServerLinkPlugin, ServerTransport, ToPeer};
use p2c2r_protocol::{PeerId, ProtocolIdentity};
use p2c2r_tasks::KindRegistry;

use super::*;

/// A game and a scripted coordinator, updated one after the other in every step.
struct Pair {
    hub: MemoryHub,
    game: App,
    coordinator: App,
    /// Tasks that have reached the coordinator.
    submits: Vec<(PeerId, Submit)>,
    /// Tasks that it was told are no longer wanted.
    cancels: Vec<TaskId>,
}

fn kinds() -> KindRegistry {
    KindRegistry::empty().with::<Twice>()
}

impl Pair {
    fn new(identity: ProtocolIdentity) -> Self {
        let hub = MemoryHub::new();
        let mut coordinator = App::new();
        coordinator
            .add_plugins(TimePlugin)
            .add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
                transport: ServerTransport::Memory(hub.clone()),
                mint: Mint::new(&identity),
                identity,
                peers_max: 4,
                rate_limit: None,
                impair: None,
            }))
            .insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
        let mut game = App::new();
        let link = Some(ClientTransport::Memory(hub.clone()));
        let config = OffloadConfig { link, name: "g".into(), kinds: kinds(), ..config() };
        game.add_plugins(OffloadPlugin { config })
            .add_offload_kind::<Twice>(settings())
            .insert_resource(TimeUpdateStrategy::ManualDuration(FRAME))
            .init_resource::<Got>()
            .add_systems(
                Update,
                |mut messages: MessageReader<'_, '_, Offloaded<Twice>>, mut got: ResMut<'_, Got>| {
                    got.done.extend(messages.read().cloned());
                },
            );
        for app in [&mut game, &mut coordinator] {
            app.finish();
            app.cleanup();
        }
        Self { hub, game, coordinator, submits: Vec::new(), cancels: Vec::new() }
    }

    fn step(&mut self) {
        self.game.update();
        self.coordinator.update();
        let world = self.coordinator.world_mut();
        let joined: Vec<_> =
            world.resource_mut::<Messages<PeerJoined>>().drain().map(|joined| joined.peer).collect();
        for peer in joined {
            world.write_message(ToPeer { peer, message: welcome() });
        }
        for FromPeer { peer, message, .. } in world.resource_mut::<Messages<FromPeer<GameToServer>>>().drain()
        {
            match message {
                GameToServer::Submit(submit) => self.submits.push((peer, submit)),
                GameToServer::Cancel { task } => self.cancels.push(task),
                GameToServer::Leaving => {}
            }
        }
    }

    /// Steps until something holds, for at most ten seconds of manual time.
    fn until(&mut self, what: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if what(self) {
                return;
            }
            self.step();
        }
        panic!("it never happened; mode: {}", self.mode());
    }

    fn ask(&mut self) {
        self.game.world_mut().spawn(Offloading::<Twice>::new(spec(21), Blobs::default()));
    }

    fn mode(&self) -> &OffloadMode {
        &self.game.world().resource::<OffloadState>().mode
    }

    fn done(&self) -> &[Offloaded<Twice>] {
        &self.game.world().resource::<Got>().done
    }
}

#[test]
fn a_task_goes_out_and_its_outcome_comes_back() {
    let mut pair = Pair::new(kinds().identity());
    pair.until(|pair| *pair.mode() == OffloadMode::Remote);
    pair.ask();
    pair.until(|pair| !pair.submits.is_empty());
    let (peer, submit) = pair.submits.remove(0);
    pair.coordinator.world_mut().write_message(ToPeer { peer, message: done(submit.task, 42) });
    pair.until(|pair| !pair.done().is_empty());
    let done = &pair.done()[0];
    assert_eq!((*done.outcome, done.place.clone()), (42, Place::Worker { name: "w1".into() }));
    let stages = done.receipt.as_ref().unwrap().stages;
    assert_eq!(Duration::from_micros(stages.total_us()), done.latency);
}

#[test]
fn a_cut_line_costs_no_task_and_is_used_again_once_mended() {
    let mut pair = Pair::new(kinds().identity());
    pair.until(|pair| *pair.mode() == OffloadMode::Remote);
    pair.hub.cut("g");
    pair.ask();
    pair.until(|pair| !pair.done().is_empty());
    assert_eq!((pair.done()[0].place.clone(), pair.done()[0].late), (Place::Local, false));
    pair.until(|pair| matches!(pair.mode(), OffloadMode::Local(LocalReason::NotConnected { .. })));
    pair.ask();
    pair.until(|pair| pair.done().len() == 2);
    assert!(pair.done()[1].latency <= 4 * FRAME, "local at once: {:?}", pair.done()[1].latency);
    pair.hub.heal("g");
    pair.submits.clear();
    pair.until(|pair| *pair.mode() == OffloadMode::Remote);
    pair.ask();
    pair.until(|pair| !pair.submits.is_empty());
}

#[test]
fn a_coordinator_hears_that_it_is_left_before_the_link_goes() {
    let mut pair = Pair::new(kinds().identity());
    pair.until(|pair| *pair.mode() == OffloadMode::Remote);
    pair.game.world_mut().spawn(Offloading::<Twice>::new(spec(21), Blobs::default()).patient());
    pair.until(|pair| !pair.submits.is_empty());
    pair.game.world_mut().write_message(BorrowFrom(Arc::new(NoTokens)));
    pair.until(|pair| !pair.done().is_empty());
    assert_eq!(
        (pair.cancels.clone(), pair.done()[0].place.clone()),
        (vec![pair.submits[0].1.task], Place::Local)
    );
}

#[test]
fn another_build_is_refused_and_the_player_can_read_why() {
    let theirs = KindRegistry::builtin().identity();
    let mut pair = Pair::new(theirs.clone());
    let ours = kinds().identity();
    pair.until(|pair| {
        let text = pair.mode().to_string();
        text.contains(&theirs.text) && text.contains(&ours.text)
    });
    pair.ask();
    pair.until(|pair| !pair.done().is_empty());
    assert_eq!(pair.done()[0].place, Place::Local);
}
