//! How a setting is written: what kind of value it has, in which unit and range, and how that becomes what the program
//! works with.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SettingValue;
use crate::log;

/// Why a value is refused; the caller, which knows the setting, adds its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It is outside the range.
    OutOfRange {
        /// The least it may be.
        least: String,
        /// The most it may be.
        most: String,
    },
    /// It is no such value at all; a clause such as "a whole number is needed".
    Unreadable(String),
}

/// How often a flag may be given, and whether it has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// Once, with a value.
    Value,
    /// Once, with no value.
    Switch,
    /// Several times, or with several values separated by commas.
    List,
}

type Read<T> = Box<dyn Fn(&SettingValue) -> Result<T, Mistake> + Send + Sync>;
type Write<T> = Box<dyn Fn(&T) -> Option<SettingValue> + Send + Sync>;

/// What the command line and the reference say of a setting, independent of its value's type.
#[derive(Clone)]
pub(super) struct SettingShape {
    /// Its flag, if that does not follow from the key.
    pub own_flag: Option<&'static str>,
    pub value_name: &'static str,
    /// The range of a number.
    pub range: Option<String>,
    pub choices: Vec<PossibleValue>,
    pub arity: Arity,
    /// What the default is, in words.
    pub default_is: Option<&'static str>,
    pub is_secret: bool,
    /// Only the file has it.
    pub is_in_file_alone: bool,
}

/// How values of the type `T` are written.
pub struct SettingFormat<T> {
    pub(super) key: Option<&'static str>,
    pub(super) shape: SettingShape,
    pub(super) read: Read<T>,
    pub(super) write: Write<T>,
}

impl<T: 'static> SettingFormat<T> {
    fn new(
        value_name: &'static str,
        read: impl Fn(&SettingValue) -> Result<T, Mistake> + Send + Sync + 'static,
        write: impl Fn(&T) -> Option<SettingValue> + Send + Sync + 'static,
    ) -> Self {
        let shape = SettingShape {
            own_flag: None,
            value_name,
            range: None,
            choices: Vec::new(),
            arity: Arity::Value,
            default_is: None,
            is_secret: false,
            is_in_file_alone: false,
        };
        Self { key: None, shape, read: Box::new(read), write: Box::new(write) }
    }

    fn shaped(mut self, change: impl FnOnce(&mut SettingShape)) -> Self {
        change(&mut self.shape);
        self
    }

    /// Uses this key in the file in place of the field's name. Flag and variable follow from it.
    #[must_use]
    pub fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Uses this flag, given without dashes in front, in place of the one that follows from the key. The variable
    /// follows from it.
    #[must_use]
    pub fn flag(self, flag: &'static str) -> Self {
        self.shaped(|shape| shape.own_flag = Some(flag))
    }

    /// What the default is, in words: for defaults that depend on the machine, or that are the absence of a value.
    #[must_use]
    pub fn default_is(self, words: &'static str) -> Self {
        self.shaped(|shape| shape.default_is = Some(words))
    }

    /// Neither help nor `config show` prints its value.
    #[must_use]
    pub fn secret(self) -> Self {
        self.shaped(|shape| shape.is_secret = true)
    }

    /// Only the file has it: neither a flag nor a variable.
    #[must_use]
    pub fn in_file_alone(self) -> Self {
        self.shaped(|shape| shape.is_in_file_alone = true)
    }

    /// Makes it a setting that may have no value.
    #[must_use]
    pub fn optional(self) -> SettingFormat<Option<T>> {
        self.convert(|value| Ok(Some(value)), |value, write| value.as_ref().and_then(write))
    }

    /// Converts to the type that the program works with. `back` returns `None` for a value that cannot be written.
    #[must_use]
    pub fn map<U: 'static>(self, there: fn(T) -> U, back: fn(&U) -> Option<T>) -> SettingFormat<U> {
        self.convert(move |value| Ok(there(value)), move |value, write| back(value).as_ref().and_then(write))
    }

    /// Refuses some values that the format alone would take, with a clause that says why.
    #[must_use]
    pub fn refusing(self, why: fn(&T) -> Result<(), String>) -> Self {
        let read = self.read;
        Self {
            read: Box::new(move |value| {
                let value = read(value)?;
                why(&value).map_err(Mistake::Unreadable)?;
                Ok(value)
            }),
            ..self
        }
    }

    fn convert<U: 'static>(
        self,
        there: impl Fn(T) -> Result<U, Mistake> + Send + Sync + 'static,
        back: impl Fn(&U, &dyn Fn(&T) -> Option<SettingValue>) -> Option<SettingValue> + Send + Sync + 'static,
    ) -> SettingFormat<U> {
        let (read, write) = (self.read, self.write);
        SettingFormat {
            key: self.key,
            shape: self.shape,
            read: Box::new(move |value| there(read(value)?)),
            write: Box::new(move |value| back(value, &*write)),
        }
    }
}

