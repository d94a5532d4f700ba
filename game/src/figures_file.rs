//! The display's figures as comma-separated values, one line every half second, for plots.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::OffloadAccount;
use p2c2r_protocol::Nanos;

use crate::figures::{Figures, KindFigures};
use crate::input::{Action, Actions, InputSystems};

/// How often a line is written: as often as figures change.
const EVERY: Duration = Duration::from_millis(500);
/// Most lines of one file: a week of them, so that a forgotten game does not fill a disk.
const LINES_MAX: u64 = 7 * 24 * 3_600 * 2;

/// The columns that belong to no kind, and the value of each at one moment.
const COLUMNS: [(&str, fn(&Moment) -> Option<f64>); 21] = [
    ("seconds", |now| Some(now.at.as_secs_f64())),
    ("offloading", |now| Some(f64::from(u8::from(now.figures.enabled)))),
    ("remote", |now| Some(f64::from(u8::from(now.figures.remote)))),
    ("fps", |now| now.figures.fps),
    ("fps_low_1_percent", |now| now.figures.fps_low),
    ("frame_ms", |now| now.figures.frame_ms),
    ("round_trip_ms", |now| now.figures.rtt_ms),
    ("round_trip_p95_ms", |now| now.figures.rtt_p95_ms),
    ("jitter_ms", |now| now.figures.jitter_ms),
    ("loss_percent", |now| now.figures.loss_percent),
    ("up_kbit_per_s", |now| now.figures.up_kbit_per_s),
    ("down_kbit_per_s", |now| now.figures.down_kbit_per_s),
    ("workers", |now| now.figures.workers),
    ("nearest_worker_ms", |now| now.figures.nearest_worker_ms),
    ("dollars_per_hour", |now| now.figures.cost_dollars_per_hour),
    ("dollars_session", |now| now.figures.cost_dollars),
    ("dollars_sector_light", |now| now.figures.sector_light_dollars),
    ("dollars_hour_left", |now| now.figures.hour_left_dollars),
    ("dollars_held", |now| now.account.held().map(Nanos::as_dollars)),
    ("dollars_charged", |now| now.account.statement.map(|_| now.account.session_charged.as_dollars())),
    ("dollars_left", |now| now.account.available().map(Nanos::as_dollars)),
];

/// The columns for every kind; each name follows the kind's.
const KIND_COLUMNS: [(&str, fn(&KindFigures) -> Option<f64>); 11] = [
    ("p50_ms", |kind| kind.p50_ms),
    ("p95_ms", |kind| kind.p95_ms),
    ("p99_ms", |kind| kind.p99_ms),
    ("in_time_percent", |kind| kind.in_time_percent),
    ("workers_percent", |kind| kind.remote_percent),
    ("coordinator_percent", |kind| kind.coordinator_percent),
    ("here_percent", |kind| kind.local_percent),
    ("reused_percent", |kind| kind.reused_percent),
    ("tasks_per_s", |kind| kind.tasks_per_second),
    ("horizon_ms", |kind| kind.horizon_ms),
    ("dollars_per_hour", |kind| kind.dollars_per_hour),
];

/// Writes figures when F10 is pressed.
pub(super) fn plugin(app: &mut App) {
    app.init_resource::<FiguresFile>()
        .add_systems(PreUpdate, switch.in_set(InputSystems::Act))
        .add_systems(Last, write_line.run_if(on_real_timer(EVERY)));
}

/// The data of one line.
struct Moment<'a> {
    at: Duration,
    figures: &'a Figures,
    account: &'a OffloadAccount,
}

/// The file that figures are written to, if any.
#[derive(Resource, Default)]
pub(crate) struct FiguresFile {
    open: Option<Open>,
    /// Message about it for the player.
    pub(crate) said: String,
}

struct Open {
    path: PathBuf,
    out: File,
    began: Duration,
    lines: u64,
    /// Whether the header is written; it waits for the first figures of the kinds.
    named: bool,
}

impl FiguresFile {
    /// Begins to write into this file, overwriting an existing one.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let mut file = Self::default();
        file.begin(path, Duration::ZERO)?;
        Ok(file)
    }

    fn begin(&mut self, path: &Path, now: Duration) -> io::Result<()> {
        let out = File::create(path)?;
        self.said = format!("Writing figures to {}", path.display());
        self.open = Some(Open { path: path.into(), out, began: now, lines: 0, named: false });
        Ok(())
    }

    /// Ends the file. `why` is the reason, unless the player asked for it.
    fn end(&mut self, why: Option<&str>) {
        let Some(open) = self.open.take() else { return };
        self.said = match why {
            None => format!("Figures are in {}", open.path.display()),
            Some(why) => format!("No more figures in {}: {why}", open.path.display()),
        };
    }

    fn write(&mut self, moment: &Moment) {
        let Some(open) = &mut self.open else { return };
        if moment.figures.kinds.is_empty() {
            return;
        }
        if open.lines >= LINES_MAX {
            return self.end(Some("it is a week long"));
        }
        let mut text = String::new();
        if !open.named {
            open.named = true;
            text += &head(moment.figures);
        }
        let at = moment.at.saturating_sub(open.began);
        text += &line(&Moment { at, ..*moment });
        open.lines += 1;
        // Not buffered: lines are few, and a reader can follow the file.
        if let Err(error) = open.out.write_all(text.as_bytes()) {
            self.end(Some(&error.to_string()));
        }
    }
}

