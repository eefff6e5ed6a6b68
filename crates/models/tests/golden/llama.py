"""Golden numbers of Llama, as `transformers` has it, small enough for a file.

Run as `python llama.py`; writes beside itself, with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0:
- `llama`: an output that shares the embedding, no biases, plain rotation
- `llama_scaled`: an output of its own, biases in attention, rotation scaled as in Llama 3
- `llama_gguf`, `llama_scaled_gguf`: the same weights under llama.cpp's names and in its order of rows

Expected are `tokens`, `eval.*` (outputs at several depths), `mask` and `padded.logits` (logits with padding on either side,
zero at the padding), `coefficients` and `gradient.*` (matrices as ours are held), in f64 of weights that f32 holds exactly;
transformers computes the rotations in f32.
"""

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from golden import HERE, randomize

VOCAB, CONTEXT, LAYERS, HEADS, GROUPS, HEAD, WIDTH, HIDDEN = 29, 17, 2, 6, 2, 4, 18, 13
GGUF = [
    ("model.embed_tokens.", "token_embd."),
    ("model.norm.", "output_norm."),
    ("lm_head.", "output."),
    ("model.layers.", "blk."),
    ("input_layernorm.", "attn_norm."),
    ("post_attention_layernorm.", "ffn_norm."),
    ("self_attn.q_proj.", "attn_q."),
    ("self_attn.k_proj.", "attn_k."),
    ("self_attn.v_proj.", "attn_v."),
    ("self_attn.o_proj.", "attn_output."),
    ("mlp.gate_proj.", "ffn_gate."),
    ("mlp.up_proj.", "ffn_up."),
    ("mlp.down_proj.", "ffn_down."),
]


def gguf(weights):
    """Renames tensors, and reorders the rows of queries and keys as llama.cpp's converter does: a rotation there turns
    neighbouring rows against each other."""
    converted = {}
    for name, tensor in weights.items():
        if "q_proj" in name or "k_proj" in name:
            rest = tensor.shape[1:]
            tensor = tensor.reshape(-1, 2, HEAD // 2, *rest).swapaxes(1, 2).reshape(tensor.shape)
        for theirs, llama_cpp in GGUF:
            name = name.replace(theirs, llama_cpp)
        converted[name] = tensor
    return converted


def save(name, tensors):
    floats = {k: v if v.dtype == torch.int64 else v.float() for k, v in tensors.items()}
    save_file({k: v.contiguous().clone() for k, v in floats.items()}, HERE / f"{name}.safetensors")


def write(name, seed, tied, bias, rope):
    generator = torch.Generator().manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCAB, max_position_embeddings=CONTEXT, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=GROUPS, head_dim=HEAD, hidden_size=WIDTH, intermediate_size=HIDDEN, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=None, attention_bias=bias, tie_word_embeddings=tied, rope_parameters={"rope_theta": 100.0} | rope,
        attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    randomize(model, generator)
    weights = dict(model.state_dict())
    if tied:
        assert torch.equal(weights.pop("lm_head.weight"), weights["model.embed_tokens.weight"])
    inv_freq = {f"model.layers.{index}.self_attn.rotary_emb.inv_freq": torch.ones(HEAD // 2) for index in range(LAYERS)}
    save(name, weights | (inv_freq if tied else {}))
    save(f"{name}_gguf", gguf(weights) | ({} if tied else {"rope_freqs.weight": torch.ones(HEAD // 2)}))

    model = model.double().eval()
    tokens = torch.randint(VOCAB, (3, 11), generator=generator)
    expected = {"tokens": tokens}

    def keep(key):
        def hook(_module, _inputs, output):
            expected[f"eval.{key}"] = (output[0] if isinstance(output, tuple) else output).detach()

        return hook

    hooks = [layer.register_forward_hook(keep(f"layers.{index}")) for index, layer in enumerate(model.model.layers)]
    hooks.append(model.model.norm.register_forward_hook(keep("norm")))
    logits = model(tokens).logits
    for hook in hooks:
        hook.remove()
    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    (logits * coefficients).sum().backward()
    expected |= {"eval.logits": logits.detach(), "coefficients": coefficients}
    for key in ("embed_tokens.weight", "layers.0.self_attn.k_proj.weight", "layers.1.mlp.gate_proj.weight"):
        gradient = model.model.get_parameter(key).grad
        expected[f"gradient.{key}"] = gradient.T if "proj" in key else gradient

    mask = torch.ones_like(tokens)
    mask[0, :4] = 0
    mask[1, 7:] = 0
    # Each sequence alone: transformers' eager attention makes NaN of padding on the left in f64, and spreads it.
    padded = torch.zeros_like(logits.detach())
    for row, real in enumerate(mask.bool()):
        padded[row, real] = model(tokens[row : row + 1, real]).logits[0].detach()
    save(f"{name}_expected", expected | {"mask": mask, "padded.logits": padded})


torch.set_num_threads(1)
write("llama", 5, tied=True, bias=False, rope={"rope_type": "default"})
write(
    "llama_scaled",
    6,
    tied=False,
    bias=True,
    rope={
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 0.5,
        "high_freq_factor": 2.0,
        "original_max_position_embeddings": 13,
    },
)
