//! A coordinator in memory, on the manual clock of the game beside it, that computes everything itself.

use std::time::Duration;

use bevy::app::App;
use bevy::time::TimeUpdateStrategy;
use p2c2r_link::{MemoryHub, ServerTransport, on_one_thread};
use p2c2r_protocol::Nanos;
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::ledger::{self, Ledger};
use p2c2r_server::{ComputeMode, ServerConfig};

/// The coordinator and the folder that its ledger is in.
pub struct NearCoordinator {
    app: App,
    folder: tempfile::TempDir,
}

impl NearCoordinator {
    /// Starts it on `hub`; each update moves its clock by `frame`.
    pub fn start(hub: &MemoryHub, frame: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data_dir = folder.path().to_path_buf();
        let config = ServerConfig {
            db: data_dir.join(LEDGER_FILE),
            data_dir,
            compute: ComputeMode::Inline,
            seed: Some(0),
            ..ServerConfig::default()
        };
        let transport = ServerTransport::Memory(hub.clone());
        let mut app = p2c2r_server::build_app(config, transport).expect("a coordinator");
        app.insert_resource(TimeUpdateStrategy::ManualDuration(frame));
        on_one_thread(&mut app);
        app.finish();
        app.cleanup();
        Self { app, folder }
    }

    /// Lets `game` and this coordinator run for so many frames.
    pub fn play_with(&mut self, game: &mut App, frames: u32) {
        for _ in 0..frames {
            game.update();
            self.app.update();
        }
    }

    /// All that gamers were charged, as it stands in the ledger.
    pub fn charged(&self) -> Nanos {
        self.app.world().resource::<Ledger>().flush().expect("a ledger that records");
        let report = ledger::report(&self.folder.path().join(LEDGER_FILE)).expect("a readable ledger");
        Nanos(report.gamers.iter().map(|gamer| gamer.turnover.0).sum())
    }
}