fn unreadable<T>(needed: &str) -> Result<T, Mistake> {
    Err(Mistake::Unreadable(format!("{needed} is needed")))
}

fn as_text(value: &SettingValue) -> Result<&str, Mistake> {
    match value {
        SettingValue::Text(text) => Ok(text),
        _ => unreadable("text"),
    }
}

/// A whole number. If `value_name` is `PERCENT`, a per cent sign may stand behind it.
pub fn number<T>(value_name: &'static str, range: RangeInclusive<T>) -> SettingFormat<T>
where
    T: Copy + TryFrom<i128> + TryInto<i128> + Display + 'static,
{
    let (least, most) = (range.start().to_string(), range.end().to_string());
    let said = format!("{least} to {most}");
    // Every type of number that a setting has fits into an `i128`.
    let wide = |value: T| value.try_into().unwrap_or(i128::MAX);
    let wide_range = wide(*range.start())..=wide(*range.end());
    let read = move |value: &SettingValue| {
        let number = match value {
            SettingValue::Integer(number) => Some(*number),
            SettingValue::Text(text) if value_name == "PERCENT" => {
                text.trim().trim_end_matches('%').trim_end().parse().ok()
            }
            SettingValue::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else { return unreadable("a whole number") };
        let in_range = wide_range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        in_range.ok_or_else(|| Mistake::OutOfRange { least: least.clone(), most: most.clone() })
    };
    let write = move |value: &T| Some(SettingValue::Integer(wide(*value)));
    SettingFormat::new(value_name, read, write).shaped(|shape| shape.range = Some(said))
}

/// A number that may have a fraction; incomparable values such as NaN are outside every range.
pub fn decimal(value_name: &'static str, range: RangeInclusive<f64>) -> SettingFormat<f64> {
    let (least, most) = (range.start().to_string(), range.end().to_string());
    let said = format!("{least} to {most}");
    let read = move |value: &SettingValue| {
        let number = match value {
            SettingValue::Decimal(number) => Some(*number),
            SettingValue::Integer(number) => Some(*number as f64),
            SettingValue::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else { return unreadable("a number") };
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(Mistake::OutOfRange { least: least.clone(), most: most.clone() })
        }
    };
    let write = |value: &f64| Some(SettingValue::Decimal(*value));
    SettingFormat::new(value_name, read, write).shaped(|shape| shape.range = Some(said))
}

fn whole(duration: u128) -> Option<u64> {
    u64::try_from(duration).ok()
}

/// A time in whole hours.
pub fn hours(range: RangeInclusive<u64>) -> SettingFormat<Duration> {
    number("HOURS", range).map(Duration::from_hours, |time| Some(time.as_secs() / (60 * 60)))
}

/// A time in whole seconds.
pub fn seconds(range: RangeInclusive<u64>) -> SettingFormat<Duration> {
    number("SECONDS", range).map(Duration::from_secs, |time| Some(time.as_secs()))
}

/// A time in whole milliseconds.
pub fn millis(range: RangeInclusive<u64>) -> SettingFormat<Duration> {
    number("MILLISECONDS", range).map(Duration::from_millis, |time| whole(time.as_millis()))
}

/// A time in whole microseconds.
pub fn micros(range: RangeInclusive<u64>) -> SettingFormat<Duration> {
    number("MICROSECONDS", range).map(Duration::from_micros, |time| whole(time.as_micros()))
}

/// Any text.
pub fn text(value_name: &'static str) -> SettingFormat<String> {
    SettingFormat::new(
        value_name,
        |value| as_text(value).map(str::to_owned),
        |value: &String| Some(SettingValue::Text(value.clone())),
    )
}

/// The path of a file or folder.
pub fn path(value_name: &'static str) -> SettingFormat<PathBuf> {
    text(value_name).refusing(|path| if path.is_empty() { Err("it is empty".into()) } else { Ok(()) }).map(
        PathBuf::from,
        // A path that is not Unicode cannot be written to a file; such a setting has no written value.
        |path| path.to_str().map(str::to_owned),
    )
}

/// A value of a type that implements `FromStr`.
pub fn parsed<T>(value_name: &'static str) -> SettingFormat<T>
where
    T: FromStr<Err: Display> + Display + 'static,
{
    SettingFormat::new(
        value_name,
        |value| {
            as_text(value)?.trim().parse().map_err(|error: T::Err| Mistake::Unreadable(error.to_string()))
        },
        |value: &T| Some(SettingValue::Text(value.to_string())),
    )
}

fn name_of<T: ValueEnum>(value: &T) -> Option<SettingValue> {
    value.to_possible_value().map(|named| SettingValue::Text(named.get_name().to_owned()))
}

/// One of some `names`, for a type that also has values without a name: for those `name` returns `None`.
pub fn named<T: 'static>(
    value_name: &'static str,
    what: &'static str,
    names: &'static [&'static str],
    value: fn(&str) -> Option<T>,
    name: fn(&T) -> Option<&'static str>,
) -> SettingFormat<T> {
    SettingFormat::new(
        value_name,
        move |text| {
            value(as_text(text)?.trim()).ok_or_else(|| {
                Mistake::Unreadable(format!("there is no such {what}; there are {}", names.join(", ")))
            })
        },
        move |value| name(value).map(|name| SettingValue::Text(name.to_owned())),
    )
}

/// What to log: a level or a filter.
pub fn log_filter() -> SettingFormat<String> {
    text("FILTER").refusing(|filter| log::check_filter(filter).map_err(|error| error.to_string()))
}

/// One of some words.
pub fn choice<T: ValueEnum + Send + Sync + 'static>() -> SettingFormat<T> {
    let choices: Vec<_> = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    let names = choices.iter().map(PossibleValue::get_name).collect::<Vec<_>>().join(", ");
    let read = move |value: &SettingValue| {
        let text = as_text(value)?;
        T::from_str(text, true).map_err(|_| Mistake::Unreadable(format!("one of {names} is needed")))
    };
    SettingFormat::new("CHOICE", read, name_of).shaped(|shape| shape.choices = choices)
}

