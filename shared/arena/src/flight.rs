//! A recorded flight: the controls of every tick, so that the same inputs can be replayed whatever outcomes
//! arrive, and whenever.

use std::fmt;
use std::str::FromStr;

use crate::controls::Controls;

/// First line of a flight's text; it names the version of the format.
const HEADING: &str = "p2c2r-flight 2";
/// First line of the older version, without missiles and boost, which is read too.
const HEADING_BEFORE: &str = "p2c2r-flight 1";
/// The most ticks of a flight: a day. Positions are kept as `u32`, which holds 800 times that.
const TICKS_MAX: u32 = 24 * 3_600 * crate::TICKS_PER_SECOND;

/// Controls by tick.
///
/// As text it is the line `p2c2r-flight 2` and then one line for each run of equal controls: how many ticks, the turn
/// (-1, 0, 1), the thrust (-1, 0, 1), and in this order `fire`, `missile` and `boost`, each if it is held:
///
/// ```
/// # use p2c2r_arena::{Controls, Flight};
/// let flight: Flight = "p2c2r-flight 2\n30 0 1\n5 -1 0 fire\n".parse()?;
/// assert_eq!(flight.ticks(), 35);
/// assert_eq!(flight.controls(0), Controls { thrust: 1, ..Controls::default() });
/// assert_eq!(flight.controls(34), Controls { turn: -1, fire: true, ..Controls::default() });
/// # Ok::<(), p2c2r_arena::FlightError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// The tick at which each run begins, ascending from 0, and its controls; neighbours differ.
    runs: Vec<(u32, Controls)>,
    ticks: u32,
}

/// Why a text is not a flight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlightError {
    /// It does not begin as a flight does.
    #[error("it is no recorded flight: the first line is not `{HEADING}`")]
    Heading,
    /// A line that is no run.
    #[error(
        "line {line} is not `TICKS TURN THRUST [fire] [missile] [boost]` with turn and thrust from -1 to 1"
    )]
    Run {
        /// The line, counted from 1.
        line: usize,
    },
    /// No run at all.
    #[error("the flight has no ticks")]
    Empty,
    /// More ticks than a day.
    #[error("the flight has more than {TICKS_MAX} ticks")]
    Long,
}

impl Flight {
    /// Appends one tick. Restarts are left out, since a round may end at another tick than in the recording.
    /// Turn and thrust out of range are recorded as the nearest value. Ticks beyond a day are dropped.
    pub fn push(&mut self, controls: Controls) {
        let (turn, thrust) = (controls.turn.signum(), controls.thrust.signum());
        let steering = Controls { turn, thrust, restart: false, ..controls };
        if self.ticks == TICKS_MAX {
            return;
        }
        if self.runs.last().is_none_or(|(_, last)| *last != steering) {
            self.runs.push((self.ticks, steering));
        }
        self.ticks += 1;
    }

    /// How many ticks it has.
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// The controls at `tick`, counted from 0. After the last tick the flight repeats. A flight without ticks
    /// coasts.
    pub fn controls(&self, tick: u64) -> Controls {
        let Some(within) = tick.checked_rem(u64::from(self.ticks)) else { return Controls::default() };
        let next = self.runs.partition_point(|(begins, _)| u64::from(*begins) <= within);
        self.runs[..next].last().map_or_else(Controls::default, |(_, controls)| *controls)
    }
}

