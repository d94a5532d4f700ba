//! Lines below the table: the account's money at the full level, and what only a developer wants at the highest.

use bevy::ecs::entity::Entities;
use bevy::prelude::*;
use p2c2r_offload::{KindTotals, OffloadAccount, OffloadTotals};
use p2c2r_protocol::Nanos;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{BRIGHT, DIM};
use super::{text, write};
use crate::figures::{self, Figures};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (tell_money, tell_developers).run_if(resource_changed::<Figures>));
}

/// What is held, charged and left.
#[derive(Component)]
struct MoneyLine;

/// Counts.
#[derive(Component)]
struct DeveloperLine;

/// Adds the lines to a panel.
pub(super) fn spawn_lines(panel: &mut ChildSpawnerCommands) {
    panel.spawn((ShownFrom(BorrowingDetail::Full), MoneyLine, text("", 15.0, BRIGHT)));
    panel.spawn((ShownFrom(BorrowingDetail::Developer), DeveloperLine, text("", 13.0, DIM)));
}

fn tell_money(account: Res<OffloadAccount>, mut line: Single<&mut Text, With<MoneyLine>>) {
    write(&mut line, &money_text(&account));
}

fn money_text(account: &OffloadAccount) -> String {
    let dollars = |nanos: Option<Nanos>| figures::dollars(nanos.map(Nanos::as_dollars));
    // Before the first statement nothing is known to be settled.
    let settled = account.statement.map(|_| account.session_charged);
    format!(
        "held {}   settled {}   left {}",
        dollars(account.held()),
        dollars(settled),
        dollars(account.available())
    )
}

fn tell_developers(
    totals: Res<OffloadTotals>,
    entities: &Entities,
    mut line: Single<&mut Text, With<DeveloperLine>>,
) {
    let sum = |part: fn(&KindTotals) -> u64| totals.kinds.values().map(part).sum::<u64>();
    let words = format!(
        "under way {}   late {}   rejected {}   wasted {}   stray {}   entities {}",
        sum(|kind| kind.open),
        sum(|kind| kind.late),
        sum(|kind| kind.rejected),
        sum(|kind| kind.wasted),
        totals.stray,
        entities.count_spawned(),
    );
    write(&mut line, &words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_that_is_not_known_is_a_dash() {
        assert_eq!(money_text(&OffloadAccount::default()), "held -   settled -   left -");
    }
}
