//! Key tables.

use libellus_weights::{Layout, Rule};

/// The eight tensors of each of the encoder's layers with the given numbers, as PyTorch names them, and what follows them.
macro_rules! rules {
    ($($layer:literal)+ ; $($rule:expr),+ $(,)?) => {
        &[
            $(
                rules!(@ $layer ".forward.layers.0.forward.weight_ih" "weight_ih_l" ""),
                rules!(@ $layer ".forward.layers.0.forward.weight_hh" "weight_hh_l" ""),
                rules!(@ $layer ".forward.layers.0.forward.bias_ih" "bias_ih_l" ""),
                rules!(@ $layer ".forward.layers.0.forward.bias_hh" "bias_hh_l" ""),
                rules!(@ $layer ".reverse.layers.0.forward.weight_ih" "weight_ih_l" "_reverse"),
                rules!(@ $layer ".reverse.layers.0.forward.weight_hh" "weight_hh_l" "_reverse"),
                rules!(@ $layer ".reverse.layers.0.forward.bias_ih" "bias_ih_l" "_reverse"),
                rules!(@ $layer ".reverse.layers.0.forward.bias_hh" "bias_hh_l" "_reverse"),
            )+
            $($rule),+
        ]
    };
    (@ $layer:literal $ours:literal $theirs:literal $direction:literal) => {
        Rule::Rename {
            ours: concat!("encoder.layers.", $layer, $ours),
            theirs: concat!("encoder.", $theirs, $layer, $direction),
        }
    };
}

/// A module of `torch.nn.Embedding` (`embedding`), a bidirectional `GRU` (`encoder`), a `GRUCell` (`cell`) whose input is the
/// embedding with the context behind it, and linear layers: `initial`, `query`, `key`, `score`, `readout`, whose input is the
/// state with embedding and context behind it, and perhaps `output`.
pub const PYTORCH: Layout = Layout::table(
    "pytorch",
    rules![
        0 1 2 3 4 5 6 7;
        Rule::Transpose { ours: "encoder.layers.*.*.layers.0.forward.weight_ih" },
        Rule::Transpose { ours: "encoder.layers.*.*.layers.0.forward.weight_hh" },
        Rule::Transpose { ours: "decoder.**.weight" },
        Rule::Transpose { ours: "readout.weight" },
        Rule::Transpose { ours: "output.weight" },
        Rule::Join {
            ours: &["decoder.token_gates.weight", "decoder.context_gates.weight"],
            theirs: "cell.weight_ih",
            dim: 1,
        },
        Rule::Rename { ours: "decoder.token_gates.bias", theirs: "cell.bias_ih" },
        Rule::Rename { ours: "decoder.state_gates.weight", theirs: "cell.weight_hh" },
        Rule::Rename { ours: "decoder.state_gates.bias", theirs: "cell.bias_hh" },
        Rule::Rename { ours: "decoder.attention.**", theirs: "**" },
        Rule::Rename { ours: "decoder.initial.*", theirs: "initial.*" },
    ],
);
