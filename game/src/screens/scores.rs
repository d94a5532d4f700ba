//! The best rounds of each difficulty, and the file that keeps them.

use std::time::{Duration, SystemTime};

use crate::figures::UNKNOWN;
use crate::settings::{PlayerFile, Settings};
use bevy::prelude::*;
use p2c2r_arena::Difficulty;
use p2c2r_protocol::printable;
use serde::{Deserialize, Serialize};

/// Rounds that are remembered of each difficulty.
const REMEMBERED: usize = 10;

/// Letters of a date, and of a preset at most.
const DATE_LENGTH: usize = 10;
const PRESET_LENGTH: usize = 8;

/// A round in numbers. The optional ones are missing in files of older games.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Points.
    pub score: u64,
    /// The wave that was reached.
    pub wave: u32,
    /// Seconds of play.
    pub seconds: u64,
    /// What it cost in nano-dollars.
    pub cost_nanos: i64,
    /// The day on which it ended, in UTC: `2026-11-29`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The arena's seed: with `--seed` the same sectors can be played again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seed")]
    pub seed: Option<u64>,
    /// How much was borrowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrowed: Option<Borrowed>,
}

/// How much of a round's computing others did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrowed {
    /// The preset at its end.
    pub preset: String,
    /// Outcomes that others computed, of a hundred.
    pub percent: u8,
}

impl Round {
    /// Makes what an edited file may hold fit into its column.
    fn mend(&mut self) {
        self.date = self.date.take().filter(|date| date.len() == DATE_LENGTH && date.is_ascii());
        if let Some(borrowed) = &mut self.borrowed {
            borrowed.preset = printable(&borrowed.preset, PRESET_LENGTH);
            borrowed.percent = borrowed.percent.min(100);
        }
    }

    /// `rich 97 %`; a round without any help was `alone`; of an older one it is not known.
    pub fn borrowed(&self) -> String {
        match &self.borrowed {
            None => UNKNOWN.to_owned(),
            Some(Borrowed { percent: 0, .. }) => "alone".to_owned(),
            Some(Borrowed { preset, percent }) => format!("{preset} {percent} %"),
        }
    }
}

/// Numbers of TOML have 63 bits and a sign; a seed has 64 bits.
mod seed {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(seed: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        seed.map(u64::cast_signed).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(i64::cast_unsigned))
    }
}

/// The day of this time, in UTC, by the Gregorian calendar; `None` before 1970 and where a year has five digits.
pub(super) fn day(time: SystemTime) -> Option<String> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let mut left = u32::try_from(since.as_secs() / Duration::from_hours(24).as_secs()).ok()?;
    let is_leap =
        |year: u16| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970_u16;
    while left >= 365 + u32::from(is_leap(year)) {
        left -= 365 + u32::from(is_leap(year));
        year += 1;
        if year > 9_999 {
            return None;
        }
    }
    let february = 28 + u32::from(is_leap(year));
    let mut month = 1_u8;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    Some(format!("{year}-{month:02}-{:02}", left + 1))
}

/// The best rounds, by difficulty, the best first.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    cadet: Vec<Round>,
    pilot: Vec<Round>,
    ace: Vec<Round>,
}

/// The difficulty whose table is shown: the one that the player looked at last or, if that was later, the one of the last
/// round. Before both it is the one of the settings.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableShown(pub(super) Option<Difficulty>);

impl TableShown {
    /// Which one.
    pub(super) fn difficulty(self, settings: &Settings) -> Difficulty {
        self.0.unwrap_or(settings.difficulty)
    }
}

impl PlayerFile for Scores {
    const FILE: &'static str = "scores.toml";
    const WHAT: &'static str = "scores";

    fn read(file: &toml::Table) -> Result<Self, String> {
        let mut scores: Self = file.clone().try_into().map_err(|error| error.message().to_owned())?;
        for difficulty in Difficulty::ALL {
            let table = scores.table_mut(difficulty);
            table.sort_by_key(|round| std::cmp::Reverse(round.score));
            table.truncate(REMEMBERED);
            table.iter_mut().for_each(Round::mend);
        }
        Ok(scores)
    }

