//! Steps of optimisers on flex: in the memory of parameter and state where nobody else looks at it.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;
use macerator::{AutoArch, Simd, WithSimd};
use rayon::prelude::*;

use super::extension::OptimizerOps;
use super::{AdamStep, LionStep, SgdDirection, SgdStep};
use crate::elementwise::map;
use crate::lanes::sum;
use crate::memory::{CHUNK, FlexTensor, contiguous, for_each, own, values};

impl OptimizerOps for Flex {
    fn fused_adam(
        mut parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        mut first: FloatTensor<Self>,
        mut second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let pieces = own(&mut parameter)
            .par_chunks_mut(CHUNK)
            .zip(values(&gradient).par_chunks(CHUNK))
            .zip(own(&mut first).par_chunks_mut(CHUNK))
            .zip(own(&mut second).par_chunks_mut(CHUNK));
        for_each(pieces, |(((parameter, gradient), first), second)| {
            AutoArch::new().dispatch(Adam { parameter, gradient, first, second, step });
        });
        (parameter, first, second)
    }

    fn fused_amsgrad(
        mut parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        mut first: FloatTensor<Self>,
        mut second: FloatTensor<Self>,
        mut largest: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let pieces = own(&mut parameter)
            .par_chunks_mut(CHUNK)
            .zip(values(&gradient).par_chunks(CHUNK))
            .zip(own(&mut first).par_chunks_mut(CHUNK))
            .zip(own(&mut second).par_chunks_mut(CHUNK))
            .zip(own(&mut largest).par_chunks_mut(CHUNK));
        for_each(pieces, |((((parameter, gradient), first), second), largest)| {
            AutoArch::new().dispatch(AmsGrad { parameter, gradient, first, second, largest, step });
        });
        (parameter, first, second, largest)
    }

    fn fused_descent(
        mut parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: SgdStep,
    ) -> FloatTensor<Self> {
        let gradient = contiguous(gradient);
        let pieces = own(&mut parameter).par_chunks_mut(CHUNK).zip(values(&gradient).par_chunks(CHUNK));
        for_each(pieces, |(parameter, gradient)| {
            AutoArch::new().dispatch(Descent { parameter, gradient, step });
        });
        parameter
    }

    fn fused_momentum(
        mut parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        mut velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let pieces = own(&mut parameter)
            .par_chunks_mut(CHUNK)
            .zip(values(&gradient).par_chunks(CHUNK))
            .zip(own(&mut velocity).par_chunks_mut(CHUNK));
        for_each(pieces, |((parameter, gradient), velocity)| {
            AutoArch::new().dispatch(Momentum { parameter, gradient, velocity, step });
        });
        (parameter, velocity)
    }

    fn fused_lion(
        mut parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        mut momentum: FloatTensor<Self>,
        step: LionStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let pieces = own(&mut parameter)
            .par_chunks_mut(CHUNK)
            .zip(values(&gradient).par_chunks(CHUNK))
            .zip(own(&mut momentum).par_chunks_mut(CHUNK));
        for_each(pieces, |((parameter, gradient), momentum)| {
            AutoArch::new().dispatch(Lion { parameter, gradient, momentum, step });
        });
        (parameter, momentum)
    }

    fn fused_sum_of_squares(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        let tensor = contiguous(tensor);
        let mut sums = vec![0.0; tensor.layout().num_elements().div_ceil(CHUNK)];
        for_each(values(&tensor).par_chunks(CHUNK).zip(&mut sums), |(values, sum)| {
            *sum = AutoArch::new().dispatch(Squares { values });
        });
        let total: f64 = sums.into_iter().map(f64::from).sum();
        FlexTensor::from_data(TensorData::new(vec![total as f32], [1]))
    }

    fn fused_scale(tensor: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        let factor = values(&contiguous(factor))[0];
        if factor == 1.0 { tensor } else { map(tensor, |x| x * factor) }
    }
}

/// The numbers of a step of Adam in 32 bits.
#[derive(Clone, Copy)]
struct Constants {
    beta1: f32,
    beta2: f32,
    of_first: f32,
    of_second: f32,
    shrink: f32,
    decay: f32,
    size: f32,
    eps: f32,
}

