//! The way of a linear layer through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::Order;

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

/// What the backward pass needs.
#[derive(Debug, Clone, Copy)]
struct Kept {
    input: NodeId,
    weight: NodeId,
    order: Order,
}

impl Kept {
    /// Registers the gradients of those parents that want one.
    fn backward<B: LinearGradient>(
        self,
        gradient: FloatTensor<B>,
        [input, weight, bias]: [Option<NodeId>; 3],
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        // Both leave the checkpointer, which counts how often they are asked for.
        let kept_input = checkpointer.retrieve_node_output(self.input);
        let kept_weight = checkpointer.retrieve_node_output(self.weight);
        if let Some(node) = bias {
            gradients.register::<B>(node, B::product_bias_gradient(gradient.clone()));
        }
        if let Some(node) = weight {
            let gradient = B::product_weight_gradient(kept_input, gradient.clone(), self.order);
            gradients.register::<B>(node, gradient);
        }
        if let Some(node) = input {
            let gradient = B::product_input_gradient(kept_weight, gradient, self.order);
            gradients.register::<B>(node, gradient);
        }
    }
}

#[derive(Debug)]
struct LinearBackward;

impl<B: LinearGradient> Backward<B, 2> for LinearBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [input, weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        let gradient = gradients.consume::<B>(&ops.node);
        ops.state.backward::<B>(gradient, [input, weight, None], gradients, checkpointer);
    }
}

impl<B: LinearGradient> Backward<B, 3> for LinearBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let gradient = gradients.consume::<B>(&ops.node);
        ops.state.backward::<B>(gradient, parents, gradients, checkpointer);
    }
}

impl<B: LinearGradient, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn product(input: FloatTensor<Self>, weight: FloatTensor<Self>, order: Order) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node()];
        let compute = |input: FloatTensor<Self>, weight: FloatTensor<Self>| {
            B::product(input.into_primitive(), weight.into_primitive(), order)
        };
        match Backward::<B, 2>::prepare::<C>(LinearBackward, nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(compute(input, weight)),
            OpsKind::Tracked(mut prepared) => {
                let (kept_input, kept_weight) = (prepared.checkpoint(&input), prepared.checkpoint(&weight));
                let kept = Kept { input: kept_input, weight: kept_weight, order };
                prepared.finish(kept, compute(input, weight))
            }
        }
    }

    fn biased_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        order: Order,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let compute = |input: FloatTensor<Self>, weight: FloatTensor<Self>| {
            let (input, weight) = (input.into_primitive(), weight.into_primitive());
            B::biased_product(input, weight, bias.into_primitive(), order)
        };
        match Backward::<B, 3>::prepare::<C>(LinearBackward, nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => prepared.finish(compute(input, weight)),
            OpsKind::Tracked(mut prepared) => {
                let (kept_input, kept_weight) = (prepared.checkpoint(&input), prepared.checkpoint(&weight));
                let kept = Kept { input: kept_input, weight: kept_weight, order };
                prepared.finish(kept, compute(input, weight))
            }
        }
    }
}
