"""Golden numbers of PyTorch's recurrent layers, with two layers in both directions.

Run as `python rnn.py`; writes rnn_tanh, rnn_relu, rnn_lstm and rnn_gru beside itself, with Python 3.11, torch 2.15.0,
safetensors 0.8.0. Weights are those of a module with a layer `rnn` and a linear layer `head`; rnn_gru's are those of the
bare layer.

Expected are `sequence`, `hidden` and `cell` (the input and the first state), `eval.output`, `eval.hidden`, `eval.cell`,
`eval.logits`, `coefficients` and `gradient.*` (matrices as ours are held), in f64 of weights that f32 holds exactly.
"""

import torch
from safetensors.torch import save_file
from torch import nn

from golden import HERE, randomize

BATCH, STEPS, INPUT, HIDDEN, LAYERS, OUTPUT = 3, 7, 5, 4, 2, 6


def write(name, layer, seed, head):
    generator = torch.Generator().manual_seed(seed)
    model = nn.ModuleDict({"rnn": layer} | ({"head": nn.Linear(2 * HIDDEN, OUTPUT)} if head else {}))
    randomize(model, generator)
    save_file(
        {k: v.contiguous().clone() for k, v in (model if head else layer).state_dict().items()},
        HERE / f"{name}.safetensors",
    )

    def uniform(*shape):
        return torch.rand(shape, generator=generator).double() * 2 - 1

    model = model.double().eval()
    is_lstm = isinstance(layer, nn.LSTM)
    sequence = uniform(BATCH, STEPS, INPUT).requires_grad_(True)
    state = [uniform(2 * LAYERS, BATCH, HIDDEN).requires_grad_(True) for _ in range(1 + is_lstm)]
    output, last = layer(sequence, tuple(state) if is_lstm else state[0])
    last = last if is_lstm else (last,)
    expected = {"sequence": sequence, "hidden": state[0], "eval.output": output, "eval.hidden": last[0]}
    if is_lstm:
        expected |= {"cell": state[1], "eval.cell": last[1]}
    if head:
        output = model["head"](output)
        expected["eval.logits"] = output
    coefficients = uniform(*output.shape)
    ((output * coefficients).sum() + sum(part.sum() for part in last)).backward()
    expected |= {
        "coefficients": coefficients,
        "gradient.sequence": sequence.grad,
        "gradient.hidden": state[0].grad,
        "gradient.weight_ih_l0": layer.weight_ih_l0.grad.T,
        "gradient.weight_hh_l1_reverse": layer.weight_hh_l1_reverse.grad.T,
        "gradient.bias_hh_l0_reverse": layer.bias_hh_l0_reverse.grad,
    }
    floats = {k: v.detach().float().contiguous() for k, v in expected.items()}
    save_file(floats, HERE / f"{name}_expected.safetensors")


torch.set_num_threads(1)
options = {"num_layers": LAYERS, "bidirectional": True, "batch_first": True}
write("rnn_tanh", nn.RNN(INPUT, HIDDEN, nonlinearity="tanh", **options), 1, head=True)
write("rnn_relu", nn.RNN(INPUT, HIDDEN, nonlinearity="relu", **options), 2, head=True)
write("rnn_lstm", nn.LSTM(INPUT, HIDDEN, **options), 3, head=True)
write("rnn_gru", nn.GRU(INPUT, HIDDEN, **options), 4, head=False)
