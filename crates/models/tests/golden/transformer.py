"""Golden numbers of `torch.nn.Transformer` with embeddings, positions and an output layer around it.

Run as `python transformer.py`; writes transformer_pre (normalisation first, output tied to the embeddings) and
transformer_post (normalisation last, no final one, an output layer of its own) beside itself. Versions: see golden.py.

The expected files have
- `source`, `target`, `source_mask`, `target_mask` (1 for a token): the input, as f32
- `eval.memory`, `eval.logits`; `coefficients`: what the logits are multiplied by to get the differentiated scalar
- `gradient.*`: gradients (matrices of linear layers transposed, as burn holds them)
transformer_pre_expected also has `positions`, the encoding of 7 positions.
"""

import math

import torch
from safetensors.torch import save_file
from torch import nn

from golden import HERE, randomize

WIDTH, HEADS, HIDDEN, VOCABULARY, DEPTH = 10, 2, 17, 13, 2


class Model(nn.Module):
    def __init__(self, norm_first):
        super().__init__()
        common = dict(dropout=0.0, batch_first=True, norm_first=norm_first)
        stacks = {}
        if not norm_first:
            encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, **common)
            decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, HIDDEN, **common)
            stacks = dict(
                custom_encoder=nn.TransformerEncoder(encoder, DEPTH, enable_nested_tensor=False),
                custom_decoder=nn.TransformerDecoder(decoder, DEPTH),
            )
        self.transformer = nn.Transformer(WIDTH, HEADS, DEPTH, DEPTH, HIDDEN, **common, **stacks)
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.output = None if norm_first else nn.Linear(WIDTH, VOCABULARY)

    def embed(self, tokens):
        return self.embedding(tokens) * math.sqrt(WIDTH) + positions(tokens.shape[1])

    def forward(self, source, target, source_mask, target_mask):
        source_padding, target_padding = ~source_mask.bool(), ~target_mask.bool()
        memory = self.transformer.encoder(self.embed(source), src_key_padding_mask=source_padding)
        future = torch.ones(target.shape[1], target.shape[1]).triu(1).bool()
        tokens = self.transformer.decoder(
            self.embed(target), memory, tgt_mask=future, tgt_key_padding_mask=target_padding,
            memory_key_padding_mask=source_padding,
        )
        logits = tokens @ self.embedding.weight.T if self.output is None else self.output(tokens)
        return memory, logits


def positions(length):
    angles = torch.arange(length).double()[:, None] / 10000 ** (torch.arange(0, WIDTH, 2).double() / WIDTH)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


torch.set_num_threads(1)
for name, norm_first, seed in [("transformer_pre", True, 1), ("transformer_post", False, 2)]:
    generator = torch.Generator().manual_seed(seed)
    model = Model(norm_first)
    randomize(model, generator)
    weights = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
    save_file(weights, HERE / f"{name}.safetensors")

    model = model.double()
    inputs = {
        "source": torch.randint(0, VOCABULARY, (3, 7), generator=generator),
        "target": torch.randint(0, VOCABULARY, (3, 5), generator=generator),
        "source_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 1 + [0] * 6]),
        "target_mask": torch.tensor([[1] * 5, [1] * 2 + [0] * 3, [1] * 4 + [0] * 1]),
    }
    memory, logits = model(**inputs)
    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    (logits * coefficients).sum().backward()
    decoder = model.transformer.decoder.layers[1]
    expected = inputs | {
        "eval.memory": memory,
        "eval.logits": logits,
        "coefficients": coefficients,
        "gradient.embedding": model.embedding.weight.grad,
        "gradient.encoder.layers.0.self_attn": model.transformer.encoder.layers[0].self_attn.in_proj_weight.grad.T,
        "gradient.decoder.layers.1.multihead_attn.key": decoder.multihead_attn.in_proj_weight.grad[WIDTH:2 * WIDTH].T,
    }
    if norm_first:
        expected["positions"] = positions(7)
    floats = {key: tensor.detach().float().contiguous() for key, tensor in expected.items()}
    save_file(floats, HERE / f"{name}_expected.safetensors")
