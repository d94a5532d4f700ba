//! The balance files, the defaults and the ranges agree, and no numbers break the arena.

use super::*;
use crate::config::{
    EnemyRules, PathRules, PhysicsRules, PickupRules, SectorRules, TacticsRules, WingmanRules,
};
use crate::plans::PLANS;

fn parse(text: &str) -> ArenaConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn the_balance_file_holds_exactly_the_defaults() {
    let text = include_str!("../../../../assets/arena.toml");
    assert_eq!(parse(text), ArenaConfig::default());
    let table: toml::Table = toml::from_str(text).unwrap();
    let numbers: usize = table.values().map(|value| value.as_table().map_or(1, toml::Table::len)).sum();
    let all = 3
        + ShipRules::COUNT
        + EnemyRules::COUNT
        + RockRules::COUNT
        + PhysicsRules::COUNT
        + PickupRules::COUNT
        + WaveRules::COUNT
        + SectorRules::COUNT
        + PathRules::COUNT
        + WingmanRules::COUNT
        + TacticsRules::COUNT;
    assert_eq!(numbers, all, "the file must name every number");
}

#[test]
fn the_stress_file_holds_the_stress_preset() {
    assert_eq!(parse(include_str!("../../../../assets/arena-stress.toml")), ArenaConfig::stress());
}

#[test]
fn the_waves_file_holds_the_designed_waves() {
    #[derive(serde::Deserialize)]
    struct Waves {
        wave: Vec<WavePlan<String>>,
    }
    let waves: Waves = toml::from_str(include_str!("../../../../assets/waves.toml")).unwrap();
    let plans: Vec<WavePlan<String>> = PLANS
        .iter()
        .map(|plan| WavePlan {
            name: plan.name.to_owned(),
            teaches: plan.teaches.to_owned(),
            stresses: plan.stresses,
            rammers: plan.rammers,
            gunners: plan.gunners,
            carriers: plan.carriers,
            bosses: plan.bosses,
        })
        .collect();
    assert_eq!(waves.wave, plans);
}

#[test]
fn the_sectors_file_holds_the_designed_sectors() {
    #[derive(serde::Deserialize)]
    struct Sectors {
        sector: Vec<SectorPlan<String>>,
    }
    let sectors: Sectors = toml::from_str(include_str!("../../../../assets/sectors.toml")).unwrap();
    let plans: Vec<SectorPlan<String>> = crate::sectors::PLANS
        .iter()
        .map(|plan| SectorPlan {
            name: plan.name.to_owned(),
            star: plan.star,
            rocks: plan.rocks,
            reefs: plan.reefs,
            drift: plan.drift,
            wells: plan.wells,
        })
        .collect();
    assert_eq!(sectors.sector, plans);
}

#[test]
fn the_files_of_the_difficulties_hold_their_numbers() {
    for (difficulty, text) in [
        (Difficulty::Cadet, include_str!("../../../../assets/arena-cadet.toml")),
        (Difficulty::Ace, include_str!("../../../../assets/arena-ace.toml")),
    ] {
        let numbers = ArenaConfig::of(difficulty);
        assert_eq!(parse(text), numbers, "{difficulty:?}");
        assert_eq!(numbers.clone().clamped(), numbers, "{difficulty:?}");
    }
    assert_eq!(ArenaConfig::of(Difficulty::Pilot), ArenaConfig::default());
}

#[test]
fn defaults_and_presets_lie_in_their_ranges() {
    assert_eq!(ArenaConfig::default().clamped(), ArenaConfig::default());
    assert_eq!(ArenaConfig::stress().clamped(), ArenaConfig::stress());
}

#[test]
fn unknown_numbers_are_refused() {
    assert!(toml::from_str::<ArenaConfig>("sise = 64.0").is_err());
    assert!(toml::from_str::<ArenaConfig>("[ship]\nthurst = 1.0").is_err());
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
    parse(&lines.collect::<Vec<_>>().join("\n"))
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
