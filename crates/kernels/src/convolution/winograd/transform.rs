//! The transforms of each method, for each channel of a line alone.

pub(super) mod strided;
pub(super) mod unstrided;

use std::marker::PhantomData;

use macerator::Simd;

use super::method::Map;
use crate::vector::{Floats, LINE, Line, lanes, load, splat, store};

/// A linear map of a few numbers.
pub(super) trait Transform<const FROM: usize, const TO: usize> {
    fn apply<S: Simd>(x: [Floats<S>; FROM]) -> [Floats<S>; TO];
}

/// A [`Transform`] in both directions of a square.
pub(super) struct Square<T, const FROM: usize, const TO: usize>(PhantomData<T>);

impl<T: Transform<FROM, TO>, const FROM: usize, const TO: usize> Map for Square<T, FROM, TO> {
    const FROM: usize = FROM;
    const TO: usize = TO;

    #[inline(always)]
    fn apply<S: Simd>(source: &[Line], from: [usize; 2], target: &mut [Line], to: [usize; 2]) {
        for lane in (0..LINE).step_by(lanes::<S>()) {
            let mut half = [[splat::<S>(0.0); FROM]; TO];
            for column in 0..FROM {
                let mut x = [splat::<S>(0.0); FROM];
                for (row, x) in x.iter_mut().enumerate() {
                    *x = load(&source[row * from[0] + column * from[1]][lane..]);
                }
                let y = T::apply::<S>(x);
                for (row, half) in half.iter_mut().enumerate() {
                    half[column] = y[row];
                }
            }
            for (row, half) in half.iter().enumerate() {
                let y = T::apply::<S>(*half);
                for (column, y) in y.iter().enumerate() {
                    store(&mut target[row * to[0] + column * to[1]][lane..], *y);
                }
            }
        }
    }
}
