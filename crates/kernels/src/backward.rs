//! What the backward passes have in common.

use burn::backend::Backend;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::tensor::FloatTensor;

/// Hands its gradient to each parent that wants one.
pub(crate) fn register<B: Backend, const N: usize>(
    gradients: &mut Gradients,
    parents: [Option<NodeId>; N],
    parts: [FloatTensor<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(parts) {
        if let Some(parent) = parent {
            gradients.register::<B>(parent, gradient);
        }
    }
}
