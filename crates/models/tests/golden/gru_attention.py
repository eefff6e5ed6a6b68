"""Golden numbers of a recurrent encoder-decoder with attention, put together from PyTorch's layers.

Run as `python gru_attention.py`; writes beside itself, with Python 3.11, torch 2.15.0, safetensors 0.8.0:
- `gru_attention`: an encoder of two layers, an output that shares the embedding
- `gru_attention_separate`: an encoder of one layer, an output of its own

The padding of the sources is taken out with `pack_padded_sequence`. Everything is computed in f64 of weights that f32 holds
exactly. The expected files have
- `source`, `target`, `source_mask`, `target_mask` (1 for a token), and `coefficients`, what the logits are multiplied by to
  get the differentiated scalar: zero where the target is padding
- `eval.*`: the encoder's states (zeros for padding), the decoder's, the contexts, the weights of the attention, the logits
- `gradient.*`: gradients (matrices of linear layers and cells transposed, as they are held here)
"""

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from golden import HERE, randomize

VOCABULARY, EMBEDDING, HIDDEN = 13, 5, 7
SOURCE_LENGTHS, TARGET_LENGTHS = [11, 4, 1], [5, 2, 4]


class RnnSearch(nn.Module):
    def __init__(self, layers, tied):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.encoder = nn.GRU(EMBEDDING, HIDDEN, layers, batch_first=True, bidirectional=True)
        self.initial = nn.Linear(HIDDEN, HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.key = nn.Linear(2 * HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1, bias=False)
        self.cell = nn.GRUCell(EMBEDDING + 2 * HIDDEN, HIDDEN)
        self.readout = nn.Linear(HIDDEN + EMBEDDING + 2 * HIDDEN, EMBEDDING)
        self.output = None if tied else nn.Linear(EMBEDDING, VOCABULARY)

    def encode(self, source, source_mask):
        lengths = source_mask.sum(1)
        packed = pack_padded_sequence(self.embedding(source), lengths, batch_first=True, enforce_sorted=False)
        packed, last = self.encoder(packed)
        annotations, _ = pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])
        # The last of the states is that of the last layer's reverse direction, after the first token.
        return annotations, torch.tanh(self.initial(last[-1]))

    def attend(self, state, annotations, mask):
        scores = self.score(torch.tanh(self.query(state)[:, None] + self.key(annotations)))[:, :, 0]
        weights = torch.softmax(scores.masked_fill(mask == 0, float("-inf")), dim=1)
        return weights, (weights[:, :, None] * annotations).sum(1)

    def forward(self, source, target, source_mask):
        annotations, state = self.encode(source, source_mask)
        steps = []
        for token in self.embedding(target).unbind(1):
            weights, context = self.attend(state, annotations, source_mask)
            state = self.cell(torch.cat([token, context], 1), state)
            hidden = torch.tanh(self.readout(torch.cat([state, token, context], 1)))
            logits = hidden @ self.embedding.weight.T if self.output is None else self.output(hidden)
            steps.append((state, context, weights, logits))
        return annotations, *(torch.stack(parts, 1) for parts in zip(*steps))


def mask(lengths):
    return torch.tensor([[int(place < length) for place in range(max(lengths))] for length in lengths])


def write(name, layers, tied, seed):
    generator = torch.Generator().manual_seed(seed)
    model = RnnSearch(layers, tied)
    randomize(model, generator)
    # Weights that differ: with equal ones, hardly a gradient reaches what makes them.
    with torch.no_grad():
        model.score.weight.mul_(4)
    weights = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
    save_file(weights, HERE / f"{name}.safetensors")

    model = model.double()
    source_mask, target_mask = mask(SOURCE_LENGTHS), mask(TARGET_LENGTHS)
    source = torch.randint(0, VOCABULARY, source_mask.shape, generator=generator)
    target = torch.randint(0, VOCABULARY, target_mask.shape, generator=generator)
    annotations, states, contexts, attention, logits = model(source, target, source_mask)
    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    coefficients = coefficients * target_mask[:, :, None]
    (logits * coefficients).sum().backward()
    last = f"l{layers - 1}"
    expected = {
        "source": source,
        "target": target,
        "source_mask": source_mask,
        "target_mask": target_mask,
        "coefficients": coefficients,
        "eval.memory": annotations,
        "eval.decoder": states,
        "eval.decoder.attention": contexts,
        "eval.weights": attention,
        "eval.logits": logits,
        "gradient.embedding": model.embedding.weight.grad,
        f"gradient.encoder.weight_ih_{last}": model.encoder.get_parameter(f"weight_ih_{last}").grad.T,
        "gradient.encoder.weight_hh_l0_reverse": model.encoder.weight_hh_l0_reverse.grad.T,
        "gradient.initial": model.initial.weight.grad.T,
        "gradient.query": model.query.weight.grad.T,
        "gradient.key": model.key.weight.grad.T,
        "gradient.score": model.score.weight.grad.T,
        "gradient.cell.token": model.cell.weight_ih.grad[:, :EMBEDDING].T,
        "gradient.cell.context": model.cell.weight_ih.grad[:, EMBEDDING:].T,
        "gradient.cell.bias_hh": model.cell.bias_hh.grad,
        "gradient.readout": model.readout.weight.grad.T,
    }
    floats = {key: tensor.detach().float().contiguous() for key, tensor in expected.items()}
    save_file(floats, HERE / f"{name}_expected.safetensors")


def main():
    torch.set_num_threads(1)
    write("gru_attention", 2, True, 1)
    write("gru_attention_separate", 1, False, 2)


main()
