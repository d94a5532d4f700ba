//! Each choice as a row of a menu.

use clap::ValueEnum as _;
use p2c2r_arena::Difficulty;

use super::{Allies, BorrowingDetail, Corner, FrameRate, Palette, SCALE, Settings};
use crate::cli::QualityChoice;
use crate::figures;

/// The largest cap on an hour's cost that can be set, thousandths of a dollar.
pub(super) const CAP_MAX: u32 = 1_000;
/// The caps that a player can choose, thousandths of a dollar; 0 is none.
const CAPS: [u32; 9] = [0, 5, 10, 20, 50, 100, 200, 500, CAP_MAX];
/// Choices for the assumptions about a graphics card: prices in dollars, years, hours a week, watts, cents a
/// kilowatt hour.
const DOLLARS: [u32; 6] = [150, 300, 500, 800, 1_200, 2_000];
const YEARS: [u32; 6] = [2, 3, 4, 5, 6, 8];
const HOURS: [u32; 6] = [2, 5, 10, 20, 30, 40];
const WATTS: [u32; 6] = [75, 120, 170, 250, 350, 450];
const CENTS: [u32; 6] = [10, 20, 30, 40, 50, 60];
/// Step of a volume, a shake or a flash, per cent.
const PERCENT_STEP: i32 = 10;
/// Step of the display's size, per cent.
const SCALE_STEP: i32 = 25;

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the fields of the settings, one each")]
pub enum Row {
    Quality,
    Fullscreen,
    Frames,
    Shake,
    Flashes,
    HitStop,
    Master,
    Music,
    Effects,
    Interface,
    Level,
    Scale,
    Corner,
    Palette,
    Offload,
    Paths,
    Physics,
    Plans,
    Reflections,
    Mirrors,
    Preset,
    Cap,
    Allies,
    Difficulty,
    CardDollars,
    CardYears,
    HoursAWeek,
    CardWatts,
    CentsAKwh,
}

impl Row {
    /// The page of drawing.
    pub const VIDEO: [Self; 6] =
        [Self::Fullscreen, Self::Frames, Self::Quality, Self::Shake, Self::Flashes, Self::HitStop];
    /// The page of sound.
    pub const SOUND: [Self; 4] = [Self::Master, Self::Music, Self::Effects, Self::Interface];
    /// The page of the display.
    pub const DISPLAY: [Self; 4] = [Self::Level, Self::Scale, Self::Corner, Self::Palette];
    /// The page of borrowing.
    pub const BORROWING: [Self; 9] = [
        Self::Offload,
        Self::Preset,
        Self::Cap,
        Self::Mirrors,
        Self::Paths,
        Self::Physics,
        Self::Plans,
        Self::Reflections,
        Self::Allies,
    ];

    /// The page of the player's own card.
    pub const COMPARISON: [Self; 5] =
        [Self::CardDollars, Self::CardYears, Self::HoursAWeek, Self::CardWatts, Self::CentsAKwh];

