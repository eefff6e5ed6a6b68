//! What is done with the sums of a convolution or a linear layer where they are written for the last time.

use crate::Nonlinearity;
use crate::activation::{hard_swish_of, leaky_relu_of, relu_of, relu6_of, silu_of};
use crate::matrix::padded;

/// A scale and a shift of each output channel, a tensor that is added, and a nonlinearity; each may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    pub(crate) scale: Option<&'a [f32]>,
    pub(crate) shift: Option<&'a [f32]>,
    /// As long as the output.
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) nonlinearity: Nonlinearity,
}

/// The scales and shifts of some channels.
pub(crate) struct OfChannels<const N: usize> {
    scale: [f32; N],
    shift: [f32; N],
}

impl<const N: usize> OfChannels<N> {
    /// No change.
    pub(crate) const NONE: Self = Self { scale: [1.0; N], shift: [0.0; N] };
}

impl Finish<'_> {
    #[inline(always)]
    pub(crate) fn scale_of(&self, channel: usize) -> f32 {
        self.scale.map_or(1.0, |scale| scale[channel])
    }

    #[inline(always)]
    pub(crate) fn shift_of(&self, channel: usize) -> f32 {
        self.shift.map_or(0.0, |shift| shift[channel])
    }

    /// All of it, for elements of a channel that lie in the output from `start` on.
    #[inline(always)]
    pub(crate) fn all(&self, channel: usize, start: usize, numbers: &mut [f32]) {
        if self.scale.is_some() || self.shift.is_some() {
            let (scale, shift) = (self.scale_of(channel), self.shift_of(channel));
            each(numbers, |number| number * scale + shift);
        }
        self.after_shift(start, numbers);
    }

    /// The scales and shifts of some channels, from `first` on. Beyond the last channel are zeros.
    #[inline(always)]
    pub(crate) fn of_channels<const N: usize>(&self, first: usize) -> OfChannels<N> {
        OfChannels {
            scale: self.scale.map_or([1.0; N], |scale| padded(&scale[first..])),
            shift: self.shift.map_or([0.0; N], |shift| padded(&shift[first..])),
        }
    }

    /// All of it, for some channels of a pixel, which lie in the output from `start` on. Beyond the last channel is anything.
    #[inline(always)]
    pub(crate) fn pixel<const N: usize>(
        &self,
        OfChannels { scale, shift }: &OfChannels<N>,
        start: usize,
        numbers: &[f32; N],
    ) -> [f32; N] {
        let mut numbers: [f32; N] = std::array::from_fn(|lane| numbers[lane] * scale[lane] + shift[lane]);
        if let Some(residual) = self.residual {
            let residual: [f32; N] = padded(&residual[start..]);
            numbers = std::array::from_fn(|lane| numbers[lane] + residual[lane]);
        }
        self.bend(&mut numbers);
        numbers
    }

    /// What follows the shift, for elements of the output from `start` on.
    #[inline(always)]
    pub(crate) fn after_shift(&self, start: usize, numbers: &mut [f32]) {
        if let Some(residual) = self.residual {
            for (number, residual) in numbers.iter_mut().zip(&residual[start..]) {
                *number += residual;
            }
        }
        self.bend(numbers);
    }

    /// The nonlinearity.
    #[inline(always)]
    fn bend(&self, numbers: &mut [f32]) {
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
