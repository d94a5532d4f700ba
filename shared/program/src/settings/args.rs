//! Settings on the command line and in the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::format::Arity;
use super::table::apply_table;
use super::{FileError, ProgramSettings, SettingError, SettingRow, SettingValue, SettingsFile, read_file};
use crate::command_line::without_empty_variables;

/// The argument that names the configuration file.
const CONFIG: &str = "config";

/// A program's settings as they were given on the command line and in the environment: every setting `C` has by its flag,
/// and `--config` for a file where there is one to name. Put into a program's command line with clap's `flatten`.
pub struct SettingsArgs<C> {
    config: Option<PathBuf>,
    /// Each setting that was given: the index of its row, and its value.
    given: Vec<(usize, SettingValue)>,
    of: PhantomData<fn() -> C>,
}

impl<C: ProgramSettings> SettingsArgs<C> {
    /// The settings in these words of a command line, and in the environment: for commands that need the settings of a
    /// program without being it.
    pub fn from_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, SettingError> {
        let refused = |error: clap::Error| {
            let text = error.to_string();
            SettingError::Text(text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned())
        };
        let command = Self::augment_args(Command::new("settings").no_binary_name(true));
        let matches = without_empty_variables(command).try_get_matches_from(words).map_err(refused)?;
        Self::from_arg_matches(&matches).map_err(refused)
    }

    /// The settings, checked: what was given here, otherwise what the file has, otherwise the defaults.
    pub fn resolve(&self) -> Result<C, SettingError> {
        let mut config = C::default();
        let mut named = match &self.config {
            None => BTreeSet::new(),
            Some(path) => apply_table(&mut config, read_file(path)?).map_err(|error| match error {
                SettingError::Text(reason) => FileError::Invalid { path: path.clone(), reason }.into(),
                other => other,
            })?,
        };
        self.apply(&mut config)?;
        named.extend(self.given.iter().map(|(index, _)| &*C::rows()[*index].key));
        config.settle(&|key| named.contains(key))?;
        Ok(config)
    }

    /// Replaces those of these settings that were given.
    pub fn apply(&self, config: &mut C) -> Result<(), SettingError> {
        self.given.iter().try_for_each(|(index, value)| C::rows()[*index].set(config, value))
    }

    /// Whether the setting of this key was given.
    pub fn names(&self, key: &str) -> bool {
        self.given.iter().any(|(index, _)| C::rows()[*index].key == key)
    }
}

impl<C> Default for SettingsArgs<C> {
    fn default() -> Self {
        Self { config: None, given: Vec::new(), of: PhantomData }
    }
}

impl<C> Clone for SettingsArgs<C> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), given: self.given.clone(), of: PhantomData }
    }
}

/// Without the values: some are secret.
impl<C> fmt::Debug for SettingsArgs<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SettingsArgs({} given, config {:?})", self.given.len(), self.config)
    }
}

impl<C: ProgramSettings> Args for SettingsArgs<C> {
    fn augment_args(command: Command) -> Command {
        let defaults = C::default();
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .env("P2C2R_CONFIG")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help("Configuration file (TOML); `config show` prints one");
        let command = if C::FILE == SettingsFile::Named { command.arg(config) } else { command };
        let rows = C::rows().iter().filter(|row| !row.shape.is_in_file_alone);
        command.args(rows.map(|row| argument(row, &defaults)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument<C: 'static>(row: &'static SettingRow<C>, defaults: &C) -> Arg {
    let mut help = row.meaning.clone();
    if let Some(default) = row.default_in_words(defaults) {
        help = format!("{help} [default: {default}]");
    }
    let argument = Arg::new(&*row.key)
        .long(&*row.flag)
        .env(&*row.variable)
        .help(help)
        .hide_env_values(row.shape.is_secret);
    let argument = match row.shape.arity {
        Arity::Switch => {
            return argument
                .action(ArgAction::SetTrue)
                .value_parser(clap::builder::BoolishValueParser::new());
        }
        Arity::Value => argument.action(ArgAction::Set).allow_negative_numbers(true),
        Arity::List => argument.action(ArgAction::Append).value_delimiter(','),
    };
    if row.shape.choices.is_empty() {
        argument.value_name(row.shape.value_name)
    } else {
        argument.value_parser(PossibleValuesParser::new(row.shape.choices.clone()))
    }
}

impl<C: ProgramSettings> FromArgMatches for SettingsArgs<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if C::FILE == SettingsFile::Named
            && let Some(config) = matches.get_one::<PathBuf>(CONFIG)
        {
            self.config = Some(config.clone());
        }
        for (index, row) in C::rows().iter().enumerate() {
            let key = &*row.key;
            if row.shape.is_in_file_alone {
                continue;
            }
            if !matches!(matches.value_source(key), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
            {
                continue;
            }
            let text = |text: &String| SettingValue::Text(text.clone());
            let value = match row.shape.arity {
                Arity::Switch => Some(SettingValue::Bool(matches.get_flag(key))),
                Arity::Value => matches.get_one(key).map(text),
                Arity::List => {
                    matches.get_many(key).map(|values| SettingValue::List(values.map(text).collect()))
                }
            };
            self.given.extend(value.map(|value| (index, value)));
        }
        Ok(())
    }
}
