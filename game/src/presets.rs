//! How much is bought from other computers: the presets, what they cost, and what they look like.
//!
//! A preset decides how light is traced. How fine a texel is follows what the machine can draw ([`Quality`]), since the
//! texture that holds the light stays for the whole run; paths per texel, surfaces per path, rocks and how often it is
//! traced follow the preset, and so it can be changed while playing.

use std::fmt::Write as _;

use bevy::prelude::*;
use clap::ValueEnum;

use crate::graphics::Quality;
use crate::play::{FieldFineness, Fineness, LightAround, Reflecting, plans_bought, sector_bought};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, refine.run_if(resource_changed::<Chosen>));
}

/// How much is bought, and how much there is to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// For tight budgets and slow lines.
    Saver,
    /// About a cent an hour at most.
    #[default]
    Default,
    /// Light without grain that comes round corners.
    Rich,
    /// All that can be seen.
    Max,
    /// For benches: up to 200 enemies on a fine grid among 1,200 rocks, in the light of `default`.
    Stress,
}

/// What a preset costs while it is played, with everything on, at the default price list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetCost {
    /// Dollars an hour.
    pub dollars_per_hour: f64,
    /// Kilobits a second of specs and outcomes, both ways together.
    pub kbit_per_s: f64,
}

impl Preset {
    /// Those that a player chooses from, from the cheapest on.
    pub const CHOICES: [Self; 4] = [Self::Saver, Self::Default, Self::Rich, Self::Max];

    /// As the command line spells it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The one that a player chooses next: the next dearer, and after the dearest the cheapest.
    #[must_use]
    pub fn next(self) -> Self {
        let place = Self::CHOICES.iter().position(|choice| *choice == self.light()).unwrap_or(0);
        Self::CHOICES[(place + 1) % Self::CHOICES.len()]
    }

    /// The one of [`Self::CHOICES`] that has the same light.
    fn light(self) -> Self {
        if self == Self::Stress { Self::Default } else { self }
    }

    /// What it looks like, in few words: together with the price it fits on one line of the page of borrowing.
    pub fn looks(self) -> &'static str {
        match self {
            Self::Saver => "hulls mirror the nearest rocks, renewed about twice a second",
            Self::Default | Self::Stress => "bolts and explosions light rocks and ships; hulls mirror them",
            Self::Rich => "mirrors without grain, other ships' too; light from rock to rock",
            Self::Max => "the cleanest and quickest mirrors that there are",
        }
    }

    /// What it costs where light is drawn at `quality`. Measured on a minute of the autopilot's play by
    /// `tests/process/presets.rs`, which holds these numbers to within a third: two players differ by more than that.
    pub fn cost(self, quality: Quality) -> PresetCost {
        let (dollars_per_hour, kbit_per_s) = match (self.light(), quality) {
            (Self::Saver, Quality::Low) => (0.003, 107.0),
            (Self::Saver, Quality::High) => (0.006, 176.0),
            (Self::Rich, Quality::Low) => (0.040, 350.0),
            (Self::Rich, Quality::High) => (0.041, 465.0),
            (Self::Max, Quality::Low) => (0.155, 510.0),
            (Self::Max, Quality::High) => (0.210, 680.0),
            (_, Quality::Low) => (0.0094, 350.0),
            (_, Quality::High) => (0.0090, 270.0),
        };
        PresetCost { dollars_per_hour, kbit_per_s }
    }

    /// `rich: about $0.040 an hour and 0.35 Mbit/s; mirrors without grain …`.
    pub fn sentence(self, quality: Quality) -> String {
        let cost = self.cost(quality);
        format!(
            "{}: about ${:.3} an hour and {:.2} Mbit/s; {}",
            self.name(),
            cost.dollars_per_hour,
            cost.kbit_per_s / 1e3,
            self.looks()
        )
    }
}

/// The presets as a person reads them.
pub fn table() -> String {
    let mut text = String::from(
        "                                mirrors                                               field\n\
         preset   drawn  $/hour  kbit/s  texels   rays  bounces  every ms  rocks  ships   rays    rays  bounces  every ms  rocks  \
            tries  what it looks like\n",
    );
    for preset in Preset::CHOICES {
        for (drawn, quality) in [("low", Quality::Low), ("high", Quality::High)] {
            let (cost, fineness) = (preset.cost(quality), Fineness::bought(preset, quality));
            let field = FieldFineness::bought(preset, quality);
            let field = field
                .map_or_else(|| format!("{:>6} {:>8} {:>9} {:>6}", "-", "-", "-", "-"), |it| it.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<8} {drawn:<5} {:>7.4} {:>7.0} {fineness}  {field}  {:>8}  {}",
                preset.name(),
                cost.dollars_per_hour,
                cost.kbit_per_s,
                plans_bought(preset).rollouts(),
                preset.looks()
            );
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n\
         Dollars are by the default price list, and kilobits are both ways, with everything on and the autopilot playing.\n\
         `drawn` is the quality of drawing (--quality).\n\
         mirrors: six faces of so many texels by so many, with so many rays for each texel; so many other ships have faces of\n\
         16 by 16 with the second number of rays.\n\
         field: the light on rocks and ships, at 260 points with so many rays each. It comes with the light of each sector,\n\
         which is paid for once when the ship enters it: 4,096 points with {}.\n\
         tries: how many futures wingmen and bosses try for each plan.\n\
         A key, F6 at first, goes on to the next preset while playing. `stress` is for benches: many more enemies and rocks\n\
         in the light of `default`.",
        sector_bought()
    );
    text
}

/// The preset in use.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Which.
    pub(crate) preset: Preset,
    /// How light is drawn; for the whole run.
    pub(crate) quality: Quality,
}

fn refine(chosen: Res<Chosen>, mut reflecting: ResMut<Reflecting>, mut light: ResMut<LightAround>) {
    reflecting.refine(Fineness::bought(chosen.preset, chosen.quality));
    light.refine(FieldFineness::bought(chosen.preset, chosen.quality));
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITIES: [Quality; 2] = [Quality::Low, Quality::High];

    #[test]
    fn the_next_preset_is_dearer_until_the_dearest() {
        for quality in QUALITIES {
            for pair in Preset::CHOICES.windows(2) {
                assert_eq!(pair[0].next(), pair[1]);
                let dollars = [pair[0], pair[1]].map(|preset| preset.cost(quality).dollars_per_hour);
                assert!(dollars[0] < dollars[1], "{pair:?}: {dollars:?}");
            }
        }
        assert_eq!(Preset::Max.next(), Preset::Saver);
        assert_eq!(Preset::Stress.next(), Preset::Rich, "it has the light of `default`");
    }

    #[test]
    fn default_costs_at_most_a_cent_an_hour_and_rich_about_four_at_most() {
        for quality in QUALITIES {
            assert!(Preset::Default.cost(quality).dollars_per_hour <= 0.01);
            assert!(Preset::Rich.cost(quality).dollars_per_hour <= 0.041);
            for preset in Preset::CHOICES {
                assert!(preset.cost(quality).kbit_per_s <= 1_000.0, "{preset:?}");
            }
        }
    }

    #[test]
    fn a_preset_never_changes_the_size_of_the_texture() {
        for quality in QUALITIES {
            for preset in Preset::CHOICES {
                assert_eq!(Fineness::bought(preset, quality).size(), Fineness::of(quality).size());
            }
        }
    }
}
