//! Quantities that must not grow during a long run, one line every few seconds: for soak tests.

use std::fs::File;
use std::io::{LineWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::OffloadTotals;

use crate::GameError;
use crate::play::Battlefield;
use crate::report::write_error;

/// Time from one line to the next.
const PERIOD: Duration = Duration::from_secs(5);
/// Names of the columns. The memory is the process's resident set, empty where the system does not tell.
const COLUMNS: &str = "seconds,ticks,wave,sector,entities,open_tasks,memory_kib";

/// Lets the app write its vitals to `path` while it runs.
pub(crate) fn keep(app: &mut App, path: &Path) -> Result<(), GameError> {
    let fault = |error| write_error(path, error);
    let mut file = LineWriter::new(File::create(path).map_err(fault)?);
    writeln!(file, "{COLUMNS}").map_err(fault)?;
    app.insert_resource(Vitals(Some(file))).add_systems(Last, note.run_if(on_real_timer(PERIOD)));
    Ok(())
}

/// The output; closed after the first failure, which is logged once.
#[derive(Resource)]
struct Vitals(Option<LineWriter<File>>);

fn note(
    time: Res<Time<Real>>,
    battlefield: Res<Battlefield>,
    totals: Res<OffloadTotals>,
    entities: Query<Entity>,
    mut vitals: ResMut<Vitals>,
) {
    let Some(file) = &mut vitals.0 else { return };
    let arena = &battlefield.arena;
    let open: u64 = totals.kinds.values().map(|kind| kind.open).sum();
    let line = format!(
        "{:.0},{},{},{},{},{open},{}",
        time.elapsed().as_secs_f64(),
        arena.tick(),
        arena.wave(),
        arena.sector().number,
        entities.iter().count(),
        memory_kib().map_or_else(String::new, |memory| memory.to_string()),
    );
    if let Err(error) = writeln!(file, "{line}") {
        tracing::warn!(%error, "vitals are no longer written");
        vitals.0 = None;
    }
}

/// The process's resident set, on Linux.
fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}
