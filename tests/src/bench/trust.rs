//! How soon cheating workers are detected, how many of their answers reach a game until then, and what
//! checking costs: the red team of [`crate::redteam`] in numbers.

use std::fmt::Write as _;
use std::time::Duration;

use crate::redteam::{Game, RedTeamFigures, Trick};

/// How much is played.
#[derive(Clone, Copy, Debug)]
pub struct TrustPlan {
    /// Tasks of each game; `LONGER` times as many in games with rare events.
    pub tasks: u64,
    /// Games of each row, each with a seed of its own.
    pub games: u64,
}

/// The full bench, and a quick one that only shows that it works.
pub const FULL: TrustPlan = TrustPlan { tasks: 6_000, games: 40 };
/// See [`FULL`].
pub const QUICK: TrustPlan = TrustPlan { tasks: 300, games: 2 };

/// See [`TrustPlan::tasks`].
const LONGER: u64 = 5;

/// Answers and time after which the share of checks has fallen to five per cent, and to the floor.
const SETTLED: (u64, Duration) = (500, Duration::from_mins(10));
const LONG_KNOWN: (u64, Duration) = (1_000_000, Duration::from_hours(30 * 24));

/// The share of a proven worker's answers that are checked here while checks have time to spare: 4.5 per cent of a task of 350
/// units for each check of 22 units, and 10 us for handing it over.
const SPARE_SHARE: f64 = 0.49;

/// The aims: answers within which a worker is found with 99 %, wrong ones among accepted, checking in paid units.
const ALWAYS_LIAR_FOUND_MAX: u64 = 90;
const TENTH_LIAR_FOUND_MAX: u64 = 920;
const WRONG_SHARE_MAX: f64 = 1e-4;
const CHECKING_SHARE_MAX: f64 = 0.05;

/// What a row is to show, apart from that no honest worker is convicted.
#[derive(Clone, Copy, Default)]
struct Aims {
    /// Answers within which the cheat is found in 99 of 100 games. It must be found in all; a few games may take longer, see
    /// [`late_games_max`].
    found_within: Option<u64>,
    /// What the share of wrong answers among the accepted ones stays below.
    wrong_share: Option<f64>,
    /// What the work units of deep checks per unit paid stay below.
    checking_share: Option<f64>,
}

/// A row: the cheat, everybody's history, and the chance that one check of one answer detects it.
struct Case {
    name: &'static str,
    trick: Trick,
    trusted: (u64, Duration),
    /// See [`LONGER`].
    is_long: bool,
    /// Chance that an answer is detected at the time of the first lie: that it is a lie, is checked, and the check finds
    /// it. `None` if that alone does not determine how soon the cheat is found.
    chance: Option<f64>,
    /// Whether checks have no time to spare, so that only those are made that trust asks for.
    is_scarce: bool,
    aims: Aims,
}

impl Case {
    fn found_within(mut self, answers: u64) -> Self {
        self.aims.found_within = Some(answers);
        self
    }

    fn few_wrong(mut self) -> Self {
        self.aims.wrong_share = Some(WRONG_SHARE_MAX);
        self
    }

    fn scarce(self) -> Self {
        Self { is_scarce: true, ..self }
    }

    fn cheap(mut self) -> Self {
        self.aims.checking_share = Some(CHECKING_SHARE_MAX);
        self
    }
}

const NEW: (u64, Duration) = (0, Duration::ZERO);

