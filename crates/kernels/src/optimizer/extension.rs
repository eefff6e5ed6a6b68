//! The way of an optimiser's step through burn's dispatch.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::{AdamStep, LionStep, SgdStep};

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"))]
pub(crate) trait OptimizerOps: Backend {
    /// The new parameter, first and second average.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_adam(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The new parameter, first, second and largest second average.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_amsgrad(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        largest: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The new parameter, without a velocity.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_descent(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: SgdStep,
    ) -> FloatTensor<Self>;

    /// The new parameter and velocity.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_momentum(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The new parameter and momentum.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_lion(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        step: LionStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// See [`sum_of_squares`](super::sum_of_squares).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_sum_of_squares(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`scale`](super::scale).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn fused_scale(tensor: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self>;
}
