//! The balance files lie in their ranges, and no numbers break the arena.

use super::*;
use crate::balance::{BALANCE, numbers};

#[test]
fn all_balance_files_lie_in_the_ranges() {
    for (name, numbers) in [
        ("cadet", ArenaConfig::of(Difficulty::Cadet)),
        ("pilot", ArenaConfig::of(Difficulty::Pilot)),
        ("ace", ArenaConfig::of(Difficulty::Ace)),
        ("stress", ArenaConfig::stress()),
    ] {
        assert_eq!(numbers.clone().clamped(), numbers, "{name}");
    }
    assert_eq!(ArenaConfig::of(Difficulty::Pilot), ArenaConfig::default());
    assert_ne!(ArenaConfig::of(Difficulty::Cadet), ArenaConfig::default());
    assert_eq!(ArenaConfig::of(Difficulty::Cadet).waves.scale, 0.8, "what a file changes");
    assert_eq!(
        ArenaConfig::of(Difficulty::Cadet).rocks,
        ArenaConfig::default().rocks,
        "what it does not name"
    );
    assert!(!BALANCE.sectors.is_empty(), "a round begins in one");
}

#[test]
fn unknown_and_missing_numbers_are_refused() {
    for wrong in ["sise = 64.0", "[ship]\nthurst = 1.0", "[shop]\nthrust = 1.0"] {
        let error = numbers(wrong).expect_err(wrong).to_string();
        assert!(error.contains("unknown field"), "{wrong}: {error}");
    }
    let error = toml::from_str::<ArenaConfig>("size = 64.0").expect_err("most is missing").to_string();
    assert!(error.contains("missing field"), "{error}");
    assert_eq!(numbers("size = 64.0").expect("a known number").size, 64.0);
}

/// Every number of the balance file replaced by `value`, if its type can hold it.
fn absurd(value: &str) -> ArenaConfig {
    let whole = value.parse::<f64>().map_or(0, |value| if value > 0.0 { i64::from(u16::MAX) } else { 0 });
    let lines =
        include_str!("../../../../assets/arena.toml").lines().map(|line| match line.split_once(" = ") {
            Some((name, old)) if old.contains('.') => format!("{name} = {value}"),
            // Small types take no more than 255; the ranges clamp far below that or above.
            Some((
                name @ ("gunner_hits" | "carrier_hits" | "boss_hits" | "missile_hits" | "hits" | "segments"
                | "segment_ticks" | "crash_damage" | "ram_damage" | "bullet_damage" | "shield"
                | "hull" | "missiles" | "missiles_max" | "fragment_drag" | "bosses" | "flying"),
                _,
            )) => {
                format!("{name} = {}", whole.min(255))
            }
            Some((name, _)) => format!("{name} = {whole}"),
            None => line.to_string(),
        });
    toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

#[test]
fn absurd_numbers_are_clamped_and_played() {
    for value in ["0.0", "-1e30", "1e30", "inf", "-inf", "nan"] {
        let mut config = absurd(value);
        // Otherwise no wave would come within the test's time.
        config.waves.pause_ticks = 30;
        config.waves.enemies_first = config.waves.enemies_first.min(40);
        config.waves.enemies_step = 0;
        let mut played = Played::new(Arena::new(config), 3, answered);
        let mut autopilot = Autopilot::default();
        for _ in 0..240 {
            let controls = autopilot.controls(&played.arena);
            played.step(controls);
            assert_sound(&played.arena);
        }
        assert!(played.arena.wave() > 0, "value {value}");
    }
}
