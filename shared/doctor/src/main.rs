//! The program `p2c2r-doctor`: examines the way to a coordinator and says what it finds, line by line.

use std::process::ExitCode;

use p2c2r_doctor::cli::DoctorCli;
use p2c2r_doctor::examine;
use p2c2r_program::{command_line, complain, say};

fn main() -> ExitCode {
    let cli: DoctorCli = command_line::parse();
    let link = match p2c2r_join::read_link(&cli.join) {
        Ok(link) => link,
        Err(error) => {
            complain(format_args!("p2c2r-doctor: {error}"));
            return ExitCode::from(2);
        }
    };
    let report = examine(&link, &cli.examination(), |finding| say(finding));
    say(report.verdict());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
