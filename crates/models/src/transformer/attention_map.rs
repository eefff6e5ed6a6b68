//! What a target looks at, for drawing.

use burn::tensor::{Bool, Tensor, activation};
use libellus_layers::{Causal, KeysValues, NormPlacement, split_heads};

use super::{CrossAttention, DecoderBlock, Transformer, TransformerInput};

/// Stands in place of the score of padding. Finite, so that a source of nothing but padding doesn't give NaN.
const HIDDEN: f64 = -1e30;

impl Transformer {
    /// How much each token of the source counts for each token of the target: the weights of the last decoder block's
    /// attention to the source, the mean of its heads. Those of a row add up to 1, padding has 0.
    ///
    /// They are computed anew: the attention of [`Transformer::forward`] doesn't keep them.
    ///
    /// # Shapes
    /// - `input`: source `[B, S]`, target `[B, T]`
    /// - output: `[B, T, S]`
    ///
    /// # Panics
    /// As [`Transformer::forward`].
    pub fn attention_map(&self, input: TransformerInput) -> Tensor<3> {
        let memory = self.encode(input.source, input.source_mask);
        let memory_hidden = memory.hidden();
        let mut blocks: Vec<_> = self.decoder.layers.iter().zip(self.decoder.read(&memory.tokens)).collect();
        let (last, last_memory) = blocks.pop().expect("a decoder has blocks");
        let (embedded, hidden) = self.embed_target(input.target, input.target_mask);
        let tokens = blocks.into_iter().fold(embedded, |tokens, (block, memory)| {
            block.forward(tokens, hidden.clone(), &memory, memory_hidden.clone(), keep_nothing)
        });
        last.attention_map(tokens, hidden, &last_memory, memory_hidden)
    }
}

impl DecoderBlock {
    /// Shapes as in the decoder's `forward`, but the output is that of [`Transformer::attention_map`].
    fn attention_map(
        &self,
        input: Tensor<3>,
        hidden: Option<Tensor<4, Bool>>,
        memory: &KeysValues,
        memory_hidden: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let tokens = self.norm_placement.residual(&self.norm1, input, |tokens| {
            self.dropout.forward(self.attn.forward_keeping(tokens, Causal::Yes, hidden, keep_nothing))
        });
        let queries = match self.norm_placement {
            NormPlacement::Pre => self.norm2.forward(tokens),
            NormPlacement::Post => tokens,
        };
        self.cross_attn.weights(queries, memory, memory_hidden).mean_dim(1).squeeze_dim(1)
    }
}

impl CrossAttention {
    /// The weights of each head, `[B, H, T, S]`. Shapes of the input as in `forward`.
    fn weights(&self, input: Tensor<3>, memory: &KeysValues, mask: Option<Tensor<4, Bool>>) -> Tensor<4> {
        let query = split_heads(self.query.forward(input), self.n_heads);
        let [batch, heads, targets, width] = query.dims();
        let scores = query.matmul(memory.keys.clone().transpose()) / (width as f64).sqrt();
        let Some(mask) = mask else { return activation::softmax(scores, 3) };
        let mask = mask.expand([batch, heads, targets, memory.keys.dims()[2]]);
        let weights = activation::softmax(scores.mask_fill(mask.clone(), HIDDEN), 3);
        weights.mask_fill(mask, 0.0)
    }
}