/// Several of some words.
pub fn choices<T: ValueEnum + Send + Sync + 'static>() -> SettingFormat<Vec<T>> {
    list(choice())
}

/// Several values of one format.
pub fn list<T: 'static>(of: SettingFormat<T>) -> SettingFormat<Vec<T>> {
    let SettingFormat { shape: SettingShape { value_name, choices, .. }, read, write, .. } = of;
    let read = move |value: &SettingValue| match value {
        SettingValue::List(values) => values.iter().map(&read).collect(),
        _ => unreadable("a list"),
    };
    let write =
        move |values: &Vec<T>| values.iter().map(&write).collect::<Option<_>>().map(SettingValue::List);
    SettingFormat::new(value_name, read, write)
        .shaped(|shape| (shape.choices, shape.arity) = (choices, Arity::List))
}

/// Whole numbers by name: `path=5,physics=7`.
pub fn rates(range: RangeInclusive<u64>) -> SettingFormat<BTreeMap<String, u64>> {
    let SettingFormat { shape: SettingShape { range, .. }, read, write, .. } = number("", range);
    let read = move |value: &SettingValue| match value {
        SettingValue::Map(values) => {
            values.iter().map(|(name, value)| Ok((name.clone(), read(value)?))).collect()
        }
        SettingValue::Text(text) => text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| {
                let Some((name, number)) = part.split_once('=') else {
                    return unreadable("a list such as path=5,physics=7");
                };
                Ok((name.trim().to_owned(), read(&SettingValue::Text(number.to_owned()))?))
            })
            .collect(),
        _ => unreadable("a table of numbers"),
    };
    let write = move |rates: &BTreeMap<String, u64>| {
        let written = rates.iter().map(|(name, rate)| Some((name.clone(), write(rate)?)));
        written.collect::<Option<_>>().map(SettingValue::Map)
    };
    SettingFormat::new("KIND=N,...", read, write).shaped(|shape| shape.range = range)
}

/// Yes or no: a flag without value, `true` or `false` elsewhere.
pub fn switch() -> SettingFormat<bool> {
    let read = |value: &SettingValue| match value {
        SettingValue::Bool(value) => Ok(*value),
        _ => unreadable("true or false"),
    };
    let write = |value: &bool| Some(SettingValue::Bool(*value));
    SettingFormat::new("", read, write).shaped(|shape| shape.arity = Arity::Switch)
}

/// Yes or no, where either must be said: `on` or `off` as a flag and in the environment, `true` or `false` in a file.
pub fn on_off() -> SettingFormat<bool> {
    let read = |value: &SettingValue| match value {
        SettingValue::Bool(value) => Ok(*value),
        SettingValue::Text(text) if text.eq_ignore_ascii_case("on") => Ok(true),
        SettingValue::Text(text) if text.eq_ignore_ascii_case("off") => Ok(false),
        _ => unreadable("on or off"),
    };
    let write = |value: &bool| Some(SettingValue::Bool(*value));
    SettingFormat::new("on|off", read, write)
        .shaped(|shape| shape.choices = ["on", "off"].map(PossibleValue::new).to_vec())
}

/// A value that is read from a table of the file, the only source for it.
pub fn file_table<T: Serialize + DeserializeOwned + 'static>() -> SettingFormat<T> {
    SettingFormat::new(
        "table",
        |value| value.to_toml().try_into().map_err(|error| Mistake::Unreadable(error.message().to_owned())),
        |value: &T| toml::Value::try_from(value).ok().map(SettingValue::from),
    )
    .in_file_alone()
}
