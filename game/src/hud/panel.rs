//! The table: one row per kind, then the whole session, then, at the highest level, the rest and the keys.

use bevy::diagnostic::DiagnosticsStore;
use bevy::prelude::*;
use bevy::text::LineBreak;
use p2c2r_offload::OffloadAccount;
use p2c2r_protocol::Region;

use super::level::{BorrowingDetail, Cornered, MARGIN, ShownFrom};
use super::palette::{
    BLUISH_GREEN, BRIGHT, DIM, EDGE, Ground, Ink, Letters, ORANGE, PANEL, Rim, SKY_BLUE, VERMILLION,
};
use super::{charts, details, show, stages, text, warnings, wingman, write};
use crate::figures::{self, Figures, KindFigures, MainPlace};
use crate::input::{Action, Bindings, PadInHand};
use crate::play::{LightAround, SECTOR_PARTS};
use crate::presets::Chosen;
use crate::settings::Settings;
use crate::view::HidesFight;

/// Size of the table's text, pixels at a window height of 720.
const TEXT: f32 = 15.0;
/// Width of a column in pixels; digits are as wide as each other and stand right, so that nothing jumps.
const COLUMNS: [(&str, f32); 7] = [
    // Wider than any of the names, so that they stand apart from the next column.
    ("kind", 100.0),
    ("done by", 112.0),
    ("p50 ms", 62.0),
    ("p95 ms", 62.0),
    ("in time", 70.0),
    ("reused ms", 92.0),
    ("$/hour", 96.0),
];
/// The columns that only a wide panel has room for.
const WIDE_COLUMNS: [usize; 2] = [3, 5];
/// Width of the panel in pixels where it shows everything: the columns, and the padding and border around them.
pub(super) const WIDTH: f32 = 624.0;
/// Its width where the [`WIDE_COLUMNS`] are left out, so that more of the fight can be seen.
const WIDTH_COMPACT: f32 = WIDTH - 62.0 - 92.0 + 6.0;
/// Letters of a line of the table's text: at its size, no more fit into the wide panel.
#[cfg(test)]
pub(super) const LETTERS: usize = 66;
/// The same in the narrow one.
#[cfg(test)]
pub(super) const LETTERS_COMPACT: usize = 49;
/// Letters of a line of the keys: at their size, no more fit into the panel.
const LEGEND_LETTERS: usize = 76;
/// Age in milliseconds from which a player sees that a reused outcome is old.
const SEEN_OLD_MS: f64 = 500.0;

/// Width of the panel at a level, pixels.
fn width(level: BorrowingDetail) -> f32 {
    if level >= BorrowingDetail::Full { WIDTH } else { WIDTH_COMPACT }
}

/// Pixels that the panel takes of the picture's width at a level, with a gap on either side; what is placed beside it
/// keeps clear.
pub(super) fn side(level: BorrowingDetail) -> f32 {
    width(level) + 2.0 * MARGIN
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_panel)
        .add_systems(Update, follow_level.run_if(resource_changed::<Settings>))
        .add_systems(Update, (fill_cells, fill_total, fill_lines).run_if(resource_changed::<Figures>))
        .add_systems(Update, name_preset.run_if(resource_changed::<Chosen>))
        .add_systems(Update, tell_sector)
        .add_systems(
            Update,
            name_keys.run_if(resource_changed::<Settings>.or_else(resource_changed::<PadInHand>)),
        );
}

/// The panel itself.
#[derive(Component)]
struct Panel;

fn follow_level(settings: Res<Settings>, mut panel: Single<&mut Node, With<Panel>>) {
    let wanted = px(width(settings.display.level));
    if panel.width != wanted {
        panel.width = wanted;
    }
}

/// A cell of the table.
#[derive(Component, Clone, Copy)]
struct Cell {
    row: usize,
    column: usize,
}

/// A cell of the row that adds the kinds up.
#[derive(Component, Clone, Copy)]
enum Total {
    /// Below the kinds' names.
    Name,
    /// Below the columns between those two: what is left of the cap on an hour.
    HourLeft,
    /// Below their dollars an hour.
    PerHour,
}

