"""The reference implementation of every preset, with random weights.

`reference(name, config, layout)` gives a `Reference`; the classes that have no public package are those of the golden
scripts in `crates/models/tests/golden`, taken from there by `golden_classes`.
"""

import ast
import math
import pathlib
import tempfile
from dataclasses import dataclass, field
from typing import Callable

import gguf
import torch
import torchvision
import transformers
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

GOLDEN = pathlib.Path(__file__).parents[2] / "crates/models/tests/golden"


@dataclass
class Reference:
    """A model of the reference implementation, and how it is compared."""

    module: nn.Module
    inputs: dict
    # From (module, inputs) to named outputs.
    run: Callable
    # The module whose state dict is the checkpoint; `module` itself if not given.
    stored: nn.Module | None = None
    # Turns the state dict into what is saved.
    arrange: Callable = field(default=lambda weights: weights)

    def weights(self):
        """The checkpoint, under the names in which it would be published."""
        module = self.stored or self.module
        if isinstance(module, transformers.PreTrainedModel):
            # The modules have other names in memory.
            with tempfile.TemporaryDirectory() as folder:
                module.save_pretrained(folder, max_shard_size="100GB")
                return self.arrange(load_file(f"{folder}/model.safetensors"))
        return self.arrange({name: tensor.contiguous() for name, tensor in module.state_dict().items()})


def golden_classes(script, **constants):
    """The classes and functions of a golden script, without what it does when it is run."""
    tree = ast.parse((GOLDEN / script).read_text())
    kept = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    tree.body = [
        node for node in tree.body if isinstance(node, kept) and getattr(node, "module", None) != "golden"
    ]
    names = dict(constants)
    exec(compile(tree, script, "exec"), names)
    return names


