//! The light that each preset of Borrowed Light asks for, and its cost: on cores, and with graphics
//! processors.
//!
//! [`PRESETS`] is a second copy of the game's, because the bench does not build the game;
//! `tests/process/presets.rs` holds the two together.

use std::fmt::Write;
use std::time::Duration;

use p2c2r_arena::PlanDepth;
use p2c2r_protocol::PriceList;
use p2c2r_server::config::default_prices;
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::{Blobs, KernelError, KindRegistry, TaskKind};

use super::calibration::{CalibrationFigures, UNITS_PER_MS_AIM, figures};
use super::play::{
    FieldHabit, LightHabit, PLANS, Play, Played, SECTOR, Varied, field_around, light_around, sector,
};

/// Dollars an hour that the default preset may cost a gamer, on any device.
const DEFAULT_DOLLARS_AIM: f64 = 0.01;
/// The same for `rich` on graphics processors: about a cent.
const RICH_DOLLARS_AIM: f64 = 0.0125;
/// One task in this many is measured, since neighbours are alike.
const TAKEN_EVERY: u32 = 8;
/// Tasks of a preset whose kernels are timed: the most expensive take a fifth of a second each.
const TIMED: usize = 4;

/// A preset at a quality of drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct PresetCopy {
    /// The game's name for it.
    pub name: &'static str,
    /// The quality of drawing, which sets the size of reflections.
    pub drawn: &'static str,
    /// The reflections.
    pub light: LightHabit,
    /// The field of light, if the preset has one.
    pub field: Option<FieldHabit>,
    /// The depth of plans of wingmen and bosses.
    pub plans: PlanDepth,
}

/// Reflections with faces of `2^face_log2` texels' edge and all levels that the game uses; of how many other
/// ships, and with how many paths.
pub const fn mirrors(
    face_log2: u8,
    samples: u8,
    bounces: u8,
    interval_ms: u64,
    rocks_max: usize,
    (ships_max, ship_samples): (usize, u8),
) -> LightHabit {
    let levels = if face_log2 == 5 { 5 } else { 7 };
    let interval = Duration::from_millis(interval_ms);
    LightHabit { interval, face_log2, levels, samples, bounces, rocks_max, ships_max, ship_samples }
}

/// A field with `paths` paths per probe.
pub const fn field(paths: u16, bounces: u8, interval_ms: u64, rocks_max: usize) -> FieldHabit {
    FieldHabit { interval: Duration::from_millis(interval_ms), paths, bounces, rocks_max }
}

const fn preset(
    name: &'static str,
    drawn: &'static str,
    light: LightHabit,
    field: Option<FieldHabit>,
    candidates: u16,
    futures: u8,
) -> PresetCopy {
    PresetCopy { name, drawn, light, field, plans: PlanDepth { candidates, futures } }
}

/// The presets a player chooses from, as `p2c2r-game --presets` prints them.
pub const PRESETS: [PresetCopy; 8] = [
    preset("saver", "low", mirrors(5, 1, 2, 500, 24, (0, 1)), None, 8, 3),
    preset("saver", "high", mirrors(6, 1, 2, 640, 48, (0, 1)), None, 8, 3),
    preset("default", "low", mirrors(5, 1, 2, 215, 48, (2, 1)), Some(field(27, 2, 200, 48)), 8, 8),
    preset("default", "high", mirrors(6, 1, 2, 760, 48, (2, 2)), Some(field(24, 2, 200, 48)), 8, 8),
    preset("rich", "low", mirrors(5, 12, 4, 220, 96, (4, 4)), Some(field(72, 3, 200, 96)), 16, 8),
    preset("rich", "high", mirrors(6, 4, 4, 290, 96, (4, 4)), Some(field(72, 3, 200, 96)), 16, 8),
    preset("max", "low", mirrors(5, 32, 4, 120, 96, (6, 8)), Some(field(256, 4, 200, 96)), 32, 16),
    preset("max", "high", mirrors(6, 16, 4, 160, 96, (6, 8)), Some(field(256, 4, 200, 96)), 32, 16),
];

