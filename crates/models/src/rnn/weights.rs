//! Key tables.

use libellus_weights::{Layout, Rule};

/// The eight tensors of each of the layers with the given numbers, as PyTorch names them.
macro_rules! rules {
    ($($layer:literal)+) => {
        &[
            Rule::Transpose { ours: "rnn.layers.*.*.weight_ih" },
            Rule::Transpose { ours: "rnn.layers.*.*.weight_hh" },
            Rule::Transpose { ours: "head.weight" },
            Rule::Prefix { theirs: "rnn" },
            $(
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".forward.weight_ih"),
                    theirs: concat!("weight_ih_l", $layer),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".forward.weight_hh"),
                    theirs: concat!("weight_hh_l", $layer),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".forward.bias_ih"),
                    theirs: concat!("bias_ih_l", $layer),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".forward.bias_hh"),
                    theirs: concat!("bias_hh_l", $layer),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".reverse.weight_ih"),
                    theirs: concat!("weight_ih_l", $layer, "_reverse"),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".reverse.weight_hh"),
                    theirs: concat!("weight_hh_l", $layer, "_reverse"),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".reverse.bias_ih"),
                    theirs: concat!("bias_ih_l", $layer, "_reverse"),
                },
                Rule::Rename {
                    ours: concat!("rnn.layers.", $layer, ".reverse.bias_hh"),
                    theirs: concat!("bias_hh_l", $layer, "_reverse"),
                },
            )+
        ]
    };
}

/// `torch.nn.RNN`, `LSTM` or `GRU`, bare (`weight_ih_l0`) or as the layer `rnn` of a module (`rnn.weight_ih_l0`) whose
/// linear layer is called `head`.
pub const PYTORCH: Layout = Layout::table("pytorch", rules!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15));