fn head(figures: &Figures) -> String {
    let mut names: Vec<String> = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for kind in &figures.kinds {
        names.extend(KIND_COLUMNS.iter().map(|(name, _)| format!("{}_{name}", kind.name)));
    }
    names.join(",") + "\n"
}

/// Unknown values are empty.
fn line(moment: &Moment) -> String {
    let shared = COLUMNS.iter().map(|(_, value)| value(moment));
    let kinds = moment.figures.kinds.iter();
    let of_kinds = kinds.flat_map(|kind| KIND_COLUMNS.iter().map(move |(_, value)| value(kind)));
    let mut text = String::new();
    for (place, value) in shared.chain(of_kinds).enumerate() {
        if place > 0 {
            text.push(',');
        }
        if let Some(value) = value {
            // Nano-dollars have nine decimals. Writing to a String cannot fail.
            let _ = write!(text, "{}", (value * 1e9).round() / 1e9);
        }
    }
    text.push('\n');
    text
}

/// A new file in the folder for the user's data.
fn fresh_path() -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let folder = dirs::data_dir().map(|folder| folder.join("p2c2r"));
    let folder = folder.filter(|folder| std::fs::create_dir_all(folder).is_ok()).unwrap_or_default();
    folder.join(format!("figures-{seconds}.csv"))
}

fn switch(actions: Res<Actions>, time: Res<Time<Real>>, mut file: ResMut<FiguresFile>) {
    if !actions.just(Action::Record) {
        return;
    }
    if file.open.is_some() {
        return file.end(None);
    }
    let path = fresh_path();
    if let Err(error) = file.begin(&path, time.elapsed()) {
        file.said = format!("No figures can be written to {}: {error}", path.display());
    }
}

fn write_line(
    time: Res<Time<Real>>,
    figures: Res<Figures>,
    account: Res<OffloadAccount>,
    mut file: ResMut<FiguresFile>,
) {
    let moment = Moment { at: time.elapsed(), figures: &figures, account: &account };
    if file.open.is_none() {
        return;
    }
    // A change of the resource makes the display show its message, so writing a line must not count as one.
    file.bypass_change_detection().write(&moment);
    if file.open.is_none() {
        tracing::warn!("{}", file.said);
        file.set_changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let kind = |name| KindFigures { name, p50_ms: Some(6.25), ..default() };
        Figures {
            kinds: vec![kind("path"), kind("physics")],
            fps: Some(59.9),
            cost_dollars: Some(2.8e-8),
            ..default()
        }
    }

    #[test]
    fn every_column_has_a_name_and_what_is_not_known_is_empty() {
        let (figures, account) = (figures(), OffloadAccount::default());
        let (head, line) =
            (head(&figures), line(&Moment { at: EVERY, figures: &figures, account: &account }));
        let (names, values): (Vec<_>, Vec<_>) =
            (head.trim_end().split(',').collect(), line.trim_end().split(',').collect());
        assert_eq!(names.len(), values.len());
        assert_eq!(names.len(), COLUMNS.len() + 2 * KIND_COLUMNS.len());
        let value = |name: &str| values[names.iter().position(|other| *other == name).expect(name)];
        assert_eq!((value("seconds"), value("fps"), value("physics_p50_ms")), ("0.5", "59.9", "6.25"));
        assert_eq!((value("dollars_session"), value("round_trip_ms")), ("0.000000028", ""));
    }

    #[test]
    fn a_file_is_begun_written_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.csv");
        let mut file = FiguresFile::at(&path).unwrap();
        let (figures, account) = (figures(), OffloadAccount::default());
        let unknown = Figures::default();
        file.write(&Moment { at: EVERY, figures: &unknown, account: &account });
        for step in 1..=3 {
            file.write(&Moment { at: EVERY * step, figures: &figures, account: &account });
        }
        file.end(None);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4, "names once, and a line for each moment with figures: {text}");
        assert!(text.lines().nth(3).unwrap().starts_with("1.5,"), "{text}");
        assert!(file.said.contains("figures.csv") && file.open.is_none());
    }

    #[test]
    fn a_file_ends_after_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = FiguresFile::at(&folder.path().join("long.csv")).unwrap();
        file.open.as_mut().unwrap().lines = LINES_MAX;
        let (figures, account) = (figures(), OffloadAccount::default());
        file.write(&Moment { at: EVERY, figures: &figures, account: &account });
        assert!(file.open.is_none() && file.said.contains("week"), "{}", file.said);
    }
}
