//! Keeps the cap on an hour over all of a player's games: over a restart, and over games that run at the same time.
//!
//! A file has what was spent in each of the last sixty minutes, and what each running game has set aside for itself: the most
//! that it may spend before it looks at the file again. What is left under the cap is shared in equal parts among the running
//! games; a single game has all of it. A game never spends more than it has set aside, so together they keep to the cap.
//!
//! A coordinator says what it has charged an account, and a game takes what is more than its own receipts for charges without
//! one. Where games share an account, a part of that is what the others have spent, which is counted once.

mod turn;

use std::io;
use std::time::{Duration, SystemTime};

use bevy::app::AppExit;
use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::{OffloadAccount, OffloadCaps, OffloadElsewhere, OffloadSystems, RollingHour};
use p2c2r_protocol::Nanos;
use serde::{Deserialize, Serialize};

use crate::joining::JoinDialog;
use crate::settings::{PlayerFile, UserFiles};
use turn::{GAMES_MAX, OwnNumber, SharingTurn};

/// How often a game writes down what it has spent, and looks at what others leave it. A game that is killed loses at most
/// this much of its record of spending, and a second game waits so long for its part.
const SHARE_EVERY: Duration = Duration::from_secs(10);

pub(super) fn plugin(app: &mut App) {
    let ending_or_time = on_real_timer(SHARE_EVERY).or_else(on_message::<AppExit>);
    app.init_resource::<HourBook>()
        .add_systems(PreStartup, share_hour)
        // A cap that is changed holds for what is sent in the same frame.
        .add_systems(
            PostUpdate,
            share_hour.before(OffloadSystems::Dispatch).run_if(resource_changed::<OffloadCaps>),
        )
        .add_systems(Last, share_hour.run_if(ending_or_time));
}

/// What this player's games have spent and set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HourSpending {
    /// By minutes since 1970, by this computer's clock.
    hour: RollingHour,
    games: Vec<Game>,
}

/// A game that runs, or was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Game {
    number: u32,
    /// See [`JoinDialog::account`].
    account: String,
    /// What the minutes have of its session.
    spent_nanos: i64,
    /// The most that it can cost without a receipt if it is killed, beside what the minutes have of it.
    at_risk_nanos: i64,
    /// The most that it may spend, beside what the minutes have of it.
    set_aside_nanos: i64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    minutes: Vec<Minute>,
    games: Vec<Game>,
}

#[derive(Serialize, Deserialize)]
struct Minute {
    at: u64,
    nanos: i64,
}

impl HourSpending {
    /// Rejects a file that no game can have written: negative amounts, or entries dated more than an hour in the future,
    /// whose age cannot be known.
    fn check(&self, now: u64) -> Result<(), String> {
        let is_negative =
            |game: &Game| game.at_risk_nanos.min(game.set_aside_nanos).min(game.spent_nanos) < 0;
        if self.hour.minutes().iter().any(|(_, spent)| *spent < Nanos::ZERO)
            || self.games.iter().any(is_negative)
        {
            return Err("it has negative amounts".into());
        }
        if self.hour.minutes().iter().any(|(at, _)| *at > now + RollingHour::MINUTES) {
            return Err("it is dated in the future".into());
        }
        Ok(())
    }

    /// Removes games that no longer run. What they had out may have been charged, so it counts as spent now.
    fn bury(&mut self, turn: &SharingTurn, own: Option<u32>, now: u64) -> io::Result<()> {
        for game in std::mem::take(&mut self.games) {
            let is_of_a_game = (1..=GAMES_MAX).contains(&game.number) && Some(game.number) != own;
            if is_of_a_game && turn.is_running(game.number)? {
                self.games.push(game);
            } else if Some(game.number) != own && game.at_risk_nanos > 0 {
                self.hour.add(now, Nanos(game.at_risk_nanos));
            }
        }
        Ok(())
    }
}

/// Minutes since 1970; 0 where the clock is before that.
fn minute_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)
}

impl PlayerFile for HourSpending {
    const FILE: &'static str = "spending.toml";
    const WHAT: &'static str = "notes of the last hour's spending";

    fn read(file: &toml::Table) -> Result<Self, String> {
        let written: Written = file.clone().try_into().map_err(|error| error.message().to_owned())?;
        let minutes = written.minutes.into_iter().map(|minute| (minute.at, Nanos(minute.nanos)));
        let spending = Self { hour: RollingHour::of(minutes), games: written.games };
        spending.check(minute_now())?;
        Ok(spending)
    }

    fn written(&self) -> Result<toml::Table, String> {
        let minutes = self.hour.minutes().iter().map(|(at, spent)| Minute { at: *at, nanos: spent.0 });
        let written = Written { minutes: minutes.collect(), games: self.games.clone() };
        toml::Table::try_from(written).map_err(|error| error.to_string())
    }
}

