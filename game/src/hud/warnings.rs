//! Rows of the panel that are shown only while something is wrong.

use std::time::Duration;

use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::OffloadTotals;

use super::palette::{Ink, ORANGE, VERMILLION};
use super::{show, text, write_inside};
use crate::figures::{self, Figures, KindFigures};

/// At most this many rows are shown at once, the worst: more would push the panel into what stands below it.
const SHOWN_MAX: u32 = 2;
/// How often rows are decided: as often as figures change.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A row stays this long after its trouble has ended, so that it can be read and does not flicker.
const STAYS: Duration = Duration::from_secs(3);
/// Per cent of lost packets from which a row says so: with fewer, play is not disturbed.
const LOSS_SAID: f64 = 1.0;
/// Per cent of a kind's tasks without an outcome in time from which a row says so.
const LATE_SAID: f64 = 5.0;
/// Per cent of a kind that this computer does itself while it could borrow, from which a row says so.
const HERE_SAID: f64 = 5.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, show_warnings.run_if(on_real_timer(LOOK_EVERY)));
}

/// What may be wrong, the worst first.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warning {
    /// Nobody works.
    NoWorkers,
    /// Packets are lost.
    Loss,
    /// Outcomes do not come in time.
    Late,
    /// The coordinator turns tasks away.
    Refused,
    /// What could be borrowed is done here.
    Here,
}

impl Warning {
    const ALL: [Self; 5] = [Self::NoWorkers, Self::Loss, Self::Late, Self::Refused, Self::Here];

    fn colour(self) -> Ink {
        match self {
            Self::NoWorkers | Self::Loss | Self::Late => VERMILLION,
            Self::Refused | Self::Here => ORANGE,
        }
    }

    /// What the row says, if there is such trouble. `refused` is how many tasks were turned away since the last time.
    fn words(self, figures: &Figures, refused: u64) -> Option<String> {
        let over = |share: Option<f64>, least: f64| share.filter(|share| *share >= least);
        let worst = |share: fn(&KindFigures) -> Option<f64>, least: f64| {
            let shares =
                figures.kinds.iter().filter_map(|kind| Some((figures::word_of(kind.name), share(kind)?)));
            shares.filter(|(_, share)| *share >= least).max_by(|a, b| a.1.total_cmp(&b.1))
        };
        match self {
            Self::NoWorkers => (figures.remote && figures.workers == Some(0.0))
                .then(|| "NO WORKERS: coordinator and this computer do it".into()),
            Self::Loss => over(figures.loss_percent, LOSS_SAID)
                .map(|share| format!("LOSS: {share:.1} % of packets from the coordinator")),
            Self::Late => worst(|kind| kind.in_time_percent.map(|share| 100.0 - share), LATE_SAID)
                .map(|(name, share)| format!("LATE: {share:.0} % of {name} not there in time")),
            Self::Refused => (figures.remote && refused > 0).then(|| {
                let tasks = if refused == 1 { "task" } else { "tasks" };
                format!("REFUSED: the coordinator turned {refused} {tasks} away")
            }),
            // Kinds that the player has chosen to keep on this computer are no trouble.
            Self::Here => worst(|kind| kind.local_percent.filter(|_| !kind.kept_here), HERE_SAID)
                .filter(|_| figures.remote)
                .map(|(name, share)| format!("HERE: this computer does {share:.0} % of {name} itself")),
        }
    }
}

/// Adds the rows to a panel, hidden.
pub(super) fn spawn_rows(panel: &mut ChildSpawnerCommands) {
    for warning in Warning::ALL {
        panel.spawn((
            warning,
            Node { display: Display::None, ..default() },
            children![text("", 15.0, warning.colour())],
        ));
    }
}

fn show_warnings(
    time: Res<Time<Real>>,
    figures: Res<Figures>,
    totals: Res<OffloadTotals>,
    mut rejected: Local<u64>,
    mut until: Local<[Option<Duration>; Warning::ALL.len()]>,
    mut rows: Query<(&Warning, &mut Node, &Children)>,
    mut texts: Query<&mut Text>,
) {
    let mut room = SHOWN_MAX;
    let sum = totals.kinds.values().map(|kind| kind.rejected).sum::<u64>();
    let refused = sum.saturating_sub(std::mem::replace(&mut *rejected, sum));
    for (warning, mut node, children) in &mut rows {
        let until = &mut until[*warning as usize];
        if let Some(words) = warning.words(&figures, refused) {
            *until = Some(time.elapsed() + STAYS);
            write_inside(children, &mut texts, &words);
        }
        let shown = room > 0 && until.is_some_and(|until| time.elapsed() < until);
        room -= u32::from(shown);
        show(&mut node, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hud::panel;

    fn said(figures: &Figures, refused: u64) -> Vec<Warning> {
        Warning::ALL.into_iter().filter(|warning| warning.words(figures, refused).is_some()).collect()
    }

    fn well() -> Figures {
        let kind =
            KindFigures { name: "path", in_time_percent: Some(99.5), local_percent: Some(0.5), ..default() };
        Figures { kinds: vec![kind], remote: true, workers: Some(3.0), loss_percent: Some(0.2), ..default() }
    }

    #[test]
    fn nothing_is_said_while_all_is_well_or_nothing_is_known() {
        assert_eq!(said(&well(), 0), []);
        assert_eq!(said(&Figures::default(), 0), []);
    }

    #[test]
    fn every_row_fits_into_the_narrow_panel() {
        let mut worst = well();
        (worst.loss_percent, worst.kinds[0].in_time_percent) = (Some(100.0), Some(0.0));
        (worst.kinds[0].name, worst.kinds[0].local_percent) = ("physics", Some(100.0));
        for warning in Warning::ALL {
            let workers = if warning == Warning::NoWorkers { 0.0 } else { 3.0 };
            let words = warning.words(&Figures { workers: Some(workers), ..worst.clone() }, 999).unwrap();
            assert!(words.len() <= panel::LETTERS_COMPACT, "{words}");
        }
    }

    #[test]
    fn each_trouble_is_said_by_its_own_row() {
        let mut lossy = well();
        lossy.loss_percent = Some(3.0);
        assert_eq!(said(&lossy, 0), [Warning::Loss]);
        let mut late = well();
        late.kinds[0].in_time_percent = Some(80.0);
        assert_eq!(said(&late, 0), [Warning::Late]);
        assert!(Warning::Late.words(&late, 0).unwrap().contains("20 % of paths"));
        let mut here = well();
        here.kinds[0].local_percent = Some(30.0);
        assert_eq!(said(&here, 0), [Warning::Here]);
        let empty = Figures { workers: Some(0.0), ..well() };
        assert_eq!(said(&empty, 0), [Warning::NoWorkers]);
        assert_eq!(said(&well(), 2), [Warning::Refused]);
    }

    #[test]
    fn what_the_player_has_computed_here_is_no_trouble_and_hides_none() {
        let mut chosen = well();
        (chosen.kinds[0].kept_here, chosen.kinds[0].local_percent) = (true, Some(100.0));
        assert_eq!(said(&chosen, 0), []);
        chosen.kinds.push(KindFigures { name: "physics", local_percent: Some(30.0), ..default() });
        assert!(Warning::Here.words(&chosen, 0).unwrap().contains("30 % of motions"));
    }

    #[test]
    fn who_switched_borrowing_off_is_not_told_that_work_is_done_here() {
        let mut off = well();
        off.remote = false;
        off.kinds[0].local_percent = Some(100.0);
        assert_eq!(said(&off, 0), []);
    }
}
