//! The line that tells who plans for the wingmen, and how deep.

use bevy::prelude::*;
use p2c2r_arena::Arena;
use p2c2r_offload::prelude::Place;

use super::palette::BRIGHT;
use super::{text, write};
use crate::play::{Battlefield, Sources};

pub(super) fn plugin(app: &mut App) {
    // The arena takes plans in its steps, so the line changes only when the arena does.
    app.add_systems(Update, tell_plans.run_if(resource_changed::<Battlefield>));
}

#[derive(Component)]
struct WingmanLine;

/// Adds the line to a panel.
pub(super) fn spawn_line(panel: &mut ChildSpawnerCommands) {
    panel.spawn((WingmanLine, text("", 15.0, BRIGHT)));
}

fn tell_plans(
    battlefield: Res<Battlefield>,
    sources: Res<Sources>,
    mut line: Single<&mut Text, With<WingmanLine>>,
) {
    write(&mut line, &words(&battlefield.arena, sources.plans().map(|source| &source.place)));
}

/// `wingman: 64 tries (borrowed), wins 82/100 duels`; empty without a wingman.
fn words(arena: &Arena, whose: Option<&Place>) -> String {
    let wingmen = arena.wingmen();
    if wingmen.is_empty() {
        return String::new();
    }
    let who = if wingmen.len() == 1 { "wingman" } else { "wingmen" };
    if !wingmen.iter().any(p2c2r_arena::Wingman::is_there) {
        return format!("{who}: lost, on the way back");
    }
    if arena.wingmen_hold_fire() && !arena.enemies().is_empty() {
        return format!("{who}: no fire until you fire");
    }
    let wins = arena.duels_won().map_or(String::new(), |won| format!(", wins {won}/100 duels"));
    let (Some(rollouts), Some(whose)) = (arena.planned_rollouts(), whose) else {
        return format!("{who}: by rule{wins}");
    };
    let whose = match whose {
        Place::Worker { .. } => "borrowed",
        Place::Coordinator | Place::Cache => "coord.",
        Place::Local => "here",
    };
    format!("{who}: {rollouts} tries ({whose}){wins}")
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::ArenaConfig;

    use super::*;

    #[test]
    fn without_wingmen_nothing_is_said_and_without_plans_that_they_go_by_rule() {
        assert_eq!(words(&Arena::new(ArenaConfig::default()), None), "");
        let arena = Arena::new(ArenaConfig::default().with_allies(2));
        let said = words(&arena, Some(&Place::Local));
        assert!(said.starts_with("wingmen: by rule, wins ") && said.ends_with("/100 duels"), "{said}");
    }
}
