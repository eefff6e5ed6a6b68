//! Images to PNG.

use crate::{Channels, Image};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// The bytes of a PNG file that holds the image.
pub fn encode_png(image: &Image) -> Vec<u8> {
    let colour = match image.channels() {
        Channels::Grey => ExtendedColorType::L8,
        Channels::Rgb => ExtendedColorType::Rgb8,
    };
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(image.pixels(), image.width() as u32, image.height() as u32, colour)
        .expect("an image has as many values as its size says, and memory takes every byte");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    #[test]
    fn what_is_encoded_decodes_to_the_same_pixels() {
        for channels in [Channels::Grey, Channels::Rgb] {
            let pixels = (0..7 * 5 * channels.count()).map(|value| (value * 37 % 256) as u8).collect();
            let image = Image::new(7, 5, channels, pixels);
            assert_eq!(decode(&encode_png(&image)).unwrap(), image);
        }
    }
}
