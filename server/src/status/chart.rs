//! Lines over the last hour, drawn as SVG by the server, so that a browser needs no script to show them.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::history::MINUTES;

/// The drawing's size in its own units; a browser scales it to the page.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
/// Room for the numbers at the left, and for the times below.
const LEFT: f64 = 62.0;
const BELOW: f64 = 28.0;
const ABOVE: f64 = 14.0;
/// Lines that are told apart by colour and dashes; further ones begin again.
const STYLES: usize = 6;

/// One line: a name, and a value for each minute, oldest first; none where nothing was measured.
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its values, of the last minutes.
    pub values: Vec<Option<f64>>,
}

/// Draws the lines over the last hour. `what` says in words what is seen, `unit` stands behind the numbers.
pub fn over_the_hour(what: &str, unit: &str, lines: &[Series]) -> Markup {
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let top = round_up(values.copied().fold(0.0, f64::max));
    let y = |value: f64| HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * value / top;
    html! {
        figure {
            figcaption { (what) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(what) {
                @for share in [0.0, 0.5, 1.0] {
                    @let at = y(top * share);
                    line class="grid" x1=(LEFT) x2=(WIDTH) y1=(format!("{at:.1}")) y2=(format!("{at:.1}")) {}
                    text class="axis" x=(LEFT - 6.0) y=(format!("{:.1}", at + 6.0)) text-anchor="end" {
                        (number(top * share))
                    }
                }
                @for (minutes, anchor) in [(60, "start"), (30, "middle"), (0, "end")] {
                    text class="axis" x=(format!("{:.1}", x(MINUTES - minutes.min(MINUTES)))) y=(HEIGHT - 4.0)
                        text-anchor=(anchor) {
                        @if minutes == 0 { "now" } @else { "-" (minutes) " min" }
                    }
                }
                @for (number, line) in lines.iter().enumerate() {
                    path class={ "s" (number % STYLES) } d=(path(&line.values, y)) {}
                }
            }
            ul class="legend" {
                @for (number, line) in lines.iter().enumerate() {
                    li {
                        svg viewBox="0 0 24 8" aria-hidden="true" {
                            path class={ "s" (number % STYLES) } d="M0 4H24" {}
                        }
                        (line.name) " "
                        b {
                            @match line.values.iter().rev().flatten().next() {
                                Some(value) => { (self::number(*value)) " " (unit) },
                                None => { "–" },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Horizontal position of the n-th minute of sixty.
fn x(minute: usize) -> f64 {
    LEFT + (WIDTH - LEFT) * minute as f64 / MINUTES as f64
}

/// The line's path, broken where there is no value.
fn path(values: &[Option<f64>], y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let first = MINUTES.saturating_sub(values.len());
    let mut is_down = false;
    for (number, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let at = x(first + number + 1);
        let command = if is_down { 'L' } else { 'M' };
        // Writing to a string cannot fail. The short way back makes a single value visible, with round caps.
        let _ = write!(path, "{command}{at:.1} {:.1}", y(*value));
        if !is_down {
            path.push_str("h.1");
        }
        is_down = true;
    }
    path
}

/// The next of 1, 2 and 5 times a power of ten: the top of the axis.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

/// A number with as many digits as are worth reading.
pub fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, top) in [(0.0, 1.0), (0.9, 1.0), (1.0, 1.0), (3.0, 5.0), (51.0, 100.0), (0.03, 0.05)] {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}: {}", round_up(value));
        }
        assert_eq!(round_up(f64::NAN), 1.0);
    }

    #[test]
    fn a_line_stays_in_its_drawing_and_breaks_where_nothing_was_measured() {
        let values = vec![Some(1.0), None, Some(2.0), Some(0.0)];
        let path = path(&values, |value| 100.0 - value);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(path.contains(&format!("L{WIDTH:.1} 100.0")), "the newest is at the right: {path}");
        let line = Series { name: "<b>".to_owned(), values };
        let drawn = over_the_hour("a & b", "ms", &[line]).into_string();
        assert!(
            drawn.contains("&lt;b&gt;") && drawn.contains("a &amp; b") && !drawn.contains("NaN"),
            "{drawn}"
        );
    }
}
