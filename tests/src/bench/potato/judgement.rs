//! The table a person reads, and which goals the medians reach.

use std::fmt::Write;

use super::figures::PotatoFigures;
use super::flips::EFFECT_SECONDS_MAX;
use super::run::PotatoRun;
use super::warps;
use super::{Arm, PotatoRow};

/// Largest share of the frame rate that borrowing may cost in any arm.
const WORSE_MAX: f64 = 0.02;
/// Frames a second, those of the slowest hundredth, and 99th percentile of the frame time that a player sees as smooth.
const FPS_MIN: f64 = 58.0;
const LOW_FPS_MIN: f64 = 45.0;
const FRAME_MS_P99_MAX: f64 = 33.0;
/// Largest 95th percentile of the light's age in milliseconds, without the round trips of both links.
const LIGHT_AGE_MS_MAX: f64 = 400.0;
/// Share of the workers' processor time that their kernel processes use at least, per cent.
const KERNEL_PERCENT_MIN: f64 = 60.0;
/// How much better the slowest frames of the preset `rich` are than those without borrowing.
const RICH_LOW_TIMES: f64 = 2.0;
/// Outcomes computed a second time, per cent.
const TWICE_PERCENT_MAX: f64 = 5.0;
/// Kilobits a second on the wire, each way.
const WIRE_KBIT_MAX: f64 = 1_000.0;

/// Share of the game's own processor time for a frame that is left where all light is bought.
const CPU_SHARE_MAX: f64 = 0.25;
/// Dollars an hour that these presets may cost.
const DOLLARS_MAX: [(&str, f64); 2] = [("default", 0.010), ("rich", 0.041)];
/// Presets by how much light they have, the least first.
const BY_LIGHT: [&str; 4] = ["saver", "default", "rich", "max"];

/// A figure's column: heading, width, decimals and value.
type Column = (&'static str, usize, usize, fn(&PotatoFigures) -> Option<f64>);

const COLUMNS: [Column; 20] = [
    ("fps", 6, 1, |figures| figures.fps),
    ("1% low", 7, 1, |figures| figures.low_fps),
    ("p50 ms", 7, 1, |figures| figures.frame_ms_p50),
    ("p95", 6, 1, |figures| figures.frame_ms_p95),
    ("p99", 6, 1, |figures| figures.frame_ms_p99),
    (">50ms/min", 10, 0, |figures| figures.stalls_per_minute),
    ("cpu ms/fr", 10, 2, |figures| figures.cpu_ms_per_frame),
    ("core%", 6, 1, |figures| figures.cpu_percent),
    ("slip%", 6, 1, |figures| figures.slipped_percent),
    ("workers%", 9, 1, |figures| figures.worker_percent),
    ("in time%", 9, 1, |figures| figures.in_time_percent),
    ("twice%", 7, 1, |figures| figures.twice_percent),
    ("kbit/s up", 10, 0, |figures| figures.up_kbit_per_s),
    ("down", 6, 0, |figures| figures.down_kbit_per_s),
    ("$/h", 8, 4, |figures| figures.dollars_per_hour),
    ("light/s", 8, 1, |figures| figures.light_per_s),
    ("age ms", 7, 0, |figures| figures.light_age_ms_p50),
    ("p95", 6, 0, |figures| figures.light_age_ms_p95),
    ("warp s", 7, 1, |figures| figures.warp_seconds_max),
    ("kernel%", 8, 1, |figures| figures.kernel_percent),
];

/// One line about a run that has ended.
pub fn line(run: &PotatoRun) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    format!(
        "{} at {} % of a core, {}: {} fps, slowest 1 % {}, {} % of outcomes by workers",
        run.setting.preset,
        run.setting.share,
        run.setting.arm.name(),
        number(run.figures.fps),
        number(run.figures.low_fps),
        number(run.figures.worker_percent),
    )
}

/// Medians of all settings.
pub fn table(rows: &[PotatoRow]) -> String {
    let mut text = format!("{:<9} {:>5} {:<9}", "preset", "core", "arm");
    for (heading, width, ..) in COLUMNS {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{heading:>width$}");
    }
    text.push('\n');
    for row in rows {
        let setting = &row.setting;
        let _ = write!(text, "{:<9} {:>4}% {:<9}", setting.preset, setting.share, setting.arm.name());
        for (_, width, decimals, figure) in COLUMNS {
            let _ = match figure(&row.figures) {
                Some(value) => write!(text, "{value:>width$.decimals$}"),
                None => write!(text, "{:>width$}", "-"),
            };
        }
        text.push('\n');
    }
    text
}

/// One line for each goal that the rows can tell about.
pub fn goals(rows: &[PotatoRow]) -> String {
    let mut text = String::new();
    let mut seen: Vec<(&str, u32)> = Vec::new();
    for row in rows {
        let group = (row.setting.preset.as_str(), row.setting.share);
        if !seen.contains(&group) {
            seen.push(group);
            goals_of(&mut text, rows, group);
        }
    }
    text
}