/// The cost of a preset.
#[derive(Clone, Debug)]
pub struct Bought {
    /// The preset.
    pub preset: PresetCopy,
    /// Its reflections.
    pub light: CalibrationFigures,
    /// Its field.
    pub field: Option<CalibrationFigures>,
    /// The light of sectors, for presets with a field.
    pub sector: Option<CalibrationFigures>,
    /// The cost of the rules' tasks: paths, motions, and plans of the preset's depth.
    rules: f64,
}

impl Bought {
    fn kinds(&self) -> impl Iterator<Item = &CalibrationFigures> {
        std::iter::once(&self.light).chain(&self.field).chain(&self.sector)
    }

    /// Dollars an hour with cores only.
    pub fn on_cores(&self) -> f64 {
        self.rules + self.kinds().map(CalibrationFigures::dollars_per_hour).sum::<f64>()
    }

    /// Dollars an hour with graphics processors for the kinds that have a kernel for them.
    pub fn on_graphics(&self) -> f64 {
        self.rules + self.kinds().map(CalibrationFigures::dollars_per_hour_on_graphics).sum::<f64>()
    }
}

/// Whether a task of this interval is due at this tick.
pub fn is_time(tick: u64, interval: Duration) -> bool {
    tick.is_multiple_of((interval.as_secs_f64() * 60.0).round() as u64)
}

/// The tasks that a preset asks for during play.
struct Asked {
    preset: PresetCopy,
    light: Played<Reflection>,
    field: Option<Played<Lightfield>>,
}

fn played<K: TaskKind>(interval: Duration) -> Played<K> {
    Played { tasks: Vec::new(), per_second: 1.0 / interval.as_secs_f64() }
}

/// Plays for `seconds` and measures every preset's tasks, each kernel `repeats` times. `rules` are the other
/// tasks.
pub fn measure(seconds: u32, repeats: u32, rules: &[CalibrationFigures]) -> Result<Vec<Bought>, KernelError> {
    let asked = |preset: &PresetCopy| Asked {
        preset: preset.clone(),
        light: played(preset.light.interval),
        field: preset.field.as_ref().map(|habit| played(habit.interval)),
    };
    let mut presets: Vec<Asked> = PRESETS.iter().map(asked).collect();
    let mut of_sector = None;
    Play::watched(seconds, |arena| {
        of_sector.get_or_insert_with(|| sector(arena, &SECTOR));
        for Asked { preset, light, field } in &mut presets {
            if is_time(arena.tick(), preset.light.interval * TAKEN_EVERY) {
                light.tasks.push((light_around(arena, &preset.light), Blobs::default()));
            }
            if let (Some(habit), Some(field)) = (&preset.field, field)
                && is_time(arena.tick(), habit.interval * TAKEN_EVERY)
            {
                field.tasks.push((field_around(arena, habit), Blobs::default()));
            }
        }
    })?;
    let prices = default_prices(&KindRegistry::builtin());
    let of_rules = rules.iter().filter(|kind| ["path", "physics"].contains(&kind.name));
    let paths_and_motions: f64 = of_rules.map(CalibrationFigures::dollars_per_hour).sum();
    let of_plans =
        rules.iter().find(|kind| kind.name == "tactics").map_or(0.0, CalibrationFigures::dollars_per_hour);
    let of_sector = of_sector.map(|sector| sampled(sector, &prices, repeats)).transpose()?;
    // The cost of plans is proportional to their rollouts.
    let plans = |depth: PlanDepth| of_plans * f64::from(depth.rollouts()) / f64::from(PLANS.rollouts());
    let bought = presets.into_iter().map(|Asked { preset, light, field }| {
        let light = sampled(light, &prices, repeats)?;
        let field = field.map(|field| sampled(field, &prices, repeats)).transpose()?;
        let rules = paths_and_motions + plans(preset.plans);
        let sector = of_sector.clone().filter(|_| field.is_some());
        Ok(Bought { preset, light, field, sector, rules })
    });
    bought.collect()
}

