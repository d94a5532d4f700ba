//! Keeps what the last hour has cost over a restart: the cap on an hour is for all runs in that hour together.

use std::time::{Duration, SystemTime};

use bevy::app::AppExit;
use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::OffloadAccount;
use p2c2r_protocol::Nanos;
use serde::{Deserialize, Serialize};

use crate::settings::{PlayerFile, UserFiles};

/// How often the file is written. A game that is killed loses at most this much of its record of spending.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// Whole minutes that may count for an hour: the current one and sixty before it.
const MINUTES: u64 = 61;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HourSpending>()
        .add_systems(Last, note_spending.run_if(on_real_timer(WRITE_EVERY).or_else(on_message::<AppExit>)));
}

/// What this player's runs have spent, minute by minute. Of two runs at the same time, the file has the spending of the
/// one that wrote it last.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HourSpending {
    minutes: Vec<Minute>,
    /// The part of this session's spending that `minutes` already includes.
    #[serde(skip)]
    counted: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    /// Minutes since 1970, by this computer's clock.
    at: u64,
    nanos: i64,
}

impl HourSpending {
    /// What was spent, and how long before the minute `now`. Minutes that lie ahead, because the clock was set back,
    /// count as the present one: no spending is taken for older than it is.
    pub(crate) fn before(&self, now: u64) -> Vec<(Duration, Nanos)> {
        let ago = |minute: &Minute| Duration::from_mins(now.saturating_sub(minute.at));
        self.minutes.iter().map(|minute| (ago(minute), Nanos(minute.nanos))).collect()
    }

    /// Rejects a file that no game can have written: negative amounts, or entries dated more than an hour in the future,
    /// whose age cannot be known.
    fn check(&self, now: u64) -> Result<(), String> {
        if self.minutes.iter().any(|minute| minute.nanos < 0) {
            return Err("it has negative amounts".into());
        }
        if self.minutes.iter().any(|minute| minute.at > now + MINUTES) {
            return Err("it is dated in the future".into());
        }
        Ok(())
    }

    /// Adds what the session has cost since the last call to the minute `now`; returns false if that is nothing.
    fn count(&mut self, session: Nanos, now: u64) -> bool {
        if session <= self.counted {
            return false;
        }
        let nanos = session.0 - std::mem::replace(&mut self.counted, session).0;
        self.minutes.retain(|minute| minute.at + MINUTES > now);
        match self.minutes.iter_mut().find(|minute| minute.at == now) {
            Some(minute) => minute.nanos = minute.nanos.saturating_add(nanos),
            None => self.minutes.push(Minute { at: now, nanos }),
        }
        true
    }
}

/// Minutes since 1970; 0 where the clock is before that.
pub(crate) fn minute_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)
}

impl PlayerFile for HourSpending {
    const FILE: &'static str = "spending.toml";
    const WHAT: &'static str = "notes of the last hour's spending";

    fn read(file: &toml::Table) -> Result<Self, String> {
        let hour: Self = file.clone().try_into().map_err(|error| error.message().to_owned())?;
        hour.check(minute_now())?;
        Ok(hour)
    }

    fn written(&self) -> Result<toml::Table, String> {
        toml::Table::try_from(self).map_err(|error| error.to_string())
    }
}

/// When the game ends, what may still be charged for this session counts in full: the next session takes it for charged
/// before its start.
fn note_spending(
    account: Res<OffloadAccount>,
    mut exits: MessageReader<AppExit>,
    mut hour: ResMut<HourSpending>,
    mut files: ResMut<UserFiles>,
) {
    let at_risk = if exits.read().count() > 0 { account.at_risk } else { Nanos::ZERO };
    let session = Nanos(account.session_total.0.saturating_add(at_risk.0));
    if hour.count(session, minute_now()) {
        files.save(&*hour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 30_000_000;

    #[test]
    fn what_a_session_costs_is_counted_once_and_forgotten_after_an_hour() {
        let mut hour = HourSpending::default();
        assert!(!hour.count(Nanos(0), NOW));
        assert!(hour.count(Nanos(70), NOW) && hour.count(Nanos(100), NOW + 30));
        assert!(!hour.count(Nanos(100), NOW + 31));
        let minutes = Duration::from_mins;
        assert_eq!(hour.before(NOW + 40), [(minutes(40), Nanos(70)), (minutes(10), Nanos(30))]);
        assert!(hour.count(Nanos(101), NOW + 61));
        assert_eq!(hour.before(NOW + 61), [(minutes(31), Nanos(30)), (minutes(0), Nanos(1))]);
    }

    #[test]
    fn what_may_still_be_charged_counts_when_the_game_ends_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut account = OffloadAccount::default();
        (account.session_total, account.at_risk) = (Nanos(70), Nanos(30));
        let mut app = App::new();
        app.add_message::<AppExit>()
            .insert_resource(UserFiles::in_folder(folder.path().to_owned()))
            .insert_resource(account)
            .init_resource::<HourSpending>()
            .add_systems(Last, note_spending);
        let noted = |app: &mut App| {
            app.update();
            let hour: HourSpending = app.world().resource::<UserFiles>().look().unwrap();
            hour.minutes.iter().map(|minute| minute.nanos).sum::<i64>()
        };
        assert_eq!(noted(&mut app), 70);
        app.world_mut().write_message(AppExit::Success);
        assert_eq!(noted(&mut app), 100);
        assert_eq!(noted(&mut app), 100, "once");
        app.world_mut().resource_mut::<OffloadAccount>().at_risk = Nanos(i64::MAX);
        app.world_mut().write_message(AppExit::Success);
        assert_eq!(noted(&mut app), i64::MAX, "a hostile coordinator's prices do not overflow");
    }

    #[test]
    fn a_clock_that_was_set_back_by_up_to_an_hour_forgives_nothing_and_a_file_from_beyond_is_refused() {
        let mut hour = HourSpending::default();
        hour.count(Nanos(70), NOW);
        for back in [1, 60] {
            assert_eq!(hour.check(NOW - back), Ok(()));
            assert_eq!(hour.before(NOW - back), [(Duration::ZERO, Nanos(70))]);
        }
        assert!(hour.check(NOW - 100).is_err());
        hour.minutes[0].nanos = -70;
        assert!(hour.check(NOW).is_err());
    }

    #[test]
    fn a_file_is_read_again_and_a_strange_one_is_refused() {
        let mut hour = HourSpending::default();
        hour.count(Nanos(i64::MAX), minute_now());
        let kept = HourSpending { counted: Nanos(0), ..hour };
        assert_eq!(HourSpending::read(&kept.written().unwrap()).as_ref(), Ok(&kept));
        for strange in [
            "minutes = 7",
            "[[minutes]]\nat = -1\nnanos = 1",
            "[[minutes]]\nat = 9223372036854775807\nnanos = 1",
        ] {
            assert!(HourSpending::read(&toml::from_str(strange).unwrap()).is_err(), "{strange}");
        }
    }
}
