//! A picture of many samples with their labels.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

use crate::{
    Channels, DataError, Image, ImageClasses, Sample,
    transform::{Interpolation, resize},
};

/// Side of the square that an image is fitted into, in pixels.
const TILE: usize = 96;
/// Space between a tile and its neighbours, and around all.
const GAP: usize = 16;
/// Space between a tile and its label.
const LABEL_GAP: usize = 3;
/// Height of a line of text.
const LINE: usize = RasterHeight::Size16.val();
/// How far a label may reach beyond its tile, left and right together.
const OVERHANG: usize = 12;

const PAPER: [u8; 3] = [250, 250, 248];
const FRAME: [u8; 3] = [206, 206, 200];
const INK: [u8; 3] = [42, 46, 52];

/// Draws samples in rows, each with the name of its class under it.
///
/// Tiny images are enlarged by a whole factor, so that their pixels stay squares; larger ones are reduced to fit.
///
/// # Panics
/// If there are no samples or no columns, or if a label is not below the number of classes.
pub fn contact_sheet(samples: &[Sample], classes: &[String], columns: usize) -> Image {
    assert!(!samples.is_empty() && columns > 0, "a contact sheet needs samples and columns");
    let columns = columns.min(samples.len());
    let rows = samples.len().div_ceil(columns);
    let row_height = TILE + LABEL_GAP + LINE + GAP;
    let mut sheet =
        Image::filled(GAP + columns * (TILE + GAP), GAP + rows * row_height, Channels::Rgb, PAPER);
    for (number, sample) in samples.iter().enumerate() {
        let left = GAP + number % columns * (TILE + GAP);
        let top = GAP + number / columns * row_height;
        draw_image(&mut sheet, &fitted(&sample.image), left, top);
        let text = shortened(&classes[sample.label]);
        let width = text.chars().count() * character_width();
        draw_text(
            &mut sheet,
            &text,
            left + TILE / 2 - width.min(TILE + OVERHANG) / 2,
            top + TILE + LABEL_GAP,
        );
    }
    sheet
}

/// Up to `count` training samples of a data set, the classes taking turns, each in the order of the data set.
///
/// # Errors
/// When a sample can't be read.
pub fn sheet_samples(data: &ImageClasses, count: usize) -> Result<Vec<Sample>, DataError> {
    let mut turns = vec![0; data.classes.len()];
    let mut order: Vec<(usize, usize, usize)> = Vec::with_capacity(data.train_labels().len());
    for (index, &label) in data.train_labels().iter().enumerate() {
        order.push((turns[label], label, index));
        turns[label] += 1;
    }
    order.sort_unstable();
    order.into_iter().take(count).map(|(_, _, index)| data.train.get(index)).collect()
}

/// The image in RGB, at most as large as a tile and as near to it as a clean scale allows.
fn fitted(image: &Image) -> Image {
    let longest = image.width().max(image.height());
    let sized = if longest <= TILE {
        enlarged(image, TILE / longest)
    } else {
        let scaled = |side: usize| (side * TILE / longest).max(1);
        resize(image, scaled(image.width()), scaled(image.height()), Interpolation::Bilinear)
    };
    sized.into_channels(Channels::Rgb)
}

/// Each pixel as a square of `factor` pixels.
fn enlarged(image: &Image, factor: usize) -> Image {
    let (width, height) = (image.width() * factor, image.height() * factor);
    let mut pixels = Vec::with_capacity(width * height * image.channels().count());
    for y in 0..height {
        for x in 0..width {
            pixels.extend_from_slice(image.pixel(x / factor, y / factor));
        }
    }
    Image::new(width, height, image.channels(), pixels)
}

/// Draws an image in the middle of the tile whose corner is given, with a thin frame around it.
fn draw_image(sheet: &mut Image, image: &Image, left: usize, top: usize) {
    let left = left + (TILE - image.width()) / 2;
    let top = top + (TILE - image.height()) / 2;
    for x in left - 1..=left + image.width() {
        set(sheet, x, top - 1, FRAME);
        set(sheet, x, top + image.height(), FRAME);
    }
    for y in 0..image.height() {
        set(sheet, left - 1, top + y, FRAME);
        set(sheet, left + image.width(), top + y, FRAME);
        for x in 0..image.width() {
            let pixel = image.pixel(x, y);
            set(sheet, left + x, top + y, [pixel[0], pixel[1], pixel[2]]);
        }
    }
}

