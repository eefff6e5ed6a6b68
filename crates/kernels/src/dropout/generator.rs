//! Random numbers, sixteen side by side.
//!
//! Blackman and Vigna 2021, *Scrambled Linear Pseudorandom Number Generators*, arXiv:1805.01407: `xoshiro128++`, which needs no
//! product, seeded by `splitmix64`.

use crate::vector::LINE;

/// A generator in each lane: word `i` of its state is `self.0[i][lane]`.
pub(crate) struct Generators([[u32; LINE]; 4]);

/// Numbers of `splitmix64` that seed a line of generators: two words each.
const SEEDS: u64 = 2 * LINE as u64;

impl Generators {
    /// The line of generators with a number, of those of a seed. Their states are disjoint parts of one sequence.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut state = seed.wrapping_add((number as u64).wrapping_mul(SEEDS).wrapping_mul(GOLDEN));
        let mut words = [[0; LINE]; 4];
        let [a, b, c, d] = &mut words;
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            let [first, second] = [(); 2].map(|()| split_mix(&mut state));
            (*a, *b) = (first as u32, (first >> 32) as u32);
            (*c, *d) = (second as u32, (second >> 32) as u32);
        }
        Self(words)
    }

    /// The next number of each lane.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> [u32; LINE] {
        let [a, b, c, d] = &mut self.0;
        let mut numbers = [0; LINE];
        for lane in 0..LINE {
            numbers[lane] = a[lane].wrapping_add(d[lane]).rotate_left(7).wrapping_add(a[lane]);
            let shifted = b[lane] << 9;
            c[lane] ^= a[lane];
            d[lane] ^= b[lane];
            b[lane] ^= c[lane];
            a[lane] ^= d[lane];
            c[lane] ^= shifted;
            d[lane] = d[lane].rotate_left(11);
        }
        numbers
    }
}

/// 2^64 divided by the golden ratio: the step of `splitmix64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the reference implementation for the state 1, 2, 3, 4.
    #[test]
    fn the_published_sequence() {
        let mut generators = Generators([[1; LINE], [2; LINE], [3; LINE], [4; LINE]]);
        let expected =
            [641, 1_573_767, 3_222_811_527, 3_517_856_514, 836_907_274, 4_247_214_768, 3_867_114_732];
        for number in expected {
            assert_eq!(generators.next(), [number; LINE]);
        }
    }

    /// The numbers of the reference implementation for the seed 1234567.
    #[test]
    fn the_published_seeds() {
        let mut state = 1_234_567;
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| split_mix(&mut state)), expected);
        let words = Generators::new(1_234_567, 0).0;
        assert_eq!(u64::from(words[0][0]) | u64::from(words[1][0]) << 32, expected[0]);
        assert_eq!(u64::from(words[2][0]) | u64::from(words[3][0]) << 32, expected[1]);
        assert_eq!(u64::from(words[0][1]) | u64::from(words[1][1]) << 32, expected[2]);
    }

    #[test]
    fn lines_of_generators_share_no_state() {
        let mut states: Vec<[u32; 4]> = (0..100)
            .flat_map(|number| {
                let Generators(words) = Generators::new(5, number);
                (0..LINE).map(move |lane| words.map(|word| word[lane]))
            })
            .collect();
        states.sort_unstable();
        states.dedup();
        assert_eq!(states.len(), 100 * LINE);
    }
}
