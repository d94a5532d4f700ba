//! The stage's ledger, and the statements that peers get.

use std::time::Duration;

use p2c2r_protocol::{GamerStatement, PeerId, WorkerStatement};
use p2c2r_server::ledger::{self, Ledger};

use super::Stage;

impl Stage {
    /// Steps until both ledger and peers know of everything, and returns what a gamer was told last.
    #[track_caller]
    pub fn gamer_statement(&mut self, gamer: PeerId) -> GamerStatement {
        self.settle();
        self.gamer_statements[&gamer]
    }

    /// The same for a worker.
    #[track_caller]
    pub fn worker_statement(&mut self, worker: PeerId) -> WorkerStatement {
        self.settle();
        self.worker_statements[&worker].clone()
    }

    fn settle(&mut self) {
        // Pay goes back in the group after the one that convicts.
        self.app().world().resource::<Ledger>().flush().unwrap();
        self.app().world().resource::<Ledger>().flush().unwrap();
        self.pass(Duration::from_millis(1_100));
    }

    /// The ledger's report; fails if the ledger's own check does.
    #[track_caller]
    pub fn books(&mut self) -> ledger::LedgerReport {
        self.app().world().resource::<Ledger>().flush().unwrap();
        let db = self.folder.path().join("results.db");
        let check = ledger::check(&db).unwrap();
        assert!(check.ok, "{:?}", check.problems);
        ledger::report(&db).unwrap()
    }

    /// What the ledger knows of the worker with this name, once nobody is connected that it has to hear of.
    #[track_caller]
    pub fn known_of(&mut self, name: &str) -> ledger::WorkerLine {
        self.books();
        let lines = ledger::workers(&self.folder.path().join("results.db"), |_| None).unwrap();
        let mut of_name = lines.workers.into_iter().filter(|line| line.name == name);
        of_name.next().expect("the worker has an account")
    }
}
