//! A coordinator that starts after the game: play begins alone, the banner says so, and goes when it is joined.

use bevy::prelude::*;
use p2c2r_game::Battlefield;
use p2c2r_link::{ClientTransport, MemoryHub};
use p2c2r_offload::{LocalReason, OffloadMode, OffloadState};
use p2c2r_protocol::Nanos;

use super::coordinator::NearCoordinator;
use super::stage::{FRAME, Stage};

/// Frames of two seconds.
const PATIENCE: u32 = 120;
/// Frames after which a coordinator that answers must have been joined: tries are ten seconds apart at most.
const JOINED_WITHIN: u32 = 60 * 15;

/// Why the game borrows from nobody, in the banner's words.
fn why_alone(stage: &mut Stage) -> String {
    match &stage.app().world().resource::<OffloadState>().mode {
        OffloadMode::Local(LocalReason::NotConnected { reason }) => reason.brief().to_owned(),
        mode => panic!("it is not alone for want of a coordinator: {mode:?}"),
    }
}

fn is_shown(stage: &mut Stage, words: &str) -> bool {
    let world = stage.app().world_mut();
    let mut texts = world.query::<(&Text, &ComputedNode)>();
    texts.iter(world).any(|(text, node)| text.0 == words && node.size().min_element() > 0.5)
}

/// Plays through it; `Err` says why nothing can be drawn here.
pub fn check() -> Result<(), String> {
    let hub = MemoryHub::new();
    hub.set_credit(Nanos::DOLLAR);
    let link = Some(ClientTransport::Memory(hub.clone()));
    let mut stage = Stage::open_linked(1_280, 720, &["--page=play"], link)?.without_renderer();
    stage.play(PATIENCE - 10);
    let words = why_alone(&mut stage);
    assert!(!is_shown(&mut stage, &words), "a connection may take a moment");
    stage.play(20);
    let words = why_alone(&mut stage);
    assert!(is_shown(&mut stage, &words), "nobody answers, and the player is not told");
    assert!(stage.app().world().resource::<Battlefield>().arena.tick() > 100, "play waits for nobody");

    let mut coordinator = NearCoordinator::start(&hub, FRAME);
    let is_remote = |stage: &mut Stage| stage.app().world().resource::<OffloadState>().is_remote();
    let mut frames = 0;
    while !is_remote(&mut stage) {
        assert!(frames < JOINED_WITHIN, "a coordinator that answers is not joined");
        coordinator.play_with(stage.app(), 1);
        frames += 1;
    }
    coordinator.play_with(stage.app(), 2);
    assert!(!is_shown(&mut stage, &words));
    coordinator.play_with(stage.app(), 240);
    assert!(coordinator.charged() > Nanos(0), "it is borrowed from");
    Ok(())
}