fn goals_of(text: &mut String, rows: &[PotatoRow], (preset, share): (&str, u32)) {
    let of = |arm| {
        rows.iter()
            .find(|row| row.setting.preset == preset && row.setting.share == share && row.setting.arm == arm)
            .map(|row| &row.figures)
    };
    let _ = writeln!(text, "{preset} at {share} % of a core:");
    if let (Some(off), Some(on)) = (of(Arm::Off), of(Arm::On)) {
        compare(text, "off at equal quality", off, on);
    }
    if let (Some(dark), Some(on)) = (of(Arm::Dark), of(Arm::On)) {
        compare(text, "off without any light", dark, on);
    }
    if let Some(on) = of(Arm::On) {
        equal_frame_rate(text, rows, (preset, share), on);
        afford(text, preset, of(Arm::Off), on);
    }
    for row in rows
        .iter()
        .filter(|row| row.setting.preset == preset && row.setting.share == share && row.setting.arm.borrows())
    {
        let name = row.setting.arm.name();
        if let (Some(on), Some(off)) = (row.figures.fps, of(Arm::Off).and_then(|off| off.fps)) {
            judge(
                text,
                on >= off * (1.0 - WORSE_MAX),
                &format!("{name}: at most 2 % worse than off: {on:.1} against {off:.1} fps"),
            );
        }
        smooth(text, &name, row);
        fresh(text, &name, row, of(Arm::Off));
        if let Some(twice) = row.figures.twice_percent {
            judge(
                text,
                twice <= TWICE_PERCENT_MAX,
                &format!("{name}: at most {TWICE_PERCENT_MAX:.0} % computed twice: {twice:.1} %"),
            );
        }
        if let (Some(up), Some(down)) = (row.figures.up_kbit_per_s, row.figures.down_kbit_per_s) {
            judge(
                text,
                up.max(down) <= WIRE_KBIT_MAX,
                &format!("{name}: at most 1 Mbit/s each way: {up:.0} up, {down:.0} down kbit/s"),
            );
        }
    }
}

/// Judges whether play is smooth. Of a run in which T is pressed only the parts that borrow count, and T must take effect
/// soon.
fn smooth(text: &mut String, name: &str, row: &PotatoRow) {
    let figures = &row.figures;
    let (how, smooth) = if row.setting.arm == Arm::Flipped {
        let parts = (figures.borrowing_fps, figures.borrowing_low_fps, figures.borrowing_frame_ms_p99);
        (", while it borrows", parts)
    } else {
        ("", (figures.fps, figures.low_fps, figures.frame_ms_p99))
    };
    if let (Some(fps), Some(low), Some(p99)) = smooth {
        judge(
            text,
            fps >= FPS_MIN && low >= LOW_FPS_MIN && p99 <= FRAME_MS_P99_MAX,
            &format!(
                "{name}{how}: {FPS_MIN:.0} fps, slowest 1 % {LOW_FPS_MIN:.0}, 99 of 100 frames within \
                 {FRAME_MS_P99_MAX:.0} ms: {fps:.1}, {low:.1}, {p99:.1} ms"
            ),
        );
    }
    if let Some(seconds) = figures.switch_seconds_max {
        let goal = format!("{name}: T takes effect within {EFFECT_SECONDS_MAX:.0} s: {seconds:.2} s at most");
        judge(text, seconds <= EFFECT_SECONDS_MAX, &goal);
    }
}

/// Judges stalls, the age of the light on screen, the light of a new sector, and the kernels' share of the workers' time.
fn fresh(text: &mut String, name: &str, row: &PotatoRow, off: Option<&PotatoFigures>) {
    let figures = &row.figures;
    if let Some(stalls) = figures.stalls_per_minute {
        judge(text, stalls == 0.0, &format!("{name}: no frame above 50 ms: {stalls:.0} a minute"));
    }
    if let Some(age) = figures.light_age_ms_p95 {
        let round_trips = row.setting.arm.round_trips_ms();
        let goal = format!(
            "{name}: light asked for at most {LIGHT_AGE_MS_MAX:.0} ms and {round_trips:.0} ms of round trips ago: \
             {age:.0} ms"
        );
        judge(text, age <= LIGHT_AGE_MS_MAX + round_trips, &goal);
    }
    if let Some(seconds) = figures.warp_seconds_max {
        let (reached, goal) = warps::goal(seconds, off.and_then(|off| off.warp_seconds_max));
        judge(text, reached, &format!("{name}: {goal}"));
    }
    if let (Some(percent), Arm::On) = (figures.kernel_percent, row.setting.arm) {
        let goal = format!(
            "{name}: {KERNEL_PERCENT_MIN:.0} % of workers' processor time in kernels: {percent:.1} %"
        );
        judge(text, percent >= KERNEL_PERCENT_MIN, &goal);
    }
}

