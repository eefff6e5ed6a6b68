//! Sums and maxima over slices, laid out so that they become vector instructions.
//!
//! Element `i` belongs to lane `i % LANES`, whatever the instructions at hand; the lanes are then added in pairs. So the
//! result depends on the length alone, and its error grows with the length divided by the number of lanes.

/// Two vectors of AVX-512, four of AVX2, so that one addition doesn't wait for the one before.
const LANES: usize = 32;

/// The sum of `f` of each element.
#[inline(always)]
pub(crate) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane += f(x);
        }
    }
    // Sums of their own, since places that depend on the length would keep all sums out of the registers.
    let mut last = [0.0; LANES];
    for (lane, &x) in last.iter_mut().zip(rest) {
        *lane = f(x);
    }
    total(lanes, last)
}

/// The sums of the two numbers that `f` makes of the elements of `a` and `b`.
#[inline(always)]
pub(crate) fn two_sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> (f32, f32)) -> (f32, f32) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let ((a_blocks, a_rest), (b_blocks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (((first, second), &a), &b) in first.iter_mut().zip(&mut second).zip(a).zip(b) {
            let (x, y) = f(a, b);
            *first += x;
            *second += y;
        }
    }
    let (mut last_first, mut last_second) = ([0.0; LANES], [0.0; LANES]);
    for (((first, second), &a), &b) in last_first.iter_mut().zip(&mut last_second).zip(a_rest).zip(b_rest) {
        (*first, *second) = f(a, b);
    }
    (total(first, last_first), total(second, last_second))
}

/// Replaces each element by `f` of it, and gives the sum of what came out.
#[inline(always)]
pub(crate) fn replace_and_sum(values: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *x = f(*x);
            *lane += *x;
        }
    }
    let mut last = [0.0; LANES];
    for (lane, x) in last.iter_mut().zip(rest) {
        *x = f(*x);
        *lane = *x;
    }
    total(lanes, last)
}

/// The largest element, without regard to NaN; negative infinity if there is none.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = larger(*lane, x);
        }
    }
    if !rest.is_empty() {
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (lane, last) in lanes.iter_mut().zip(last) {
            *lane = larger(*lane, last);
        }
    }
    fold(lanes, larger)
}

/// The sum of all lanes.
#[inline(always)]
fn total(mut lanes: [f32; LANES], last: [f32; LANES]) -> f32 {
    for (lane, last) in lanes.iter_mut().zip(last) {
        *lane += last;
    }
    fold(lanes, |a, b| a + b)
}

/// Lanes in pairs, and these again: each step is at most a few instructions.
#[inline(always)]
pub(crate) fn fold(lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let sixteen: [f32; 16] = std::array::from_fn(|lane| f(lanes[lane], lanes[lane + 16]));
    let eight: [f32; 8] = std::array::from_fn(|lane| f(sixteen[lane], sixteen[lane + 8]));
    let four: [f32; 4] = std::array::from_fn(|lane| f(eight[lane], eight[lane + 4]));
    f(f(four[0], four[2]), f(four[1], four[3]))
}

#[cfg(test)]
mod tests {
    use super::{max, replace_and_sum, sum, two_sums};

    /// Small integers, whose sums are exact in any order.
    #[test]
    fn every_element_counts_once() {
        for len in [0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 200] {
            let a: Vec<f32> = (0..len).map(|i| (i * 7 % 31) as f32).collect();
            let b: Vec<f32> = (0..len).map(|i| (i * 5 % 23) as f32).collect();
            let expected: f32 = a.iter().sum();
            assert_eq!(sum(&a, |x| 2.0 * x), 2.0 * expected);
            let products: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(two_sums(&a, &b, |a, b| (a, a * b)), (expected, products));
            let mut replaced = a.clone();
            assert_eq!(replace_and_sum(&mut replaced, |x| x + 1.0), expected + len as f32);
            assert!(replaced.iter().zip(&a).all(|(replaced, x)| *replaced == x + 1.0));
        }
    }

    #[test]
    fn the_largest_wherever_it_stands() {
        assert_eq!(max(&[]), f32::NEG_INFINITY);
        for len in [1, 31, 32, 33, 70] {
            for place in 0..len {
                let mut values = vec![-1.0; len];
                values[place] = -0.5;
                assert_eq!(max(&values), -0.5);
                values[(place + 1) % len] = f32::NAN;
                assert!(len == 1 || max(&values) == -0.5);
            }
        }
    }
}
