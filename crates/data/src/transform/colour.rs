//! Brightness, contrast, saturation, hue, sharpness: torchvision's on PIL images.
//!
//! All but the hue blend the image with a duller one, as PIL's `ImageEnhance` does: factor 0 gives the dull one, 1 the
//! image, more than 1 exaggerates.

use super::tone::map_values;
use crate::{Channels, Image, image::luma};

/// The image blended with black.
pub fn adjust_brightness(image: Image, factor: f64) -> Image {
    map_values(image, |value| blend(0, value, factor as f32))
}

/// The image blended with a plane of its mean luma.
pub fn adjust_contrast(image: Image, factor: f64) -> Image {
    let count = (image.width() * image.height()) as u64;
    let sum: u64 = match image.channels() {
        Channels::Grey => image.pixels().iter().map(|&value| u64::from(value)).sum(),
        Channels::Rgb => rgb(&image).iter().map(|&pixel| u64::from(luma(pixel))).sum(),
    };
    // The mean, with a half rounded up.
    let mean = ((2 * sum + count) / (2 * count)) as u8;
    map_values(image, |value| blend(mean, value, factor as f32))
}

/// The image blended with its own luma; a grey image stays as it is.
pub fn adjust_saturation(mut image: Image, factor: f64) -> Image {
    if image.channels() == Channels::Rgb {
        for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
            let grey = luma(*pixel);
            *pixel = pixel.map(|value| blend(grey, value, factor as f32));
        }
    }
    image
}

/// The image with its hues turned by a part of the full circle, from -0.5 to 0.5; a grey image stays as it is.
///
/// # Panics
/// If the part is not from -0.5 to 0.5.
pub fn adjust_hue(mut image: Image, turn: f64) -> Image {
    assert!((-0.5..=0.5).contains(&turn), "a hue turns by -0.5 to 0.5 of the circle, got {turn}");
    // Truncated towards zero, then added modulo 256.
    let shift = (turn * 255.0) as i32 as u8;
    if image.channels() == Channels::Rgb {
        for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
            let hsv = Hsv::from_rgb(*pixel);
            *pixel = Hsv { hue: hsv.hue.wrapping_add(shift), ..hsv }.to_rgb();
        }
    }
    image
}

/// The image blended with a smoothed one (3 x 3, the centre counting five times). The outermost pixels stay as they are.
pub fn adjust_sharpness(image: Image, factor: f64) -> Image {
    let (width, height, depth, stride) =
        (image.width(), image.height(), image.channels().count(), image.stride());
    let mut output = image.clone();
    if width < 3 || height < 3 {
        return output;
    }
    let source = image.pixels();
    for y in 1..height - 1 {
        for at in y * stride + depth..(y + 1) * stride - depth {
            let row = |centre: usize| {
                [source[centre - depth], source[centre], source[centre + depth]]
                    .map(u32::from)
                    .iter()
                    .sum::<u32>()
            };
            let sum = row(at - stride) + row(at) + row(at + stride) + 4 * u32::from(source[at]);
            // Over 13, rounded; 13 is odd, so there are no halves.
            let smooth = (sum + 6) / 13;
            output.pixels_mut()[at] = blend(smooth as u8, source[at], factor as f32);
        }
    }
    output
}

/// `dull + factor * (value - dull)`, cut to 0 to 255 and truncated, in single precision as PIL computes it.
fn blend(dull: u8, value: u8, factor: f32) -> u8 {
    // A cast saturates.
    (f32::from(dull) + factor * (f32::from(value) - f32::from(dull))) as u8
}

fn rgb(image: &Image) -> &[[u8; 3]] {
    image.pixels().as_chunks::<3>().0
}

/// A colour as hue, saturation and value, each from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hsv {
    hue: u8,
    saturation: u8,
    value: u8,
}