/// A block's keys and values are needed at once only.
fn keep_nothing(keys: Tensor<4>, values: Tensor<4>) -> KeysValues {
    KeysValues { keys, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransformerConfig;
    use burn::tensor::{Device, Int};
    use libellus_backend::testing::{assert_close, device, read};

    fn tiny(norm_placement: NormPlacement, device: &Device) -> Transformer {
        device.seed(11);
        TransformerConfig { norm_placement, ..TransformerConfig::tiny() }.init(device).expect("valid")
    }

    fn input(source: Tensor<2, Int>, source_mask: Option<Tensor<2, Bool>>) -> TransformerInput {
        let target = Tensor::from_ints([[0, 6, 7], [0, 5, 8]], &source.device());
        TransformerInput { source, target, source_mask, target_mask: None }
    }

    fn padded(device: &Device) -> TransformerInput {
        let source = Tensor::from_ints([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]], device);
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], device);
        input(source, Some(mask.equal_elem(1)))
    }

    #[test]
    fn rows_are_weights_of_what_is_there() {
        for placement in [NormPlacement::Pre, NormPlacement::Post] {
            let map = tiny(placement, &device()).attention_map(padded(&device()));
            assert_eq!(map.dims(), [2, 3, 5]);
            // Five weights, each rounded to 6e-8.
            let sums = read(map.clone().sum_dim(2));
            assert_close(&sums, &read(Tensor::<3>::ones([2, 3, 1], &device())), 5e-7);
            let rows: Vec<f32> = read(map).iter::<f32>().collect();
            let (first, second) = rows.split_at(15);
            assert!(first.iter().all(|&weight| weight > 0.0));
            for row in second.chunks(5) {
                assert!(row[..3].iter().all(|&weight| weight > 0.0) && row[3..] == [0.0, 0.0], "{row:?}");
            }
        }
    }

    /// What the last block puts out depends on the source through its weights alone: with the weights of the map, the
    /// values and the rest of the block by hand, the decoder's output is the same. One head, so that the mean is its weights.
    #[test]
    fn the_map_is_what_the_decoder_looks_at() {
        for norm_placement in [NormPlacement::Pre, NormPlacement::Post] {
            device().seed(11);
            let config = TransformerConfig { n_heads: 1, norm_placement, ..TransformerConfig::tiny() };
            let model = config.init(&device()).expect("valid");
            let expected = model.forward_features(padded(&device()));
            let map = model.attention_map(padded(&device()));

            let TransformerInput { source, target, source_mask, target_mask } = padded(&device());
            let memory = model.encode(source, source_mask);
            let (tokens, _) = model.embed_target(target, target_mask);
            let [first, last] = &model.decoder.layers[..] else { panic!("two blocks") };
            let read_first = &model.decoder.read(&memory.tokens)[0];
            let tokens = first.forward(tokens, None, read_first, memory.hidden(), keep_nothing);
            let tokens = norm_placement
                .residual(&last.norm1, tokens, |tokens| last.attn.forward(tokens, Causal::Yes, None));
            let seen = map.matmul(last.cross_attn.value.forward(memory.tokens.clone()));
            let tokens = norm_placement.residual(&last.norm2, tokens, |_| last.cross_attn.proj.forward(seen));
            let tokens = norm_placement.residual(&last.norm3, tokens, |tokens| last.mlp.forward(tokens));
            let norm = model.decoder.norm.as_ref().expect("a final one");
            // The same sums in another order.
            assert_close(&read(norm.forward(tokens)), &read(expected), 5e-6);
        }
    }

    #[test]
    fn heads_are_averaged() {
        let model = tiny(NormPlacement::Pre, &device());
        let last = &model.decoder.layers[1];
        let tokens = Tensor::<3>::random([2, 3, 10], burn::tensor::Distribution::Default, &device());
        let memory = Tensor::<3>::random([2, 5, 10], burn::tensor::Distribution::Default, &device());
        let keys = split_heads(last.cross_attn.key.forward(memory), 2);
        let read_memory = KeysValues { values: keys.clone(), keys: keys.clone() };
        let found = last.cross_attn.weights(tokens.clone(), &read_memory, None);
        let query = last.cross_attn.query.forward(tokens);
        for head in 0..2 {
            // A head has half of the ten columns.
            let query = query.clone().narrow(2, 5 * head, 5);
            let key = keys.clone().narrow(1, head, 1).squeeze_dim::<3>(1);
            let expected = activation::softmax(query.matmul(key.transpose()) / 5.0_f64.sqrt(), 2);
            assert_close(&read(found.clone().narrow(1, head, 1).squeeze_dim::<3>(1)), &read(expected), 5e-7);
        }
    }

    #[test]
    fn a_source_of_padding_has_no_weights() {
        let source = Tensor::from_ints([[3, 1, 4], [0, 0, 0]], &device());
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 1], [0, 0, 0]], &device());
        let map = tiny(NormPlacement::Pre, &device()).attention_map(input(source, Some(mask.equal_elem(1))));
        assert!(read(map).iter::<f32>().skip(9).all(|weight| weight == 0.0));
    }
}
