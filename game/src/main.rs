//! The game's program: parses the command line, runs the game, tells how it ended.

use std::process::ExitCode;

use clap::Parser as _;
use p2c2r_game::cli::Cli;

fn main() -> ExitCode {
    match p2c2r_game::run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("p2c2r-game: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
