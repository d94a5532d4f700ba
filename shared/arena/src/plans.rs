//! The designed waves, which `assets/waves.toml` lists: each teaches something, and names the borrowed work it needs
//! most of.

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
    /// The name that the player sees; the settings use the same names.
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WavePlan {
    /// Its name.
    pub name: String,
    /// What it teaches, in one sentence.
    pub teaches: String,
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
