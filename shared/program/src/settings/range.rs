//! The range of a setting, and the sentence for a value outside it.

use std::fmt::Display;
use std::ops::RangeInclusive;

use thiserror::Error;

/// A setting has a value outside its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting} is {value}, not {least} to {most}")]
pub struct OutOfRange {
    /// The setting, as its flag is called.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// The least it may be.
    pub least: String,
    /// The most it may be.
    pub most: String,
}

/// Refuses a value outside its range. A value that cannot be compared, such as NaN, counts as outside.
pub fn within<T: PartialOrd + Display>(
    setting: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), OutOfRange> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(OutOfRange {
        setting: setting.to_owned(),
        value: value.to_string(),
        least: least.to_string(),
        most: most.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_its_range_is_named_with_the_range() {
        assert_eq!(within("slots", 1, 1..=256), Ok(()));
        assert_eq!(within("slots", 256, 1..=256), Ok(()));
        let said = within("slots", 257, 1..=256).unwrap_err().to_string();
        assert_eq!(said, "slots is 257, not 1 to 256");
        assert!(within("share", f64::NAN, 0.0..=100.0).is_err());
    }
}