/// The figures of a few tasks spread over the play.
fn sampled<K: Varied>(
    mut played: Played<K>,
    prices: &PriceList,
    repeats: u32,
) -> Result<CalibrationFigures, KernelError> {
    let stride = played.tasks.len().div_ceil(TIMED).max(1);
    played.tasks = played.tasks.into_iter().step_by(stride).collect();
    figures(&played, prices, repeats)
}

/// The aims that are missed, in words.
pub fn missed(bought: &[Bought]) -> Vec<String> {
    let mut missed = Vec::new();
    for one in bought {
        let name = format!("{} drawn {}", one.preset.name, one.preset.drawn);
        for kind in one.kinds().filter(|kind| !UNITS_PER_MS_AIM.contains(&kind.units_per_ms())) {
            let (kind, pace) = (kind.name, kind.units_per_ms());
            missed.push(format!(
                "{name}: {kind} has {pace:.0} units a millisecond (aim: {UNITS_PER_MS_AIM:?})"
            ));
        }
        let (dollars, aim) = match one.preset.name {
            "saver" | "default" => (one.on_cores(), DEFAULT_DOLLARS_AIM),
            "rich" => (one.on_graphics(), RICH_DOLLARS_AIM),
            _ => continue,
        };
        if dollars > aim {
            missed.push(format!("{name} costs ${dollars:.4} an hour (aim: {aim})"));
        }
    }
    missed
}

/// The results as a table.
pub fn table(bought: &[Bought]) -> String {
    let mut text = format!(
        "{:<8} {:<5} {:>10} {:>9} {:>9} {:>9} {:>12} {:>12}\n",
        "preset", "drawn", "mirrors ms", "units/ms", "field ms", "units/ms", "$/h on cores", "on graphics"
    );
    for one in bought {
        let of_field =
            |show: fn(&CalibrationFigures) -> String| one.field.as_ref().map_or_else(|| "-".into(), show);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<8} {:<5} {:>10.2} {:>9.0} {:>9} {:>9} {:>12.4} {:>12.4}",
            one.preset.name,
            one.preset.drawn,
            one.light.kernel_ms,
            one.light.units_per_ms(),
            of_field(|field| format!("{:.2}", field.kernel_ms)),
            of_field(|field| format!("{:.0}", field.units_per_ms())),
            one.on_cores(),
            one.on_graphics(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::calibration::calibrate;
    use super::*;

    #[test]
    fn dearer_presets_cost_more_and_graphics_processors_make_light_cheaper() {
        // Opponents are needed to plan against.
        let play = Play::of(5).expect("the kernels take it");
        let rules = calibrate(&play, 1).expect("and again");
        let mut bought = measure(3, 1, &rules).expect("and what presets ask for");
        assert_eq!(bought.iter().map(|one| one.preset.clone()).collect::<Vec<_>>(), PRESETS);
        for drawn in ["low", "high"] {
            let of_drawn = bought.iter().filter(|one| one.preset.drawn == drawn);
            let dollars: Vec<f64> = of_drawn.map(Bought::on_cores).collect();
            assert!(dollars.is_sorted_by(|a, b| a < b), "{drawn}: {dollars:?}");
        }
        for one in &bought {
            assert!(one.rules > 0.0 && one.on_graphics() < one.on_cores(), "{one:?}");
            assert!(one.on_graphics() > one.rules, "{one:?}");
        }
        let text = table(&bought);
        assert!(PRESETS.iter().all(|preset| text.contains(preset.name)), "{text}");
        // The pace depends on this machine, and the price on these seconds, so both are normalised first.
        for one in &mut bought {
            for kind in std::iter::once(&mut one.light).chain(&mut one.field).chain(&mut one.sector) {
                kind.kernel_ms = kind.units / 1_000.0;
                (kind.price_nanos, kind.graphics_nanos) =
                    (kind.price_nanos / 10.0, kind.graphics_nanos / 10.0);
            }
        }
        assert_eq!(missed(&bought), Vec::<String>::new());
        bought[2].light.kernel_ms *= 3.0;
        bought[5].light.graphics_nanos *= 100.0;
        assert_eq!(missed(&bought).len(), 2, "one kind is slow, one preset is dear: {:?}", missed(&bought));
    }
}