/// This game's part in the file.
#[derive(Resource, Default)]
struct HourBook {
    /// What the file has of this session's spending.
    own: RollingHour,
    /// The sum of it, from the start on.
    counted: Nanos,
    /// What other games of the same account have spent in this session: by minutes, and from the start on.
    others: RollingHour,
    others_total: Nanos,
    /// The running games at the last time, by their numbers, and what they had spent by then; `None` before the first.
    seen: Option<Vec<(u32, i64)>>,
    number: Option<OwnNumber>,
    /// The last part was written: the game ends.
    closed: bool,
}

/// What a session is at, when it shares the hour.
struct Session {
    account: String,
    /// What it has cost.
    total: Nanos,
    /// What of that has no receipt.
    unseen: Nanos,
    at_risk: Nanos,
    /// What counts of it for the hour's cap.
    hour_at_most: Nanos,
    cap: Option<Nanos>,
    ends: bool,
}

/// Writes down what this game has spent, and sets aside what it may spend until the next time. When the game ends, what may
/// still be charged for this session counts in full: no later session gets the receipts.
fn share_hour(
    (account, joining): (Res<OffloadAccount>, Res<JoinDialog>),
    caps: Res<OffloadCaps>,
    mut exits: MessageReader<AppExit>,
    mut book: ResMut<HourBook>,
    mut elsewhere: ResMut<OffloadElsewhere>,
    mut files: ResMut<UserFiles>,
) {
    let ends = exits.read().count() > 0;
    let Some(folder) = files.folder().filter(|_| !book.closed).map(ToOwned::to_owned) else { return };
    let session = Session {
        account: joining.account(),
        total: account.session_total,
        unseen: minus(account.session_total, account.session_estimate),
        at_risk: account.at_risk,
        hour_at_most: account.hour_at_most,
        cap: caps.hour,
        ends,
    };
    let shared = SharingTurn::take(&folder).and_then(|turn| book.share(Some(&turn), &session, &mut files));
    let spent_elsewhere = match shared {
        Ok(elsewhere) => elsewhere,
        // What was set aside still holds; before anything was, nothing may be spent.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            if book.number.is_some() {
                elsewhere.0
            } else {
                Nanos(i64::MAX)
            }
        }
        Err(error) => {
            files.say(format!(
                "Your cap on an hour does not count other games of yours that run at the same time: {error}"
            ));
            // Without locks nothing fails but the file, which says so itself.
            book.share(None, &session, &mut files).unwrap_or(elsewhere.0)
        }
    };
    elsewhere.set_if_neq(OffloadElsewhere(spent_elsewhere));
}

impl HourBook {
    /// Returns what counts for the cap besides this session. Without a `turn`, games at the same time are not counted.
    fn share(
        &mut self,
        turn: Option<&SharingTurn>,
        session: &Session,
        files: &mut UserFiles,
    ) -> io::Result<Nanos> {
        let now = minute_now();
        let before: HourSpending = files.load();
        let mut file = before.clone();
        if let Some(turn) = turn {
            file.bury(turn, self.number.as_ref().map(|own| own.number), now)?;
            if self.number.is_none() {
                self.number = turn.take_number()?;
            }
        } else {
            file.games.clear();
        }
        self.look_at_others(&file.games, &session.account, now);
        let at_most = minus(session.hour_at_most, session.unseen.min(self.others.sum(now)));
        let lost = if session.ends { session.at_risk } else { Nanos::ZERO };
        let total = minus(session.total, session.unseen.min(self.others_total)).saturating_add(lost);
        let fresh = Nanos(total.0.saturating_sub(self.counted.0));
        let mut own = self.own.clone();
        if fresh > Nanos::ZERO {
            file.hour.add(now, fresh);
            own.add(now, fresh);
        }
        let others_spent = minus(file.hour.sum(now), own.sum(now));
        let others_aside = file
            .games
            .iter()
            .map(|game| Nanos(game.set_aside_nanos))
            .fold(Nanos::ZERO, Nanos::saturating_add);
        let others = others_spent.saturating_add(others_aside);
        let free = session.cap.map_or(Nanos::ZERO, |cap| minus(cap, others.saturating_add(at_most)));
        let part = match (turn, &self.number) {
            (None, _) => free,
            (Some(_), None) => Nanos::ZERO,
            // Rounded up, so that the last nano is somebody's.
            (Some(_), Some(_)) => {
                free.min(Nanos(free.saturating_add(others_aside).0 / (file.games.len() as i64 + 1) + 1))
            }
        };
        if let Some(OwnNumber { number, .. }) = &self.number
            && !session.ends
        {
            let set_aside = minus(at_most.saturating_add(part), own.sum(now));
            file.games.push(Game {
                number: *number,
                account: session.account.clone(),
                spent_nanos: total.max(self.counted).0.max(0),
                at_risk_nanos: session.at_risk.0.max(0),
                set_aside_nanos: set_aside.0,
            });
        }
        if file == before || files.save(&file) {
            (self.own, self.counted) = (own, total.max(self.counted));
        }
        if session.ends {
            self.closed = true;
            if let (Some(turn), Some(own)) = (turn, self.number.take()) {
                turn.give_back(own);
            }
        }
        // What others have spent and this session counts too is not counted twice.
        let both = minus(session.hour_at_most, at_most);
        Ok(minus(others.saturating_add(minus(free, part)), both))
    }

