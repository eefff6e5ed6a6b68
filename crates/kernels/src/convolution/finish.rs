//! What is done with the sums of a convolution where they are written for the last time.

use super::fused::Nonlinearity;
use crate::activation::{hard_swish_of, leaky_relu_of, relu_of, relu6_of, silu_of};

/// A scale and a shift of each output channel, a tensor that is added, and a nonlinearity; each may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finish<'a> {
    pub(super) scale: Option<&'a [f32]>,
    pub(super) shift: Option<&'a [f32]>,
    /// As long as the output.
    pub(super) residual: Option<&'a [f32]>,
    pub(super) nonlinearity: Nonlinearity,
}

impl Finish<'_> {
    #[inline(always)]
    pub(super) fn scale_of(&self, channel: usize) -> f32 {
        self.scale.map_or(1.0, |scale| scale[channel])
    }

    #[inline(always)]
    pub(super) fn shift_of(&self, channel: usize) -> f32 {
        self.shift.map_or(0.0, |shift| shift[channel])
    }

    /// All of it, for elements of a channel that lie in the output from `start` on.
    #[inline(always)]
    pub(super) fn all(&self, channel: usize, start: usize, numbers: &mut [f32]) {
        if self.scale.is_some() || self.shift.is_some() {
            let (scale, shift) = (self.scale_of(channel), self.shift_of(channel));
            each(numbers, |number| number * scale + shift);
        }
        self.after_shift(start, numbers);
    }

    /// What follows the shift, for elements of the output from `start` on.
    #[inline(always)]
    pub(super) fn after_shift(&self, start: usize, numbers: &mut [f32]) {
        if let Some(residual) = self.residual {
            for (number, residual) in numbers.iter_mut().zip(&residual[start..]) {
                *number += residual;
            }
        }
        match self.nonlinearity {
            Nonlinearity::Identity => {}
            Nonlinearity::Relu => each(numbers, relu_of),
            Nonlinearity::LeakyRelu => each(numbers, leaky_relu_of),
            Nonlinearity::Relu6 => each(numbers, relu6_of),
            Nonlinearity::HardSwish => each(numbers, hard_swish_of),
            Nonlinearity::Silu => each(numbers, silu_of),
        }
    }
}

#[inline(always)]
fn each(numbers: &mut [f32], f: impl Fn(f32) -> f32) {
    for number in numbers {
        *number = f(*number);
    }
}
