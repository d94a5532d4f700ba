//! The display's colours: each is a name, which the chosen palette turns into a colour.
//!
//! Everything on the screen names its [`Ink`] ([`Letters`], [`Ground`], [`Rim`]) instead of a colour, so that all of it
//! follows when the player chooses another palette.

use bevy::prelude::*;
use bevy::ui::UiSystems;

use crate::settings::{Palette, Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PostUpdate, paint.before(UiSystems::Prepare));
}

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hue {
    SkyBlue,
    BluishGreen,
    Orange,
    Vermillion,
    Bright,
    Dim,
    Panel,
    Edge,
    Page,
    Shade,
    Chosen,
}

/// A colour of the display.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ink {
    hue: Hue,
    /// Replaces the alpha of the palette's colour.
    alpha: Option<f32>,
}

// The first four are in the order of Okabe and Ito's palette: the colour-blind can tell these apart.
/// For work of others; good.
pub(crate) const SKY_BLUE: Ink = Ink::of(Hue::SkyBlue);
/// For the coordinator's work.
pub(crate) const BLUISH_GREEN: Ink = Ink::of(Hue::BluishGreen);
/// For local work; a warning.
pub(crate) const ORANGE: Ink = Ink::of(Hue::Orange);
/// Bad.
pub(super) const VERMILLION: Ink = Ink::of(Hue::Vermillion);

/// Plain text.
pub(crate) const BRIGHT: Ink = Ink::of(Hue::Bright);
/// Labels and units.
pub(crate) const DIM: Ink = Ink::of(Hue::Dim);
/// Behind text.
pub(crate) const PANEL: Ink = Ink::of(Hue::Panel);
/// Around panels.
pub(crate) const EDGE: Ink = Ink::of(Hue::Edge);
/// Behind the text of a page.
pub(crate) const PAGE: Ink = Ink::of(Hue::Page);
/// Between a page and the picture.
pub(crate) const SHADE: Ink = Ink::of(Hue::Shade);
/// Behind the chosen item.
pub(crate) const CHOSEN: Ink = Ink::of(Hue::Chosen);
/// Nothing at all.
pub(crate) const CLEAR: Ink = PANEL.with_alpha(0.0);

impl Ink {
    const fn of(hue: Hue) -> Self {
        Self { hue, alpha: None }
    }

    /// The same ink with this alpha.
    pub(crate) const fn with_alpha(self, alpha: f32) -> Self {
        Self { alpha: Some(alpha), ..self }
    }

    /// The ink's colour in a palette.
    pub(crate) fn in_palette(self, palette: Palette) -> Srgba {
        let colour = match palette {
            Palette::Standard => standard(self.hue),
            Palette::HighContrast => high_contrast(self.hue),
        };
        self.alpha.map_or(colour, |alpha| colour.with_alpha(alpha))
    }
}

/// Okabe and Ito's colours on dark panels. The panels are almost opaque, because colours are mixed as light: a white
/// explosion behind them would otherwise drown the text.
fn standard(hue: Hue) -> Srgba {
    match hue {
        Hue::SkyBlue => Srgba::rgb(0.337, 0.706, 0.914),
        Hue::BluishGreen => Srgba::rgb(0.0, 0.700, 0.510),
        Hue::Orange => Srgba::rgb(0.902, 0.624, 0.0),
        Hue::Vermillion => Srgba::rgb(0.92, 0.42, 0.10),
        Hue::Bright => Srgba::rgb(0.93, 0.95, 0.98),
        Hue::Dim => Srgba::rgb(0.60, 0.66, 0.74),
        Hue::Panel => Srgba::new(0.015, 0.022, 0.040, 0.98),
        Hue::Edge => Srgba::new(0.35, 0.55, 0.80, 0.35),
        Hue::Page => Srgba::new(0.015, 0.022, 0.040, 0.95),
        Hue::Shade => Srgba::new(0.0, 0.005, 0.015, 0.62),
        Hue::Chosen => Srgba::new(0.10, 0.24, 0.36, 0.92),
    }
}

/// The same hues, lighter, on black that hides the picture, with white edges.
fn high_contrast(hue: Hue) -> Srgba {
    match hue {
        Hue::SkyBlue => Srgba::rgb(0.50, 0.82, 1.0),
        Hue::BluishGreen => Srgba::rgb(0.15, 0.90, 0.66),
        Hue::Orange => Srgba::rgb(1.0, 0.76, 0.20),
        Hue::Vermillion => Srgba::rgb(1.0, 0.55, 0.32),
        Hue::Bright | Hue::Edge => Srgba::WHITE,
        Hue::Dim => Srgba::rgb(0.80, 0.83, 0.87),
        Hue::Panel | Hue::Page => Srgba::BLACK,
        Hue::Shade => Srgba::new(0.0, 0.0, 0.0, 0.80),
        Hue::Chosen => Srgba::rgb(0.0, 0.22, 0.40),
    }
}

/// The colour of a text.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[require(TextColor)]
pub(crate) struct Letters(pub(crate) Ink);

/// What a node is filled with.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[require(BackgroundColor)]
pub(crate) struct Ground(pub(crate) Ink);

/// The colour of a node's border.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[require(BorderColor)]
pub(crate) struct Rim(pub(crate) Ink);

