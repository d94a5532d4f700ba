//! The value of a setting, whichever source it came from.

use std::collections::BTreeMap;
use std::fmt;

/// A value: from a file as TOML has it, from a flag or an environment variable as text.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number; wide enough for every integer that a setting may be.
    Integer(i128),
    /// A number with a fraction.
    Decimal(f64),
    /// Text.
    Text(String),
    /// Several values.
    List(Vec<Self>),
    /// Values by name.
    Map(BTreeMap<String, Self>),
}

impl SettingValue {
    /// As TOML. A number outside TOML's range becomes text, from which every number can be read too.
    pub fn to_toml(&self) -> toml::Value {
        match self {
            Self::Bool(value) => toml::Value::Boolean(*value),
            Self::Integer(value) => match i64::try_from(*value) {
                Ok(value) => toml::Value::Integer(value),
                Err(_) => toml::Value::String(value.to_string()),
            },
            Self::Decimal(value) => toml::Value::Float(*value),
            Self::Text(value) => toml::Value::String(value.clone()),
            Self::List(values) => toml::Value::Array(values.iter().map(Self::to_toml).collect()),
            Self::Map(values) => toml::Value::Table(
                values.iter().map(|(name, value)| (name.clone(), value.to_toml())).collect(),
            ),
        }
    }
}

impl From<toml::Value> for SettingValue {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::Boolean(value) => Self::Bool(value),
            toml::Value::Integer(value) => Self::Integer(value.into()),
            toml::Value::Float(value) => Self::Decimal(value),
            toml::Value::String(value) => Self::Text(value),
            // No setting is a TOML date or time; as text it is refused with a reason.
            toml::Value::Datetime(value) => Self::Text(value.to_string()),
            toml::Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            toml::Value::Table(values) => {
                Self::Map(values.into_iter().map(|(name, value)| (name, Self::from(value))).collect())
            }
        }
    }
}

/// As a person writes it on the command line.
impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut between = |f: &mut fmt::Formatter<'_>| {
            let result = f.write_str(separator);
            separator = ",";
            result
        };
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::List(values) => values.iter().try_for_each(|value| {
                between(f)?;
                value.fmt(f)
            }),
            Self::Map(values) => values.iter().try_for_each(|(name, value)| {
                between(f)?;
                write!(f, "{name}={value}")
            }),
        }
    }
}
