//! How hot the computer is, as Linux tells it in `/sys/class/hwmon`: its processors, and graphics processors whose
//! drivers report their temperature there.

use std::fs;
use std::path::{Path, PathBuf};

/// Sensors of processors and graphics processors, by their drivers' names.
const DRIVERS: &[&str] =
    &["coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "amdgpu", "nouveau", "i915", "xe"];
/// Degrees below the limit from which on only half of the slots compute.
const WARM: i32 = 5;
/// Degrees below the limit to which an overheated computer must cool down before it works again.
const COOLED: i32 = 10;

/// How much the worker may compute at this temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allows {
    /// All of it.
    All,
    /// Half of its slots.
    Half,
    /// Nothing, at this temperature.
    Nothing(i32),
}

/// The computer's temperature, and the limit that its owner sets, in degrees Celsius.
#[derive(Debug)]
pub struct Heat {
    sensors: PathBuf,
    most: Option<i32>,
    last: Allows,
}

impl Heat {
    /// This computer's.
    pub fn of_this_computer(most: Option<u8>) -> Self {
        Self::told_in("/sys/class/hwmon", most)
    }

    pub(super) fn told_in(folder: impl Into<PathBuf>, most: Option<u8>) -> Self {
        Self { sensors: folder.into(), most: most.map(Into::into), last: Allows::All }
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.most.is_some()
    }

    /// The hottest of its processors; `None` where nothing tells it.
    pub fn degrees(&self) -> Option<i32> {
        let sensors = fs::read_dir(&self.sensors).ok()?.flatten().map(|sensor| sensor.path());
        let ours = sensors.filter(|sensor| {
            let name = fs::read_to_string(sensor.join("name")).unwrap_or_default();
            DRIVERS.contains(&name.trim())
        });
        ours.flat_map(|sensor| temperatures(&sensor)).max()
    }

    /// What the heat allows now. An overheated computer must cool down some degrees first, so that the worker does not
    /// switch on and off.
    pub fn look(&mut self) -> Allows {
        let Some(most) = self.most else { return Allows::All };
        let degrees = self.degrees().unwrap_or(i32::MIN);
        self.last = match self.last {
            _ if degrees >= most => Allows::Nothing(degrees),
            Allows::Nothing(_) if degrees > most - COOLED => Allows::Nothing(degrees),
            Allows::Half if degrees > most - COOLED => Allows::Half,
            _ if degrees >= most - WARM => Allows::Half,
            _ => Allows::All,
        };
        self.last
    }
}

fn temperatures(sensor: &Path) -> Vec<i32> {
    let files = fs::read_dir(sensor).into_iter().flatten().flatten();
    let inputs = files.filter(|file| {
        let name = file.file_name();
        name.to_str().is_some_and(|name| name.starts_with("temp") && name.ends_with("_input"))
    });
    // In thousandths of a degree.
    inputs
        .filter_map(|input| fs::read_to_string(input.path()).ok()?.trim().parse::<i32>().ok())
        .map(|thousandths| thousandths.div_euclid(1_000))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_it_rests_when_it_is_warm_and_all_of_it_when_it_is_hot_until_it_has_cooled() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        let mut heat = Heat::told_in(folder.path(), Some(80));
        assert_eq!((heat.degrees(), heat.look()), (None, Allows::All), "nothing tells it");
        write("hwmon0/name", "nvme");
        write("hwmon0/temp1_input", "95000");
        write("hwmon1/name", "k10temp");
        write("hwmon1/temp2_input", "40000");
        write("hwmon1/temp2_max", "99000");
        assert_eq!(heat.degrees(), Some(40), "a disk may be hotter");
        let mut at = |thousandths: i32| {
            write("hwmon1/temp1_input", &thousandths.to_string());
            heat.look()
        };
        let course = [74_900, 75_000, 72_000, 70_000, 80_250, 75_000, 71_000, 70_000].map(&mut at);
        assert_eq!(
            course,
            [
                Allows::All,
                Allows::Half,
                Allows::Half,
                Allows::All,
                Allows::Nothing(80),
                Allows::Nothing(75),
                Allows::Nothing(71),
                Allows::All
            ]
        );
        assert_eq!(Heat::told_in(folder.path(), None).look(), Allows::All);
    }
}