    fn written(&self) -> Result<toml::Table, String> {
        toml::Table::try_from(self).map_err(|error| error.to_string())
    }
}

impl Scores {
    /// The best of a difficulty.
    pub fn table(&self, difficulty: Difficulty) -> &[Round] {
        match difficulty {
            Difficulty::Cadet => &self.cadet,
            Difficulty::Pilot => &self.pilot,
            Difficulty::Ace => &self.ace,
        }
    }

    fn table_mut(&mut self, difficulty: Difficulty) -> &mut Vec<Round> {
        match difficulty {
            Difficulty::Cadet => &mut self.cadet,
            Difficulty::Pilot => &mut self.pilot,
            Difficulty::Ace => &mut self.ace,
        }
    }

    /// Enters a round and returns its place from 1, if it is among the best. Of equal scores the older stays ahead.
    pub fn enter(&mut self, difficulty: Difficulty, round: Round) -> Option<usize> {
        let table = self.table_mut(difficulty);
        let place = table.partition_point(|other| other.score >= round.score);
        if round.score == 0 || place >= REMEMBERED {
            return None;
        }
        table.insert(place, round);
        table.truncate(REMEMBERED);
        Some(place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::text_of;

    fn round(score: u64) -> Round {
        Round { score, ..Round::default() }
    }

    #[test]
    fn the_best_ten_are_kept_in_order_and_equal_ones_by_age() {
        let mut scores = Scores::default();
        assert_eq!(scores.enter(Difficulty::Cadet, round(0)), None, "nothing was scored");
        for score in [50, 90, 10, 70] {
            scores.enter(Difficulty::Cadet, round(score));
        }
        assert_eq!(scores.enter(Difficulty::Cadet, round(70)), Some(3));
        for score in 100..110 {
            assert_eq!(scores.enter(Difficulty::Cadet, round(score)), Some(1));
        }
        assert_eq!(scores.enter(Difficulty::Cadet, round(60)), None);
        let kept: Vec<u64> = scores.table(Difficulty::Cadet).iter().map(|round| round.score).collect();
        assert_eq!(kept, (100..110).rev().collect::<Vec<_>>());
        assert!(scores.table(Difficulty::Ace).is_empty());
    }

    fn read(text: &str) -> Result<Scores, String> {
        let mut file: toml::Table = toml::from_str(text).expect("TOML");
        file.remove("version");
        Scores::read(&file)
    }

    #[test]
    fn a_file_is_readable_and_an_older_one_is_read() {
        let older = "version = 1\n[[pilot]]\nscore = 700\nwave = 2\nseconds = 61\ncost_nanos = 5\n";
        let mut scores = read(older).unwrap();
        let first = scores.table(Difficulty::Pilot)[0].clone();
        assert_eq!(
            (first.score, first.date.clone(), first.seed, first.borrowed()),
            (700, None, None, "-".into())
        );
        let borrowed = Some(Borrowed { preset: "rich".into(), percent: 97 });
        let date = day(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_786));
        scores.enter(Difficulty::Pilot, Round { date, borrowed, seed: Some(u64::MAX), ..round(900) });
        let text = text_of(&scores).unwrap();
        for line in ["date = \"2026-11-29\"", "preset = \"rich\"", "percent = 97", "score = 900"] {
            assert!(text.contains(line), "`{line}` is missing in:\n{text}");
        }
        assert_eq!(read(&text).unwrap(), scores, "{text}");
        for damaged in [
            "[[pilot]]\nscore = \"all\"\n",
            "[[ace]]\nscore = 1\nwave = 1\nseconds = 1\ncost_nanos = 1\ndate = 7\n",
        ] {
            assert!(read(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let of = |days: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days) + Duration::from_hours(23);
            day(time)
        };
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_786, "2026-11-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(of(days).as_deref(), Some(expected), "{days}");
        }
        assert_eq!(day(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
