//! The one way seeds are derived.
//!
//! burn's random state can be set but not saved, so a run sets it anew from its own seed and the step at every
//! boundary: a resumed run then draws the numbers of the unbroken one.

use burn::tensor::Device;

/// Sets the random state of `device` for step `step` of a run that was started with `run_seed`.
///
/// Some backends (flex, ndarray) keep one random state for the whole process, so that all threads draw from it.
pub fn seed(device: &Device, run_seed: u64, step: u64) {
    device.seed(mix_seed(&[run_seed, step]));
}

/// One seed from several numbers, such as (run seed, epoch, sample).
///
/// Every bit of every part and the order of the parts change about half of the bits of the result, so neighbouring
/// steps get unrelated seeds. Built on the output function of SplitMix64 (Steele, Lea, Flood 2014, *Fast Splittable
/// Pseudorandom Number Generators*, figure 15). The value for given parts never changes: runs are repeated by it.
pub fn mix_seed(parts: &[u64]) -> u64 {
    parts.iter().fold(split_mix(parts.len() as u64), |state, part| split_mix(state ^ part))
}

/// The first output of SplitMix64 seeded with `state`.
fn split_mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use burn::tensor::{Distribution, Tensor};

    use super::{mix_seed, seed, split_mix};
    use crate::testing;

    #[test]
    fn split_mix_gives_the_published_sequence() {
        // The reference implementation's first two outputs for the seed 1234567.
        assert_eq!(split_mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(1_234_567_u64.wrapping_add(0x9e37_79b9_7f4a_7c15)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn order_length_and_every_part_matter() {
        let parts: [&[u64]; 8] = [&[], &[0], &[0, 0], &[1], &[1, 0], &[0, 1], &[1, 0, 0], &[u64::MAX]];
        let seeds: HashSet<u64> = parts.iter().map(|parts| mix_seed(parts)).collect();
        assert_eq!(seeds.len(), parts.len());
    }

    #[test]
    fn neighbouring_steps_differ_in_about_half_of_the_bits() {
        let steps = 1009;
        let flipped: u32 = (0..steps).map(|s| (mix_seed(&[7, s]) ^ mix_seed(&[7, s + 1])).count_ones()).sum();
        let mean = f64::from(flipped) / steps as f64;
        // The mean of 1009 binomial(64, 1/2) draws has a standard deviation of 0.13.
        assert!((31.0..33.0).contains(&mean), "{mean} of 64 bits");
    }

    #[test]
    fn same_step_draws_the_same_numbers() {
        let device = testing::device();
        let draw = |step| {
            seed(&device, 42, step);
            testing::read(Tensor::<1>::random([13], Distribution::Default, &device))
        };
        let (first, other, again) = (draw(3), draw(4), draw(3));
        assert_eq!(first, again);
        assert_ne!(first, other);
    }
}
