//! The way of attention through burn's dispatch, and its place in the graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use super::{Causal, Mask};
use crate::backward::register;

/// What a backend has to offer for the fast path.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait AttentionOps: Backend {
    /// See [`attention`](super::attention()).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn attention_by_blocks(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] mask: Mask<Self>,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self>;

    /// See [`packed_attention`](super::packed_attention).
    #[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "no backend to pass it on to"))]
    fn packed_attention_by_blocks(
        packed: FloatTensor<Self>,
        #[extension_type] mask: Mask<Self>,
        heads: usize,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self>;
}

/// The other half, for a backend without autodiff.
pub(crate) trait AttentionGradient: AttentionOps {
    /// The gradients of query, key and value from that of the output.
    fn attention_gradients(
        parts: [FloatTensor<Self>; 3],
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];

    /// The gradient of queries, keys and values side by side.
    fn packed_attention_gradient(
        packed: FloatTensor<Self>,
        mask: Mask<Self>,
        heads: usize,
        scale: f64,
        causal: Causal,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct AttentionBackward;

#[derive(Debug, Clone)]
struct State<B: Backend> {
    parts: [NodeId; 3],
    mask: Mask<B>,
    scale: f64,
    causal: Causal,
}

impl<B: Backend + AttentionGradient> Backward<B, 3> for AttentionBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let State { parts, mask, scale, causal } = ops.state;
        let parts = parts.map(|node| checkpointer.retrieve_node_output(node));
        let gradient = gradients.consume::<B>(&ops.node);
        let parts = B::attention_gradients(parts, mask, scale, causal, gradient);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B, _>(gradients, parents, parts);
    }
}

#[derive(Debug)]
struct PackedBackward;

#[derive(Debug, Clone)]
struct PackedState<B: Backend> {
    packed: NodeId,
    mask: Mask<B>,
    heads: usize,
    scale: f64,
    causal: Causal,
}

impl<B: Backend + AttentionGradient> Backward<B, 1> for PackedBackward {
    type State = PackedState<B>;

    fn backward(
        self,
        ops: Ops<PackedState<B>, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let PackedState { packed, mask, heads, scale, causal } = ops.state;
        let packed = checkpointer.retrieve_node_output(packed);
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::packed_attention_gradient(packed, mask, heads, scale, causal, gradient)
        });
    }
}

impl<B: Backend + AttentionGradient, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention_by_blocks(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: Mask<Self>,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self> {
        let mask = inner(mask);
        let parents = [query.node(), key.node(), value.node()];
        match Backward::<B, 3>::prepare::<C>(AttentionBackward, parents).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let [query, key, value] = [query, key, value].map(|x| x.into_primitive());
                prepared.finish(B::attention_by_blocks(query, key, value, mask, scale, causal))
            }
            OpsKind::Tracked(mut prepared) => {
                let parts = [&query, &key, &value].map(|part| prepared.checkpoint(part));
                let [query, key, value] = [query, key, value].map(|x| x.into_primitive());
                let output = B::attention_by_blocks(query, key, value, mask.clone(), scale, causal);
                prepared.finish(State { parts, mask, scale, causal }, output)
            }
        }
    }

    fn packed_attention_by_blocks(
        packed: FloatTensor<Self>,
        mask: Mask<Self>,
        heads: usize,
        scale: f64,
        causal: Causal,
    ) -> FloatTensor<Self> {
        let mask = inner(mask);
        match Backward::<B, 1>::prepare::<C>(PackedBackward, [packed.node()]).compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let packed = packed.into_primitive();
                prepared.finish(B::packed_attention_by_blocks(packed, mask, heads, scale, causal))
            }
            OpsKind::Tracked(mut prepared) => {
                let kept = prepared.checkpoint(&packed);
                let packed = packed.into_primitive();
                let output = B::packed_attention_by_blocks(packed, mask.clone(), heads, scale, causal);
                prepared.finish(PackedState { packed: kept, mask, heads, scale, causal }, output)
            }
        }
    }
}

/// Booleans have no autodiff: the same tensor, of the inner backend's type.
fn inner<B: Backend, C: CheckpointStrategy>(mask: Mask<Autodiff<B, C>>) -> Mask<B> {
    match mask {
        Mask::Nothing => Mask::Nothing,
        Mask::Hidden(hidden) => Mask::Hidden(hidden),
    }
}
