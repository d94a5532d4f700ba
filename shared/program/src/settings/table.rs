//! The table of settings: one row for each, and the functions that go through all of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thiserror::Error;

use super::format::{Arity, Mistake, SettingFormat, SettingShape};
use super::{FileError, OutOfRange, SettingValue};

/// Why settings are refused.
#[derive(Debug, Error)]
pub enum SettingError {
    /// One has a value outside its range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// One has a value that cannot be read.
    #[error("{setting} is `{value}`: {reason}")]
    Invalid {
        /// The setting, as its flag is called.
        setting: String,
        /// Its value.
        value: String,
        /// What is wrong, as a clause.
        reason: String,
    },
    /// The file could not be read, or is not valid.
    #[error(transparent)]
    File(#[from] FileError),
    /// A text is no valid configuration file, or names a setting that does not exist.
    #[error("{0}")]
    Text(String),
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Settings declared by [`settings_table!`](crate::settings_table).
pub trait SettingsTable: Default + 'static {
    /// Every setting, in the order in which they were declared.
    fn rows() -> &'static [SettingRow<Self>];
}

/// The file that settings are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsFile {
    /// The one that `--config` names.
    Named,
    /// One that the program writes itself; flags and variables override it for one run.
    Kept,
    /// None: there are only flags and variables.
    None,
}

/// The settings of a program.
pub trait ProgramSettings: SettingsTable {
    /// Where the file is, if there is one.
    const FILE: SettingsFile = SettingsFile::Named;

    /// Called once all sources have been read: fills in what follows from other settings, and refuses contradictions.
    /// `is_named` says whether any source had the setting of this key.
    fn settle(&mut self, is_named: &dyn Fn(&str) -> bool) -> Result<(), SettingError> {
        let _ = is_named;
        Ok(())
    }
}

type Set<C> = Box<dyn Fn(&mut C, &SettingValue) -> Result<(), Mistake> + Send + Sync>;
type Get<C> = Box<dyn Fn(&C) -> Option<SettingValue> + Send + Sync>;

/// One setting of the settings `C`.
pub struct SettingRow<C> {
    /// Its name in the file; `table.name` if it is in a table of the file.
    pub key: String,
    /// Its flag, without the dashes in front.
    pub flag: String,
    /// Its environment variable.
    pub variable: String,
    /// What it means, in sentences.
    pub meaning: String,
    pub(super) shape: SettingShape,
    set: Set<C>,
    get: Get<C>,
}

fn flag_of(key: &str) -> String {
    key.replace(['_', '.'], "-")
}

fn variable_of(flag: &str) -> String {
    format!("P2C2R_{}", flag.replace('-', "_").to_uppercase())
}