fn draw_text(sheet: &mut Image, text: &str, left: usize, top: usize) {
    for (place, character) in text.chars().enumerate() {
        let Some(glyph) = glyph(character) else { continue };
        for (y, row) in glyph.rows().enumerate() {
            for (x, &coverage) in row.iter().enumerate() {
                if coverage > 0 {
                    set(sheet, left + place * character_width() + x, top + y, mixed(coverage));
                }
            }
        }
    }
}

/// Ink on paper.
fn mixed(coverage: u8) -> [u8; 3] {
    let coverage = u32::from(coverage);
    std::array::from_fn(|channel| {
        let sum = u32::from(INK[channel]) * coverage + u32::from(PAPER[channel]) * (255 - coverage);
        (sum / 255) as u8
    })
}

fn character_width() -> usize {
    get_raster_width(FontWeight::Regular, RasterHeight::Size16)
}

/// The picture of a character; of a question mark where the font has none.
fn glyph(character: char) -> Option<RasterizedChar> {
    let find = |character| get_raster(character, FontWeight::Regular, RasterHeight::Size16);
    find(character).or_else(|| find('?'))
}

/// The text, cut where it would run into its neighbour.
fn shortened(text: &str) -> String {
    let most = (TILE + OVERHANG) / character_width();
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 2).collect();
    format!("{}..", kept.trim_end())
}

fn set(sheet: &mut Image, x: usize, y: usize, colour: [u8; 3]) {
    let start = y * sheet.stride() + 3 * x;
    sheet.pixels_mut()[start..start + 3].copy_from_slice(&colour);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(width: usize, height: usize, channels: Channels) -> Sample {
        Sample { image: Image::filled(width, height, channels, [200, 30, 60]), label: 0 }
    }

    #[test]
    fn the_sheet_has_a_tile_for_each_sample() {
        let samples = vec![sample(8, 8, Channels::Grey); 7];
        let sheet = contact_sheet(&samples, &["zero".to_owned()], 3);
        assert_eq!((sheet.width(), sheet.height()), (16 + 3 * 112, 16 + 3 * (96 + 3 + 16 + 16)));
        assert_eq!(sheet.pixel(16 + 48, 16 + 48), [200, 200, 200]);
        assert_eq!(sheet.pixel(16 + 112 + 48, 16 + 2 * 131 + 48), PAPER);
    }

    #[test]
    fn images_of_any_shape_fit() {
        let cases = [
            (8, 8, 96, 96),
            (28, 28, 84, 84),
            (32, 7, 96, 21),
            (1, 1, 96, 96),
            (97, 1, 96, 1),
            (300, 200, 96, 64),
        ];
        for (width, height, fitted_width, fitted_height) in cases {
            let image = fitted(&sample(width, height, Channels::Rgb).image);
            assert_eq!((image.width(), image.height()), (fitted_width, fitted_height), "{width} x {height}");
            contact_sheet(&[sample(width, height, Channels::Rgb)], &["a".to_owned()], 5);
        }
    }

    #[test]
    fn labels_are_shortened_and_unknown_characters_replaced() {
        assert_eq!(shortened("airplane"), "airplane");
        let long = shortened("a very long name of a class");
        assert!(
            long.ends_with("..") && long.chars().count() * character_width() <= TILE + OVERHANG,
            "{long}"
        );
        for name in ["", "日本語", "a very long name of a class", "Übergröße"] {
            contact_sheet(&[sample(5, 3, Channels::Grey)], &[name.to_owned()], 1);
        }
    }

    #[test]
    fn classes_take_turns() {
        let digits = crate::open_digits(&crate::OpenOptions::default()).unwrap();
        let samples = sheet_samples(&digits, 23).unwrap();
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        assert_eq!(labels, (0..23).map(|number| number % 10).collect::<Vec<_>>());
    }
}
