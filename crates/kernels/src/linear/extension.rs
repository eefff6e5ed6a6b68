//! The way of a linear layer through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Order;
use crate::backward::{Weighted, weighted};

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait LinearOps: Backend {
    /// The product of vectors and a matrix that has its inputs in its rows ([`Order::Rows`]) or in its columns.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn product(input: FloatTensor<Self>, weight: FloatTensor<Self>, order: Order) -> FloatTensor<Self>;

    /// The same plus a bias.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn biased_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff. `gradient` is that of the output.
pub(crate) trait LinearGradient: LinearOps {
    /// The gradient of the input.
    fn product_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self>;

    /// The gradient of the weight.
    fn product_weight_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self>;

    /// The gradient of the bias.
    fn product_bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl<B: LinearGradient> Weighted<B> for Order {
    fn input_gradient(&self, weight: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::product_input_gradient(weight, gradient, *self)
    }

    fn weight_gradient(&self, input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::product_weight_gradient(input, gradient, *self)
    }

    fn bias_gradient(&self, gradient: FloatTensor<B>) -> FloatTensor<B> {
        B::product_bias_gradient(gradient)
    }
}

impl<B: LinearGradient, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn product(input: FloatTensor<Self>, weight: FloatTensor<Self>, order: Order) -> FloatTensor<Self> {
        weighted::<B, C, _, _>(order, [input, weight], |[input, weight]| B::product(input, weight, order))
    }

    fn biased_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self> {
        weighted::<B, C, _, _>(order, [input, weight, bias], |[input, weight, bias]| {
            B::biased_product(input, weight, bias, order)
        })
    }
}
