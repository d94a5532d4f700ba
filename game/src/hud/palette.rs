//! The HUD's colours.

use bevy::prelude::*;

// Okabe and Ito's palette: the colour-blind can tell these apart, and all read well on the dark panel.
/// For work of others; good.
pub(crate) const SKY_BLUE: Srgba = Srgba::rgb(0.337, 0.706, 0.914);
/// For the coordinator's work.
pub(crate) const BLUISH_GREEN: Srgba = Srgba::rgb(0.0, 0.700, 0.510);
/// For local work; a warning.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The minimum of WCAG 2.2 for small text (success criterion 1.4.3).
    const CONTRAST_MIN: f32 = 4.5;

    /// Relative luminance, as WCAG defines it.
    fn luminance(colour: Srgba) -> f32 {
        let LinearRgba { red, green, blue, .. } = colour.into();
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: Srgba, other: Srgba) -> f32 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// The panel with something behind it; colours are mixed as they are stored.
    fn panel_over(behind: Srgba) -> Srgba {
        let mix = |panel: f32, behind: f32| panel * PANEL.alpha + behind * (1.0 - PANEL.alpha);
        Srgba::rgb(mix(PANEL.red, behind.red), mix(PANEL.green, behind.green), mix(PANEL.blue, behind.blue))
    }

    #[test]
    fn all_text_can_be_read_on_the_panel_over_the_sky_and_over_a_rock() {
        let behind = [Srgba::rgb(0.0, 0.0, 0.0), Srgba::rgb(0.35, 0.33, 0.31)];
        for (name, colour) in [
            ("sky blue", SKY_BLUE),
            ("bluish green", BLUISH_GREEN),
            ("orange", ORANGE),
            ("vermillion", VERMILLION),
            ("bright", BRIGHT),
            ("dim", DIM),
        ] {
            for behind in behind {
                let ratio = contrast(colour, panel_over(behind));
                assert!(ratio >= CONTRAST_MIN, "{name} over {behind:?}: {ratio:.2}");
            }
        }
        assert!((contrast(Srgba::WHITE, Srgba::BLACK) - 21.0).abs() < 0.01, "the formula");
    }
}
