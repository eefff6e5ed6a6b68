//! The way of gated recurrent units through burn's dispatch, and their place in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait GruOps: Backend {
    /// `h` after each step, `[T, B, D]`.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn gru(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait GruGradient: GruOps {
    /// What the backward pass needs of the forward pass.
    type Kept: Clone + std::fmt::Debug + Send + Sync + 'static;

    /// As [`GruOps::gru`].
    fn gru_keeping(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Self::Kept);

    /// The gradients of the four inputs, from that of the output.
    fn gru_gradients(kept: &Self::Kept, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 4];
}

#[derive(Debug)]
struct GruBackward;

impl<B: Backend + GruGradient> Backward<B, 4> for GruBackward {
    type State = B::Kept;

    fn backward(self, ops: Ops<B::Kept, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::gru_gradients(&ops.state, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

impl<B: Backend + GruGradient, C: CheckpointStrategy> GruOps for Autodiff<B, C> {
    fn gru(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = [projected, weight, bias, hidden];
        let parents = inputs.each_ref().map(|input| input.node());
        let prepared = Backward::<B, 4>::prepare::<C>(GruBackward, parents).compute_bound().stateful();
        let [projected, weight, bias, hidden] = inputs.map(|input| input.into_primitive());
        match prepared {
            OpsKind::UnTracked(prepared) => prepared.finish(B::gru(projected, weight, bias, hidden)),
            OpsKind::Tracked(prepared) => {
                let (output, kept) = B::gru_keeping(projected, weight, bias, hidden);
                prepared.finish(kept, output)
            }
        }
    }
}
