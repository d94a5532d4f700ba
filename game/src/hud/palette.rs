//! The HUD's colours.

use bevy::prelude::*;

// Okabe and Ito's palette: the colour-blind can tell these apart, and all read well on the dark panel.
/// Borrowed from others; good.
pub(crate) const SKY_BLUE: Srgba = Srgba::rgb(0.337, 0.706, 0.914);
/// The coordinator's.
pub(crate) const BLUISH_GREEN: Srgba = Srgba::rgb(0.0, 0.700, 0.510);
/// Our own; a warning.
pub(crate) const ORANGE: Srgba = Srgba::rgb(0.902, 0.624, 0.0);
/// Bad.
pub(super) const VERMILLION: Srgba = Srgba::rgb(0.92, 0.42, 0.10);

/// Plain text.
pub(crate) const BRIGHT: Srgba = Srgba::rgb(0.93, 0.95, 0.98);
/// Labels and units.
pub(crate) const DIM: Srgba = Srgba::rgb(0.60, 0.66, 0.74);
/// Behind text.
pub(crate) const PANEL: Srgba = Srgba::new(0.015, 0.022, 0.040, 0.80);
/// Around panels.
pub(crate) const EDGE: Srgba = Srgba::new(0.35, 0.55, 0.80, 0.35);
