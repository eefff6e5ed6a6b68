//! Images in host memory: bytes as decoded, and planes as models read them.

use std::fmt;

/// How many values a pixel has, and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One value: luma.
    Grey,
    /// Three values: red, green, blue.
    Rgb,
}

impl Channels {
    /// Values per pixel: 1 or 3.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "grey",
            Self::Rgb => "RGB",
        })
    }
}

/// An 8-bit image, row by row from the top, pixel by pixel from the left, the channels of a pixel side by side.
///
/// Neither side is ever zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: Channels,
    pixels: Vec<u8>,
}

impl Image {
    /// An image over existing bytes, in the order height, width, channel.
    ///
    /// # Panics
    /// If a side is zero, or if `pixels` does not hold `height * width * channels` values.
    pub fn new(width: usize, height: usize, channels: Channels, pixels: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "an image needs pixels, got {width} x {height}");
        let expected = width.checked_mul(height).and_then(|area| area.checked_mul(channels.count()));
        assert_eq!(
            Some(pixels.len()),
            expected,
            "a {width} x {height} {channels} image does not have {} values",
            pixels.len()
        );
        Self { width, height, channels, pixels }
    }

    /// An image of one colour; a grey image takes the first value of `colour`.
    ///
    /// # Panics
    /// If a side is zero.
    pub fn filled(width: usize, height: usize, channels: Channels, colour: [u8; 3]) -> Self {
        let pixel = &colour[..channels.count()];
        Self::new(width, height, channels, pixel.repeat(width * height))
    }

    /// Pixels per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Grey or RGB.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// All values, in the order height, width, channel.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All values, to be changed in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The bytes, without the image around them.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Bytes per row.
    pub fn stride(&self) -> usize {
        self.width * self.channels.count()
    }

    /// The values of the pixel in column `x` of row `y`.
    ///
    /// # Panics
    /// If the pixel lies outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        assert!(x < self.width && y < self.height, "no pixel ({x}, {y}) in {self:?}");
        let start = y * self.stride() + x * self.channels.count();
        &self.pixels[start..start + self.channels.count()]
    }

    /// The image with other channels; unchanged when it already has them.
    ///
    /// Grey is the luma of ITU-R 601-2 in the fixed-point arithmetic of PIL's `convert("L")`; RGB from grey repeats it.
    pub fn into_channels(self, channels: Channels) -> Self {
        let pixels = match (self.channels, channels) {
            (Channels::Grey, Channels::Grey) | (Channels::Rgb, Channels::Rgb) => return self,
            (Channels::Grey, Channels::Rgb) => self.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            (Channels::Rgb, Channels::Grey) => {
                self.pixels.as_chunks::<3>().0.iter().map(|&pixel| luma(pixel)).collect()
            }
        };
        Self { pixels, channels, ..self }
    }
}

impl fmt::Debug for Image {
    /// The size alone: the pixels of an image are of no use in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} x {}, {})", self.width, self.height, self.channels)
    }
}

/// The grey value of a colour as PIL computes it: `(299 R + 587 G + 114 B) / 1000` in 16-bit fixed point, rounded.
pub(crate) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((weighted + 0x8000) >> 16) as u8
}

/// A normalised image: one plane of floats per channel, each row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// `channels * height * width` values.
    pub values: Vec<f32>,
}

/// Normalised images of one size with their classes: what a model is given, still on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// `N * C * H * W` values.
    pub pixels: Vec<f32>,
    /// Images, channels, height, width.
    pub shape: [usize; 4],
    /// The class of each image.
    pub labels: Vec<usize>,
    /// Probability of each class for each image, `N * K` row by row, once images have been mixed.
    pub targets: Option<Vec<f32>>,
    /// Number of classes `K`.
    pub num_classes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_that_of_pil() {
        // Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        let known = [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([12, 34, 56], 30),
            ([255, 255, 255], 255),
        ];
        for (colour, grey) in known {
            assert_eq!(luma(colour), grey, "{colour:?}");
        }
    }

    #[test]
    fn grey_and_back_repeats_the_luma() {
        let image = Image::new(2, 1, Channels::Rgb, vec![255, 0, 0, 12, 34, 56]);
        let grey = image.into_channels(Channels::Grey);
        assert_eq!(grey.pixels(), [76, 30]);
        assert_eq!(grey.into_channels(Channels::Rgb).pixels(), [76, 76, 76, 30, 30, 30]);
    }

    #[test]
    fn pixels_are_found_by_column_and_row() {
        let image = Image::new(3, 2, Channels::Grey, vec![0, 1, 2, 3, 4, 5]);
        assert_eq!(image.pixel(2, 1), [5]);
        assert_eq!(format!("{image:?}"), "Image(3 x 2, grey)");
    }

    #[test]
    #[should_panic(expected = "does not have 5 values")]
    fn a_wrong_number_of_values_panics() {
        Image::new(3, 2, Channels::Grey, vec![0; 5]);
    }
}
