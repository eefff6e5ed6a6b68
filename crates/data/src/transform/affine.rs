//! Affine maps of an image onto itself: rotation, shear, translation.

use super::{Transform, TransformError, config};
use crate::{Channels, Image, SampleRng};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Rotates an image about its centre by a random angle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The largest angle in degrees, in either direction.
    pub degrees: f64,
    /// How pixels between pixels are found.
    #[serde(default)]
    pub sampling: Sampling,
    /// Colour of the corners that become free; a grey image takes the first value.
    #[serde(default)]
    pub fill: [u8; 3],
}

/// How the value at a place between pixels is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The pixel that the place lies in.
    #[default]
    Nearest,
    /// Linear between the nearest two by two pixels.
    Bilinear,
}

/// A map from places in the result to places in the source, in pixels from the top left corner:
/// `(x, y) -> (a x + b y + c, d x + e y + f)`, as PIL's `Image.transform` takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Source columns per result column.
    pub a: f64,
    /// Source columns per result row.
    pub b: f64,
    /// Source column of the result's corner.
    pub c: f64,
    /// Source rows per result column.
    pub d: f64,
    /// Source rows per result row.
    pub e: f64,
    /// Source row of the result's corner.
    pub f: f64,
}

impl Affine {
    /// The rotation by an angle in degrees, counter-clockwise, about the centre of a `width` x `height` image.
    pub fn rotation(degrees: f64, width: usize, height: usize) -> Self {
        let (centre_x, centre_y) = (width as f64 / 2.0, height as f64 / 2.0);
        // PIL rounds so, which makes quarter turns exact.
        let exact = |value: f64| (value * 1e15).round_ties_even() / 1e15;
        let radians = -degrees.rem_euclid(360.0).to_radians();
        let (sin, cos) = (exact(radians.sin()), exact(radians.cos()));
        Self {
            a: cos,
            b: sin,
            c: centre_x - cos * centre_x - sin * centre_y,
            d: -sin,
            e: cos,
            f: centre_y + sin * centre_x - cos * centre_y,
        }
    }

    /// The shear that moves each row by `slope` pixels more than the one above it, to the left.
    pub fn shear_x(slope: f64) -> Self {
        Self { b: slope, ..Self::IDENTITY }
    }

    /// The shear that moves each column by `slope` pixels more than the one before it, upwards.
    pub fn shear_y(slope: f64) -> Self {
        Self { d: slope, ..Self::IDENTITY }
    }

    /// The translation by whole pixels, to the right and downwards.
    pub fn translation(columns: i64, rows: i64) -> Self {
        Self { c: -columns as f64, f: -rows as f64, ..Self::IDENTITY }
    }

    const IDENTITY: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 0.0, e: 1.0, f: 0.0 };

    /// The place in the source of the centre of the result's pixel in column `x` of row `y`.
    fn source(&self, x: usize, y: usize) -> (f64, f64) {
        let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
        (self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f)
    }
}

impl Rotation {
    pub(super) fn validate(&self) -> Result<(), TransformError> {
        config::check_within("rotation", "degrees", self.degrees, 0.0..=180.0, "a number from 0 to 180")
    }
}

impl Transform for Rotation {
    fn apply(&self, image: Image, rng: &mut SampleRng) -> Image {
        let degrees = rng.random_range(-self.degrees..=self.degrees);
        rotate(&image, degrees, self.sampling, self.fill)
    }
}

/// The image rotated about its centre by an angle in degrees, counter-clockwise, in its old size.
pub fn rotate(image: &Image, degrees: f64, sampling: Sampling, fill: [u8; 3]) -> Image {
    affine(image, &Affine::rotation(degrees, image.width(), image.height()), sampling, fill)
}

/// The image under an affine map, in its old size; places from outside the image get the colour `fill`, of which a grey
/// image takes the first value.
pub fn affine(image: &Image, map: &Affine, sampling: Sampling, fill: [u8; 3]) -> Image {
    match (image.channels(), sampling) {
        (Channels::Grey, Sampling::Nearest) => nearest::<1>(image, map, [fill[0]]),
        (Channels::Rgb, Sampling::Nearest) => nearest::<3>(image, map, fill),
        (Channels::Grey, Sampling::Bilinear) => bilinear::<1>(image, map, [fill[0]]),
        (Channels::Rgb, Sampling::Bilinear) => bilinear::<3>(image, map, fill),
    }
}