    /// The name that the player sees.
    pub fn label(self) -> &'static str {
        match self {
            Self::Quality => "Quality of drawing",
            Self::Fullscreen => "Full screen",
            Self::Frames => "Frames a second",
            Self::Shake => "Shake",
            Self::Flashes => "Flashes",
            Self::HitStop => "Pause at hard hits",
            Self::Master => "Everything",
            Self::Music => "Music",
            Self::Effects => "Effects",
            Self::Interface => "Menus",
            Self::Level => "Shows",
            Self::Scale => "Size",
            Self::Corner => "Place",
            Self::Palette => "Colours",
            Self::Offload => "Borrow computers",
            Self::Paths => "Enemies' paths",
            Self::Physics => "Rocks' motions",
            Self::Plans => "Plans of wingmen and bosses",
            Self::Allies => "Wingmen",
            Self::Reflections => "Tracing of light",
            Self::Mirrors => "Light and mirrors",
            Self::Preset => "How much is bought",
            Self::Cap => "At most an hour",
            Self::Difficulty => "Difficulty",
            Self::CardDollars => "Price of the card",
            Self::CardYears => "Good enough for",
            Self::HoursAWeek => "Played a week",
            Self::CardWatts => "Power it draws",
            Self::CentsAKwh => "Electricity",
        }
    }

    /// The present value as the player sees it.
    pub fn value(self, settings: &Settings) -> String {
        let percent = |value: u8| format!("{value} %");
        let on = |value: bool, yes: &str, no: &str| if value { yes } else { no }.to_owned();
        let Settings { video, sound, display, borrowing, comparison, .. } = settings;
        match self {
            Self::Quality => match video.quality {
                QualityChoice::Auto => "by the graphics adapter (next start)".into(),
                QualityChoice::Low => "low (next start)".into(),
                QualityChoice::High => "high (next start)".into(),
            },
            Self::Fullscreen => on(video.fullscreen, "yes", "no: in a window"),
            Self::Frames => match video.frames {
                FrameRate::Screen => "as the screen shows".into(),
                FrameRate::Thirty => "30".into(),
                FrameRate::Sixty => "60".into(),
                FrameRate::Unbounded => "as many as can be".into(),
            },
            Self::Shake => percent(video.shake),
            Self::Flashes => percent(video.flashes),
            Self::HitStop => percent(video.hit_stop),
            Self::Master => percent(sound.master),
            Self::Music => percent(sound.music),
            Self::Effects => percent(sound.effects),
            Self::Interface => percent(sound.interface),
            Self::Level => display.level.label().into(),
            Self::Scale => percent(display.scale),
            Self::Corner => display.corner.label().into(),
            Self::Palette => match display.palette {
                Palette::Standard => "standard".into(),
                Palette::HighContrast => "high contrast".into(),
            },
            Self::Offload => on(borrowing.enabled, "yes", "no: this one does it all"),
            Self::Paths => on(borrowing.paths, "borrowed", "computed here"),
            Self::Physics => on(borrowing.physics, "borrowed", "computed here"),
            Self::Plans => on(borrowing.plans, "borrowed", "computed here"),
            Self::Allies => match settings.allies {
                Allies::Off => "none (next round)".into(),
                Allies::One => "one (next round)".into(),
                Allies::Two => "two (next round)".into(),
            },
            Self::Reflections => on(borrowing.reflections, "borrowed", "computed here"),
            Self::Mirrors => on(borrowing.mirrors, "shown", "none"),
            Self::Preset => borrowing.preset.name(),
            Self::Cap if borrowing.cap_millidollars_per_hour == 0 => "no cap".into(),
            Self::Cap => {
                let dollars = f64::from(borrowing.cap_millidollars_per_hour) / 1e3;
                figures::dollars(Some(dollars))
            }
            Self::Difficulty => settings.difficulty.label().into(),
            Self::CardDollars => format!("${}", comparison.card_dollars),
            Self::CardYears => format!("{} years", comparison.years),
            Self::HoursAWeek => format!("{} hours", comparison.hours_a_week),
            Self::CardWatts => format!("{} W", comparison.watts),
            Self::CentsAKwh => format!("${:.2} a kWh", f64::from(comparison.cents_a_kwh) / 100.0),
        }
    }

    /// Goes `step` choices on (1) or back (-1). Percentages stop at their ends, all others go round.
    pub fn turn(self, settings: &mut Settings, step: i32) {
        let Settings { video, sound, display, borrowing, difficulty, allies, comparison, .. } = settings;
        let percent = |value: &mut u8, by: i32, least: i32, most: i32| {
            *value = (i32::from(*value) + by * step).clamp(least, most) as u8;
        };
        match self {
            Self::Quality => video.quality = next(QualityChoice::value_variants(), video.quality, step),
            Self::Fullscreen => video.fullscreen ^= true,
            Self::Frames => {
                let all = [FrameRate::Screen, FrameRate::Thirty, FrameRate::Sixty, FrameRate::Unbounded];
                video.frames = next(&all, video.frames, step);
            }
            Self::Shake => percent(&mut video.shake, PERCENT_STEP, 0, 100),
            Self::Flashes => percent(&mut video.flashes, PERCENT_STEP, 0, 100),
            Self::HitStop => percent(&mut video.hit_stop, PERCENT_STEP, 0, 100),
            Self::Master => percent(&mut sound.master, PERCENT_STEP, 0, 100),
            Self::Music => percent(&mut sound.music, PERCENT_STEP, 0, 100),
            Self::Effects => percent(&mut sound.effects, PERCENT_STEP, 0, 100),
            Self::Interface => percent(&mut sound.interface, PERCENT_STEP, 0, 100),
            Self::Level => display.level = next(&BorrowingDetail::ALL, display.level, step),
            Self::Scale => {
                percent(&mut display.scale, SCALE_STEP, (*SCALE.start()).into(), (*SCALE.end()).into());
            }
            Self::Corner => display.corner = next(&Corner::ALL, display.corner, step),
            Self::Palette => display.palette = next(Palette::value_variants(), display.palette, step),
            Self::Offload => borrowing.enabled ^= true,
            Self::Paths => borrowing.paths ^= true,
            Self::Physics => borrowing.physics ^= true,
            Self::Plans => borrowing.plans ^= true,
            Self::Allies => *allies = next(&[Allies::Off, Allies::One, Allies::Two], *allies, step),
            Self::Reflections => borrowing.reflections ^= true,
            Self::Mirrors => borrowing.mirrors ^= true,
            Self::Preset => {
                borrowing.preset = next(&crate::presets::Preset::CHOICES, borrowing.preset, step);
            }
            Self::Cap => {
                let cap = &mut borrowing.cap_millidollars_per_hour;
                *cap = next_number(&CAPS, *cap, step);
            }
            Self::Difficulty => *difficulty = next(&Difficulty::ALL, *difficulty, step),
            Self::CardDollars => {
                comparison.card_dollars = next_number(&DOLLARS, comparison.card_dollars, step);
            }
            Self::CardYears => comparison.years = next_number(&YEARS, comparison.years, step),
            Self::HoursAWeek => comparison.hours_a_week = next_number(&HOURS, comparison.hours_a_week, step),
            Self::CardWatts => comparison.watts = next_number(&WATTS, comparison.watts, step),
            Self::CentsAKwh => comparison.cents_a_kwh = next_number(&CENTS, comparison.cents_a_kwh, step),
        }
    }
}