/// Says how much light off can have at the frame rate of on.
fn equal_frame_rate(text: &mut String, rows: &[PotatoRow], (preset, share): (&str, u32), on: &PotatoFigures) {
    let Some(goal) = on.fps.map(|fps| fps * (1.0 - WORSE_MAX)) else { return };
    let light = |preset: &str| BY_LIGHT.iter().position(|name| *name == preset);
    let may = |row: &&PotatoRow| {
        let name = row.setting.preset.as_str();
        row.setting.share == share
            && (name == preset || light(name).zip(light(preset)).is_some_and(|(less, this)| less < this))
            && row.figures.fps.is_some_and(|fps| fps >= goal)
    };
    let mut fast: Vec<&PotatoRow> =
        rows.iter().filter(may).filter(|row| row.setting.arm == Arm::Off).collect();
    fast.sort_by_key(|row| light(&row.setting.preset));
    let dark = rows.iter().filter(may).find(|row| row.setting.arm == Arm::Dark);
    let _ = match (fast.last(), dark) {
        (Some(row), _) => writeln!(
            text,
            "  at the frame rate of on, off affords the light of {}: {:.1} times a second against {:.1}",
            row.setting.preset,
            row.figures.light_per_s.unwrap_or(0.0),
            on.light_per_s.unwrap_or(0.0),
        ),
        (None, Some(_)) => writeln!(text, "  at the frame rate of on, off affords no light"),
        (None, None) => writeln!(text, "  off reaches the frame rate of on with nothing that was run"),
    };
}

/// Judges what the presets promise about price, the game's processor time and its slowest frames.
fn afford(text: &mut String, preset: &str, off: Option<&PotatoFigures>, on: &PotatoFigures) {
    let most = DOLLARS_MAX.iter().find(|(name, _)| *name == preset);
    if let (Some((_, most)), Some(dollars)) = (most, on.dollars_per_hour) {
        judge(text, dollars <= *most, &format!("on: at most ${most:.3} an hour: ${dollars:.4}"));
    }
    let cpu = |figures: &PotatoFigures| figures.cpu_ms_per_frame;
    if let ("rich", Some(on), Some(off)) = (preset, cpu(on), off.and_then(cpu)) {
        let goal = format!("on: a quarter of off's processor time a frame: {on:.2} against {off:.2} ms");
        judge(text, on <= off * CPU_SHARE_MAX, &goal);
    }
    if let ("rich", Some(on), Some(off)) = (preset, on.low_fps, off.and_then(|off| off.low_fps)) {
        let goal = format!("on: twice off's slowest 1 %: {on:.1} against {off:.1} fps");
        judge(text, on >= off * RICH_LOW_TIMES, &goal);
    }
}

/// Compares frame rates, processor time per frame and light.
fn compare(text: &mut String, how: &str, off: &PotatoFigures, on: &PotatoFigures) {
    let times = |on: Option<f64>, off: Option<f64>| match (on, off) {
        (Some(on), Some(off)) if off > 0.0 => format!("{:.2} x", on / off),
        _ => "-".to_owned(),
    };
    let _ = writeln!(
        text,
        "  on against {how}: {} the frame rate, {} in the slowest 1 %, {} the processor time a frame, {} the light",
        times(on.fps, off.fps),
        times(on.low_fps, off.low_fps),
        times(on.cpu_ms_per_frame, off.cpu_ms_per_frame),
        times(on.light_per_s, off.light_per_s),
    );
}

fn judge(text: &mut String, reached: bool, goal: &str) {
    let _ = writeln!(text, "  {} {goal}", if reached { "reached" } else { "missed " });
}

#[cfg(test)]
mod tests {
    use super::super::Setting;
    use super::*;

    fn row(arm: Arm, fps: f64, twice_percent: Option<f64>) -> PotatoRow {
        PotatoRow {
            setting: Setting { preset: "default".into(), share: 30, arm },
            figures: PotatoFigures {
                fps: Some(fps),
                low_fps: Some(fps / 2.0),
                frame_ms_p99: Some(20.0),
                twice_percent,
                ..PotatoFigures::default()
            },
        }
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let text = table(&[row(Arm::Off, 31.25, None)]);
        let cells: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(cells[..5], ["default", "30%", "off", "31.2", "15.6"]);
        assert_eq!(cells.len(), 3 + COLUMNS.len());
        assert_eq!(cells[14], "-");
    }