impl<C: 'static> SettingRow<C> {
    /// The setting `key`, which is read by `get` and changed by `set`. The lines of `doc` together say what it means.
    pub fn new<T: 'static>(
        key: &'static str,
        doc: &str,
        format: SettingFormat<T>,
        get: impl Fn(&C) -> Option<T> + Send + Sync + 'static,
        set: impl Fn(&mut C, T) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let SettingFormat { key: own_key, shape, read, write } = format;
        let key = own_key.unwrap_or(key).to_owned();
        let flag = shape.own_flag.map_or_else(|| flag_of(&key), str::to_owned);
        Self {
            variable: variable_of(&flag),
            flag,
            key,
            meaning: doc.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "),
            shape,
            set: Box::new(move |config, value| set(config, read(value)?).map_err(Mistake::Unreadable)),
            get: Box::new(move |config| get(config).as_ref().and_then(&write)),
        }
    }

    /// Changes the setting.
    pub fn set(&self, config: &mut C, value: &SettingValue) -> Result<(), SettingError> {
        (self.set)(config, value).map_err(|mistake| match mistake {
            Mistake::OutOfRange { least, most } => {
                OutOfRange { setting: self.flag.clone(), value: value.to_string(), least, most }.into()
            }
            Mistake::Unreadable(reason) => {
                SettingError::Invalid { setting: self.flag.clone(), value: value.to_string(), reason }
            }
        })
    }

    /// Changes the setting; a number outside its range becomes the nearest one inside.
    fn set_nearest(&self, config: &mut C, value: &SettingValue) -> Result<(), SettingError> {
        let Err(Mistake::OutOfRange { least, most }) = (self.set)(config, value) else {
            return self.set(config, value);
        };
        let number =
            |text: &str| text.trim().trim_end_matches('%').trim_end().parse::<f64>().unwrap_or(f64::NAN);
        let is_above = number(&value.to_string()) > number(&most);
        self.set(config, &SettingValue::Text(if is_above { most } else { least }))
    }

    /// Its value; `None` if it has none, or one that cannot be written.
    pub fn get(&self, config: &C) -> Option<SettingValue> {
        (self.get)(config)
    }

    /// Its default in words.
    pub(super) fn default_in_words(&self, defaults: &C) -> Option<String> {
        match self.shape.default_is {
            Some(words) => Some(words.to_owned()),
            None if self.shape.arity == Arity::Switch => None,
            None => match self.get(defaults)? {
                SettingValue::Bool(value) => Some(if value { "on" } else { "off" }.to_owned()),
                value => Some(value.to_string()).filter(|text| !text.is_empty()),
            },
        }
    }

    /// The same row for settings `D` that have these as a field. In the file of `D` it is in a table with the field's
    /// name, or in none.
    fn lifted<D: 'static>(&'static self, field: &SettingField<D, C>, is_in_table: bool) -> SettingRow<D> {
        let SettingField { get, get_mut, .. } = *field;
        let key = if is_in_table { format!("{}.{}", field.name, self.key) } else { self.key.clone() };
        let flag = self.shape.own_flag.map_or_else(|| flag_of(&key), str::to_owned);
        SettingRow {
            variable: variable_of(&flag),
            flag,
            key,
            meaning: self.meaning.clone(),
            shape: self.shape.clone(),
            set: Box::new(move |config, value| (self.set)(get_mut(config), value)),
            get: Box::new(move |config| (self.get)(get(config))),
        }
    }
}

/// A field of the settings `C`, of the type `T`.
pub struct SettingField<C, T> {
    /// Its name.
    pub name: &'static str,
    /// Its documentation, in lines.
    pub doc: &'static str,
    /// Looks at it.
    pub get: fn(&C) -> &T,
    /// Changes it.
    pub get_mut: fn(&mut C) -> &mut T,
}

/// What may stand behind `=>` in [`settings_table!`](crate::settings_table): it makes rows of a field.
pub trait IntoRows<C, T> {
    /// The rows of a field.
    fn rows(self, field: SettingField<C, T>) -> Vec<SettingRow<C>>;
}

impl<C: 'static, T: Clone + 'static> IntoRows<C, T> for SettingFormat<T> {
    fn rows(self, SettingField { name, doc, get, get_mut }: SettingField<C, T>) -> Vec<SettingRow<C>> {
        vec![SettingRow::new(
            name,
            doc,
            self,
            move |config| Some(get(config).clone()),
            move |config, value| {
                *get_mut(config) = value;
                Ok(())
            },
        )]
    }
}

/// See [`table`] and [`unprefixed`].
pub struct Nested {
    is_table: bool,
}

/// The field is a settings struct, whose settings are in a table of the file that has the field's name.
pub fn table() -> Nested {
    Nested { is_table: true }
}

/// The field is a settings struct, whose settings are in the file as if they belonged to the outer struct.
pub fn unprefixed() -> Nested {
    Nested { is_table: false }
}

impl<C: 'static, T: SettingsTable> IntoRows<C, T> for Nested {
    fn rows(self, field: SettingField<C, T>) -> Vec<SettingRow<C>> {
        T::rows().iter().map(|row| row.lifted(&field, self.is_table)).collect()
    }
}

/// See [`rows_of`].
pub struct RowsOf<C>(fn() -> Vec<SettingRow<C>>);

/// The field's rows are made by hand: several settings in one field, or one that needs to know another.
pub fn rows_of<C>(rows: fn() -> Vec<SettingRow<C>>) -> RowsOf<C> {
    RowsOf(rows)
}

impl<C: 'static, T> IntoRows<C, T> for RowsOf<C> {
    fn rows(self, _field: SettingField<C, T>) -> Vec<SettingRow<C>> {
        (self.0)()
    }
}

/// Sets every setting that a text in TOML names. Unknown names are refused, so that a misspelt one is found at start.
pub fn apply_text<C: SettingsTable>(config: &mut C, text: &str) -> Result<(), SettingError> {
    let wrong = |error: toml::de::Error| SettingError::Text(error.to_string().trim_end().replace('\n', " "));
    apply_table(config, toml::from_str(text).map_err(wrong)?).map(drop)
}