fn cases() -> Vec<Case> {
    let of = |is_long| {
        move |name, trick, trusted, chance| Case {
            name,
            trick,
            trusted,
            is_long,
            chance,
            is_scarce: false,
            aims: Aims::default(),
        }
    };
    let (case, long) = (of(false), of(true));
    let (always, tenth) = (ALWAYS_LIAR_FOUND_MAX, TENTH_LIAR_FOUND_MAX);
    vec![
        long("honest, newcomers", Trick::Honest, NEW, None),
        case("honest, known for a month", Trick::Honest, LONG_KNOWN, None).cheap(),
        case("lazy", Trick::Lazy, NEW, Some(1.0)).found_within(always).few_wrong(),
        case("liar 100 %", Trick::Liar(1.0), NEW, Some(1.0)).found_within(always).few_wrong(),
        case("liar 10 %", Trick::Liar(0.1), NEW, Some(0.1)).found_within(tenth).few_wrong(),
        long("liar 1 %", Trick::Liar(0.01), NEW, Some(0.01)).few_wrong(),
        case("liar 100 %, proven", Trick::Liar(1.0), SETTLED, Some(SPARE_SHARE)).found_within(always),
        case("- nothing to spare", Trick::Liar(1.0), SETTLED, Some(0.05)).found_within(always).scarce(),
        long("liar 10 %, proven", Trick::Liar(0.1), SETTLED, Some(SPARE_SHARE * 0.1))
            .found_within(tenth)
            .few_wrong(),
        long("- nothing to spare", Trick::Liar(0.1), SETTLED, Some(0.05 * 0.1)).found_within(tenth).scarce(),
        long("liar 100 %, known for a month", Trick::Liar(1.0), LONG_KNOWN, Some(SPARE_SHARE)).few_wrong(),
        long("- nothing to spare", Trick::Liar(1.0), LONG_KNOWN, Some(0.02)).scarce(),
        long("sleeper, 1,000 honest", Trick::Sleeper(1_000), NEW, Some(1.0)).few_wrong(),
        case("two that collude, 10 %", Trick::Colluding, NEW, Some(0.1)),
        case("one path in sixteen", Trick::Sixteenth, NEW, Some(1.0)).few_wrong(),
        long("one path in sixteen, proven", Trick::Sixteenth, SETTLED, Some(SPARE_SHARE / 16.0)),
        case("- nothing to spare", Trick::Sixteenth, SETTLED, Some(0.05 / 16.0)).scarce(),
        case("slow-loris", Trick::SlowLoris, NEW, None),
        case("replayer", Trick::Replayer, NEW, Some(1.0)).found_within(always).few_wrong(),
        long("bits flip, 1e-4", Trick::Flipping(1e-4), NEW, None).few_wrong(),
        case("identity farm", Trick::Farm, NEW, Some(1.0)).few_wrong(),
        case("- nothing to spare", Trick::Farm, NEW, Some(0.2)).scarce(),
        case("identity farm, proven names", Trick::Farm, SETTLED, Some(SPARE_SHARE)),
    ]
}

/// The results of all games of a row.
pub struct TrustRow {
    name: &'static str,
    games: u64,
    found: Vec<u64>,
    convicted: Vec<u64>,
    expected_99: Option<f64>,
    sum: RedTeamFigures,
    aims: Aims,
}

impl TrustRow {
    fn play(case: &Case, plan: TrustPlan) -> Self {
        let (answers, known_for) = case.trusted;
        let mut row = Self {
            name: case.name,
            games: plan.games,
            found: Vec::new(),
            convicted: Vec::new(),
            // A certain detection needs one answer.
            expected_99: case
                .chance
                .map(|chance| if chance < 1.0 { 0.01_f64.ln() / (1.0 - chance).ln() } else { 1.0 }),
            sum: RedTeamFigures::default(),
            aims: case.aims,
        };
        let tasks = if case.is_long { plan.tasks * LONGER } else { plan.tasks };
        for seed in 0..plan.games {
            let mut game = Game::of(case.trick, tasks, seed).trusted(answers, known_for);
            if case.is_scarce {
                game.rules.spare_percent = 0.0;
            }
            let figures = game.play();
            row.found.extend(figures.found_after);
            row.convicted.extend(figures.convicted_after);
            row.sum.add(&figures);
        }
        row.found.sort_unstable();
        row.convicted.sort_unstable();
        row
    }

    /// Share of wrong answers among the accepted ones.
    fn wrong_share(&self) -> f64 {
        self.sum.wrong as f64 / self.sum.accepted.max(1) as f64
    }

    /// Wrong answers that were accepted of one account of a cheat.
    fn wrong_of_one(&self) -> f64 {
        self.sum.wrong as f64 / self.sum.identities.max(1) as f64
    }

    /// Tasks of all ten workers after which the share of wrong answers is below the aim. The share depends on how long is
    /// played, since a convicted cheat lies no more. `None` if the cheat is not convicted in each game, and so may go on.
    fn few_wrong_after(&self) -> Option<u64> {
        let is_over = self.sum.wrong == 0 || self.convicted.len() as u64 == self.games;
        is_over.then(|| (self.sum.wrong as f64 / self.games as f64 / WRONG_SHARE_MAX).ceil() as u64)
    }

    /// Work units of deep checks per unit paid.
    fn checking_share(&self) -> f64 {
        self.sum.checked_units / self.sum.paid_units.max(1) as f64
    }
}

