//! What is looked at: every page, and a fight at every level of the display.

use bevy::prelude::*;
use image::RgbImage;
use p2c2r_arena::{Arena, ArenaConfig, Controls, Difficulty};
use p2c2r_game::Battlefield;
use p2c2r_game::screens::{Page, Scores};
use p2c2r_game::settings::BorrowingDetail;
use p2c2r_offload::OffloadSwitch;

use super::compare::{DRAWN_PER_STORED, HEIGHT, WIDTH};
use super::stage::Stage;

/// Steps of the fight before the first look: the first enemies are near and shoot.
const INTO_THE_FIGHT: u32 = 420;

/// Draws all scenes, each with the name that it is stored under.
pub fn draw() -> Result<Vec<(&'static str, RgbImage)>, String> {
    let mut pictures = Vec::new();
    let mut stage = Stage::open(
        DRAWN_PER_STORED * WIDTH,
        DRAWN_PER_STORED * HEIGHT,
        &["--page=title", "--difficulty=pilot"],
    )?;
    let mut look = |name, stage: &mut Stage| pictures.push((name, stage.picture()));
    stage.app().insert_resource(scores());
    stage.play(60);
    for (name, page) in [
        ("title", Page::Title),
        ("how-to-play", Page::HowToPlay),
        ("scores", Page::Scores),
        ("settings", Page::Settings),
        ("settings-picture", Page::Video),
        ("settings-sound", Page::Sound),
        ("settings-display", Page::Display),
        ("settings-borrowing", Page::Borrowing),
        ("settings-comparison", Page::Comparison),
        ("settings-keys", Page::Keys),
        ("credits", Page::Credits),
        ("leave", Page::Leave),
        ("paused", Page::Paused),
    ] {
        stage.go_to(page);
        look(name, &mut stage);
    }
    stage.go_to(Page::Play);
    stage.play(INTO_THE_FIGHT);
    for (name, level) in [
        ("display-off", BorrowingDetail::Off),
        ("display-chip", BorrowingDetail::Chip),
        ("display-compact", BorrowingDetail::Compact),
        ("display-full", BorrowingDetail::Full),
        ("display-developer", BorrowingDetail::Developer),
    ] {
        stage.choose(|settings| settings.display.level = level);
        look(name, &mut stage);
    }
    stage.choose(|settings| settings.display.level = BorrowingDetail::Compact);
    stage.app().world_mut().resource_mut::<OffloadSwitch>().toggle();
    stage.play(60);
    look("switched-off", &mut stage);
    stage.choose(|settings| settings.display.level = BorrowingDetail::Off);
    stage.choose(|settings| settings.borrowing.mirrors = false);
    stage.play(90);
    look("light-off", &mut stage);
    stage.choose(|settings| settings.borrowing.mirrors = true);
    stage.play(90);
    look("light-on", &mut stage);
    stage.app().world_mut().resource_mut::<Battlefield>().arena = lost();
    stage.play(4);
    look("round-over", &mut stage);
    Ok(pictures)
}

/// A table with a few rounds in it.
fn scores() -> Scores {
    let mut scores = Scores::default();
    for (score, wave, seconds) in [(12_400, 9, 412), (8_150, 6, 290), (700, 2, 61)] {
        let round = p2c2r_game::screens::Round { score, wave, seconds, cost_nanos: 1_234_567 };
        scores.enter(Difficulty::Pilot, round.clone());
        scores.enter(Difficulty::Cadet, round);
    }
    scores
}

/// A round that has ended.
pub fn lost() -> Arena {
    let mut arena = Arena::new(ArenaConfig { seed: 1, ..ArenaConfig::default() });
    while !arena.is_over() {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        assert!(arena.tick() < 60 * 240, "no round ended");
    }
    arena
}
