//! The JSON report of a run: what was asked, who did it, how fast and at what price.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bevy::prelude::*;
use p2c2r_offload::{OffloadAccount, OffloadTotals};
use p2c2r_protocol::Nanos;
use serde::Serialize;

use crate::GameError;
use crate::cli::GameCli;
use crate::play::{Battlefield, RunLength, Slips};
use crate::settings::Settings;

/// A run in numbers. The keys of [`OffloadTotals`] (`kinds`, `cost_nanos`, …) are on the same level.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// What was borrowed.
    #[serde(flatten)]
    pub totals: OffloadTotals,
    /// Charged since the account was opened, by the coordinator's latest statement: durably recorded, while
    /// receipts, which `cost_nanos` adds up, come up to 50 ms earlier. `None` if the game never connected.
    pub charged_nanos: Option<Nanos>,
    /// Whether the coordinator's ledger balances: only the ledger can tell, so the game leaves this empty and
    /// the launcher fills it in.
    pub ledger_balanced: Option<bool>,
    /// Frames drawn.
    pub frames: u64,
    /// Real seconds from the first frame to the last.
    pub seconds: f64,
    /// Steps of the arena.
    pub ticks: u64,
    /// Seconds of play that were skipped because frames took too long.
    pub slipped_seconds: f64,
    /// Points at the end.
    pub score: u64,
    /// Wave at the end.
    pub wave: u32,
    /// Seed of the round that was played last: that of `--seed`, or a fresh one if the round was begun from a menu.
    pub seed: u64,
    /// Impairment preset, if one was asked for.
    pub impair: Option<String>,
    /// Whether light and mirrors were on at the start.
    pub reflections: bool,
    /// Digest of the arena's last state.
    pub arena_digest: String,
}

impl RunReport {
    /// Writes the report.
    pub fn write(&self, path: &Path) -> Result<(), GameError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| write_error(path, std::io::Error::other(error)))?;
        text.push('\n');
        std::fs::write(path, text).map_err(|error| write_error(path, error))
    }

    /// An error if tasks were asked for and none was ever finished.
    pub fn judge(&self) -> Result<(), GameError> {
        let submitted: u64 = self.totals.kinds.values().map(|kind| kind.submitted).sum();
        let open: u64 = self.totals.kinds.values().map(|kind| kind.open + kind.cancelled).sum();
        let delivered: u64 = self.totals.kinds.values().map(p2c2r_offload::KindTotals::delivered).sum();
        if submitted > open && delivered == 0 {
            return Err(GameError::NothingWorked { submitted });
        }
        Ok(())
    }
}

pub(crate) fn write_error(path: &Path, source: std::io::Error) -> GameError {
    GameError::Write { path: path.display().to_string(), source }
}

/// Checks before the run that the report can be written after it.
pub(crate) fn check_writable(path: &Path) -> Result<(), GameError> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
        .map_err(|error| write_error(path, error))
}

/// The numbers that outlive the app. The engine keeps the app when it runs with a window, so they are copied
/// out in the last frame.
#[derive(Resource, Clone, Default)]
pub struct Results(Arc<Mutex<Snapshot>>);

#[derive(Clone, Default)]
struct Snapshot {
    totals: OffloadTotals,
    charged: Option<Nanos>,
    finished: RunLength,
    slips: Slips,
    ticks: u64,
    score: u64,
    wave: u32,
    seed: u64,
    digest: String,
    /// Whether light and mirrors were on when the run began.
    mirrors: bool,
}

impl Results {
    /// Lets the app copy its numbers out when it exits.
    pub fn keep(app: &mut App) -> Self {
        let mirrors = app.world_mut().get_resource_or_init::<Settings>().borrowing.mirrors;
        let results = Self(Arc::new(Mutex::new(Snapshot { mirrors, ..default() })));
        app.insert_resource(results.clone()).add_systems(Last, copy_out.run_if(on_message::<AppExit>));
        results
    }

    /// The report.
    pub fn report(&self, cli: &GameCli) -> RunReport {
        let snapshot = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RunReport {
            totals: snapshot.totals,
            charged_nanos: snapshot.charged,
            ledger_balanced: None,
            frames: snapshot.finished.frames,
            seconds: snapshot.finished.elapsed.as_secs_f64(),
            ticks: snapshot.ticks,
            slipped_seconds: snapshot.slips.0.as_secs_f64(),
            score: snapshot.score,
            wave: snapshot.wave,
            seed: snapshot.seed,
            impair: cli.start.impair.clone(),
            reflections: snapshot.mirrors,
            arena_digest: snapshot.digest,
        }
    }
}

fn copy_out(
    results: Res<Results>,
    (totals, account): (Res<OffloadTotals>, Res<OffloadAccount>),
    finished: Res<RunLength>,
    slips: Res<Slips>,
    battlefield: Res<Battlefield>,
) {
    let arena = &battlefield.arena;
    let mut snapshot = results.0.lock().unwrap_or_else(PoisonError::into_inner);
    *snapshot = Snapshot {
        totals: totals.clone(),
        charged: account.charged(),
        finished: *finished,
        slips: *slips,
        ticks: arena.tick(),
        score: arena.score(),
        wave: arena.wave(),
        seed: arena.config().seed,
        digest: arena.digest().to_string(),
        mirrors: snapshot.mirrors,
    };
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use p2c2r_arena::ArenaConfig;

    use super::*;

    #[test]
    fn the_seed_is_that_of_the_round_that_was_played_last() {
        let cli = GameCli::try_parse_from(["p2c2r-game", "--headless", "--local", "--seed", "3"]).unwrap();
        let mut app = crate::app::build(&cli, crate::app::offload_config(&cli).unwrap()).unwrap();
        let results = Results::keep(&mut app);
        app.finish();
        app.cleanup();
        app.world_mut()
            .resource_mut::<Battlefield>()
            .arena
            .begin(ArenaConfig { seed: 77, ..ArenaConfig::default() });
        app.world_mut().write_message(AppExit::Success);
        app.update();
        assert_eq!(results.report(&cli).seed, 77);
    }
}