impl Total {
    fn cell(self) -> impl Bundle {
        let last = COLUMNS.len() - 1;
        let (content, column, width) = match self {
            Self::Name => ("total", 0, px(COLUMNS[0].1)),
            // It takes the width that the other two leave.
            Self::HourLeft => ("", 1, Val::Auto),
            Self::PerHour => (figures::UNKNOWN, last, px(COLUMNS[last].1)),
        };
        sized_cell(content, column, width, TEXT, BRIGHT)
    }

    fn text(self, figures: &Figures) -> String {
        match self {
            Self::Name => "total".into(),
            Self::HourLeft => figures.hour_left_dollars.map_or_else(String::new, |left| {
                format!("left of the cap {}", figures::dollars_to_the_nano(Some(left)))
            }),
            Self::PerHour => figures::dollars(figures.cost_dollars_per_hour),
        }
    }
}

/// The line that names the preset and what it costs.
#[derive(Component)]
struct PresetLine;

/// The line that says how much of the sector's light is computed.
#[derive(Component)]
struct SectorLine;

/// The line that names the keys.
#[derive(Component)]
struct KeysLine;

/// A line below the table.
#[derive(Component, Clone, Copy)]
enum Line {
    Session,
    Network,
}

fn spawn_panel(
    mut commands: Commands,
    diagnostics: Res<DiagnosticsStore>,
    mut images: ResMut<Assets<Image>>,
) {
    let names: Vec<&'static str> = Figures::read(&diagnostics).kinds.iter().map(|kind| kind.name).collect();
    let kinds = names.len();
    let panel = Node {
        position_type: PositionType::Absolute,
        width: px(WIDTH_COMPACT),
        overflow: Overflow::clip(),
        flex_direction: FlexDirection::Column,
        row_gap: px(4),
        padding: UiRect::axes(px(14), px(10)),
        border: UiRect::all(px(1)),
        border_radius: BorderRadius::all(px(8)),
        ..default()
    };
    commands
        .spawn((Panel, HidesFight, ShownFrom(BorrowingDetail::Compact), Cornered(54.0)))
        .insert((panel, Ground(PANEL), Rim(EDGE)))
        .with_children(|panel| {
            panel.spawn(Node::default()).with_children(|row| {
                for (column, (title, _)) in COLUMNS.iter().enumerate() {
                    row.spawn((shown_from(column), cell(title, column, 13.0, DIM)));
                }
            });
            for row in 0..kinds {
                panel.spawn(Node::default()).with_children(|line| {
                    for column in 0..COLUMNS.len() {
                        line.spawn((
                            Cell { row, column },
                            shown_from(column),
                            cell("-", column, TEXT, BRIGHT),
                        ));
                    }
                });
            }
            panel.spawn((Node { height: px(1), margin: UiRect::vertical(px(3)), ..default() }, Ground(EDGE)));
            panel.spawn(Node::default()).with_children(|line| {
                for total in [Total::Name, Total::HourLeft, Total::PerHour] {
                    line.spawn((total, total.cell()));
                }
            });
            panel.spawn((Line::Session, text("", TEXT, BRIGHT)));
            panel.spawn((ShownFrom(BorrowingDetail::Full), Line::Network, text("", TEXT, DIM)));
            panel.spawn((ShownFrom(BorrowingDetail::Full), PresetLine, text("", TEXT, DIM)));
            panel.spawn((SectorLine, text("", TEXT, DIM)));
            wingman::spawn_line(panel);
            warnings::spawn_rows(panel);
            details::spawn_lines(panel);
            stages::spawn_bars(panel, &names);
            charts::spawn_charts(panel, &mut images);
            panel.spawn((ShownFrom(BorrowingDetail::Full), KeysLine, text("", 13.0, DIM)));
        });
}

fn shown_from(column: usize) -> ShownFrom {
    let is_wide = WIDE_COLUMNS.contains(&column);
    ShownFrom(if is_wide { BorrowingDetail::Full } else { BorrowingDetail::Compact })
}

fn cell(content: &str, column: usize, size: f32, colour: Ink) -> impl Bundle {
    let (_, width) = COLUMNS[column];
    // The last column takes the remaining width, so that its numbers stand at the edge at every level.
    let is_last = column + 1 == COLUMNS.len();
    sized_cell(content, column, if is_last { Val::Auto } else { px(width) }, size, colour)
}