/// Nearest-neighbour sampling, with places in 16.16 fixed point as PIL adds them up along rows and columns.
fn nearest<const C: usize>(image: &Image, map: &Affine, fill: [u8; C]) -> Image {
    let fixed = |value: f64| (value * 65_536.0 + 0.5).floor() as i64;
    let (width, height) = (image.width(), image.height());
    let source = image.pixels().as_chunks::<C>().0;
    let (a, b, d, e) = (fixed(map.a), fixed(map.b), fixed(map.d), fixed(map.e));
    let (first_x, first_y) = map.source(0, 0);
    let (first_x, first_y) = (fixed(first_x), fixed(first_y));
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for y in 0..height as i64 {
        for x in 0..width as i64 {
            let (column, row) = ((first_x + a * x + b * y) >> 16, (first_y + d * x + e * y) >> 16);
            let inside = (0..width as i64).contains(&column) && (0..height as i64).contains(&row);
            pixels.extend(if inside { source[row as usize * width + column as usize] } else { fill });
        }
    }
    Image::new(width, height, image.channels(), pixels)
}

/// Bilinear sampling; beyond the centres of the outermost pixels their values go on.
fn bilinear<const C: usize>(image: &Image, map: &Affine, fill: [u8; C]) -> Image {
    let (width, height) = (image.width(), image.height());
    let source = image.pixels().as_chunks::<C>().0;
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for y in 0..height {
        for x in 0..width {
            let (at_x, at_y) = map.source(x, y);
            if !((0.0..width as f64).contains(&at_x) && (0.0..height as f64).contains(&at_y)) {
                pixels.extend(fill);
                continue;
            }
            let (left, right, dx) = neighbours(at_x, width);
            let (upper, lower, dy) = neighbours(at_y, height);
            let between = |row: usize, channel: usize| {
                let value = |column: usize| f64::from(source[row * width + column][channel]);
                value(left) + (value(right) - value(left)) * dx
            };
            pixels.extend(std::array::from_fn::<u8, C, _>(|channel| {
                let (above, below) = (between(upper, channel), between(lower, channel));
                // Truncated, not rounded, as in PIL.
                (above + (below - above) * dy) as u8
            }));
        }
    }
    Image::new(width, height, image.channels(), pixels)
}

/// The pixels whose centres lie before and after a place, within the image, and how far it is from the first.
fn neighbours(place: f64, length: usize) -> (usize, usize, f64) {
    let place = place - 0.5;
    let before = place.floor();
    let clamp = |position: f64| position.clamp(0.0, (length - 1) as f64) as usize;
    (clamp(before), clamp(before + 1.0), place - before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_rng;

    fn numbered(width: usize, height: usize) -> Image {
        Image::new(width, height, Channels::Grey, (0..(width * height) as u8).collect())
    }

    #[test]
    fn quarter_turns_are_exact() {
        let square = numbered(3, 3);
        let turned = [2, 5, 8, 1, 4, 7, 0, 3, 6]; // counter-clockwise: the last column is the first row
        for sampling in [Sampling::Nearest, Sampling::Bilinear] {
            assert_eq!(rotate(&square, 90.0, sampling, [255; 3]).pixels(), turned);
            assert_eq!(rotate(&square, 0.0, sampling, [255; 3]), square);
            let reversed: Vec<u8> = (0..35).rev().collect();
            assert_eq!(rotate(&numbered(5, 7), 180.0, sampling, [255; 3]).pixels(), reversed);
        }
    }

    #[test]
    fn what_comes_from_outside_is_filled() {
        let moved = affine(&numbered(3, 2), &Affine::translation(1, 1), Sampling::Nearest, [9; 3]);
        assert_eq!(moved.pixels(), [9, 9, 9, 9, 0, 1]);
    }

    #[test]
    fn one_pixel_stays_itself() {
        let pixel = Image::filled(1, 1, Channels::Rgb, [1, 2, 3]);
        for sampling in [Sampling::Nearest, Sampling::Bilinear] {
            assert_eq!(rotate(&pixel, 33.0, sampling, [0; 3]), pixel);
        }
    }

    #[test]
    fn no_angle_is_no_change_and_equal_seeds_turn_equally() {
        let image = numbered(7, 5);
        let still = Rotation { degrees: 0.0, sampling: Sampling::Bilinear, fill: [0; 3] };
        assert_eq!(still.apply(image.clone(), &mut sample_rng(1, 2, 3)), image);
        let turn = Rotation { degrees: 90.0, ..still };
        let turned = |index| turn.apply(image.clone(), &mut sample_rng(1, 2, index));
        assert_eq!(turned(3), turned(3));
        assert_ne!(turned(3), turned(4));
    }
}