def randomize(module, seed):
    """Weights as the reference draws them, but nothing left at zero or one, and batch norms that have seen data."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                uniform(tensor, 0.5, 1.5)
            elif name.endswith("running_mean"):
                uniform(tensor, -0.1, 0.1)
            elif "layer_scale" in name:
                uniform(tensor, 0.05, 0.15)
            elif tensor.dim() <= 1:
                uniform(tensor, *((0.8, 1.2) if name.endswith("weight") else (-0.1, 0.1)))
            elif tensor.std() < 1e-4:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.02)


def away_from_kinks(module):
    """Batch norms that keep what rectifiers get far from zero: above, and in some channels of blocks' first norms below.

    The gradient of a rectifier jumps where its input changes sign, and among millions of inputs some are so near to zero
    that rounding decides. Gradients in f32 and in f64 then differ by as much as two true gradients; PyTorch's own by a
    fifth of the largest value in ResNeXt-50. Forward passes have no such jumps.
    """
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, part in module.named_modules():
            if isinstance(part, nn.BatchNorm2d):
                shape = part.weight.shape
                part.weight.copy_(torch.rand(shape, generator=generator) * 0.1 + 0.1)
                below = torch.rand(shape, generator=generator) < (0.25 if name.endswith("bn1") else 0.0)
                part.bias.copy_((torch.rand(shape, generator=generator) * 0.5 + 1.0) * torch.where(below, -1.0, 1.0))


def nothing_dropped(module):
    for part in module.modules():
        if isinstance(part, (nn.Dropout, torchvision.ops.StochasticDepth)):
            part.p = 0.0


def images(config, channels, size, batch):
    generator = torch.Generator().manual_seed(7)
    return {"images": torch.randn([batch, channels, *size], generator=generator)}


def token_inputs(vocabulary, length, mask):
    generator = torch.Generator().manual_seed(7)
    inputs = {"tokens": torch.randint(vocabulary, (2, length), generator=generator)}
    if mask:
        inputs["mask"] = torch.ones_like(inputs["tokens"])
        inputs["mask"][1, length - 5 :] = 0
    return inputs


def logits(module, inputs):
    return {"logits": module(inputs["images"].to(next(module.parameters()).dtype))}


def reference(name, config, layout, shapes):
    """The reference of a preset, `None` if there is none of this layout; `shapes` are those of its inputs."""
    torch.manual_seed(0)
    build = BUILDERS[config["architecture"]]
    made = build(name, config, layout, shapes)
    if made is not None:
        randomize(made.module, 1)
    return made


def classifier(module, shapes):
    _, channels, *size = shapes["images"]
    return Reference(module, images(None, channels, size, 2), logits)


def mlp(_name, config, _layout, shapes):
    class Mlp(nn.Module):
        def __init__(self, widths):
            super().__init__()
            self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
            self.head = nn.Linear(widths[-1], config["num_classes"])

        def forward(self, x):
            x = x.flatten(1)
            for layer in self.hidden:
                x = F.relu(layer(x))
            return self.head(x)

    return classifier(Mlp([math.prod(shapes["images"]), *config["hidden"]]), shapes)


def lenet5(_name, config, _layout, shapes):
    build = golden_classes("lenet5.py")["LeNet5"]
    return classifier(build(1, 16 * 5 * 5, config["num_classes"], torch.relu, nn.MaxPool2d(2)), shapes)


def cifar_resnet(_name, config, _layout, shapes):
    build = golden_classes("cifar_resnet.py")["CifarResNet"]
    blocks = (config["depth"] - 2) // 6
    module = build(blocks, config["width"], config["in_channels"], config["num_classes"])
    module.conv1.stride = (config["stem_stride"],) * 2
    return classifier(module, shapes)


def of_torchvision(name, _config, _layout, shapes):
    return classifier(getattr(torchvision.models, name)(weights=None), shapes)


def vit(name, config, layout, shapes):
    size, patch = config["image_size"][0], config["patch_size"]
    sizes = dict(width=config["d_model"], depth=config["n_layers"], heads=config["n_heads"], hidden=config["d_ff"])
    if layout == "timm":
        import timm

        return classifier(timm.create_model(name, pretrained=False, num_classes=1000), shapes)
    if layout == "torchvision":
        module = torchvision.models.VisionTransformer(
            size, patch, sizes["depth"], sizes["heads"], sizes["width"], sizes["hidden"]
        )
        return classifier(module, shapes)
    module = transformers.ViTForImageClassification(
        transformers.ViTConfig(
            hidden_size=sizes["width"], num_hidden_layers=sizes["depth"], num_attention_heads=sizes["heads"],
            intermediate_size=sizes["hidden"], image_size=size, patch_size=patch, layer_norm_eps=config["epsilon"],
            num_labels=1000, attn_implementation="eager",
        )
    )  # fmt: skip
    made = classifier(module, shapes)
    made.run = lambda module, inputs: {"logits": module(inputs["images"].to(module.dtype)).logits}
    return made


def unet(_name, config, _layout, shapes):
    parts = golden_classes("unet.py")
    padding, norm, width = int(config["convolutions"] == "same"), config["batch_norm"], config["width"]

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc = parts["DoubleConv"](config["in_channels"], width, padding, norm)
            for level in range(1, 5):
                setattr(self, f"down{level}", parts["Down"](width << level - 1, width << level, padding, norm))
            for level in range(1, 5):
                up = parts["Up"](width << 5 - level, width << 4 - level, padding, norm, False)
                setattr(self, f"up{level}", up)
            self.outc = nn.Module()
            self.outc.conv = nn.Conv2d(width, config["num_classes"], 1)

        def forward(self, x):
            levels = [self.inc(x)]
            for down in (self.down1, self.down2, self.down3, self.down4):
                levels.append(down(levels[-1]))
            x = levels.pop()
            for up in (self.up1, self.up2, self.up3, self.up4):
                x = up(x, levels.pop())
            return self.outc.conv(x)

    _, channels, *size = shapes["images"]
    return Reference(UNet(), images(None, channels, size, 1), logits)


def gpt2(name, config, layout, _shapes):
    length = min(config["context"], 64)
    sizes = dict(VOCAB=config["vocab_size"], CONTEXT=config["context"], LAYERS=config["n_layers"],
                 HEADS=config["n_heads"], WIDTH=config["d_model"], HIDDEN=config["d_ff"])  # fmt: skip
    if layout == "nanogpt":
        module = golden_classes("gpt2.py", **sizes)["NanoGpt"](
            config["bias"], "tanh" if config["activation"] == "gelu_tanh" else "none"
        )

        def run(module, inputs):
            return {"logits": module(inputs["tokens"])}

        return Reference(module, token_inputs(config["vocab_size"], length, mask=False), run)
    if not config["bias"]:
        return None
    module = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config["vocab_size"], n_positions=config["context"], n_embd=config["d_model"],
            n_layer=config["n_layers"], n_head=config["n_heads"], n_inner=config["d_ff"], resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None, attn_implementation="eager",
        )
    )  # fmt: skip

    def arrange(weights):
        return gpt2_gguf_weights(weights, config["n_layers"]) if layout == "gguf" else weights

    inputs = token_inputs(config["vocab_size"], length, mask=True)
    return Reference(module, inputs, masked_logits, stored=module.transformer, arrange=arrange)


def gpt2_gguf_weights(weights, layers):
    """As llama.cpp's converter stores them: under the names that gguf has for them, matrices as in nn.Linear."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, layers)
    conv1d = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return {
        names.get_name(name, try_suffixes=(".weight", ".bias")): (tensor.T if name.endswith(conv1d) else tensor).contiguous()
        for name, tensor in weights.items()
    }