fn sized_cell(content: &str, column: usize, width: Val, size: f32, colour: Ink) -> impl Bundle {
    let justify = if column < 2 { Justify::Left } else { Justify::Right };
    (
        Text::new(content),
        // A fixed height: a row must not grow while a number is a digit too long for its column.
        Node { width, flex_grow: if width == Val::Auto { 1.0 } else { 0.0 }, height: px(19), ..default() },
        TextFont::from_font_size(size),
        Letters(colour),
        // Only text that may wrap is aligned within its column.
        TextLayout::new(justify, LineBreak::WordBoundary),
    )
}

fn fill_cells(figures: Res<Figures>, mut cells: Query<(&Cell, &mut Text, &mut Letters)>) {
    for (cell, mut text, mut colour) in &mut cells {
        let Some(kind) = figures.kinds.get(cell.row) else { continue };
        write(&mut text, &cell_text(kind, cell.column));
        colour.set_if_neq(Letters(cell_colour(kind, cell.column)));
    }
}

fn fill_total(figures: Res<Figures>, mut cells: Query<(&Total, &mut Text)>) {
    for (total, mut text) in &mut cells {
        write(&mut text, &total.text(&figures));
    }
}

fn cell_text(kind: &KindFigures, column: usize) -> String {
    match column {
        0 => figures::word_of(kind.name).into(),
        1 => kind.place_text(),
        2 => figures::milliseconds(kind.p50_ms),
        3 => figures::milliseconds(kind.p95_ms),
        4 => figures::percent(kind.in_time_percent),
        5 => figures::milliseconds(kind.reused_age_ms()),
        _ => figures::dollars(kind.dollars_per_hour),
    }
}

fn cell_colour(kind: &KindFigures, column: usize) -> Ink {
    if kind.stale_seconds().is_some() {
        return DIM;
    }
    match (column, kind.main_place(), kind.in_time_percent) {
        (1, Some((MainPlace::Remote, _)), _) => SKY_BLUE,
        (1, Some((MainPlace::Coordinator, _)), _) => BLUISH_GREEN,
        (1, Some((MainPlace::Local, _)), _) => ORANGE,
        (4, _, Some(share)) if share < 90.0 => VERMILLION,
        (4, _, Some(share)) if share < 99.0 => ORANGE,
        (5, ..) if kind.reused_age_ms().is_some_and(|age| age > SEEN_OLD_MS) => ORANGE,
        _ => BRIGHT,
    }
}

fn fill_lines(figures: Res<Figures>, account: Res<OffloadAccount>, mut lines: Query<(&Line, &mut Text)>) {
    let region = account.statement.and_then(|statement| statement.nearest_worker_region);
    for (line, mut text) in &mut lines {
        write(&mut text, &line_text(&figures, region, *line));
    }
}

fn name_preset(chosen: Res<Chosen>, mut line: Single<&mut Text, With<PresetLine>>) {
    write(&mut line, &preset_text(*chosen));
}

fn tell_sector(
    light: Res<LightAround>,
    // Whether the line was written yet, and what it then told.
    mut told: Local<(bool, Option<usize>)>,
    line: Single<(&mut Text, &mut Node), With<SectorLine>>,
) {
    let done = light.sector_parts_done();
    if std::mem::replace(&mut *told, (true, done)) == (true, done) {
        return;
    }
    let (mut text, mut node) = line.into_inner();
    let words = done.and_then(sector_text);
    show(&mut node, words.is_some());
    write(&mut text, &words.unwrap_or_default());
}

/// How much of the sector's light is computed, until all of it is.
fn sector_text(done: usize) -> Option<String> {
    let left = SECTOR_PARTS.checked_sub(done).filter(|left| *left > 0)?;
    let bar = "|".repeat(done) + &".".repeat(left);
    Some(format!("sector light {done:>2}/{SECTOR_PARTS} {bar}  paid once"))
}

fn name_keys(settings: Res<Settings>, in_hand: Res<PadInHand>, mut line: Single<&mut Text, With<KeysLine>>) {
    write(&mut line, &keys_text(&settings.keys, in_hand.0.is_some()));
}