impl Hsv {
    /// PIL's conversion, in its mixture of single and double precision, truncated.
    fn from_rgb([red, green, blue]: [u8; 3]) -> Self {
        let largest = red.max(green).max(blue);
        let smallest = red.min(green).min(blue);
        if largest == smallest {
            return Self { hue: 0, saturation: 0, value: largest };
        }
        let range = f32::from(largest - smallest);
        let saturation = range / f32::from(largest);
        let distance = |channel: u8| f32::from(largest - channel) / range;
        let (r, g, b) = (distance(red), distance(green), distance(blue));
        let sextant = if red == largest {
            b - g
        } else if green == largest {
            (2.0 + f64::from(r) - f64::from(b)) as f32
        } else {
            (4.0 + f64::from(g) - f64::from(r)) as f32
        };
        let hue = ((f64::from(sextant) / 6.0 + 1.0) % 1.0) as f32;
        Self {
            hue: (f64::from(hue) * 255.0) as u8,
            saturation: (f64::from(saturation) * 255.0) as u8,
            value: largest,
        }
    }

    fn to_rgb(self) -> [u8; 3] {
        let Self { hue, saturation, value } = self;
        if saturation == 0 {
            return [value; 3];
        }
        let hue = f32::from(hue) * 6.0 / 255.0;
        let saturation = f64::from(f32::from(saturation) / 255.0);
        let sextant = hue.floor();
        let rest = f64::from(hue - sextant);
        let faded = |by: f64| (f64::from(value) * (1.0 - by)).round() as u8;
        let low = faded(saturation);
        let falling = faded(saturation * rest);
        let rising = faded(saturation * (1.0 - rest));
        match sextant as u8 % 6 {
            0 => [value, rising, low],
            1 => [falling, value, low],
            2 => [low, value, rising],
            3 => [low, falling, value],
            4 => [rising, low, value],
            _ => [value, low, falling],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_colours() -> Image {
        Image::new(2, 1, Channels::Rgb, vec![200, 100, 50, 0, 10, 255])
    }

    #[test]
    fn factor_one_changes_nothing() {
        for adjust in [adjust_brightness, adjust_contrast, adjust_saturation, adjust_sharpness] {
            assert_eq!(adjust(two_colours(), 1.0), two_colours());
        }
    }

    #[test]
    fn factor_zero_is_the_dull_image() {
        assert_eq!(adjust_brightness(two_colours(), 0.0).pixels(), [0; 6]);
        // Lumas 124 and 35.
        assert_eq!(adjust_saturation(two_colours(), 0.0).pixels(), [124, 124, 124, 35, 35, 35]);
        assert_eq!(adjust_contrast(two_colours(), 0.0).pixels(), [80; 6]);
    }

    #[test]
    fn exaggeration_saturates() {
        assert_eq!(adjust_brightness(two_colours(), 2.0).pixels(), [255, 200, 100, 0, 20, 255]);
        assert_eq!(adjust_contrast(two_colours(), 3.0).pixels(), [255, 140, 0, 0, 0, 255]);
    }

    #[test]
    fn pure_hues_turn_by_thirds() {
        let red = Image::filled(1, 1, Channels::Rgb, [255, 0, 0]);
        assert_eq!(adjust_hue(red.clone(), 1.0 / 3.0).pixels(), [0, 255, 0]);
        // 256 - 85 = 171 is one step beyond blue, at 170: a circle of 255 in steps modulo 256, as in torchvision.
        assert_eq!(adjust_hue(red, -1.0 / 3.0).pixels(), [6, 0, 255]);
    }

    #[test]
    fn grey_has_neither_hue_nor_saturation() {
        let grey = Image::new(2, 1, Channels::Grey, vec![3, 200]);
        assert_eq!(adjust_hue(grey.clone(), 0.25), grey);
        assert_eq!(adjust_saturation(grey.clone(), 0.0), grey);
    }

    #[test]
    fn smoothing_spreads_a_point() {
        let mut pixels = vec![0; 25];
        pixels[12] = 130;
        let image = Image::new(5, 5, Channels::Grey, pixels);
        let smooth = adjust_sharpness(image, 0.0);
        assert_eq!(smooth.pixel(2, 2), [50]);
        assert_eq!(smooth.pixel(1, 1), [10]);
        assert_eq!(smooth.pixel(0, 0), [0]);
    }
}
