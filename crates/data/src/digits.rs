//! The embedded digits: 1,797 scans of 8 x 8 pixels, so that the first run needs no data and no network.
//!
//! Alpaydin and Kaynak 1998, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, CC BY 4.0; the
//! test part, in the order in which scikit-learn's `load_digits` gives it.

use std::{path::Path, sync::Arc};

use flate2::read::GzDecoder;

use crate::{
    DataError, ImageClasses, LabelledImages, OpenOptions, bounded, catalog,
    idx::{parse_images, parse_labels, with_labels},
    split::stratified,
};

static IMAGES: &[u8] = include_bytes!("../assets/digits-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../assets/digits-labels-idx1-ubyte.gz");

/// Full ink in the published files, whose values count the black ones of 4 x 4 dots.
const FULL: u16 = 16;

/// The embedded digits, of which a stratified part is held out.
///
/// White ink on black, as in MNIST: the published values 0 to 16 are scaled to 0 to 255 and rounded.
///
/// # Errors
/// [`DataError::TestFraction`] when the options ask for a part that can't be held out.
pub fn open_digits(options: &OpenOptions) -> Result<ImageClasses, DataError> {
    let entry = catalog::find("digits")?;
    let path = Path::new("the embedded digits");
    let mut images = parse_images(&mut GzDecoder::new(IMAGES), path, bounded::LIMIT)?;
    for value in &mut images.pixels {
        *value = ((u16::from(*value) * 255 + FULL / 2) / FULL) as u8;
    }
    let labels = parse_labels(&mut GzDecoder::new(LABELS), path, bounded::LIMIT)?;
    let images = with_labels(images, path, labels, path, entry.classes.len())?;
    let all = LabelledImages { labels: images.labels.clone(), images: Arc::new(images) };
    let split = stratified(&all.labels, options.test_fraction, options.seed)?;
    let classes = entry.classes.iter().map(|&class| class.to_owned()).collect();
    ImageClasses::new(entry.name, classes, all.subset(split.train), all.subset(split.test))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Sample};

    fn open() -> ImageClasses {
        open_digits(&OpenOptions::default()).unwrap()
    }

    #[test]
    fn a_fifth_of_each_class_is_held_out() {
        let digits = open();
        assert_eq!(digits.train.len() + digits.test.len(), 1797);
        let count = |labels: &[usize], class| labels.iter().filter(|&&label| label == class).count();
        // numpy.bincount(load_digits().target)
        let classes = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        for (class, all) in classes.into_iter().enumerate() {
            let held_out = count(digits.test_labels(), class);
            assert_eq!(held_out, (all as f64 * 0.2).round() as usize, "class {class}");
            assert_eq!(count(digits.train_labels(), class), all - held_out, "class {class}");
        }
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        // load_digits().images[0], a zero.
        #[rustfmt::skip]
        let published = [
            0, 0,  5, 13,  9,  1, 0, 0,
            0, 0, 13, 15, 10, 15, 5, 0,
            0, 3, 15,  2,  0, 11, 8, 0,
            0, 4, 12,  0,  0,  8, 8, 0,
            0, 5,  8,  0,  0,  9, 8, 0,
            0, 4, 11,  0,  1, 12, 7, 0,
            0, 2, 14,  5, 10, 12, 0, 0,
            0, 0,  6, 13, 10,  0, 0, 0,
        ];
        let scaled: Vec<u8> =
            published.iter().map(|&value| (f64::from(value) * 255.0 / 16.0).round() as u8).collect();
        let digits = open();
        let part = |part: &Arc<dyn Dataset<Item = Sample>>| {
            (0..part.len()).map(|index| part.get(index).unwrap()).collect::<Vec<_>>()
        };
        let samples = [part(&digits.train), part(&digits.test)].concat();
        let zero = samples.iter().find(|sample| sample.image.pixels() == scaled).unwrap();
        assert_eq!(zero.label, 0);
        assert_eq!(
            samples.iter().map(|sample| sample.image.pixels().iter().max().unwrap()).max(),
            Some(&255)
        );
    }

    #[test]
    fn labels_are_those_of_the_samples() {
        let digits = open();
        for (index, &label) in digits.test_labels().iter().enumerate() {
            assert_eq!(digits.test.get(index).unwrap().label, label);
        }
    }
}