    #[test]
    fn goals_are_reached_or_missed_by_the_medians() {
        let text = goals(&[
            row(Arm::Off, 50.0, None),
            row(Arm::On, 100.0, Some(1.0)),
            row(Arm::Awful, 48.0, Some(7.0)),
        ]);
        for line in [
            "on against off at equal quality: 2.00 x the frame rate, 2.00 x in the slowest 1 %",
            "reached on: at most 2 % worse than off: 100.0 against 50.0 fps",
            "missed  awful: at most 2 % worse than off: 48.0 against 50.0 fps",
            "reached on: at most 5 % computed twice: 1.0 %",
            "missed  awful: at most 5 % computed twice: 7.0 %",
            "reached on: 58 fps, slowest 1 % 45, 99 of 100 frames within 33 ms: 100.0, 50.0, 20.0 ms",
        ] {
            assert!(text.contains(line), "`{line}` is missing in:\n{text}");
        }
        assert!(text.contains("off reaches the frame rate of on with nothing"), "{text}");
        assert!(!text.contains("Mbit"), "nothing is said of what is not known:\n{text}");
    }

    #[test]
    fn a_run_in_which_t_is_pressed_is_judged_by_its_borrowing_parts_and_as_a_whole_against_off() {
        let mut flipped = row(Arm::Flipped, 58.5, None);
        flipped.figures.low_fps = Some(38.9);
        flipped.figures.borrowing_fps = Some(59.6);
        flipped.figures.borrowing_low_fps = Some(54.0);
        flipped.figures.borrowing_frame_ms_p99 = Some(17.0);
        flipped.figures.switch_seconds_max = Some(0.4);
        let text = goals(&[row(Arm::Off, 56.2, None), flipped.clone()]);
        for line in [
            "reached flipped: at most 2 % worse than off: 58.5 against 56.2 fps",
            "reached flipped, while it borrows: 58 fps, slowest 1 % 45, 99 of 100 frames within 33 ms: 59.6, 54.0, 17.0 ms",
            "reached flipped: T takes effect within 2 s: 0.40 s at most",
        ] {
            assert!(text.contains(line), "`{line}` is missing in:\n{text}");
        }
        assert!(!text.contains("missed"), "{text}");
        flipped.figures.borrowing_low_fps = Some(44.9);
        flipped.figures.switch_seconds_max = Some(2.5);
        flipped.figures.fps = Some(54.0);
        let text = goals(&[row(Arm::Off, 56.2, None), flipped]);
        assert_eq!(text.matches("missed  flipped").count(), 3, "{text}");
    }

    #[test]
    fn light_may_be_as_old_as_the_way_is_long_and_rich_is_twice_as_even() {
        let of = |arm, age| {
            let mut row = row(arm, 59.0, None);
            row.setting.preset = "rich".into();
            row.figures.light_age_ms_p95 = Some(age);
            row.figures.stalls_per_minute = Some(f64::from(u8::from(arm == Arm::Awful)));
            row.figures.kernel_percent = Some(age / 10.0);
            row
        };
        let mut off = of(Arm::Off, 300.0);
        off.figures.low_fps = Some(14.7);
        let rows = [off, of(Arm::On, 401.0), of(Arm::Far, 800.0), of(Arm::Awful, 801.0)];
        let text = goals(&rows);
        for line in [
            "missed  on: light asked for at most 400 ms and 0 ms of round trips ago: 401 ms",
            "reached wan-200ms: light asked for at most 400 ms and 400 ms of round trips ago: 800 ms",
            "missed  awful: light asked for at most 400 ms and 400 ms of round trips ago: 801 ms",
            "reached wan-200ms: no frame above 50 ms: 0 a minute",
            "missed  awful: no frame above 50 ms: 1 a minute",
            "missed  on: 60 % of workers' processor time in kernels: 40.1 %",
            "reached on: twice off's slowest 1 %: 29.5 against 14.7 fps",
        ] {
            assert!(text.contains(line), "`{line}` is missing in:\n{text}");
        }
        assert_eq!(text.matches("in kernels").count(), 1, "{text}");
    }

    #[test]
    fn off_at_the_frame_rate_of_on_has_the_most_light_it_can() {
        let of = |preset: &str, arm, fps| {
            let mut row = row(arm, fps, None);
            row.setting.preset = preset.into();
            row
        };
        let mut rows = vec![
            of("rich", Arm::On, 59.0),
            of("rich", Arm::Off, 46.0),
            of("max", Arm::Off, 60.0),
            of("default", Arm::Off, 58.5),
            of("saver", Arm::Off, 59.5),
            of("rich", Arm::Dark, 60.0),
        ];
        let says = |rows: &[PotatoRow], words: &str| {
            let text = goals(rows);
            let rich = text.split("rich at 30 %").nth(1).unwrap_or_default();
            assert!(rich.contains(words), "`{words}` is missing in:\n{text}");
        };
        says(&rows, "off affords the light of default:");
        rows[3].figures.fps = Some(50.0);
        says(&rows, "off affords the light of saver:");
        rows.remove(4);
        says(&rows, "off affords no light");
    }
}
