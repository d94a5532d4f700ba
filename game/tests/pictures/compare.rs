//! How much two pictures differ, in a way that another renderer's rounding does not change and a missing line of text
//! does.

use std::fmt;

use image::RgbImage;

/// Size of stored pictures in pixels, and how many times wider and higher the game draws: each pixel is the mean of nine.
pub const WIDTH: u32 = 320;
pub const HEIGHT: u32 = 180;
pub const DRAWN_PER_STORED: u32 = 3;
/// Edge of a tile in pixels; a line of the display's text is about as tall.
const TILE: u32 = 8;
/// A tile has changed if a channel's mean or spread (its standard deviation) differs by more than these, of 255.
const MEAN_MAX: f64 = 10.0;
const SPREAD_MAX: f64 = 12.0;
/// Pictures differ if more than this share of their tiles has changed.
const CHANGED_MAX: f64 = 0.01;
/// They also differ if the spread of a single tile differs by more than this: something small and sharp is missing from
/// it, such as an arrow to an enemy or the mark of a ship. The mean has no such bound, because light that comes some
/// frames later changes it by more.
const LOST_SPREAD: f64 = 22.0;
/// A picture with less spread than this over all its pixels shows nothing.
const BLANK_SPREAD: f64 = 4.0;

/// How far two pictures are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Share of the tiles that have changed.
    pub changed: f64,
    /// The largest difference of a tile's mean and of its spread.
    pub mean: f64,
    pub spread: f64,
}

impl Difference {
    /// Whether both show the same.
    pub fn is_small(self) -> bool {
        self.changed <= CHANGED_MAX && self.spread <= LOST_SPREAD
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} % of the tiles (at most {:.0} %), mean {:.1}, spread {:.1} (at most {LOST_SPREAD:.0})",
            self.changed * 100.0,
            CHANGED_MAX * 100.0,
            self.mean,
            self.spread
        )
    }
}

/// Mean and standard deviation of a channel over a tile.
fn moments(picture: &RgbImage, left: u32, top: u32, width: u32, height: u32, channel: usize) -> (f64, f64) {
    let count = f64::from(width * height);
    let (mut sum, mut squares) = (0.0, 0.0);
    for y in top..top + height {
        for x in left..left + width {
            let value = f64::from(picture.get_pixel(x, y).0[channel]);
            sum += value;
            squares += value * value;
        }
    }
    let mean = sum / count;
    (mean, (squares / count - mean * mean).max(0.0).sqrt())
}

/// Compares two pictures of the same size, tile by tile.
pub fn difference(one: &RgbImage, other: &RgbImage) -> Difference {
    assert_eq!(one.dimensions(), other.dimensions(), "pictures have the size of the stored ones");
    let (mut tiles, mut changed, mut worst) = (0_u32, 0_u32, Difference::default());
    for top in (0..one.height()).step_by(TILE as usize) {
        for left in (0..one.width()).step_by(TILE as usize) {
            let (width, height) = (TILE.min(one.width() - left), TILE.min(one.height() - top));
            let of = |picture| [0, 1, 2].map(|channel| moments(picture, left, top, width, height, channel));
            let (mut mean, mut spread) = (0.0_f64, 0.0_f64);
            for (one, other) in of(one).into_iter().zip(of(other)) {
                mean = mean.max((one.0 - other.0).abs());
                spread = spread.max((one.1 - other.1).abs());
            }
            tiles += 1;
            changed += u32::from(mean > MEAN_MAX || spread > SPREAD_MAX);
            (worst.mean, worst.spread) = (worst.mean.max(mean), worst.spread.max(spread));
        }
    }
    Difference { changed: f64::from(changed) / f64::from(tiles.max(1)), ..worst }
}

/// Whether a picture shows nothing: every pixel is nearly alike.
pub fn is_blank(picture: &RgbImage) -> bool {
    (0..3).all(|channel| moments(picture, 0, 0, picture.width(), picture.height(), channel).1 < BLANK_SPREAD)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// Something with light and dark in it.
    fn scene() -> RgbImage {
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            Rgb([(x / 2 % 256) as u8, (y % 256) as u8, ((x * y) % 97) as u8])
        })
    }

    #[test]
    fn rounding_and_a_little_noise_make_no_difference() {
        let mut noisy = scene();
        for (x, y, Rgb(pixel)) in noisy.enumerate_pixels_mut() {
            for channel in pixel {
                *channel = channel.saturating_add(((x * 7 + y * 13) % 5) as u8);
            }
        }
        let found = difference(&scene(), &noisy);
        assert!(found.is_small() && found.mean > 0.0, "{found}");
    }

    #[test]
    fn a_line_of_text_that_is_missing_makes_one() {
        let mut text = scene();
        // Thin bright strokes over 200 by 6 pixels, on a dark ground.
        for y in 100..106 {
            for x in 40..240 {
                text.put_pixel(x, y, Rgb(if x % 4 == 0 { [230; 3] } else { [8; 3] }));
            }
        }
        let mut without = text.clone();
        for y in 100..106 {
            for x in 40..240 {
                without.put_pixel(x, y, Rgb([8; 3]));
            }
        }
        let found = difference(&text, &without);
        assert!(!found.is_small(), "{found}");
    }

    #[test]
    fn an_arrow_that_is_missing_makes_one_wherever_it_is() {
        // Two strokes of five pixels, as the game draws an arrow, on every place within a tile.
        for (left, top) in (0..TILE).flat_map(|left| (0..TILE).map(move |top| (100 + left, 80 + top))) {
            let mut without = scene();
            for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (90 + x, 70 + y))) {
                without.put_pixel(x, y, Rgb([24, 20, 40]));
            }
            let mut arrow = without.clone();
            for step in 0..5 {
                for (x, y) in [(left + step, top + step), (left + step, top + 10 - step)] {
                    arrow.put_pixel(x, y, Rgb([240, 140, 56]));
                }
            }
            let found = difference(&arrow, &without);
            assert!(!found.is_small(), "at {left}, {top}: {found}");
        }
    }

    #[test]
    fn a_blank_picture_is_known_as_one_and_is_like_no_other() {
        let black = RgbImage::new(WIDTH, HEIGHT);
        assert!(is_blank(&black) && is_blank(&RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([200, 0, 90]))));
        assert!(!is_blank(&scene()));
        assert!(!difference(&scene(), &black).is_small());
    }
}