def masked_logits(module, inputs):
    """Logits of what isn't padding; the others are set to zero on both sides."""
    mask = inputs.get("mask")
    out = module(inputs["tokens"], attention_mask=mask).logits
    return {"logits": out if mask is None else out * mask.unsqueeze(-1)}


def llama(_name, config, layout, _shapes):
    scaling = config.get("rope_scaling")
    rope = {"rope_theta": config["rope_theta"]}
    if scaling:
        rope |= {
            "rope_type": "llama3", "factor": scaling["factor"], "low_freq_factor": scaling["low_freq_factor"],
            "high_freq_factor": scaling["high_freq_factor"],
            "original_max_position_embeddings": scaling["original_context"],
        }  # fmt: skip
    module = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config["vocab_size"], max_position_embeddings=config["context"],
            num_hidden_layers=config["n_layers"], num_attention_heads=config["n_heads"],
            num_key_value_heads=config["n_kv_heads"], head_dim=config["head_dim"], hidden_size=config["d_model"],
            intermediate_size=config["d_ff"], rms_norm_eps=config["epsilon"], bos_token_id=None, eos_token_id=None,
            tie_word_embeddings=config["tie_embeddings"], rope_parameters=rope, attn_implementation="eager",
        )
    )  # fmt: skip

    def arrange(weights):
        return gguf_weights(weights, config["head_dim"]) if layout == "gguf" else weights

    inputs = token_inputs(config["vocab_size"], 64, mask=True)
    return Reference(module, inputs, masked_logits, arrange=arrange)


GGUF_NAMES = [
    ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"), ("model.layers", "blk"),
    ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"), ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
]  # fmt: skip


def gguf_weights(weights, head):
    """As llama.cpp's converter stores them: other names, and the rows of queries and keys in its order of rotation."""
    converted = {}
    for name, tensor in weights.items():
        if "q_proj" in name or "k_proj" in name:
            rest = tensor.shape[1:]
            tensor = tensor.reshape(-1, 2, head // 2, *rest).swapaxes(1, 2).reshape(tensor.shape)
        for theirs, llama_cpp in GGUF_NAMES:
            name = name.replace(theirs, llama_cpp)
        converted[name] = tensor.contiguous()
    return converted


def bert(_name, config, layout, _shapes):
    module = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=config["vocab_size"], hidden_size=config["d_model"], num_hidden_layers=config["n_layers"],
            num_attention_heads=config["n_heads"], intermediate_size=config["d_ff"],
            max_position_embeddings=config["context"], layer_norm_eps=config["epsilon"],
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
        )
    )  # fmt: skip

    def run(module, inputs):
        out = module(inputs["tokens"], attention_mask=inputs["mask"])
        return {"hidden": out.last_hidden_state * inputs["mask"].unsqueeze(-1), "pooled": out.pooler_output}

    def arrange(weights):
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        if layout == "huggingface-old":
            for now, then in old.items():
                weights = {name.replace(now, then): tensor for name, tensor in weights.items()}
        return weights

    return Reference(module, token_inputs(config["vocab_size"], 64, mask=True), run, arrange=arrange)


