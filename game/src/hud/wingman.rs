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
    mut told: Local<Option<(usize, Plans)>>,
    mut line: Single<&mut Text, With<WingmanLine>>,
) {
    let arena = &battlefield.arena;
    let now = (arena.wingmen().len(), Plans::of(arena, sources.plans().map(|source| &source.place)));
    if told.replace(now) != Some(now) {
        write(&mut line, &words(now));
    }
}

/// What the wingmen fly by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plans {
    Lost,
    FireHeld,
    /// With the duels of a hundred that they win so, if known.
    ByRule(Option<u8>),
    Flown {
        rollouts: u32,
        whose: &'static str,
        wins: Option<u8>,
    },
}

impl Plans {
    fn of(arena: &Arena, whose: Option<&Place>) -> Self {
        if !arena.wingmen().iter().any(p2c2r_arena::Wingman::is_there) {
            return Self::Lost;
        }
        if arena.wingmen_hold_fire() && !arena.enemies().is_empty() {
            return Self::FireHeld;
        }
        let wins = arena.duels_won();
        let (Some(rollouts), Some(whose)) = (arena.planned_rollouts(), whose) else {
            return Self::ByRule(wins);
        };
        let whose = match whose {
            Place::Worker { .. } => "borrowed",
            Place::Coordinator | Place::Cache => "coord.",
            Place::Local => "here",
        };
        Self::Flown { rollouts, whose, wins }
    }
}

/// `wingman: 64 tries (borrowed), wins 82/100 duels`; empty without a wingman.
fn words((wingmen, plans): (usize, Plans)) -> String {
    let who = match wingmen {
        0 => return String::new(),
        1 => "wingman",
        _ => "wingmen",
    };
    let duels = |wins: Option<u8>| wins.map_or(String::new(), |won| format!(", wins {won}/100 duels"));
    match plans {
        Plans::Lost => format!("{who}: lost, on the way back"),
        Plans::FireHeld => format!("{who}: no fire until you fire"),
        Plans::ByRule(wins) => format!("{who}: by rule{}", duels(wins)),
        Plans::Flown { rollouts, whose, wins } => format!("{who}: {rollouts} tries ({whose}){}", duels(wins)),
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::ArenaConfig;

    use super::*;

    #[test]
    fn without_wingmen_nothing_is_said_and_without_plans_that_they_go_by_rule() {
        let said = |arena: &Arena, whose| words((arena.wingmen().len(), Plans::of(arena, whose)));
        assert_eq!(said(&Arena::new(ArenaConfig::default()), None), "");
        let arena = Arena::new(ArenaConfig::default().with_allies(2));
        let said = said(&arena, Some(&Place::Local));
        assert!(said.starts_with("wingmen: by rule, wins ") && said.ends_with("/100 duels"), "{said}");
    }
}
