//! The scenes whose pictures are compared: every page, and a fight at every level of the display.

use bevy::prelude::*;
use image::RgbImage;
use p2c2r_arena::{Arena, ArenaConfig, ArenaEvent, Controls, Difficulty, EnemyRole, Harm};
use p2c2r_game::screens::{Borrowed, Page, Round, Scores};
use p2c2r_game::settings::{BorrowingDetail, Palette};
use p2c2r_game::{Battlefield, Happened};
use p2c2r_link::problem::other_version;
use p2c2r_protocol::ProtocolIdentity;

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
    look("loading", &mut stage);
    assert_eq!(stage.app().world().resource::<State<Page>>().get(), &Page::Loading);
    stage.app().insert_resource(scores());
    stage.play(60);
    for page in Page::MENUS {
        stage.go_to(page);
        look(name_of(page), &mut stage);
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
    stage.choose(|settings| settings.display.palette = Palette::HighContrast);
    look("high-contrast", &mut stage);
    stage.choose(|settings| {
        settings.display.palette = Palette::Standard;
        settings.display.level = BorrowingDetail::Compact;
    });
    stage.choose(|settings| settings.borrowing.enabled = false);
    stage.play(28);
    look("switched-off", &mut stage);
    stage.choose(|settings| settings.display.level = BorrowingDetail::Off);
    for event in hit_and_lost() {
        stage.app().world_mut().write_message(Happened(event));
    }
    stage.play(6);
    look("hit-and-lost", &mut stage);
    stage.play(240);
    stage.choose(|settings| settings.borrowing.mirrors = false);
    stage.play(90);
    look("light-off", &mut stage);
    stage.choose(|settings| settings.borrowing.mirrors = true);
    stage.play(90);
    look("light-on", &mut stage);
    stage.app().world_mut().resource_mut::<Battlefield>().arena = lost();
    stage.play(100);
    look("round-over", &mut stage);
    pictures.push(("another-version", another_version()?));
    pictures.push((LOWEST, lowest()?));
    Ok(pictures)
}

/// The name that the fight at the lowest preset is stored under.
pub const LOWEST: &str = "lowest-preset";

/// The fight at the lowest preset and quality, without the display.
pub fn lowest() -> Result<RgbImage, String> {
    let arguments = ["--page=play", "--difficulty=cadet", "--preset=saver", "--display-level=off"];
    let mut stage = Stage::open(DRAWN_PER_STORED * WIDTH, DRAWN_PER_STORED * HEIGHT, &arguments)?;
    stage.play(INTO_THE_FIGHT);
    Ok(stage.picture())
}

/// A fight at whose beginning a coordinator of another version has not let the game in.
fn another_version() -> Result<RgbImage, String> {
    let own = ProtocolIdentity { id: 1, text: "p2c2r/0.1.0 r4 path.v7 (77be000000000000)".into() };
    let problem = other_version(&own, "p2c2r/0.2.0 r5 path.v8 (9f3a000000000000)", "both speak otherwise");
    let arguments = ["--page=play", "--difficulty=pilot"];
    let mut stage =
        Stage::open_refused(DRAWN_PER_STORED * WIDTH, DRAWN_PER_STORED * HEIGHT, &arguments, problem)?;
    stage.play(180);
    Ok(stage.picture())
}

/// The name of a page's picture.
fn name_of(page: Page) -> &'static str {
    match page {
        Page::Title => "title",
        Page::HowToPlay => "how-to-play",
        Page::Scores => "scores",
        Page::Settings => "settings",
        Page::Video => "settings-picture",
        Page::Sound => "settings-sound",
        Page::Display => "settings-display",
        Page::Borrowing => "settings-borrowing",
        Page::Join => "settings-coordinator",
        Page::Comparison => "settings-comparison",
        Page::Keys => "settings-keys",
        Page::Credits => "credits",
        Page::Leave => "leave",
        Page::Paused => "paused",
        Page::RoundOver => "round-over",
        Page::Loading | Page::Play => panic!("{page:?} is no menu"),
    }
}

/// A table with a few rounds in it, one of them as an older game kept it.
fn scores() -> Scores {
    let mut scores = Scores::default();
    let date = Some("2026-11-29".to_owned());
    let borrowed = |preset: &str, percent| Some(Borrowed { preset: preset.into(), percent });
    for (score, wave, seconds, date, borrowed, seed) in [
        (12_400, 9, 412, date.clone(), borrowed("rich", 97), Some(482_910_337)),
        (8_150, 6, 290, date, borrowed("default", 0), Some(7_113_001)),
        (700, 2, 61, None, None, None),
    ] {
        let round = Round { score, wave, seconds, cost_nanos: 1_234_567, date, borrowed, seed };
        scores.enter(Difficulty::Pilot, round.clone());
        scores.enter(Difficulty::Cadet, round);
    }
    scores
}

/// The ship is hit from the right, and the last one but one was lost.
fn hit_and_lost() -> [ArenaEvent; 2] {
    let by = Harm::Rammed(EnemyRole::Rammer);
    let (at, from) = (p2c2r_arena::Vec2::ZERO, p2c2r_arena::Vec2::new(1.0, 0.0));
    [
        ArenaEvent::ShipHurt { at, shield: 1, hull: 1, by, from },
        ArenaEvent::ShipLost { at, lives: 1, by, from },
    ]
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
