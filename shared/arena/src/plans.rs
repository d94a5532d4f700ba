//! The designed waves: each teaches something, and names the borrowed work it needs most of. `assets/waves.toml`
//! holds the same.

use serde::Deserialize;

/// Which borrowed work a wave needs most of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stress {
    /// Enemies' paths.
    Paths,
    /// Rocks' motions.
    Physics,
    /// Mirrors, and light on everything around.
    Light,
    /// Everything.
    All,
}

impl Stress {
    /// The name that the player sees: the settings call the same work so.
    pub fn label(self) -> &'static str {
        match self {
            Self::Paths => "enemies' paths",
            Self::Physics => "rocks' motions",
            Self::Light => "light and mirrors",
            Self::All => "everything",
        }
    }
}

/// A wave. The numbers are those of the difficulty Pilot; [`WaveRules::scale`](crate::WaveRules) derives the
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WavePlan<Name = &'static str> {
    /// What it is called.
    pub name: Name,
    /// What it teaches, in one sentence.
    pub teaches: Name,
    /// Which borrowed work it needs most of.
    pub stresses: Stress,
    /// Enemies that ram.
    pub rammers: u32,
    /// Enemies that shoot.
    pub gunners: u32,
    /// Enemies that launch others.
    pub carriers: u32,
    /// Bosses.
    pub bosses: u32,
}

macro_rules! plans {
    ($($name:literal, $teaches:literal, $stress:ident, $rammers:literal, $gunners:literal, $carriers:literal, $bosses:literal;)*) => {
        [$(WavePlan {
            name: $name,
            teaches: $teaches,
            stresses: Stress::$stress,
            rammers: $rammers,
            gunners: $gunners,
            carriers: $carriers,
            bosses: $bosses,
        }),*]
    };
}

/// The designed waves, in order.
pub(crate) const PLANS: [WavePlan; 10] = plans! {
    "First Contact", "Point at them and fire.", Paths, 4, 0, 0, 0;
    "The Pack", "They find their way around rocks: so can you.", Paths, 7, 0, 0, 0;
    "Crossfire", "Gunners need to see you: keep a rock in between.", Light, 4, 3, 0, 0;
    "Rockfall", "A rock that is hit knocks others about: use them.", Physics, 7, 2, 0, 0;
    "Mirror, Mirror", "Mirrors throw bolts back: fly around it.", Light, 3, 0, 0, 1;
    "The Hive", "A carrier launches more until it is gone.", Paths, 5, 2, 1, 0;
    "Avalanche", "Boost out of the way of what flies about.", Physics, 8, 4, 0, 0;
    "Long Shadows", "Many guns: never stay in the open.", Light, 2, 9, 0, 0;
    "Swarm", "Hunt the carriers, not their rammers.", Paths, 12, 2, 2, 0;
    "The Glass Fleet", "Everything you have learnt, at once.", All, 6, 4, 1, 2;
};
