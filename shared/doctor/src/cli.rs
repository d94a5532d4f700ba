//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use p2c2r_protocol::Role;

use crate::checks::Examination;

/// Examines the way to a coordinator. Exit status 0: it can be played with, or helped; 1: it cannot, and the lines say what
/// to do; 2: the command is wrong.
#[derive(Debug, Parser)]
#[command(name = "p2c2r-doctor", version)]
pub struct DoctorCli {
    /// The join link; `-` reads it from standard input, `@FILE` from a file.
    #[arg(long, env = "P2C2R_JOIN", value_name = "LINK")]
    pub join: String,
    /// Join as a gamer or as a worker: the account that this makes is the one that the game or the worker then uses.
    /// [default: whichever the link is for]
    #[arg(long = "as", value_enum)]
    pub role: Option<As>,
    /// The name of the account, as the game or the worker is given it. [default: the one used last at this coordinator, or
    /// what game or worker would take]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder of the account keys. [default: the one that game and worker use]
    #[arg(long, env = "P2C2R_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Seconds for which round trips and losses are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

/// As what to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// As a game does.
    Gamer,
    /// As a helper's worker does.
    Worker,
}

impl DoctorCli {
    /// What is to be examined.
    pub fn examination(&self) -> Examination {
        let roles = match self.role {
            Some(As::Gamer) => vec![Role::Gamer],
            Some(As::Worker) => vec![Role::Worker],
            None => vec![Role::Gamer, Role::Worker],
        };
        Examination {
            roles,
            name: self.name.clone(),
            keys: self.keys.clone(),
            measure: Duration::from_secs(self.seconds),
        }
    }
}
