//! The ship's state, at the bottom, on the opposite side of the display: shield, hull and boost as bars with
//! a word and a number each, and missiles.

use bevy::prelude::*;
use p2c2r_arena::{Arena, Ship, ShipRules};

use super::level::{Across, Edge};
use super::palette::{
    BLUISH_GREEN, BRIGHT, DIM, EDGE, Ground, Ink, ORANGE, PANEL, Rim, SKY_BLUE, VERMILLION,
};
use super::{text, write};
use crate::play::Battlefield;

/// Width of a bar, pixels at a window height of 720.
const BAR: f32 = 150.0;
/// Width of the longest number, `100%`.
const NUMBER: f32 = 34.0;
/// Height that the ship's state takes from the bottom, pixels at a window height of 720.
pub(super) const ABOVE: f32 = 130.0;
/// Share of the hull below which it is shown as danger.
const DANGER: f32 = 0.34;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_gauges)
        .add_systems(Update, (fill_bars, fill_numbers).run_if(resource_changed::<Battlefield>));
}

/// What a gauge shows.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
enum Gauge {
    Shield,
    Hull,
    Boost,
    Missiles,
}

/// The filled part of a bar.
#[derive(Component, Clone, Copy)]
struct Fill(Gauge);

impl Gauge {
    const ALL: [Self; 4] = [Self::Shield, Self::Hull, Self::Boost, Self::Missiles];

    fn label(self) -> &'static str {
        match self {
            Self::Shield => "SHIELD",
            Self::Hull => "HULL",
            Self::Boost => "BOOST",
            Self::Missiles => "MISSILES",
        }
    }

    /// The present amount and the largest possible.
    fn amount(self, ship: &Ship, rules: &ShipRules) -> (u16, u16) {
        let (now, full) = match self {
            Self::Shield => (ship.shield.into(), rules.shield.into()),
            Self::Hull => (ship.hull.into(), rules.hull.into()),
            Self::Boost => (ship.boost_ticks, rules.boost_ticks),
            Self::Missiles => (ship.missiles.into(), rules.missiles_max.max(rules.missiles).into()),
        };
        if ship.alive { (now, full) } else { (0, full) }
    }

    fn colour(self, share: f32) -> Ink {
        match self {
            Self::Shield => SKY_BLUE,
            Self::Hull if share <= DANGER => VERMILLION,
            Self::Hull => BLUISH_GREEN,
            Self::Boost => BRIGHT,
            Self::Missiles => ORANGE,
        }
    }

    /// `3/4`; for the boost, whose unit means nothing to a player, a percentage, or `wait` until it can be used again.
    fn number(self, arena: &Arena) -> String {
        match (self, self.amount(arena.ship(), &arena.config().ship)) {
            (Self::Boost, _) if arena.ship().drained => "wait".into(),
            (Self::Boost, (now, full)) => format!("{}%", u32::from(now) * 100 / u32::from(full.max(1))),
            (Self::Missiles, (now, _)) => now.to_string(),
            (_, (now, full)) => format!("{now}/{full}"),
        }
    }
}

fn spawn_gauges(mut commands: Commands) {
    commands
        .spawn((
            Across(Edge::Bottom(16.0)),
            Node {
                position_type: PositionType::Absolute,
                flex_direction: FlexDirection::Column,
                row_gap: px(4),
                padding: UiRect::axes(px(10), px(8)),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(8)),
                ..default()
            },
            Ground(PANEL),
            Rim(EDGE),
        ))
        .with_children(|column| {
            for gauge in Gauge::ALL {
                column
                    .spawn(Node { align_items: AlignItems::Center, column_gap: px(8), ..default() })
                    .with_children(|row| {
                        row.spawn((
                            Node { width: px(72), ..default() },
                            children![text(gauge.label(), 13.0, DIM)],
                        ));
                        row.spawn((
                            Node {
                                width: px(BAR),
                                height: px(9),
                                border_radius: BorderRadius::all(px(3)),
                                ..default()
                            },
                            Ground(EDGE.with_alpha(0.25)),
                            children![(
                                Fill(gauge),
                                Node {
                                    width: percent(100),
                                    height: percent(100),
                                    border_radius: BorderRadius::all(px(3)),
                                    ..default()
                                },
                                Ground(gauge.colour(1.0)),
                            )],
                        ));
                        // A fixed width, so that the bars are aligned on either side.
                        row.spawn((
                            Node { width: px(NUMBER), ..default() },
                            children![(gauge, text("", 13.0, BRIGHT))],
                        ));
                    });
            }
        });
}

fn fill_bars(battlefield: Res<Battlefield>, mut bars: Query<(&Fill, &mut Node, &mut Ground)>) {
    let arena = &battlefield.arena;
    for (Fill(gauge), mut node, mut colour) in &mut bars {
        let (now, full) = gauge.amount(arena.ship(), &arena.config().ship);
        let share = f32::from(now) / f32::from(full.max(1));
        let width = percent(share * 100.0);
        if node.width != width {
            node.width = width;
        }
        colour.set_if_neq(Ground(gauge.colour(share)));
    }
}

fn fill_numbers(
    battlefield: Res<Battlefield>,
    mut shown: Local<Option<([(u16, u16); 4], bool)>>,
    mut numbers: Query<(&Gauge, &mut Text)>,
) {
    let arena = &battlefield.arena;
    let amounts = Gauge::ALL.map(|gauge| gauge.amount(arena.ship(), &arena.config().ship));
    let now = Some((amounts, arena.ship().drained));
    if std::mem::replace(&mut *shown, now) == now {
        return;
    }
    for (gauge, mut text) in &mut numbers {
        write(&mut text, &gauge.number(arena));
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::{ArenaConfig, Controls};

    use super::*;

    #[test]
    fn a_boost_that_has_run_out_says_that_it_waits_until_it_can_be_used_again() {
        let mut arena = Arena::new(ArenaConfig::default());
        assert_eq!(Gauge::Boost.number(&arena), "100%");
        let boosting = Controls { thrust: 1, turn: 1, boost: true, ..Controls::default() };
        let mut said = Vec::new();
        for _ in 0..240 {
            arena.step(boosting, &[]);
            let number = Gauge::Boost.number(&arena);
            assert!(!arena.ship().boosting || number != "wait");
            said.push(number);
        }
        assert!(said.iter().any(|number| number == "wait") && said.iter().any(|number| number == "20%"));
    }
}