/// The number one step further on (1) or back (-1) in a rising list. From a number between two of the list, which a flag
/// or an edited file may set, it is the nearest on that side.
fn next_number(choices: &[u32], now: u32, step: i32) -> u32 {
    let above = choices.partition_point(|choice| *choice < now) as i32;
    let is_listed = choices.get(above as usize) == Some(&now);
    let place = if is_listed || step < 0 { above + step } else { above };
    choices[place.rem_euclid(choices.len() as i32) as usize]
}

/// The choice `step` further on; for a value not in the list, counted from the first.
pub(crate) fn next<T: Copy + PartialEq>(choices: &[T], now: T, step: i32) -> T {
    let place = choices.iter().position(|choice| *choice == now).unwrap_or(0) as i32;
    choices[(place + step).rem_euclid(choices.len() as i32) as usize]
}

impl BorrowingDetail {
    /// From the least on.
    pub const ALL: [Self; 5] = [Self::Off, Self::Chip, Self::Compact, Self::Full, Self::Developer];

    /// The name that the player sees.
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "nothing",
            Self::Chip => "one line",
            Self::Compact => "what each kind costs",
            Self::Full => "everything",
            Self::Developer => "everything, for developers",
        }
    }

    /// The next higher level; after the highest, off.
    #[must_use]
    pub fn next(self) -> Self {
        next(&Self::ALL, self, 1)
    }
}

impl Corner {
    /// Clockwise.
    pub const ALL: [Self; 4] = [Self::TopRight, Self::BottomRight, Self::BottomLeft, Self::TopLeft];

    /// The name that the player sees.
    pub fn label(self) -> &'static str {
        match self {
            Self::TopRight => "top right",
            Self::BottomRight => "bottom right",
            Self::BottomLeft => "bottom left",
            Self::TopLeft => "top left",
        }
    }

    /// The next one, clockwise.
    #[must_use]
    pub fn next(self) -> Self {
        next(&Self::ALL, self, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Row> {
        [
            &Row::VIDEO[..],
            &Row::SOUND[..],
            &Row::DISPLAY[..],
            &Row::BORROWING[..],
            &Row::COMPARISON[..],
            &[Row::Difficulty],
        ]
        .concat()
    }

    #[test]
    fn every_row_changes_what_it_says_and_can_be_turned_back() {
        for row in all() {
            let mut settings = Settings::default();
            let first = row.value(&settings);
            row.turn(&mut settings, -1);
            assert_ne!(row.value(&settings), first, "{row:?}");
            row.turn(&mut settings, 1);
            assert_eq!(row.value(&settings), first, "{row:?}");
        }
    }

    #[test]
    fn a_number_between_two_choices_goes_to_the_nearest_on_either_side() {
        for (now, back, on) in [(0, CAP_MAX, 5), (20, 10, 50), (30, 20, 50), (3, 0, 5), (CAP_MAX, 500, 0)] {
            assert_eq!((next_number(&CAPS, now, -1), next_number(&CAPS, now, 1)), (back, on), "from {now}");
        }
        for (now, back, on) in [(100, 2_000, 150), (5_000, 2_000, 150)] {
            let both = (next_number(&DOLLARS, now, -1), next_number(&DOLLARS, now, 1));
            assert_eq!(both, (back, on), "from {now}");
        }
    }

    #[test]
    fn no_row_can_be_turned_out_of_its_range() {
        for row in all() {
            for step in [-1, 1] {
                let mut settings = Settings::default();
                for _ in 0..50 {
                    row.turn(&mut settings, step);
                    p2c2r_program::settings::check(&settings)
                        .unwrap_or_else(|error| panic!("{row:?}: {error}"));
                }
            }
        }
    }
}
