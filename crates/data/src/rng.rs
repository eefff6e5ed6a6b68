//! Random numbers that belong to a sample, not to a worker.

use rand::SeedableRng;

/// The generator that transforms draw from.
pub type SampleRng = rand_chacha::ChaCha8Rng;

/// The generator of one sample in one epoch of one run.
///
/// It depends on these three numbers alone, so that a sample is augmented the same way whichever worker prepares it,
/// and whatever was prepared before it.
pub fn sample_rng(seed: u64, epoch: u64, index: u64) -> SampleRng {
    // ChaCha is a pseudo-random function of its key: the three numbers can be the key as they are.
    let mut key = [0; 32];
    for (bytes, number) in key.as_chunks_mut::<8>().0.iter_mut().zip([seed, epoch, index]) {
        *bytes = number.to_le_bytes();
    }
    SampleRng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn equal_numbers_give_equal_streams_and_different_ones_do_not() {
        let first = |seed, epoch, index| sample_rng(seed, epoch, index).random::<u64>();
        assert_eq!(first(7, 2, 3), first(7, 2, 3));
        let others = [first(8, 2, 3), first(7, 3, 2), first(7, 2, 4), first(3, 2, 7)];
        assert!(others.iter().all(|&other| other != first(7, 2, 3)));
    }
}