/// Sets every setting that a file names, and returns their keys.
pub(super) fn apply_table<C: SettingsTable>(
    config: &mut C,
    file: toml::Table,
) -> Result<BTreeSet<&'static str>, SettingError> {
    let mut named = BTreeSet::new();
    apply_below(config, "", file, &mut named)?;
    Ok(named)
}

fn apply_below<C: SettingsTable>(
    config: &mut C,
    prefix: &str,
    file: toml::Table,
    named: &mut BTreeSet<&'static str>,
) -> Result<(), SettingError> {
    for (name, value) in file {
        let key = format!("{prefix}{name}");
        let rows = C::rows();
        if let Some(row) = rows.iter().find(|row| row.key == key) {
            row.set(config, &value.into())?;
            named.insert(&row.key);
            continue;
        }
        let below = format!("{key}.");
        match value {
            toml::Value::Table(table) if rows.iter().any(|row| row.key.starts_with(&below)) => {
                apply_below(config, &below, table, named)?;
            }
            _ => return Err(SettingError::Text(format!("there is no setting `{key}`"))),
        }
    }
    Ok(())
}

/// Sets what a program saved earlier, perhaps in an older version or edited since: missing settings stay unchanged,
/// unknown names are skipped, and a number outside its range becomes the nearest one.
pub fn apply_kept<C: SettingsTable>(config: &mut C, file: &toml::Table) -> Result<(), SettingError> {
    for row in C::rows() {
        let mut names = row.key.split('.');
        let last = names.next_back().unwrap_or_default();
        let mut table = Some(file);
        for name in names {
            table = match table.and_then(|table| table.get(name)) {
                None => None,
                Some(toml::Value::Table(below)) => Some(below),
                Some(_) => return Err(SettingError::Text(format!("`{name}` is no table"))),
            };
        }
        if let Some(value) = table.and_then(|table| table.get(last)) {
            row.set_nearest(config, &value.clone().into())?;
        }
    }
    Ok(())
}

/// The settings as a table of a file, for [`apply_kept`]. Secrets are left out.
pub fn kept<C: SettingsTable>(config: &C) -> toml::Table {
    let mut file = toml::Table::new();
    for row in C::rows().iter().filter(|row| !row.shape.is_secret) {
        let Some(value) = row.get(config) else { continue };
        let mut names = row.key.split('.');
        let last = names.next_back().unwrap_or_default();
        let mut table = &mut file;
        for name in names {
            let below = table.entry(name).or_insert_with(|| toml::Table::new().into());
            let toml::Value::Table(below) = below else { unreachable!("no key is a part of another") };
            table = below;
        }
        table.insert(last.to_owned(), value.to_toml());
    }
    file
}

/// What to save: settings changed since `started`, and for the others what was in `kept`. So a flag or variable holds
/// for one run only.
#[must_use]
pub fn to_keep<C: SettingsTable + Clone>(kept: &C, started: &C, now: &C) -> C {
    let mut next = now.clone();
    for row in C::rows() {
        let value = row.get(now);
        if let (true, Some(before)) = (value == row.get(started), row.get(kept)) {
            // The value was read from such settings, so it is valid.
            let _ = row.set(&mut next, &before);
        }
    }
    next
}

/// Checks the range of every setting, for settings that were made in code and not read.
pub fn check<C: SettingsTable + Clone>(config: &C) -> Result<(), SettingError> {
    // The valid values of a row may depend on other settings, such as the registered kinds.
    let mut scratch = config.clone();
    for row in C::rows() {
        if let Some(value) = row.get(config) {
            row.set(&mut scratch, &value)?;
        }
    }
    Ok(())
}

/// The settings as a configuration file that reads back as the same. Secrets are left out.
pub fn shown<C: SettingsTable>(config: &C) -> String {
    let mut text = String::new();
    let mut table = "";
    let rows = C::rows().iter().filter(|row| !row.shape.is_secret);
    let (inside, outside): (Vec<_>, Vec<_>) = rows.partition(|row| row.key.contains('.'));
    for row in outside.into_iter().chain(inside) {
        let Some(value) = row.get(config) else { continue };
        let (in_table, name) = row.key.rsplit_once('.').unwrap_or(("", &row.key));
        if in_table != table {
            table = in_table;
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n[{table}]");
        }
        let _ = writeln!(text, "{name} = {}", value.to_toml());
    }
    text
}

