//! The operator's commands about workers: `workers list`, `quarantine`, `forgive`.

use clap::Subcommand;
use p2c2r_tasks::KindRegistry;

use crate::cli::{ReportFormat, WhichCoordinator};
use crate::error::ServerError;
use crate::join::commands;
use crate::ledger;

/// What to do with workers.
#[derive(Debug, Subcommand)]
pub enum WorkersCommand {
    /// Print what is known of all workers: failed checks, answers, pending pay. Also while the coordinator runs.
    List {
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
        /// For people, or for programs.
        #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
        format: ReportFormat,
    },
    /// Convict a worker: it gets no more work, what it has pending goes back to those who paid, and what it computed is not
    /// handed out again. A running coordinator does so within a second; if none runs, the next one does when it starts.
    Quarantine {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
    /// Let a convicted worker work again, as a newcomer. What was taken back stays with those who got it.
    Forgive {
        /// Its name, or how its key begins (at least 8 digits).
        account: String,
        /// Which coordinator's.
        #[command(flatten)]
        which: WhichCoordinator,
    },
}

/// Carries out a command and returns what to print.
pub fn run(command: WorkersCommand) -> Result<String, ServerError> {
    match command {
        WorkersCommand::List { which, format } => {
            let kinds = KindRegistry::builtin();
            let name_of = |kind| kinds.get(kind).map(|kind| kind.name().to_owned());
            let workers = ledger::workers(&which.settings()?.db, name_of)?;
            match format {
                ReportFormat::Text => Ok(workers.to_string()),
                ReportFormat::Json => serde_json::to_string_pretty(&workers).map_err(|error| {
                    ServerError::Config(format!("the workers cannot be written as JSON: {error}"))
                }),
            }
        }
        WorkersCommand::Quarantine { account, which } => Ok(commands::judge(&account, true, &which)?),
        WorkersCommand::Forgive { account, which } => Ok(commands::judge(&account, false, &which)?),
    }
}