def transformer(_name, config, _layout, _shapes):
    """As in the golden script, at full size: normalisation last, no final one, the output tied to the embeddings."""
    width, heads, hidden = config["d_model"], config["n_heads"], config["d_ff"]
    assert config["norm_placement"] == "post" and not config["final_norm"] and config["output"] == "tied"
    positions = golden_classes("transformer.py", WIDTH=width)["positions"]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            common = dict(dropout=0.0, batch_first=True, norm_first=False)
            encoder = nn.TransformerEncoderLayer(width, heads, hidden, **common)
            decoder = nn.TransformerDecoderLayer(width, heads, hidden, **common)
            self.transformer = nn.Transformer(
                width, heads, custom_encoder=nn.TransformerEncoder(encoder, config["n_encoder_layers"], enable_nested_tensor=False),
                custom_decoder=nn.TransformerDecoder(decoder, config["n_decoder_layers"]), **common,
            )  # fmt: skip
            self.embedding = nn.Embedding(config["vocab_size"], width)

        def embed(self, tokens):
            dtype = self.embedding.weight.dtype
            return self.embedding(tokens) * math.sqrt(width) + positions(tokens.shape[1]).to(dtype)

        def forward(self, source, target, source_mask):
            padding = ~source_mask.bool()
            memory = self.transformer.encoder(self.embed(source), src_key_padding_mask=padding)
            future = torch.ones(target.shape[1], target.shape[1]).triu(1).bool()
            tokens = self.transformer.decoder(
                self.embed(target), memory, tgt_mask=future, memory_key_padding_mask=padding
            )
            return memory, tokens @ self.embedding.weight.T

    tokens = token_inputs(config["vocab_size"], 32, mask=True)
    inputs = {"source": tokens["tokens"], "source_mask": tokens["mask"], "target": tokens["tokens"][:, :23].flip(1)}

    def run(module, inputs):
        memory, logits = module(inputs["source"], inputs["target"], inputs["source_mask"])
        return {"memory": memory * inputs["source_mask"].unsqueeze(-1), "logits": logits}

    def arrange(weights):
        return {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}

    return Reference(Model(), inputs, run, arrange=arrange)


def gru_attention(_name, config, _layout, _shapes):
    sizes = dict(VOCABULARY=config["vocab_size"], EMBEDDING=config["d_model"], HIDDEN=config["d_hidden"])
    module = golden_classes("gru_attention.py", **sizes)["RnnSearch"](config["n_layers"], config["output"] == "tied")
    tokens = token_inputs(config["vocab_size"], 32, mask=True)
    inputs = {"source": tokens["tokens"], "source_mask": tokens["mask"], "target": tokens["tokens"][:, :23].flip(1)}

    def run(module, inputs):
        memory, _, _, attention, logits = module(inputs["source"], inputs["target"], inputs["source_mask"])
        return {"memory": memory * inputs["source_mask"].unsqueeze(-1), "attention": attention, "logits": logits}

    return Reference(module, inputs, run)


def rnn(_name, config, _layout, shapes):
    layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}[config["cell"]]
    module = layer(config["d_input"], config["d_hidden"], config["n_layers"], batch_first=True)
    generator = torch.Generator().manual_seed(7)
    inputs = {"sequence": torch.randn([3, 47, config["d_input"]], generator=generator)}

    def run(module, inputs):
        output, state = module(inputs["sequence"].to(module.weight_ih_l0.dtype))
        hidden, cell = state if isinstance(state, tuple) else (state, None)
        return {"output": output, "hidden": hidden} | ({} if cell is None else {"cell": cell})

    return Reference(module, inputs, run)


def rnn_lm(_name, config, _layout, _shapes):
    module = golden_classes("rnn_lm.py")["RNNModel"](
        config["cell"].upper(), config["vocab_size"], config["d_model"], config["d_hidden"], config["n_layers"],
        0.0, config["tie_embeddings"],
    )  # fmt: skip

    def run(module, inputs):
        logits, state = module(inputs["tokens"], None)
        hidden, cell = state if isinstance(state, tuple) else (state, None)
        return {"logits": logits, "hidden": hidden} | ({} if cell is None else {"cell": cell})

    return Reference(module, token_inputs(config["vocab_size"], 47, mask=False), run)


BUILDERS = {
    "mlp": mlp, "lenet5": lenet5, "cifar_resnet": cifar_resnet, "resnet": of_torchvision, "vgg": of_torchvision,
    "mobilenet_v2": of_torchvision, "efficientnet": of_torchvision, "convnext": of_torchvision, "vit": vit,
    "unet": unet, "gpt2": gpt2, "llama": llama, "bert": bert, "transformer": transformer, "rnn": rnn,
    "rnn_lm": rnn_lm, "gru_attention": gru_attention,
}  # fmt: skip