/// Colours whatever is new or has another ink, and everything when the player has chosen another palette.
fn paint(
    settings: Res<Settings>,
    mut last: Local<Palette>,
    mut letters: Query<(Ref<Letters>, &mut TextColor)>,
    mut grounds: Query<(Ref<Ground>, &mut BackgroundColor)>,
    mut rims: Query<(Ref<Rim>, &mut BorderColor)>,
) {
    let palette = settings.display.palette;
    let all = std::mem::replace(&mut *last, palette) != palette;
    for (ink, mut colour) in letters.iter_mut().filter(|(ink, _)| all || ink.is_changed()) {
        colour.set_if_neq(TextColor(ink.0.in_palette(palette).into()));
    }
    for (ink, mut colour) in grounds.iter_mut().filter(|(ink, _)| all || ink.is_changed()) {
        colour.set_if_neq(BackgroundColor(ink.0.in_palette(palette).into()));
    }
    for (ink, mut colour) in rims.iter_mut().filter(|(ink, _)| all || ink.is_changed()) {
        colour.set_if_neq(BorderColor::all(ink.0.in_palette(palette)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The minimum of WCAG 2.2 for small text (success criterion 1.4.3), and its enhanced one (1.4.6).
    const CONTRAST_MIN: f32 = 4.5;
    const CONTRAST_HIGH: f32 = 7.0;

    const TEXTS: [Ink; 6] = [SKY_BLUE, BLUISH_GREEN, ORANGE, VERMILLION, BRIGHT, DIM];
    /// Sky, a rock, and the brightest that a picture can hold: bolts and explosions.
    const BEHIND: [Srgba; 3] = [Srgba::BLACK, Srgba::rgb(0.35, 0.33, 0.31), Srgba::WHITE];

    /// Relative luminance, as WCAG defines it.
    fn luminance(colour: Srgba) -> f32 {
        let LinearRgba { red, green, blue, .. } = colour.into();
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: Srgba, other: Srgba) -> f32 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// A colour in front of another one, mixed as renderers do: as light, not as numbers of sRGB.
    fn over(front: Srgba, behind: Srgba) -> Srgba {
        let (light, behind) = (LinearRgba::from(front), LinearRgba::from(behind));
        (light * front.alpha + behind * (1.0 - front.alpha)).with_alpha(1.0).into()
    }

    /// The lowest contrast of a text to the grounds behind it, over everything that may be behind those.
    fn contrast_on(text: Ink, grounds: &[Ink], palette: Palette) -> f32 {
        let ratios = BEHIND.map(|behind| {
            let ground =
                grounds.iter().fold(behind, |behind, ground| over(ground.in_palette(palette), behind));
            contrast(text.in_palette(palette), ground)
        });
        ratios.into_iter().fold(f32::MAX, f32::min)
    }

    #[test]
    fn all_text_can_be_read_in_both_palettes_over_the_sky_a_rock_and_an_explosion() {
        for (palette, least) in [(Palette::Standard, CONTRAST_MIN), (Palette::HighContrast, CONTRAST_HIGH)] {
            for text in TEXTS {
                for grounds in [&[PANEL][..], &[SHADE, PAGE]] {
                    let ratio = contrast_on(text, grounds, palette);
                    assert!(ratio >= least, "{text:?} on {grounds:?}, {palette:?}: {ratio:.2}");
                }
            }
            for text in [BRIGHT, SKY_BLUE] {
                let ratio = contrast_on(text, &[SHADE, PAGE, CHOSEN], palette);
                assert!(ratio >= CONTRAST_MIN, "{text:?} of the chosen item, {palette:?}: {ratio:.2}");
            }
        }
        assert!((contrast(Srgba::WHITE, Srgba::BLACK) - 21.0).abs() < 0.01, "the formula");
    }

    #[test]
    fn high_contrast_is_higher_for_each_text_and_for_the_edges_and_no_two_colours_are_one() {
        for text in TEXTS {
            let of = |palette| contrast_on(text, &[PANEL], palette);
            assert!(of(Palette::HighContrast) > of(Palette::Standard), "{text:?}");
        }
        let edge = |palette| {
            let panel = over(PANEL.in_palette(palette), BEHIND[1]);
            contrast(over(EDGE.in_palette(palette), panel), panel)
        };
        assert!(edge(Palette::HighContrast) > edge(Palette::Standard));
        for palette in [Palette::Standard, Palette::HighContrast] {
            for (number, text) in TEXTS.iter().enumerate() {
                let same = |other: &Ink| other.in_palette(palette) == text.in_palette(palette);
                assert!(!TEXTS[..number].iter().any(same), "{text:?}, {palette:?}");
            }
        }
    }

    #[test]
    fn what_is_on_the_screen_follows_another_palette_and_another_ink() {
        let mut app = App::new();
        app.init_resource::<Settings>().add_systems(PostUpdate, paint);
        let panel = app.world_mut().spawn((Letters(DIM), Ground(PANEL), Rim(EDGE))).id();
        let colours = |app: &App| {
            let of = app.world().entity(panel);
            let rim: Color = of.get::<BorderColor>().unwrap().top;
            (of.get::<TextColor>().unwrap().0, of.get::<BackgroundColor>().unwrap().0, rim)
        };
        let all_in = |text: Ink, palette| {
            (
                text.in_palette(palette).into(),
                PANEL.in_palette(palette).into(),
                EDGE.in_palette(palette).into(),
            )
        };
        app.update();
        assert_eq!(colours(&app), all_in(DIM, Palette::Standard));
        app.world_mut().resource_mut::<Settings>().display.palette = Palette::HighContrast;
        app.update();
        assert_eq!(colours(&app), all_in(DIM, Palette::HighContrast));
        app.world_mut().entity_mut(panel).insert(Letters(ORANGE));
        app.update();
        assert_eq!(colours(&app), all_in(ORANGE, Palette::HighContrast));
    }
}