/// Plays every row.
pub fn rows(plan: TrustPlan) -> Vec<TrustRow> {
    cases().iter().map(|case| TrustRow::play(case, plan)).collect()
}

/// The number of answers after which this share of the detected cheats was detected.
fn quantile(sorted: &[u64], share: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

/// So many of these games may take longer than 99 of 100 do: with more, the chance that 99 of 100 are in time is below
/// one per cent.
fn late_games_max(games: u64) -> u64 {
    const LATE: f64 = 0.01;
    let games = i32::try_from(games).unwrap_or(i32::MAX);
    // The binomial distribution: the chance that exactly `late` games are late, and that at most so many are.
    let mut exactly = (1.0 - LATE).powi(games);
    let mut at_most = exactly;
    let mut late = 0;
    while at_most < 0.99 && late < games {
        exactly *= f64::from(games - late) / f64::from(late + 1) * LATE / (1.0 - LATE);
        late += 1;
        at_most += exactly;
    }
    late.unsigned_abs().into()
}

/// The results as a table.
pub fn table(rows: &[TrustRow]) -> String {
    let mut text = format!(
        "Ten workers, one of them (two that collude) as the row says; answers from its first lie on.\n\
         {:<30}{:>9}{:>8}{:>7}{:>9}{:>11}{:>9}{:>9}{:>8}{:>12}{:>10}{:>9}\n",
        "worker",
        "found in",
        "median",
        "99 %",
        "expected",
        "convicted",
        "tasks",
        "wrong",
        "of one",
        "1e-4 after",
        "checking",
        "accounts"
    );
    let shown = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<30}{:>9}{:>8}{:>7}{:>9}{:>11}{:>9}{:>9}{:>8}{:>12}{:>10}{:>9}",
            row.name,
            format!("{}/{}", row.found.len(), row.games),
            shown(quantile(&row.found, 0.5)),
            shown(quantile(&row.found, 0.99)),
            row.expected_99.map_or("-".to_owned(), |expected| format!("{:.0}", expected.ceil())),
            format!("{}/{}", row.convicted.len(), row.games),
            row.sum.accepted,
            format!("{:.1e}", row.wrong_share()),
            format!("{:.2}", row.wrong_of_one()),
            shown(row.few_wrong_after()),
            format!("{:.2} %", 100.0 * row.checking_share()),
            row.sum.identities
        );
    }
    let (tasks, checking): (u64, Duration) = rows
        .iter()
        .map(|row| (row.sum.accepted, row.sum.checking))
        .fold((0, Duration::ZERO), |(a, b), (c, d)| (a + c, b + d));
    let _ = write!(
        text,
        "{tasks} answers accepted; checks on the pool took {:.1} us for each of them; honest workers convicted: {}",
        checking.as_secs_f64() * 1e6 / tasks.max(1) as f64,
        rows.iter().map(|row| row.sum.honest_convicted).sum::<u64>()
    );
    text
}

/// Which aims are missed.
pub fn missed(rows: &[TrustRow]) -> Vec<String> {
    let mut missed = Vec::new();
    let mut aim = |holds: bool, what: String| {
        if !holds {
            missed.push(what);
        }
    };
    for row in rows {
        if let Some(within) = row.aims.found_within {
            let in_time = row.found.iter().filter(|answers| **answers <= within).count() as u64;
            let is_found_in_all = row.found.len() as u64 == row.games;
            aim(
                is_found_in_all && row.games - in_time <= late_games_max(row.games),
                format!("{}: found within {within} answers in {in_time} of {} games", row.name, row.games),
            );
        }
        if let Some(most) = row.aims.wrong_share {
            let wrong = row.wrong_share();
            aim(wrong < most, format!("{}: {wrong:.1e} of accepted answers are wrong", row.name));
        }
        if let Some(most) = row.aims.checking_share {
            let share = row.checking_share();
            aim(share < most, format!("{}: checking takes {:.1} % of paid work", row.name, 100.0 * share));
        }
        aim(row.sum.honest_convicted == 0, format!("{}: an honest worker was convicted", row.name));
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::late_games_max;

    #[test]
    fn a_few_of_many_games_may_be_late_by_chance() {
        // 0.99^2 = 0.980, so one of two games is late too often; 0.99^2 + 2 * 0.99 * 0.01 = 0.9999.
        assert_eq!([0, 1, 2, 40, 1_000].map(late_games_max), [0, 0, 1, 2, 18]);
    }
}