    /// Notes what other running games of this account have spent since the last time. What they spent before this one began
    /// is no part of its session.
    fn look_at_others(&mut self, games: &[Game], account: &str, now: u64) {
        let seen = self.seen.take();
        for game in games.iter().filter(|game| game.account == account) {
            let known = seen.iter().flatten().find(|(number, _)| *number == game.number);
            let unknown = if seen.is_some() { 0 } else { game.spent_nanos };
            let fresh = minus(Nanos(game.spent_nanos), Nanos(known.map_or(unknown, |(_, spent)| *spent)));
            self.others.add(now, fresh);
            self.others_total = self.others_total.saturating_add(fresh);
        }
        self.seen = Some(games.iter().map(|game| (game.number, game.spent_nanos)).collect());
    }
}

/// The difference, at least zero.
fn minus(a: Nanos, b: Nanos) -> Nanos {
    Nanos(a.0.saturating_sub(b.0).max(0))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use p2c2r_offload::OffloadConfig;

    use super::*;
    use crate::cli::GameCli;

    const NOW: u64 = 30_000_000;

    fn spending(minutes: &[(u64, i64)]) -> HourSpending {
        let minutes = minutes.iter().map(|(at, nanos)| (*at, Nanos(*nanos)));
        HourSpending { hour: RollingHour::of(minutes), games: Vec::new() }
    }

    /// A game in this folder, with a cap.
    fn game(folder: &std::path::Path, cap: i64) -> App {
        let cli = GameCli::try_parse_from(["p2c2r-game"]).unwrap();
        let mut app = App::new();
        app.add_message::<AppExit>()
            .insert_resource(JoinDialog::new(&cli.start, &OffloadConfig::default()))
            .insert_resource(UserFiles::in_folder(folder.to_owned()))
            .insert_resource(OffloadCaps { hour: Some(Nanos(cap)), session: None })
            .init_resource::<OffloadAccount>()
            .init_resource::<OffloadElsewhere>()
            .init_resource::<HourBook>()
            .add_systems(Last, share_hour);
        app
    }

    fn noted(folder: &std::path::Path) -> i64 {
        let spent: HourSpending = UserFiles::in_folder(folder.to_owned()).look().unwrap();
        spent.hour.minutes().iter().map(|(_, spent)| spent.0).sum()
    }

    /// Sets what the session has cost, and what tasks that are out may cost, and shares the hour; returns what may still be
    /// spent.
    fn share(app: &mut App, total: i64, out: i64) -> i64 {
        share_with_unseen(app, total, 0, out)
    }

    /// The same where `unseen` of the cost has no receipts.
    fn share_with_unseen(app: &mut App, total: i64, unseen: i64, out: i64) -> i64 {
        let mut account = app.world_mut().resource_mut::<OffloadAccount>();
        (account.session_total, account.at_risk) = (Nanos(total), Nanos(out));
        account.session_estimate = Nanos(total - unseen);
        account.hour_at_most = Nanos(total + out);
        app.update();
        let cap = app.world().resource::<OffloadCaps>().hour.unwrap();
        (cap.0 - app.world().resource::<OffloadElsewhere>().0.0 - total - out).max(0)
    }

    #[test]
    fn what_may_still_be_charged_counts_when_the_game_ends_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut app = game(folder.path(), 1_000);
        share(&mut app, 70, 30);
        assert_eq!(noted(folder.path()), 70);
        app.world_mut().write_message(AppExit::Success);
        app.update();
        assert_eq!(noted(folder.path()), 100);
        app.update();
        assert_eq!(noted(folder.path()), 100, "once");
        let mut next = game(folder.path(), 1_000);
        assert_eq!(share(&mut next, 0, 0), 900, "it counts for the next");
        next.world_mut().resource_mut::<OffloadAccount>().at_risk = Nanos(i64::MAX);
        next.world_mut().write_message(AppExit::Success);
        next.update();
        assert_eq!(
            share(&mut game(folder.path(), 1_000), 0, 0),
            0,
            "a hostile coordinator's prices do not overflow"
        );
    }

    #[test]
    fn games_at_the_same_time_share_what_is_left_and_together_keep_to_the_cap() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (game(folder.path(), 1_000), game(folder.path(), 1_000));
        assert_eq!(share(&mut first, 0, 0), 1_000, "a single game has all of it");
        assert_eq!(share(&mut second, 0, 0), 0, "all of it is set aside");
        assert_eq!(share(&mut first, 100, 100), 401, "half of it, and one, so that nothing is left over");
        assert_eq!(share(&mut second, 0, 0), 399);
        // Each spends all it may, as long as it may spend anything.
        let (mut spent, mut may) = ([200, 0], [401, 399]);
        for round in 0..40 {
            for (index, game) in [&mut first, &mut second].into_iter().enumerate() {
                spent[index] += may[index].min(90);
                may[index] = share(game, spent[index], 0);
                assert!(
                    spent[0] + spent[1] + may[0] + may[1] <= 1_000,
                    "round {round}: {spent:?} and {may:?}"
                );
            }
        }
        assert_eq!(spent[0] + spent[1], 1_000);
        assert!(spent[0].abs_diff(spent[1]) <= 210, "{spent:?}");
        assert_eq!(noted(folder.path()), 1_000);
    }

    #[test]
    fn what_the_ledger_tells_both_games_of_an_account_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (game(folder.path(), 1_000), game(folder.path(), 1_000));
        share(&mut first, 50, 0);
        share(&mut second, 0, 0);
        share(&mut first, 150, 0);
        // In its session the account was charged 100 for the first game, and 30 for the second, 10 of them without a receipt.
        share_with_unseen(&mut second, 130, 110, 0);
        assert_eq!(noted(folder.path()), 150 + 30);
        share_with_unseen(&mut first, 180, 30, 0);
        assert_eq!(noted(folder.path()), 150 + 30);
        let left = (share_with_unseen(&mut first, 180, 30, 0), share_with_unseen(&mut second, 130, 110, 0));
        assert_eq!(left.0 + left.1, 1_000 - 180, "{left:?}");
    }

    #[test]
    fn what_a_game_that_ended_or_was_killed_had_set_aside_is_free_again() {
        let folder = tempfile::tempdir().unwrap();
        for (ends, left) in [(true, 1_000 - 50), (false, 1_000 - 100)] {
            let mut first = game(folder.path(), 1_000);
            share(&mut first, 20, 30);
            if ends {
                first.world_mut().write_message(AppExit::Success);
                first.update();
            }
            drop(first);
            let mut second = game(folder.path(), 1_000);
            assert_eq!(share(&mut second, 0, 0), left, "what was out counts as spent");
        }
        assert_eq!(noted(folder.path()), 100);
    }

    #[test]
    fn a_clock_that_was_set_back_by_up_to_an_hour_forgives_nothing_and_a_file_from_beyond_is_refused() {
        let kept = spending(&[(NOW, 70)]);
        for back in [1, 60] {
            assert_eq!(kept.check(NOW - back), Ok(()));
            assert_eq!(kept.hour.sum(NOW - back), Nanos(70));
        }
        assert_eq!((kept.hour.sum(NOW + 60), kept.hour.sum(NOW + 61)), (Nanos(70), Nanos(0)));
        assert!(kept.check(NOW - 100).is_err());
        assert!(spending(&[(NOW, -70)]).check(NOW).is_err());
        let games = vec![Game { number: 1, set_aside_nanos: -1, ..Game::default() }];
        assert!(HourSpending { games, ..spending(&[]) }.check(NOW).is_err());
    }

    #[test]
    fn a_file_is_read_again_and_a_strange_one_is_refused() {
        let games = vec![Game {
            number: 3,
            account: "ada".into(),
            spent_nanos: 4,
            at_risk_nanos: 5,
            set_aside_nanos: 6,
        }];
        let kept = HourSpending { games, ..spending(&[(minute_now(), i64::MAX)]) };
        assert_eq!(HourSpending::read(&kept.written().unwrap()).as_ref(), Ok(&kept));
        let older = "[[minutes]]\nat = 7\nnanos = 1";
        assert_eq!(HourSpending::read(&toml::from_str(older).unwrap()), Ok(spending(&[(7, 1)])));
        for strange in [
            "minutes = 7",
            "games = 7",
            "[[minutes]]\nat = -1\nnanos = 1",
            "[[minutes]]\nat = 9223372036854775807\nnanos = 1",
        ] {
            assert!(HourSpending::read(&toml::from_str(strange).unwrap()).is_err(), "{strange}");
        }
    }
}
