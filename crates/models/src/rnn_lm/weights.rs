//! Key tables. They depend on the configuration: an output that shares the embedding stands in a file once more.

use libellus_weights::{Layout, Rule};

use super::RnnLmConfig;

impl RnnLmConfig {
    /// PyTorch's example `word_language_model`: the state dictionary of its `RNNModel`.
    pub fn pytorch_layout(&self) -> Layout {
        let mut rules = PYTORCH.to_vec();
        if self.tie_embeddings {
            rules.push(Rule::Alias { ours: "encoder.weight", theirs: "decoder.weight" });
        }
        Layout::new("pytorch", rules)
    }
}

const PYTORCH: &[Rule] = &[
    Rule::Transpose { ours: "rnn.rnn.layers.*.forward.weight_ih" },
    Rule::Transpose { ours: "rnn.rnn.layers.*.forward.weight_hh" },
    Rule::Transpose { ours: "decoder.weight" },
    Rule::Rename { ours: "rnn.rnn.layers.*.forward.weight_ih", theirs: "rnn.weight_ih_l*" },
    Rule::Rename { ours: "rnn.rnn.layers.*.forward.weight_hh", theirs: "rnn.weight_hh_l*" },
    Rule::Rename { ours: "rnn.rnn.layers.*.forward.bias_ih", theirs: "rnn.bias_ih_l*" },
    Rule::Rename { ours: "rnn.rnn.layers.*.forward.bias_hh", theirs: "rnn.bias_hh_l*" },
];
