//! What is done with the sums of a convolution or a linear layer where they are written for the last time.

use macerator::Simd;

use crate::Nonlinearity;
use crate::activation::{LEAKY_SLOPE, hard_swish_of, leaky_relu_of, relu_of, relu6_of, silu_of};
use crate::matrix::padded;
use crate::vector::{Floats, at_least, at_most, lanes, load, multiply_add, splat, store};

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
    pub(crate) scale: [f32; N],
    pub(crate) shift: [f32; N],
}

impl<const N: usize> OfChannels<N> {
    /// No change.
    pub(crate) const NONE: Self = Self { scale: [1.0; N], shift: [0.0; N] };
}

/// A scale and a shift of each of some channels, and bounds.
#[derive(Clone, Copy)]
pub(crate) struct InRegisters<'a, const N: usize> {
    of_channels: &'a OfChannels<N>,
    bounds: (f32, f32),
}

impl<const N: usize> InRegisters<'_, N> {
    /// Finishes the sums of the channels from `column` on.
    #[inline(always)]
    pub(crate) fn apply<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        sums: &mut [[Floats<S>; VECTORS]; ROWS],
        column: usize,
    ) {
        let Self { of_channels, bounds: (low, high) } = *self;
        for vector in 0..VECTORS {
            let channel = column + vector * lanes::<S>();
            let (scale, shift) = (load(&of_channels.scale[channel..]), load(&of_channels.shift[channel..]));
            for sums in &mut *sums {
                let sum = multiply_add(sums[vector], scale, shift);
                sums[vector] = at_most(at_least(sum, low), high);
            }
        }
    }
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
        let mut of_channels = OfChannels::NONE;
        // Not in closures, which would get no vector instructions, here and below.
        if let Some(scale) = self.scale {
            of_channels.scale = padded(&scale[first..]);
        }
        if let Some(shift) = self.shift {
            of_channels.shift = padded(&shift[first..]);
        }
        of_channels
    }

    /// All of it but what is left to [`slow_nonlinearity`](Self::slow_nonlinearity), for some channels of a pixel, which lie in the output from
    /// `start` on. Beyond the last channel is anything.
    #[inline(always)]
    pub(crate) fn pixel<S: Simd, const N: usize>(
        &self,
        of_channels: &OfChannels<N>,
        start: usize,
        numbers: &mut [f32; N],
    ) {
        let mut added = [0.0; N];
        if let Some(residual) = self.residual {
            added = padded(&residual[start..]);
        }
        for lane in (0..N).step_by(lanes::<S>()) {
            let (scale, shift) = (load(&of_channels.scale[lane..]), load(&of_channels.shift[lane..]));
            let mut sum = multiply_add::<S>(load(&numbers[lane..]), scale, shift);
            if self.residual.is_some() {
                sum += load(&added[lane..]);
            }
            store(&mut numbers[lane..], self.quick_nonlinearity(sum));
        }
    }

    /// What follows the shift, for elements of the output from `start` on.
    #[inline(always)]
    pub(crate) fn after_shift(&self, start: usize, numbers: &mut [f32]) {
        if let Some(residual) = self.residual {
            for (number, residual) in numbers.iter_mut().zip(&residual[start..]) {
                *number += residual;
            }
        }
        self.nonlinearity(numbers);
    }

    /// The nonlinearity, if it takes but a few instructions. NaN stays NaN.
    #[inline(always)]
    fn quick_nonlinearity<S: Simd>(&self, x: Floats<S>) -> Floats<S> {
        match self.nonlinearity {
            Nonlinearity::LeakyRelu => x.lt(splat(0.0)).select(x * splat(LEAKY_SLOPE as f32), x),
            Nonlinearity::HardSwish => {
                let gate = multiply_add(x, splat(1.0 / 6.0), splat(0.5));
                x * at_most(at_least(gate, 0.0), 1.0)
            }
            _ => match self.bounds() {
                Some((low, high)) => at_most(at_least(x, low), high),
                None => x,
            },
        }
    }

    /// Between which a nonlinearity that is nothing else keeps what it takes; of one that is slow, nothing yet.
    #[inline(always)]
    fn bounds(&self) -> Option<(f32, f32)> {
        match self.nonlinearity {
            Nonlinearity::Identity | Nonlinearity::Silu => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Nonlinearity::Relu => Some((0.0, f32::INFINITY)),
            Nonlinearity::Relu6 => Some((0.0, 6.0)),
            Nonlinearity::LeakyRelu | Nonlinearity::HardSwish => None,
        }
    }

    /// What [`pixel`](Self::pixel) does, where that can be done to sums that are still in registers.
    #[inline(always)]
    pub(crate) fn in_registers<'a, const N: usize>(
        &self,
        of_channels: &'a OfChannels<N>,
    ) -> Option<InRegisters<'a, N>> {
        let bounds = self.bounds().filter(|_| self.residual.is_none())?;
        Some(InRegisters { of_channels, bounds })
    }

    /// The nonlinearity, if it takes more. Long slices, since of loops over short arrays compilers make single instructions.
    #[inline(always)]
    pub(crate) fn slow_nonlinearity(&self, numbers: &mut [f32]) {
        if self.nonlinearity == Nonlinearity::Silu {
            each(numbers, silu_of);
        }
    }

    /// The nonlinearity.
    #[inline(always)]
    fn nonlinearity(&self, numbers: &mut [f32]) {
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
