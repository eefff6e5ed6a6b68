"""Golden numbers of recurrent language models, as PyTorch's example word_language_model has them.

Run as `python rnn_lm.py`; writes beside itself, with Python 3.11, torch 2.15.0, safetensors 0.8.0:
- `rnn_lm`: an LSTM, with an output of its own
- `rnn_lm_tied`: gated recurrent units, with an output that shares the embedding

Expected are `tokens`, `hidden` and `cell` (the first state), `eval.*` (outputs at several depths, and the last state),
`coefficients` and `gradient.*` (matrices as ours are held), in f64 of weights that f32 holds exactly.
"""

import torch
from safetensors.torch import save_file
from torch import nn

from golden import HERE, randomize

VOCAB, EMBEDDING, HIDDEN, LAYERS = 29, 5, 7, 2
BATCH, STEPS = 3, 11


class RNNModel(nn.Module):
    """The example's class of this name, with its names; batch first, and without the final log_softmax."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        if rnn_type in ("LSTM", "GRU"):
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout, batch_first=True)
        else:
            nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[rnn_type]
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity, dropout=dropout, batch_first=True)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        output = self.drop(output)
        decoded = self.decoder(output)
        return decoded, hidden


def save(name, tensors):
    floats = {k: v if v.dtype == torch.int64 else v.detach().float() for k, v in tensors.items()}
    save_file({k: v.contiguous().clone() for k, v in floats.items()}, HERE / f"{name}.safetensors")


def write(name, model, seed):
    generator = torch.Generator().manual_seed(seed)
    randomize(model, generator)
    save(name, model.state_dict())

    model = model.double().eval()
    tokens = torch.randint(VOCAB, (BATCH, STEPS), generator=generator)
    is_lstm = isinstance(model.rnn, nn.LSTM)
    shape = [LAYERS, BATCH, model.rnn.hidden_size]
    state = [torch.rand(shape, generator=generator).double() * 2 - 1 for _ in range(1 + is_lstm)]
    state = [part.requires_grad_(True) for part in state]
    expected = {"tokens": tokens, "hidden": state[0]}
    if is_lstm:
        expected["cell"] = state[1]

    def keep(key):
        def hook(_module, _inputs, output):
            expected[f"eval.{key}"] = output[0] if isinstance(output, tuple) else output

        return hook

    # Without dropout, what is dropped is what the embedding puts out.
    hooks = [model.encoder.register_forward_hook(keep("drop")), model.rnn.register_forward_hook(keep("rnn"))]
    logits, last = model(tokens, tuple(state) if is_lstm else state[0])
    for hook in hooks:
        hook.remove()
    last = last if is_lstm else (last,)
    expected |= {f"eval.{key}": value for key, value in zip(("logits", "hidden", "cell"), (logits, *last))}

    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    ((logits * coefficients).sum() + sum(part.sum() for part in last)).backward()
    expected |= {
        "coefficients": coefficients,
        "gradient.hidden": state[0].grad,
        "gradient.encoder.weight": model.encoder.weight.grad,
        "gradient.rnn.weight_ih_l0": model.rnn.weight_ih_l0.grad.T,
        "gradient.rnn.weight_hh_l1": model.rnn.weight_hh_l1.grad.T,
        "gradient.decoder.bias": model.decoder.bias.grad,
    }
    if model.decoder.weight is not model.encoder.weight:
        expected["gradient.decoder.weight"] = model.decoder.weight.grad.T
    save(f"{name}_expected", expected)


def main():
    torch.set_num_threads(1)
    write("rnn_lm", RNNModel("LSTM", VOCAB, EMBEDDING, HIDDEN, LAYERS), 1)
    write("rnn_lm_tied", RNNModel("GRU", VOCAB, HIDDEN, HIDDEN, LAYERS, tie_weights=True), 2)


main()
