//! The way of an LSTM through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait LstmOps: Backend {
    /// `h` after each step and then `c` after the last one, `[T + 1, B, D]`: an operation has one output.
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn lstm(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait LstmGradient: LstmOps {
    /// What the backward pass needs of the forward pass.
    type Kept: Clone + std::fmt::Debug + Send + Sync + 'static;

    /// As [`LstmOps::lstm`].
    fn lstm_keeping(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, Self::Kept);

    /// The gradients of the four inputs, from that of the output.
    fn lstm_gradients(kept: &Self::Kept, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 4];
}

#[derive(Debug)]
struct LstmBackward;

impl<B: Backend + LstmGradient> Backward<B, 4> for LstmBackward {
    type State = B::Kept;

    fn backward(self, ops: Ops<B::Kept, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::lstm_gradients(&ops.state, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

impl<B: Backend + LstmGradient, C: CheckpointStrategy> LstmOps for Autodiff<B, C> {
    fn lstm(
        projected: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = [projected, weight, hidden, cell];
        let parents = inputs.each_ref().map(|input| input.node());
        let prepared = Backward::<B, 4>::prepare::<C>(LstmBackward, parents).compute_bound().stateful();
        let [projected, weight, hidden, cell] = inputs.map(|input| input.into_primitive());
        match prepared {
            OpsKind::UnTracked(prepared) => prepared.finish(B::lstm(projected, weight, hidden, cell)),
            OpsKind::Tracked(prepared) => {
                let (output, kept) = B::lstm_keeping(projected, weight, hidden, cell);
                prepared.finish(kept, output)
            }
        }
    }
}