impl Constants {
    fn of(step: AdamStep) -> Self {
        let [beta1, beta2] = step.betas;
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            of_first: (1.0 - beta1) as f32,
            of_second: (1.0 - beta2) as f32,
            shrink: step.shrink as f32,
            decay: step.decay as f32,
            size: step.size as f32,
            eps: step.eps as f32,
        }
    }

    /// Weight decay and averages.
    #[inline(always)]
    fn average(self, parameter: &mut f32, gradient: f32, first: &mut f32, second: &mut f32) {
        *parameter *= self.shrink;
        let gradient = if self.decay == 0.0 { gradient } else { gradient + *parameter * self.decay };
        *first = *first * self.beta1 + gradient * self.of_first;
        *second = *second * self.beta2 + gradient * gradient * self.of_second;
    }

    /// The step itself.
    #[inline(always)]
    fn descend(self, parameter: &mut f32, first: f32, second: f32) {
        *parameter -= first / (second.sqrt() + self.eps) * self.size;
    }
}

struct Adam<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    step: AdamStep,
}

impl WithSimd for Adam<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let constants = Constants::of(self.step);
        let elements = self.parameter.iter_mut().zip(self.gradient).zip(self.first).zip(self.second);
        for (((parameter, &gradient), first), second) in elements {
            constants.average(parameter, gradient, first, second);
            constants.descend(parameter, *first, *second);
        }
    }
}

struct AmsGrad<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    largest: &'a mut [f32],
    step: AdamStep,
}

impl WithSimd for AmsGrad<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let constants = Constants::of(self.step);
        let elements = self.parameter.iter_mut().zip(self.gradient).zip(self.first).zip(self.second);
        for ((((parameter, &gradient), first), second), largest) in elements.zip(self.largest) {
            constants.average(parameter, gradient, first, second);
            *largest = if *second > *largest { *second } else { *largest };
            constants.descend(parameter, *first, *largest);
        }
    }
}

/// Gradient descent without a velocity.
struct Descent<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    step: SgdStep,
}

impl WithSimd for Descent<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let (lr, decay) = (self.step.lr as f32, self.step.decay as f32);
        for (parameter, &gradient) in self.parameter.iter_mut().zip(self.gradient) {
            let gradient = if decay == 0.0 { gradient } else { gradient + *parameter * decay };
            *parameter -= gradient * lr;
        }
    }
}

/// Gradient descent with a velocity.
struct Momentum<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    velocity: &'a mut [f32],
    step: SgdStep,
}

impl WithSimd for Momentum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let SgdStep { lr, decay, momentum, dampening, direction } = self.step;
        let [lr, decay, momentum, of_gradient] =
            [lr, decay, momentum, 1.0 - dampening].map(|number| number as f32);
        for ((parameter, &gradient), velocity) in
            self.parameter.iter_mut().zip(self.gradient).zip(self.velocity)
        {
            let gradient = if decay == 0.0 { gradient } else { gradient + *parameter * decay };
            *velocity = *velocity * momentum + gradient * of_gradient;
            let direction = match direction {
                SgdDirection::Velocity => *velocity,
                SgdDirection::LookAhead => gradient + *velocity * momentum,
            };
            *parameter -= direction * lr;
        }
    }
}

struct Lion<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    momentum: &'a mut [f32],
    step: LionStep,
}

impl WithSimd for Lion<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let LionStep { betas: [beta1, beta2], shrink, lr } = self.step;
        let [keep, enter] = [beta1, 1.0 - beta1].map(|number| number as f32);
        let [stay, join] = [beta2, 1.0 - beta2].map(|number| number as f32);
        let (shrink, lr) = (shrink as f32, lr as f32);
        for ((parameter, &gradient), momentum) in
            self.parameter.iter_mut().zip(self.gradient).zip(self.momentum)
        {
            let blend = *momentum * keep + gradient * enter;
            *momentum = *momentum * stay + gradient * join;
            let update = if blend > 0.0 {
                lr
            } else if blend < 0.0 {
                -lr
            } else {
                0.0
            };
            *parameter = *parameter * shrink - update;
        }
    }
}

/// The sum of squares of a piece.
struct Squares<'a> {
    values: &'a [f32],
}

impl WithSimd for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> f32 {
        sum(self.values, |x| x * x)
    }
}
