//! Frame times over time, one strip above the other, as SVG.

use std::fmt::Write;

use super::Arm;
use super::figures::{FrameTime, PotatoFigures};
use super::run::PotatoRun;

/// Pixels of a strip; its margins on the left, above and below hold the text.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 52.0;
const ABOVE: f64 = 34.0;
const BELOW: f64 = 26.0;
/// Milliseconds at the top of a strip; longer frames are clipped.
const TOP_MS: f64 = 100.0;
/// The frame budget at 60 frames a second, in milliseconds.
const BUDGET_MS: f64 = 1_000.0 / 60.0;
/// Pixels per line, which is as long as the longest frame that began within them.
const COLUMN: f64 = 1.0;

/// The run of a setting whose frame rate is the median of its repeats.
pub fn middle<'a>(runs: &'a [PotatoRun], preset: &str, share: u32, arm: Arm) -> Option<&'a PotatoRun> {
    let mut of_setting: Vec<&PotatoRun> = runs
        .iter()
        .filter(|run| run.setting.preset == preset && run.setting.share == share && run.setting.arm == arm)
        .collect();
    let fps = |figures: &PotatoFigures| figures.fps.unwrap_or(0.0);
    of_setting.sort_by(|a, b| fps(&a.figures).total_cmp(&fps(&b.figures)));
    of_setting.get(of_setting.len().saturating_sub(1) / 2).copied()
}

/// The strips of these runs over the same seconds.
pub fn svg(runs: &[&PotatoRun]) -> String {
    let strip = ABOVE + HEIGHT + BELOW;
    let (width, height) = (LEFT + WIDTH + 16.0, strip * runs.len() as f64);
    let times = runs.iter().flat_map(|run| &run.frames).map(|frame| frame.at);
    let (from, to) = times.fold((f64::MAX, f64::MIN), |(from, to), at| (from.min(at), to.max(at)));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fff\"/>\n"
    );
    for (place, run) in runs.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "<g transform=\"translate({LEFT} {:.0})\">", strip * place as f64 + ABOVE);
        draw(&mut text, run, from, to.max(from + 1.0));
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

fn y(ms: f64) -> f64 {
    HEIGHT * (1.0 - ms.min(TOP_MS) / TOP_MS)
}

fn draw(text: &mut String, run: &PotatoRun, from: f64, to: f64) {
    let borrows = run.setting.arm.borrows();
    let (name, colour) = if borrows { ("borrowing on", "#0072b2") } else { ("borrowing off", "#d55e00") };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let _ = writeln!(
        text,
        "<text y=\"-12\" font-weight=\"bold\" fill=\"{colour}\">{name}</text>\n\
         <text x=\"110\" y=\"-12\" fill=\"#333\">{} fps, slowest 1 % {} fps, {} new lights a second \
         ({}, {} % of a core)</text>",
        number(run.figures.fps),
        number(run.figures.low_fps),
        number(run.figures.light_per_s),
        run.setting.preset,
        run.setting.share,
    );
    for ms in [0.0, 50.0, 100.0] {
        let _ = writeln!(
            text,
            "<path d=\"M0 {0:.1}H{WIDTH:.0}\" stroke=\"#ddd\"/>\
             <text x=\"-6\" y=\"{1:.1}\" text-anchor=\"end\" fill=\"#555\">{ms:.0} ms</text>",
            y(ms),
            y(ms) + 4.0
        );
    }
    let _ = writeln!(
        text,
        "<path d=\"{}\" stroke=\"{colour}\" stroke-width=\"{COLUMN}\" fill=\"none\"/>\n\
         <path d=\"M0 {1:.1}H{WIDTH:.0}\" stroke=\"#009e73\" stroke-dasharray=\"4 4\"/>",
        columns(&run.frames, from, to),
        y(BUDGET_MS)
    );
    let step = if to - from > 20.0 { 10.0 } else { 1.0 };
    let mut second = (from / step).ceil() * step;
    while second <= to {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#555\">{second:.0} s</text>",
            (second - from) / (to - from) * WIDTH,
            HEIGHT + 16.0
        );
        second += step;
    }
}

/// One vertical line per column: from the bottom to the longest frame that began in it.
fn columns(frames: &[FrameTime], from: f64, to: f64) -> String {
    let count = (WIDTH / COLUMN) as usize;
    let mut longest = vec![0.0_f64; count];
    for frame in frames {
        let column = (frame.at - from) / (to - from) * (count - 1) as f64;
        let column = &mut longest[(column as usize).min(count - 1)];
        *column = column.max(frame.took_ms);
    }
    let mut path = String::new();
    for (place, ms) in longest.iter().enumerate().filter(|(_, ms)| **ms > 0.0) {
        let _ = write!(path, "M{:.1} {HEIGHT:.0}V{:.1}", (place as f64 + 0.5) * COLUMN, y(*ms));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::Setting;
    use super::*;

    fn run(arm: Arm, repeat: u32, fps: f64, took_ms: f64) -> PotatoRun {
        PotatoRun {
            setting: Setting { preset: "default".into(), share: 30, arm },
            repeat,
            figures: PotatoFigures { fps: Some(fps), ..PotatoFigures::default() },
            arena_digest: String::new(),
            frames: (0..100)
                .map(|number| FrameTime {
                    at: 3.0 + f64::from(number) * 0.1,
                    took_ms,
                    ..FrameTime::default()
                })
                .collect(),
        }
    }

    #[test]
    fn the_run_in_the_middle_is_drawn() {
        let runs = [5.0, 9.0, 7.0].map(|fps| run(Arm::Off, fps as u32, fps, 10.0));
        assert_eq!(middle(&runs, "default", 30, Arm::Off).map(|run| run.repeat), Some(7));
        assert!(middle(&runs, "default", 30, Arm::On).is_none());
        assert!(middle(&runs, "default", 20, Arm::Off).is_none());
    }

    #[test]
    fn off_and_on_are_drawn_one_above_the_other_and_long_frames_higher() {
        let (off, on) = (run(Arm::Off, 0, 20.0, 50.0), run(Arm::On, 0, 60.0, 16.0));
        let text = svg(&[&off, &on]);
        assert_eq!(text.matches("<g ").count(), 2);
        assert!(text.find("borrowing off") < text.find("borrowing on"));
        assert!(text.contains("20.0 fps") && text.contains("60.0 fps"), "{text}");
        let height = |run: &PotatoRun| {
            let path = columns(&run.frames, 3.0, 12.9);
            path.rsplit('V').next().and_then(|end| end.parse::<f64>().ok()).expect("a column")
        };
        assert!(height(&off) < height(&on), "y grows downwards");
        assert_eq!(height(&run(Arm::Off, 0, 1.0, 900.0)), 0.0, "it stays in its strip");
    }

    #[test]
    fn every_tag_is_closed() {
        let text = svg(&[&run(Arm::Off, 0, 20.0, 50.0)]);
        let opened = text.matches('<').count() - text.matches("</").count() - text.matches("/>").count();
        assert_eq!(opened, text.matches("</").count());
    }
}
