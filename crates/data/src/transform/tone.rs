//! Changes of tone: each value of a channel goes to another one, wherever it stands. PIL's `ImageOps`.

use crate::{Channels, Image};

/// Keeps the upper `bits` bits of each value, from 1 to 8.
///
/// # Panics
/// If `bits` is not from 1 to 8.
pub fn posterize(image: Image, bits: u32) -> Image {
    assert!((1..=8).contains(&bits), "a value is posterized to 1 to 8 bits, got {bits}");
    let mask = !((1u16 << (8 - bits)) - 1) as u8;
    map_values(image, |value| value & mask)
}

/// Inverts each value from the threshold on.
pub fn solarize(image: Image, threshold: f64) -> Image {
    map_values(image, |value| if f64::from(value) < threshold { value } else { 255 - value })
}

/// Inverts each value.
pub fn invert(image: Image) -> Image {
    map_values(image, |value| 255 - value)
}

/// Stretches each channel so that its darkest value becomes 0 and its brightest 255.
pub fn autocontrast(image: Image) -> Image {
    map_by_channel(image, |histogram| {
        let used = |&value: &usize| histogram[value] > 0;
        let low = (0..256).find(used).unwrap_or(0) as f64;
        let high = (0..256).rev().find(used).unwrap_or(0) as f64;
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low);
        let offset = -low * scale;
        // Truncated, and cut to 0 to 255, by the cast.
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    })
}

/// Maps each channel so that its values are spread evenly.
pub fn equalize(image: Image) -> Image {
    map_by_channel(image, |histogram| {
        let used = || histogram.iter().filter(|&&count| count > 0);
        let Some(&brightest) = used().next_back() else { return identity() };
        let step = (used().sum::<u32>() - brightest) / 255;
        if used().count() == 1 || step == 0 {
            return identity();
        }
        let mut below = step / 2;
        std::array::from_fn(|value| {
            let level = (below / step).min(255) as u8;
            below += histogram[value];
            level
        })
    })
}

/// Where each value goes.
type Table = [u8; 256];

fn identity() -> Table {
    std::array::from_fn(|value| value as u8)
}

/// The image with each value mapped, in all channels alike.
pub(super) fn map_values(mut image: Image, map: impl Fn(u8) -> u8) -> Image {
    let table: Table = std::array::from_fn(|value| map(value as u8));
    for value in image.pixels_mut() {
        *value = table[usize::from(*value)];
    }
    image
}

/// The image with each value mapped by a table made from the histogram of its channel.
fn map_by_channel(mut image: Image, table: impl Fn(&[u32; 256]) -> Table) -> Image {
    fn map<const C: usize>(pixels: &mut [[u8; C]], table: impl Fn(&[u32; 256]) -> Table) {
        let mut histograms = [[0; 256]; C];
        for pixel in pixels.iter() {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
        let tables = histograms.each_ref().map(table);
        for pixel in pixels {
            for (table, value) in tables.iter().zip(pixel) {
                *value = table[usize::from(*value)];
            }
        }
    }
    match image.channels() {
        Channels::Grey => map(image.pixels_mut().as_chunks_mut::<1>().0, table),
        Channels::Rgb => map(image.pixels_mut().as_chunks_mut::<3>().0, table),
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[u8]) -> Image {
        Image::new(values.len(), 1, Channels::Grey, values.to_vec())
    }

    #[test]
    fn values_go_where_they_should() {
        assert_eq!(posterize(row(&[0, 77, 255]), 3).pixels(), [0, 64, 224]);
        assert_eq!(posterize(row(&[0, 77, 255]), 8).pixels(), [0, 77, 255]);
        assert_eq!(solarize(row(&[0, 99, 100, 255]), 99.5).pixels(), [0, 99, 155, 0]);
        assert_eq!(invert(row(&[0, 77, 255])).pixels(), [255, 178, 0]);
    }

    #[test]
    fn autocontrast_uses_the_whole_range() {
        assert_eq!(autocontrast(row(&[10, 60, 110])).pixels(), [0, 127, 255]);
        assert_eq!(autocontrast(row(&[10, 10])).pixels(), [10, 10]);
    }

    #[test]
    fn channels_are_stretched_apart() {
        let image = Image::new(2, 1, Channels::Rgb, vec![10, 0, 7, 20, 255, 7]);
        assert_eq!(autocontrast(image).pixels(), [0, 0, 7, 255, 255, 7]);
    }

    #[test]
    fn equalize_leaves_small_and_plain_images_alone() {
        assert_eq!(equalize(row(&[7])).pixels(), [7]);
        assert_eq!(equalize(row(&[1, 2, 3])).pixels(), [1, 2, 3]);
    }

    #[test]
    fn equalize_spreads_what_is_crowded() {
        // 256 values per level: the step is (512 - 256) / 255 = 1, and each value goes to the number below it.
        let values: Vec<u8> = [100; 256].into_iter().chain([101; 256]).collect();
        let levels = equalize(row(&values));
        assert_eq!((levels.pixels()[0], levels.pixels()[511]), (0, 255));
    }
}
