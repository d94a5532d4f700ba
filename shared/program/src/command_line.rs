//! Reading the command line, with one rule for the environment: a variable that is empty counts as unset, because
//! shell scripts, unit files and containers can often set a variable to nothing but not take it away.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error, Parser};

/// The program's arguments. Where they are wrong, or help was asked for, this says so and ends the program, with the
/// status 2 or 0.
pub fn parse<P: Parser>() -> P {
    // `exit` ignores errors in printing.
    try_parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// The arguments in `from`, of which the first is the program's name.
pub fn try_parse_from<P: Parser>(from: impl IntoIterator<Item = OsString>) -> Result<P, Error> {
    let mut command = without_empty_variables(P::command());
    let matches = command.try_get_matches_from_mut(from);
    let mut matches = matches.map_err(|error| with_place_of_options(error, command.get_name()))?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// If the error is that options stand in front of their subcommand, adds where they belong.
fn with_place_of_options(mut error: Error, program: &str) -> Error {
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand)
    {
        let tip = format!("options of '{command}' come after it, see: {program} {command} --help");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The command, to which every empty variable counts as unset.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    command.mut_args(without_empty_variable).mut_subcommands(without_empty_variables)
}

fn without_empty_variable(argument: Arg) -> Arg {
    let is_empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { argument.env(Resettable::Reset) } else { argument }
}