/// Declares settings: see [`settings`](crate::settings).
#[macro_export]
macro_rules! settings_table {
    (@rows $rows:ident, $config:ident, $field:ident: $type:ty, [$($doc:literal),*]) => {};
    (@rows $rows:ident, $config:ident, $field:ident: $type:ty, [$($doc:literal),*] => $format:expr) => {
        $rows.extend($crate::settings::IntoRows::<$config, $type>::rows(
            $format,
            $crate::settings::SettingField {
                name: stringify!($field),
                doc: concat!($($doc, "\n"),*),
                get: |config| &config.$field,
                get_mut: |config| &mut config.$field,
            },
        ));
    };
    (
        $(#[$meta:meta])*
        pub struct $config:ident {
            $(
                $(#[doc = $doc:literal])*
                pub $field:ident: $type:ty = $default:expr $(=> $format:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        pub struct $config {
            $(
                $(#[doc = $doc])*
                pub $field: $type,
            )*
        }

        impl ::std::default::Default for $config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::settings::SettingsTable for $config {
            fn rows() -> &'static [$crate::settings::SettingRow<Self>] {
                static ROWS: ::std::sync::LazyLock<::std::vec::Vec<$crate::settings::SettingRow<$config>>> =
                    ::std::sync::LazyLock::new(|| {
                        let mut rows = ::std::vec::Vec::new();
                        $(
                            $crate::settings_table!(
                                @rows rows, $config, $field: $type, [$($doc),*] $(=> $format)?
                            );
                        )*
                        rows
                    });
                &ROWS
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::super::{number, on_off, text};
    use super::*;

    settings_table! {
        /// How loud it is.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Loudness {
            /// The music
            pub music: u8 = 60 => number("PERCENT", 10..=100),
        }
    }
    settings_table! {
        /// What somebody prefers.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Preferences {
            /// What they are called
            pub name: String = "nobody".into() => text("NAME"),
            /// Whether they like it dark
            pub dark: bool = true => on_off(),
            /// How loud
            pub sound: Loudness = Loudness::default() => table(),
        }
    }

    fn read(file: &str) -> Result<Preferences, SettingError> {
        let mut preferences = Preferences::default();
        apply_kept(&mut preferences, &toml::from_str(file).unwrap()).map(|()| preferences)
    }

    #[test]
    fn what_is_kept_reads_back_as_the_same() {
        let preferences = Preferences { name: "ada".into(), dark: false, sound: Loudness { music: 30 } };
        let text = toml::to_string(&kept(&preferences)).unwrap();
        assert_eq!(text, "dark = false\nname = \"ada\"\n\n[sound]\nmusic = 30\n");
        assert_eq!(read(&text).unwrap(), preferences);
    }

    #[test]
    fn files_of_other_versions_are_read_and_their_numbers_put_into_range() {
        assert_eq!(read("").unwrap(), Preferences::default());
        assert_eq!(read("colour = 3\n[sound]\nechoes = true\n").unwrap(), Preferences::default());
        for (file, music) in [
            ("[sound]\nmusic = 1000\n", 100),
            ("[sound]\nmusic = '1000 %'\n", 100),
            ("[sound]\nmusic = -5\n", 10),
        ] {
            assert_eq!(read(file).unwrap().sound.music, music, "{file}");
        }
    }

    #[test]
    fn a_file_that_means_nothing_is_refused() {
        for (file, said) in [
            ("sound = 7\n", "`sound` is no table"),
            ("[sound]\nmusic = \"a choir\"\n", "sound-music is `a choir`: a whole number is needed"),
            ("dark = 1\n", "dark is `1`: on or off is needed"),
        ] {
            assert_eq!(read(file).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn what_holds_for_one_run_is_not_kept_unless_it_is_changed_again() {
        let kept = Preferences { name: "ada".into(), ..Preferences::default() };
        let started = Preferences { name: "guest".into(), dark: false, ..kept.clone() };
        assert_eq!(to_keep(&kept, &started, &started), kept);
        let changed = Preferences { sound: Loudness { music: 20 }, dark: true, ..started.clone() };
        let next = to_keep(&kept, &started, &changed);
        assert_eq!(next, Preferences { name: "ada".into(), dark: true, sound: Loudness { music: 20 } });
    }
}
