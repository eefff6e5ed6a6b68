//! Drawing a test part.

use rand::seq::SliceRandom;

use crate::{DataError, sample_rng};

/// Numbers of the samples in two parts, each in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Samples to learn from.
    pub train: Vec<usize>,
    /// Samples held out.
    pub test: Vec<usize>,
}

/// Draws a test part in which each class is as frequent as in the whole.
///
/// Of the `n` samples of a class, `n * test_fraction` (rounded) are held out, but at least one and never the last one; a
/// class of one sample stays in the training part. The draw depends on the seed and the labels alone.
///
/// # Errors
/// [`DataError::TestFraction`] unless `test_fraction` lies between 0 and 1, both excluded.
pub fn stratified(labels: &[usize], test_fraction: f64, seed: u64) -> Result<Split, DataError> {
    if !(test_fraction > 0.0 && test_fraction < 1.0) {
        return Err(DataError::TestFraction { fraction: test_fraction });
    }
    let classes = labels.iter().max().map_or(0, |&label| label + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        members[label].push(index);
    }
    let mut split = Split { train: Vec::new(), test: Vec::new() };
    for (label, mut members) in members.into_iter().enumerate() {
        members.shuffle(&mut sample_rng(seed, 0, label as u64));
        let wanted = (members.len() as f64 * test_fraction).round() as usize;
        let held_out = wanted.max(1).min(members.len().saturating_sub(1));
        split.train.extend_from_slice(&members[held_out..]);
        split.test.extend_from_slice(&members[..held_out]);
    }
    split.train.sort_unstable();
    split.test.sort_unstable();
    Ok(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 7 samples of class 0, 13 of class 1, 1 of class 2 and 2 of class 4, interleaved.
    fn labels() -> Vec<usize> {
        let mut labels = [vec![0; 7], vec![1; 13], vec![2; 1], vec![4; 2]].concat();
        labels.rotate_left(5);
        labels
    }

    #[test]
    fn each_class_is_held_out_in_proportion() {
        let labels = labels();
        let split = stratified(&labels, 0.3, 11).unwrap();
        let count = |class| split.test.iter().filter(|&&index| labels[index] == class).count();
        assert_eq!([0, 1, 2, 3, 4].map(count), [2, 4, 0, 0, 1]);
        let mut all = [split.train, split.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_draw_depends_on_the_seed_alone() {
        let split = |seed| stratified(&labels(), 0.3, seed).unwrap();
        assert_eq!(split(3), split(3));
        assert_ne!(split(3), split(5));
    }

    #[test]
    fn a_fraction_that_leaves_a_part_empty_is_refused() {
        for fraction in [0.0, 1.0, -0.2, f64::NAN] {
            assert!(matches!(stratified(&labels(), fraction, 0), Err(DataError::TestFraction { .. })));
        }
        assert_eq!(stratified(&[], 0.2, 0).unwrap(), Split { train: vec![], test: vec![] });
    }
}