/// The keys that are of use while reading the numbers, in lines that fit into the panel.
fn keys_text(bindings: &Bindings, has_pad: bool) -> String {
    let actions = [
        (Action::Offload, "borrowing"),
        (Action::Reflections, "light and mirrors"),
        (Action::Preset, "preset"),
        (Action::Autopilot, "autopilot"),
        (Action::Pause, "pause"),
        (Action::Display, "more or less"),
        (Action::Corner, "other corner"),
        (Action::Record, "figures to a file"),
    ];
    let named = |(action, does)| Some(format!("{} {does}", bindings.in_hand(action, has_pad)?));
    let mut all: Vec<String> = actions.into_iter().filter_map(named).collect();
    if !has_pad {
        all.push("Escape menu".into());
    }
    let mut lines = vec![String::new()];
    for words in all {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = words,
            Some(line) if line.chars().count() + 2 + words.chars().count() <= LEGEND_LETTERS => {
                *line += "  ";
                *line += &words;
            }
            _ => lines.push(words),
        }
    }
    lines.join("\n")
}

fn preset_text(Chosen { preset, quality }: Chosen) -> String {
    let cost = preset.cost(quality);
    format!(
        "preset {:>13}  about {}/h, {:.2} Mbit/s",
        preset.name(),
        figures::dollars(Some(cost.dollars_per_hour)),
        cost.kbit_per_s / 1e3,
    )
}

