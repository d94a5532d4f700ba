//! Whether the computer runs on battery, as Linux tells it in `/sys/class/power_supply`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the computer's power comes from.
#[derive(Debug)]
pub struct Power {
    supplies: PathBuf,
}

impl Power {
    /// This computer's power supplies. Where that folder is missing, as on other systems, no battery is assumed.
    pub fn of_this_computer() -> Self {
        Self::told_in("/sys/class/power_supply")
    }

    pub(super) fn told_in(folder: impl Into<PathBuf>) -> Self {
        Self { supplies: folder.into() }
    }

    /// Whether there is a battery that the computer can run on.
    pub fn has_battery(&self) -> bool {
        self.batteries().next().is_some()
    }

    /// Whether it runs on battery: one is being discharged, which happens also with a mains supply that is too weak.
    pub fn is_on_battery(&self) -> bool {
        self.batteries().any(|battery| text(&battery, "status") == "Discharging")
    }

    fn batteries(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let supplies = fs::read_dir(&self.supplies).ok().into_iter().flatten().flatten();
        // Mice and keyboards have batteries too; their scope is the device.
        supplies
            .map(|supply| supply.path())
            .filter(|supply| text(supply, "type") == "Battery" && text(supply, "scope") != "Device")
    }
}

fn text(supply: &Path, name: &str) -> String {
    fs::read_to_string(supply.join(name)).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_that_is_discharged_is_run_on_and_a_mouse_s_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |supply: &str, name: &str, text: &str| {
            fs::create_dir_all(folder.path().join(supply)).unwrap();
            fs::write(folder.path().join(supply).join(name), format!("{text}\n")).unwrap();
        };
        let power = Power::told_in(folder.path());
        assert!(!power.has_battery() && !power.is_on_battery());
        write("mouse", "type", "Battery");
        write("mouse", "scope", "Device");
        write("mouse", "status", "Discharging");
        write("AC", "type", "Mains");
        assert!(!power.has_battery() && !power.is_on_battery());
        write("BAT0", "type", "Battery");
        write("BAT0", "status", "Charging");
        assert!(power.has_battery() && !power.is_on_battery());
        write("BAT0", "status", "Discharging");
        assert!(power.is_on_battery());
        assert!(!Power::told_in("/nowhere").has_battery());
    }
}
