//! Lines below the table: the account's money at the full level, and developers' figures at the highest.

use bevy::ecs::entity::Entities;
use bevy::prelude::*;
use p2c2r_offload::{KindTotals, OffloadAccount, OffloadTotals};
use p2c2r_protocol::Nanos;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{BRIGHT, DIM};
use super::{text, write};
use crate::figures::{self, Figures, UNKNOWN};

pub(super) fn plugin(app: &mut App) {
    let tell = (tell_money, tell_ways, tell_developers);
    app.add_systems(Update, tell.run_if(resource_changed::<Figures>));
}

/// What is held, charged and left.
#[derive(Component)]
struct MoneyLine;

/// How regular frames and packets are, and how much is sent and received.
#[derive(Component)]
struct WaysLine;

/// Counts.
#[derive(Component)]
struct DeveloperLine;

/// Adds the lines to a panel.
pub(super) fn spawn_lines(panel: &mut ChildSpawnerCommands) {
    panel.spawn((ShownFrom(BorrowingDetail::Full), MoneyLine, text("", 15.0, BRIGHT)));
    panel.spawn((ShownFrom(BorrowingDetail::Full), WaysLine, text("", 14.0, DIM)));
    panel.spawn((ShownFrom(BorrowingDetail::Developer), DeveloperLine, text("", 13.0, DIM)));
}

fn tell_money(account: Res<OffloadAccount>, mut line: Single<&mut Text, With<MoneyLine>>) {
    write(&mut line, &money_text(&account));
}

fn money_text(account: &OffloadAccount) -> String {
    let dollars = |nanos: Option<Nanos>| figures::dollars_to_the_nano(nanos.map(Nanos::as_dollars));
    // Before the first statement the charged amount is unknown.
    let charged = account.statement.map(|_| account.session_charged);
    format!(
        "held {}  charged {}  left {}",
        dollars(account.held()),
        dollars(charged),
        dollars(account.available())
    )
}

fn tell_ways(
    figures: Res<Figures>,
    account: Res<OffloadAccount>,
    mut line: Single<&mut Text, With<WaysLine>>,
) {
    write(&mut line, &ways_text(&figures, account.price_list));
}

fn ways_text(figures: &Figures, price_list: Option<u32>) -> String {
    format!(
        "frame {:>4} ms, 1 % low {:>3} fps   round trip p95 {:>3} ms, jitter {:>3} ms\nup {:>4}, down {:>4} kbit/s   price list {}",
        figures::milliseconds(figures.frame_ms),
        figures::count(figures.fps_low),
        figures::milliseconds(figures.rtt_p95_ms),
        figures::milliseconds(figures.jitter_ms),
        figures::count(figures.up_kbit_per_s),
        figures::count(figures.down_kbit_per_s),
        figures::count(price_list.map(f64::from)),
    )
}

fn tell_developers(
    figures: Res<Figures>,
    totals: Res<OffloadTotals>,
    entities: &Entities,
    mut line: Single<&mut Text, With<DeveloperLine>>,
) {
    let sum = |part: fn(&KindTotals) -> u64| totals.kinds.values().map(part).sum::<u64>();
    let words = format!(
        "loss {} %  with the coordinator {}  under way {}  late {}  rejected {}\nwasted {}  stray {}  entities {}",
        figures.loss_percent.map_or_else(|| UNKNOWN.into(), |share| format!("{share:.1}")),
        figures::count(figures.in_flight),
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
    use p2c2r_protocol::GamerStatement;

    use super::*;
    use crate::hud::panel;

    #[test]
    fn money_that_is_not_known_is_a_dash() {
        assert_eq!(money_text(&OffloadAccount::default()), "held -  charged -  left -");
    }

    #[test]
    fn money_is_told_to_the_nano_however_much_it_is_and_stays_within_the_panel() {
        let mut account = OffloadAccount::default();
        account.session_charged = Nanos(12_345_678);
        account.statement = Some(GamerStatement {
            charged: Nanos(512_345_678_901),
            held: Nanos(10_000_001),
            available: Nanos(9_876_543_210_123),
            workers: 1,
            nearest_worker_ms: None,
            nearest_worker_region: None,
            gamers: 1,
        });
        let said = money_text(&account);
        assert_eq!(said, "held $0.010000001  charged $0.012345678  left $9876.543210123");
        assert!(said.len() <= panel::LETTERS, "{} letters", said.len());
    }

    #[test]
    fn the_way_there_is_told_in_numbers_that_do_not_jump() {
        let figures = Figures {
            frame_ms: Some(16.7),
            fps_low: Some(48.2),
            rtt_p95_ms: Some(41.0),
            jitter_ms: Some(3.12),
            up_kbit_per_s: Some(118.0),
            down_kbit_per_s: Some(310.0),
            ..Figures::default()
        };
        assert_eq!(
            ways_text(&figures, Some(1)),
            "frame   17 ms, 1 % low  48 fps   round trip p95  41 ms, jitter 3.1 ms\nup  118, down  310 kbit/s   price list 1"
        );
        assert_eq!(ways_text(&Figures::default(), None).len(), ways_text(&figures, Some(1)).len());
    }
}
