//! Hours of the day in which a worker may work, such as `22:00-07:00`.

use std::fmt;
use std::str::FromStr;

use jiff::Zoned;

/// Spans of the day, in this computer's local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours(Vec<Span>);

/// From one minute of the day up to another; if that is earlier, over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

/// Most spans accepted: a day needs no more, and each is compared with the time every few seconds.
const SPANS_MAX: usize = 24;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Hours {
    /// Whether one of the spans contains the present minute.
    pub fn contains_now(&self) -> bool {
        let now = Zoned::now();
        self.contains(u16::try_from(now.hour()).unwrap_or(0) * 60 + u16::try_from(now.minute()).unwrap_or(0))
    }

    fn contains(&self, minute: u16) -> bool {
        self.0.iter().any(|span| {
            if span.from < span.to {
                (span.from..span.to).contains(&minute)
            } else {
                minute >= span.from || minute < span.to
            }
        })
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no list of hours such as 22:00-07:00 or 09:00-12:30,14:00-24:00");
        let spans: Option<Vec<Span>> = text.split(',').map(|span| span.trim().parse().ok()).collect();
        spans.filter(|spans| spans.len() <= SPANS_MAX).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Span {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (from, to) = text.split_once('-').ok_or(())?;
        let (from, to) = (minute(from)?, minute(to)?);
        if from == DAY || from == to { Err(()) } else { Ok(Self { from, to }) }
    }
}

fn minute(text: &str) -> Result<u16, ()> {
    let (hours, minutes) = text.split_once(':').ok_or(())?;
    let number = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().map_err(drop),
        _ => Err(()),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    if minutes < 60 && minute <= DAY { Ok(minute) } else { Err(()) }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Span { from, to }) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_begin_with_their_first_minute_and_end_before_their_last_also_over_midnight() {
        let hours: Hours = "22:00-07:00, 12:15-13:00".parse().unwrap();
        let at = |hour: u16, minute: u16| hours.contains(hour * 60 + minute);
        assert!(at(22, 0) && at(23, 59) && at(0, 0) && at(6, 59) && at(12, 15) && at(12, 59));
        assert!(!at(7, 0) && !at(21, 59) && !at(12, 14) && !at(13, 0));
        assert!("00:00-24:00".parse::<Hours>().unwrap().contains(DAY - 1));
        assert_eq!(hours.to_string(), "22:00-07:00,12:15-13:00");
        assert_eq!(hours.to_string().parse(), Ok(hours));
    }

    #[test]
    fn what_is_no_span_is_refused_with_one_that_is() {
        for bad in [
            "",
            "night",
            "22:00",
            "22-7",
            "24:00-01:00",
            "08:60-09:00",
            "25:00-26:00",
            "08:00-08:00",
            "8:00-+9:00",
        ] {
            let said = bad.parse::<Hours>().unwrap_err();
            assert!(said.contains("22:00-07:00"), "{bad}: {said}");
        }
        assert!(vec!["01:00-02:00"; SPANS_MAX + 1].join(",").parse::<Hours>().is_err());
    }
}