fn line_text(figures: &Figures, region: Option<Region>, line: Line) -> String {
    match line {
        Line::Session => {
            let once = figures.sector_light_dollars.filter(|once| *once > 0.0);
            format!(
                "session {:>12}{}",
                figures::dollars_to_the_nano(figures.cost_dollars),
                once.map_or_else(String::new, |once| {
                    format!(" (sector light {:>12})", figures::dollars_to_the_nano(Some(once)))
                }),
            )
        }
        Line::Network => format!(
            "workers {:>4}, nearest {} {:>4} ms  round trip {:>4} ms",
            figures::count(figures.workers),
            // The last statement outlives the connection; a figure does not.
            region
                .filter(|_| figures.nearest_worker_ms.is_some())
                .as_ref()
                .map_or(figures::UNKNOWN, Region::as_str),
            figures::count(figures.nearest_worker_ms),
            figures::milliseconds(figures.rtt_ms),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::UNKNOWN;
    use crate::input::Input;

    #[test]
    fn an_unknown_row_is_all_dashes() {
        let kind = KindFigures { name: "path", ..default() };
        assert_eq!(cell_text(&kind, 0), "paths");
        for (column, (title, _)) in COLUMNS.iter().enumerate().skip(1) {
            assert_eq!(cell_text(&kind, column), UNKNOWN, "{title}");
        }
        assert!(line_text(&Figures::default(), None, Line::Network).contains("nearest -    - ms"));
        assert_eq!(Total::PerHour.text(&Figures::default()), UNKNOWN);
    }

    #[test]
    fn the_keys_are_named_as_bound_and_in_hand_on_two_lines() {
        let mut bindings = Bindings::default();
        let keys = keys_text(&bindings, false);
        assert!(
            keys.starts_with("T borrowing  R light and mirrors") && keys.ends_with("Escape menu"),
            "{keys}"
        );
        let pad = keys_text(&bindings, true);
        assert!(pad.starts_with("D-pad up borrowing") && pad.contains("F10 figures"), "{pad}");
        for text in [&keys, &pad] {
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.lines().all(|line| line.len() <= LEGEND_LETTERS), "{text}");
        }
        bindings.bind(Action::Offload, Input::Key(KeyCode::PageUp));
        assert!(keys_text(&bindings, false).starts_with("Page Up borrowing"));
    }

    #[test]
    fn the_nearest_worker_is_told_with_its_region_and_round_trip() {
        let region = "123456789012".parse().ok();
        let near = Figures { workers: Some(1_000.0), nearest_worker_ms: Some(4_000.0), ..default() };
        let said = line_text(&near, region, Line::Network);
        assert!(said.starts_with("workers 1000, nearest 123456789012 4000 ms"), "{said}");
        assert!(said.len() <= LETTERS, "{said}");
        let gone = line_text(&Figures::default(), region, Line::Network);
        assert!(gone.contains("nearest -    - ms"), "{gone}");
    }

    #[test]
    fn the_columns_fill_the_panel() {
        let around = 2.0 * 14.0 + 2.0;
        assert_eq!(COLUMNS.iter().map(|(_, width)| width).sum::<f32>() + around, WIDTH);
        let shown = |(column, _): &(usize, &(&str, f32))| !WIDE_COLUMNS.contains(column);
        let compact: f32 = COLUMNS.iter().enumerate().filter(shown).map(|(_, (_, width))| width).sum();
        assert!((0.0..10.0).contains(&(WIDTH_COMPACT - compact - around)), "{compact}");
    }

    #[test]
    fn the_progress_of_the_sector_is_a_number_and_a_bar() {
        let text = sector_text(3).unwrap();
        assert!(text.contains("3/16") && text.matches('|').count() == 3, "{text}");
        assert_eq!(text.len(), sector_text(15).unwrap().len());
        assert_eq!(sector_text(SECTOR_PARTS), None, "nothing is left to tell");
    }

    #[test]
    fn the_total_stands_below_what_it_adds_up() {
        let figures = Figures { cost_dollars_per_hour: Some(0.0123), ..default() };
        let row = |figures: &Figures| {
            [Total::Name, Total::HourLeft, Total::PerHour].map(|total| total.text(figures))
        };
        assert_eq!(row(&figures), ["total", "", "$0.0123"], "without a cap nothing is said of one");
        let capped = Figures { hour_left_dollars: Some(0.012_345_678), ..figures };
        assert_eq!(row(&capped)[1], "left of the cap $0.012345678");
        assert_eq!(COLUMNS[6].0, "$/hour");
    }

    #[test]
    fn a_reused_outcome_shows_its_age_in_a_warning_colour_once_it_is_old() {
        let mut kind = KindFigures { reused_percent: Some(20.0), age_ms: Some(310.0), ..default() };
        assert_eq!((cell_text(&kind, 5).as_str(), cell_colour(&kind, 5)), ("310", BRIGHT));
        kind.age_ms = Some(900.0);
        assert_eq!((cell_text(&kind, 5).as_str(), cell_colour(&kind, 5)), ("900", ORANGE));
    }

    #[test]
    fn a_row_without_anything_new_for_seconds_says_so_and_is_dim() {
        let mut kind = KindFigures {
            remote_percent: Some(97.0),
            p50_ms: Some(12.0),
            in_time_percent: Some(50.0),
            age_ms: Some(2_900.0),
            ..default()
        };
        assert_eq!((cell_text(&kind, 1).as_str(), cell_colour(&kind, 1)), ("workers 97%", SKY_BLUE));
        kind.age_ms = Some(4_900.0);
        assert_eq!(cell_text(&kind, 1), "4 s ago");
        for column in 0..COLUMNS.len() {
            assert_eq!(cell_colour(&kind, column), DIM, "column {column}");
        }
        let long_ago = KindFigures { age_ms: Some(60_000.0), ..default() };
        assert_eq!(cell_text(&long_ago, 1), UNKNOWN, "no numbers are left that could be old");
    }

    #[test]
    fn lines_keep_their_width_while_numbers_change() {
        let line = |cost, sector_light| {
            let figures = Figures { cost_dollars: cost, sector_light_dollars: sector_light, ..default() };
            line_text(&figures, None, Line::Session).len()
        };
        assert!(line(Some(12.345_6), Some(1.2)) <= LETTERS_COMPACT, "{}", line(Some(12.345_6), Some(1.2)));
        assert_eq!(line(Some(0.000_5), Some(0.0)), line(Some(0.123_4), None));
        assert_eq!(line(None, None), line(Some(0.000_001), None));
        assert_eq!(line(Some(0.000_5), Some(0.000_031)), line(Some(0.123_4), Some(0.012)));
        assert!(sector_text(15).is_some_and(|text| text.len() <= LETTERS_COMPACT));
    }
}
