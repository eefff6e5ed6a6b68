//! The recurrent encoder-decoder with attention among the other architectures.

use burn::tensor::{Bool, Tensor};
use libellus_weights::Layout;

use super::{GruAttention, GruAttentionConfig, PYTORCH};
use crate::transformer::TransformerInput;
use crate::{Architecture, InputError, Preset, PresetModel, Tensors, device_of};

impl Architecture for GruAttentionConfig {
    type Model = GruAttention;

    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "rnnsearch",
            aliases: &[],
            family: "RNN",
            summary: "recurrent encoder and decoder of 1000 units with attention, for translation",
            model: PresetModel::Other(Self::rnnsearch().into()),
        }]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH]
    }

    /// A source and a target of 32 tokens each, about a sentence.
    fn example(&self) -> Result<Tensors, InputError> {
        Tensors::new().with_zeros::<i64, 2>("source", [1, 32])?.with_zeros::<i64, 2>("target", [1, 32])
    }

    /// Takes `source`, `[B, S]`, `target`, `[B, T]`, and if they are there `source_mask` and `target_mask` of their shapes (1
    /// for a token, 0 for the padding behind them). Puts out `memory`, `[B, S, 2 D]`, `attention`, `[B, T, S]`, and `logits`,
    /// `[B, T, V]`.
    fn run(&self, model: &GruAttention, inputs: &Tensors) -> Result<Tensors, InputError> {
        inputs.only(&["source", "target", "source_mask", "target_mask"])?;
        let device = device_of(model);
        let source = inputs.ints::<2>("source", self.vocab_size, &device)?;
        let target = inputs.ints::<2>("target", self.vocab_size, &device)?;
        for name in ["source", "target"] {
            inputs.length_within(name, 0, 1, usize::MAX)?;
            inputs.length_within(name, 1, 1, usize::MAX)?;
        }
        inputs.length("target", 0, source.dims()[0])?;
        let mask = |name, [batch, length]: [usize; 2]| -> Result<Option<Tensor<2, Bool>>, InputError> {
            let mask = inputs.optional_ints::<2>(name, 2, &device)?;
            inputs.length(name, 0, batch)?;
            inputs.length(name, 1, length)?;
            Ok(mask.map(|mask| mask.equal_elem(1)))
        };
        let source_mask = mask("source_mask", source.dims())?;
        let target_mask = mask("target_mask", target.dims())?;

        let input = TransformerInput { source, target, source_mask, target_mask };
        let (embedded, memory, decoded) = model.teach(input);
        let attention = decoded.weights.clone();
        let logits = model.logits(model.features(embedded, decoded, &memory));
        let outputs = Tensors::new().with("memory", memory.tokens).with("attention", attention);
        Ok(outputs.with("logits", logits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::{Int, TensorData};
    use libellus_backend::testing::{assert_close, device};
    use libellus_layers::trace::{Event, shapes};

    fn inputs<const S: usize, const T: usize>(source: [i64; S], target: [i64; T]) -> Tensors {
        let row = |values: &[i64]| TensorData::new(values.to_vec(), [1, values.len()]);
        Tensors::new().with_data("source", row(&source)).with_data("target", row(&target))
    }

    #[test]
    fn runs_on_named_tensors() {
        let config = GruAttentionConfig::tiny();
        let model = config.init(&device()).expect("valid");
        let run = |inputs: &Tensors| config.run(&model, inputs);
        let outputs = run(&inputs([3, 1, 4], [0, 6])).expect("valid tokens");
        let shapes: Vec<_> =
            outputs.iter().map(|(name, data)| (name, data.shape().as_slice().to_vec())).collect();
        assert_eq!(
            shapes,
            [("attention", vec![1, 2, 3]), ("logits", vec![1, 2, 13]), ("memory", vec![1, 3, 14])]
        );
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 1, 0]], &device());
        let padded = run(&inputs([3, 1, 4, 0], [0, 6]).with("source_mask", mask)).expect("a valid mask");
        let logits = |outputs: &Tensors| outputs.get("logits").expect("an output").clone();
        assert_close(&logits(&padded), &logits(&outputs), 2e-6);

        let error = |inputs: &Tensors| run(inputs).expect_err("wrong inputs").to_string();
        assert_eq!(
            error(&inputs([3, 13], [0])),
            "element 1 of input `source` is 13; it must be at least 0 and less than 13"
        );
        assert_eq!(
            error(&inputs([3, 1], [])),
            "dimension 1 of input `target` must be at least 1, not shape [1, 0]"
        );
        let two = Tensor::<2, Int>::zeros([2, 1], &device());
        assert_eq!(
            error(&inputs([3, 1], [0]).with("target", two.clone())),
            "dimension 0 of input `target` must be 1, not shape [2, 1]"
        );
        assert_eq!(
            error(&inputs([3, 1], [0]).with("target_mask", two)),
            "dimension 0 of input `target_mask` must be 1, not shape [2, 1]"
        );
    }

    #[test]
    fn costs_follow_from_shapes_alone() {
        let config = GruAttentionConfig::rnnsearch();
        let model = config.init(&device()).expect("valid");
        let (outputs, events) =
            shapes(|| config.run(&model, &config.example().expect("small"))).expect("small");
        assert!(outputs.is_ok());
        let macs: u64 = events
            .iter()
            .map(|event| match event {
                Event::Layer(layer) => layer.macs,
                Event::Product { macs } => *macs,
                Event::Tap { .. } => 0,
            })
            .sum();
        let (vocabulary, m, n) = (30_000, 620, 1000);
        let source = 2 * 3 * n * (m + n) + 2 * n * (n + 3 * n);
        let target = n * n + 3 * n * (m + n) + (m + 3 * n) * m + m * vocabulary;
        let pair = n + 3 * n + 2 * n;
        assert_eq!(macs, 32 * (source + target) + n * n + 32 * 32 * pair);
        assert_eq!(model.num_params(), 64_076_020);
        assert!(!model.decoder.attention.key.weight.is_initialized());
    }
}
