//! The game's program: parses the command line, runs the game, reports how it ended.

use std::process::ExitCode;

use p2c2r_game::cli::GameCli;
use p2c2r_program::{command_line, complain, quiet_caught_panics};

fn main() -> ExitCode {
    quiet_caught_panics();
    let cli: GameCli = command_line::parse();
    match p2c2r_game::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("p2c2r-game: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