impl Extend<Controls> for Flight {
    fn extend<I: IntoIterator<Item = Controls>>(&mut self, ticks: I) {
        ticks.into_iter().for_each(|controls| self.push(controls));
    }
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}")?;
        let ends = self.runs.iter().skip(1).map(|(begins, _)| *begins).chain([self.ticks]);
        for ((begins, controls), end) in self.runs.iter().zip(ends) {
            write!(f, "{} {} {}", end - begins, controls.turn, controls.thrust)?;
            for (word, held) in words_of(*controls) {
                if held {
                    write!(f, " {word}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Flight {
    type Err = FlightError;

    fn from_str(text: &str) -> Result<Self, FlightError> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| ![HEADING, HEADING_BEFORE].contains(&line.trim())) {
            return Err(FlightError::Heading);
        }
        let mut flight = Self::default();
        for (number, line) in lines {
            let (ticks, controls) = run(line).ok_or(FlightError::Run { line: number + 1 })?;
            if ticks > TICKS_MAX - flight.ticks {
                return Err(FlightError::Long);
            }
            if flight.runs.last().is_none_or(|(_, last)| *last != controls) {
                flight.runs.push((flight.ticks, controls));
            }
            flight.ticks += ticks;
        }
        if flight.ticks == 0 { Err(FlightError::Empty) } else { Ok(flight) }
    }
}

fn run(line: &str) -> Option<(u32, Controls)> {
    let mut words = line.split_ascii_whitespace();
    let ticks = words.next()?.parse().ok().filter(|ticks| *ticks > 0)?;
    let mut direction = || words.next()?.parse().ok().filter(|direction: &i8| (-1..=1).contains(direction));
    let (turn, thrust) = (direction()?, direction()?);
    let mut controls = Controls { turn, thrust, ..Controls::default() };
    let mut next = words.next();
    for (word, held) in
        [("fire", &mut controls.fire), ("missile", &mut controls.missile), ("boost", &mut controls.boost)]
    {
        if next == Some(word) {
            *held = true;
            next = words.next();
        }
    }
    next.is_none().then_some((ticks, controls))
}

/// The word for each control and whether it is held, in the order of the format.
fn words_of(controls: Controls) -> [(&'static str, bool); 3] {
    [("fire", controls.fire), ("missile", controls.missile), ("boost", controls.boost)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arena, ArenaConfig, Autopilot};

    #[test]
    fn a_recorded_flight_flies_as_it_was_flown_also_after_it_was_written_down() {
        let (mut flown, mut autopilot) = (Arena::new(ArenaConfig::default()), Autopilot::default());
        let mut flight = Flight::default();
        for _ in 0..600 {
            let controls = autopilot.controls(&flown);
            flight.push(controls);
            flown.step(controls, &[]);
        }
        let read: Flight = flight.to_string().parse().expect("what was written can be read");
        assert_eq!(read, flight);
        let mut again = Arena::new(ArenaConfig::default());
        for tick in 0..600 {
            again.step(read.controls(tick), &[]);
        }
        assert_eq!(again.digest(), flown.digest());
        assert!(flight.to_string().lines().count() < 400, "equal ticks are one line");
    }

    #[test]
    fn controls_out_of_range_are_recorded_as_the_nearest_and_can_be_read() {
        let mut flight = Flight::default();
        flight.push(Controls { turn: i8::MIN, thrust: 7, ..Controls::default() });
        assert_eq!(flight.controls(0), Controls { turn: -1, thrust: 1, ..Controls::default() });
        assert_eq!(flight.to_string().parse(), Ok(flight));
    }

    #[test]
    fn behind_its_end_a_flight_begins_again() {
        let flight: Flight = "p2c2r-flight 1\n2 1 0\n1 0 -1 fire".parse().expect("a flight");
        let turns: Vec<i8> = (0..7).map(|tick| flight.controls(tick).turn).collect();
        assert_eq!(turns, [1, 1, 0, 1, 1, 0, 1]);
        assert_eq!(Flight::default().controls(5), Controls::default());
    }

    #[test]
    fn what_is_no_flight_is_refused_with_the_line() {
        let parse = |text: &str| text.parse::<Flight>().expect_err("no flight");
        assert_eq!(parse(""), FlightError::Heading);
        assert_eq!(parse("p2c2r-flight 3\n1 0 0"), FlightError::Heading);
        assert_eq!(parse("p2c2r-flight 1\n"), FlightError::Empty);
        for wrong in [
            "1 0 0 boost fire",
            "0 0 0",
            "1 2 0",
            "1 0",
            "x 0 0",
            "1 0 0 fires",
            "1 0 0 fire fire",
            "-1 0 0",
            "",
        ] {
            let text = format!("p2c2r-flight 1\n1 0 0\n{wrong}\n1 0 0");
            assert_eq!(parse(&text), FlightError::Run { line: 3 }, "{wrong}");
        }
        assert_eq!(parse("p2c2r-flight 1\n4000000 0 0\n4000000 0 0"), FlightError::Long);
        assert_eq!(parse("p2c2r-flight 1\n4294967295 0 0"), FlightError::Long);
    }
}
