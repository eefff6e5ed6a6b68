"""Golden numbers of GPT-2, as `transformers` has it and as nanoGPT has it, small enough for a file.

Run as `python gpt2.py`; writes beside itself, with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0:
- `gpt2`: a GPT2Model as OpenAI's was published: names without a prefix, the causal mask as a buffer
- `gpt2_lm`: the same weights as a GPT2LMHeadModel: names with a prefix, the output once more
- `gpt2_gguf`: the same weights under llama.cpp's names, as the PyPI package gguf 0.19.0 maps them, matrices as in nn.Linear
- `gpt2_nano`: nanoGPT without biases, with the exact GELU

Expected are `tokens`, `eval.*` (outputs at several depths), `mask` and `padded.logits` (logits with padding on either side,
zero at the padding), `coefficients` and `gradient.*` (matrices as ours are held), in f64 of weights that f32 holds exactly.
"""

import gguf
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from golden import HERE, randomize

VOCAB, CONTEXT, LAYERS, HEADS, WIDTH, HIDDEN = 29, 17, 2, 3, 15, 23
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


class NanoBlock(nn.Module):
    """nanoGPT's block, with its names; the hidden width is free here, and GELU may be the approximation of GPT-2."""

    def __init__(self, bias, approximate):
        super().__init__()
        self.approximate = approximate
        self.ln_1 = nn.LayerNorm(WIDTH, bias=bias)
        self.attn = nn.ModuleDict(
            {"c_attn": nn.Linear(WIDTH, 3 * WIDTH, bias=bias), "c_proj": nn.Linear(WIDTH, WIDTH, bias=bias)}
        )
        self.ln_2 = nn.LayerNorm(WIDTH, bias=bias)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(WIDTH, HIDDEN, bias=bias), "c_proj": nn.Linear(HIDDEN, WIDTH, bias=bias)}
        )

    def forward(self, x):
        batch, tokens, _ = x.shape
        heads = [
            part.view(batch, tokens, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in self.attn.c_attn(self.ln_1(x)).split(WIDTH, dim=2)
        ]
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).reshape(batch, tokens, WIDTH))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate=self.approximate))


class NanoGpt(nn.Module):
    def __init__(self, bias, approximate="none"):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, WIDTH),
                "wpe": nn.Embedding(CONTEXT, WIDTH),
                "h": nn.ModuleList(NanoBlock(bias, approximate) for _ in range(LAYERS)),
                "ln_f": nn.LayerNorm(WIDTH, bias=bias),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, tokens):
        x = self.transformer.wte(tokens) + self.transformer.wpe(torch.arange(tokens.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))


def as_held(name, tensor, linear):
    return tensor.T if linear and name.endswith(CONV1D) else tensor


def expectations(model, tokens, generator, linear):
    """What a model puts out at several depths, and gradients of a scalar."""
    expected = {"tokens": tokens}

    def keep(key):
        def hook(_module, _inputs, output):
            expected[f"eval.{key}"] = (output[0] if isinstance(output, tuple) else output).detach()

        return hook

    transformer = model.transformer
    hooks = [block.register_forward_hook(keep(f"h.{index}")) for index, block in enumerate(transformer.h)]
    hooks.append(transformer.ln_f.register_forward_hook(keep("ln_f")))
    logits = model(tokens)
    logits = getattr(logits, "logits", logits)
    for hook in hooks:
        hook.remove()
    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    (logits * coefficients).sum().backward()
    expected |= {"eval.logits": logits.detach(), "coefficients": coefficients}
    for name in ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_proj.weight", "h.1.ln_2.weight"):
        gradient = transformer.get_parameter(name).grad
        expected[f"gradient.{name}"] = as_held(name, gradient, linear)
    return expected


def save(name, tensors):
    floats = {k: v if v.dtype == torch.int64 else v.float() for k, v in tensors.items()}
    save_file({k: v.contiguous().clone() for k, v in floats.items()}, HERE / f"{name}.safetensors")


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(3)
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=HIDDEN,
        bos_token_id=None, eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager",
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    randomize(model.transformer, generator)
    weights = {k: v for k, v in model.transformer.state_dict().items() if not k.endswith(".attn.bias")}
    causal = torch.tril(torch.ones(CONTEXT, CONTEXT)).view(1, 1, CONTEXT, CONTEXT)
    save("gpt2", weights | {f"h.{index}.attn.bias": causal for index in range(LAYERS)})
    prefixed = {f"transformer.{k}": v for k, v in weights.items()}
    masked = {f"transformer.h.{index}.attn.masked_bias": torch.tensor(-1e4) for index in range(LAYERS)}
    save("gpt2_lm", prefixed | masked | {"lm_head.weight": weights["wte.weight"]})

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, LAYERS)
    theirs = {names.get_name(k, try_suffixes=(".weight", ".bias")): as_held(k, v, True) for k, v in weights.items()}
    assert None not in theirs and len(theirs) == len(weights)
    save("gpt2_gguf", theirs)

    model = model.double().eval()
    tokens = torch.randint(VOCAB, (3, 11), generator=generator)
    expected = expectations(model, tokens, generator, linear=False)
    mask = torch.ones_like(tokens)
    mask[0, :4] = 0
    mask[1, 7:] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded = model(tokens, attention_mask=mask, position_ids=positions).logits.detach()
    expected |= {"mask": mask, "padded.logits": padded * mask.unsqueeze(-1)}
    save("gpt2_expected", expected)

    # nanoGPT as written above agrees with transformers; without biases, transformers has no equal.
    nano = NanoGpt(bias=True, approximate="tanh")
    nano.load_state_dict({k: as_held(k, v, True) for k, v in prefixed.items()} | {"lm_head.weight": weights["wte.weight"]})
    nano = nano.double().eval()
    assert torch.allclose(nano(tokens), expected["eval.logits"], rtol=0, atol=1e-12)

    nano = NanoGpt(bias=False)
    randomize(nano.transformer, generator)
    save("gpt2_nano", dict(nano.state_dict()))
    save("gpt2_nano_expected", expectations(nano.double().eval(), tokens, generator, linear=True))


main()
