"""The cases of `cargo xtask bench` in PyTorch, eager, on two threads."""

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from protocol import serve

torch.set_num_threads(2)
torch.manual_seed(0)
random = torch.randn


def inference(make):
    """`make` returns a function and its inputs."""

    def prepare():
        module, *inputs = make()
        if isinstance(module, nn.Module):
            module.eval()

        def run():
            with torch.inference_mode():
                return module(*inputs)

        return run

    return prepare


def training(make):
    """Forward and backward as part of a network: gradients of inputs and parameters from one of the output."""

    def prepare():
        module, *inputs = make()
        parameters = list(module.parameters()) if isinstance(module, nn.Module) else []
        for x in inputs:
            x.requires_grad_()
        ones = None

        def run():
            nonlocal ones
            for tensor in inputs + parameters:
                tensor.grad = None
            output = module(*inputs)
            if ones is None:
                ones = torch.ones_like(output)
            output.backward(ones)

        return run

    return prepare


class Lstm(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


class Gru(nn.GRU):
    def forward(self, x):
        return super().forward(x)[0]


class Attention(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.causal = causal

    def forward(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)


def attention(causal):
    return lambda: (Attention(causal), *(random(8, 12, 256, 64) for _ in range(3)))


def conv(batch, channels_in, channels_out, side, kernel, stride, groups):
    return lambda: (
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        random(batch, channels_in, side, side),
    )


def conv_transpose(batch, channels_in, channels_out, side, kernel, padding):
    return lambda: (
        nn.ConvTranspose2d(channels_in, channels_out, kernel, 2, padding),
        random(batch, channels_in, side, side),
    )


def on(function, *shape):
    return lambda: (function, random(*shape))


class CrossEntropy(nn.Module):
    def __init__(self, samples, classes):
        super().__init__()
        self.labels = torch.randint(classes, (samples,))

    def forward(self, x):
        return F.cross_entropy(x, self.labels)


class SegmentSum(nn.Module):
    def __init__(self, rows, width, count):
        super().__init__()
        self.segments, self.shape = torch.randint(count, (rows,)), (count, width)

    def forward(self, x):
        return torch.zeros(self.shape).index_add(0, self.segments, x)


LAYERS = {
    "linear/256x768x3072": lambda: (nn.Linear(768, 3072), random(1, 256, 768)),
    "conv2d/3x3_64_56/b1": conv(1, 64, 64, 56, 3, 1, 1),
    "conv2d/3x3_64_56/b8": conv(8, 64, 64, 56, 3, 1, 1),
    "conv2d/1x1_256_64_56/b1": conv(1, 256, 64, 56, 1, 1, 1),
    "conv2d/3x3s2_128_56/b1": conv(1, 128, 128, 56, 3, 2, 1),
    "conv2d/depthwise3x3_96_56/b1": conv(1, 96, 96, 56, 3, 1, 96),
    "conv2d/7x7s2_3_64_224/b1": conv(1, 3, 64, 224, 7, 2, 1),
    "conv2d/3x3_256_14/b1": conv(1, 256, 256, 14, 3, 1, 1),
    "conv2d/3x3_512_7/b8": conv(8, 512, 512, 7, 3, 1, 1),
    "conv1d/80_384_3000": lambda: (nn.Conv1d(80, 384, 3, padding=1), random(1, 80, 3000)),
    "conv_transpose2d/2x2s2_128_64_56/b1": conv_transpose(1, 128, 64, 56, 2, 0),
    "conv_transpose2d/4x4s2_128_64_32/b8": conv_transpose(8, 128, 64, 32, 4, 1),
    "softmax/8x12x256x256": on(lambda x: F.softmax(x, 3), 8, 12, 256, 256),
    "layer_norm/8x256x768": lambda: (nn.LayerNorm(768), random(8, 256, 768)),
    "rms_norm/8x256x768": lambda: (nn.RMSNorm(768), random(8, 256, 768)),
    "gelu/8x256x3072": on(F.gelu, 8, 256, 3072),
    "gelu_tanh/8x256x3072": on(lambda x: F.gelu(x, approximate="tanh"), 8, 256, 3072),
    "silu/8x256x3072": on(F.silu, 8, 256, 3072),
    "sigmoid/8x256x3072": on(torch.sigmoid, 8, 256, 3072),
    "tanh/8x256x3072": on(torch.tanh, 8, 256, 3072),
    "exp/8x256x3072": on(torch.exp, 8, 256, 3072),
    "relu/8x256x3072": on(F.relu, 8, 256, 3072),
    "batch_norm/32x64x56x56": lambda: (nn.BatchNorm2d(64), random(32, 64, 56, 56)),
    "group_norm/8x128x56x56": lambda: (nn.GroupNorm(32, 128), random(8, 128, 56, 56)),
    "max_pool/3s2_8x64x112x112": on(lambda x: F.max_pool2d(x, 3, 2, 1), 8, 64, 112, 112),
    "avg_pool/3s2_8x64x112x112": on(lambda x: F.avg_pool2d(x, 3, 2, 1), 8, 64, 112, 112),
    "avg_pool/2s2_8x128x56x56": on(lambda x: F.avg_pool2d(x, 2), 8, 128, 56, 56),
    "adaptive_avg_pool/1_8x2048x7x7": on(lambda x: F.adaptive_avg_pool2d(x, 1), 8, 2048, 7, 7),
    "adaptive_avg_pool/7_8x512x16x16": on(lambda x: F.adaptive_avg_pool2d(x, 7), 8, 512, 16, 16),
    "resize2d/nearest_8x64x56x56": on(lambda x: F.interpolate(x, scale_factor=2), 8, 64, 56, 56),
    "resize2d/bilinear_8x64x56x56": on(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), 8, 64, 56, 56),
    "attention/8x12x256x64": attention(False),
    "attention/causal_8x12x256x64": attention(True),
    "cross_entropy/1024x32000": lambda: (CrossEntropy(1024, 32000), random(1024, 32000)),
    "segment_sum/200000x64_20000": lambda: (SegmentSum(200_000, 64, 20_000), random(200_000, 64)),
    "dropout/8x256x3072": on(lambda x: F.dropout(x, 0.1), 8, 256, 3072),
    "lstm/16x128x256": lambda: (Lstm(256, 256, batch_first=True), random(16, 128, 256)),
    "gru/16x128x256": lambda: (Gru(256, 256, batch_first=True), random(16, 128, 256)),
}


def embedding_train():
    table, tokens = nn.Embedding(50257, 768), torch.randint(50257, (8, 256))
    ones = torch.ones(8, 256, 768)

    def run():
        table.weight.grad = None
        table(tokens).backward(ones)

    return run


def matrices():
    parameters = [nn.Parameter(random(shape)) for shape in ([2048, 4096], [4096, 4096], [4096, 10])]
    for parameter in parameters:
        parameter.grad = random(parameter.shape)
    return parameters


def adamw():
    return torch.optim.AdamW(matrices(), 1e-3, fused=True).step


def lion():
    """PyTorch has no Lion; this is timm's step for one tensor, in place."""
    parameters = matrices()
    momenta = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def run():
        for parameter, momentum in zip(parameters, momenta):
            update = momentum.mul(0.9).add_(parameter.grad, alpha=0.1).sign_()
            parameter.add_(update, alpha=-1e-3)
            momentum.lerp_(parameter.grad, 0.01)

    return run


def clip():
    parameters = matrices()
    return lambda: nn.utils.clip_grad_norm_(parameters, 1.0)


def step(model, optimizer, loss):
    def run():
        optimizer.zero_grad(set_to_none=True)
        loss(model).backward()
        optimizer.step()

    return run


def train_classifier(build, optimizer):
    def prepare():
        model = build().train()
        images, labels = random(8, 3, 224, 224), torch.randint(1000, (8,))
        return step(model, optimizer(model.parameters()), lambda model: F.cross_entropy(model(images), labels))

    return prepare


class Block(nn.Module):
    """Of a Transformer with its normalisation first."""

    def __init__(self, width, heads, bias, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias), nn.Linear(width, width, bias)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width, bias), nn.Linear(4 * width, width, bias)
        self.gelu = nn.GELU()

    def forward(self, x, cache=None):
        batch, tokens, width = x.shape
        parts = self.qkv(self.ln_1(x)).chunk(3, 2)
        query, key, value = (part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        if cache is not None:
            key, value = cache.append(key, value)
        causal = self.causal and tokens > 1
        x = x + self.proj(
            F.scaled_dot_product_attention(query, key, value, is_causal=causal).transpose(1, 2).reshape(x.shape)
        )
        return x + self.fc2(self.gelu(self.fc1(self.ln_2(x))))


class Cache:
    """Keys and values of a block in buffers of their final size."""

    def __init__(self, heads, capacity, width):
        self.keys, self.values = (torch.zeros(1, heads, capacity, width) for _ in range(2))
        self.length = 0

    def append(self, key, value):
        start, self.length = self.length, self.length + key.shape[2]
        self.keys[:, :, start : self.length] = key
        self.values[:, :, start : self.length] = value
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, heads, depth, bias):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, bias, True) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width, bias=bias)

    def forward(self, tokens, caches=None, start=0):
        positions = torch.arange(start, start + tokens.shape[1])
        x = self.wte(tokens) + self.wpe(positions)
        for index, block in enumerate(self.blocks):
            x = block(x, caches and caches[index])
        return self.ln_f(x)

    def logits(self, x):
        return x @ self.wte.weight.T


class Vit(nn.Module):
    """timm's forward pass, without timm."""

    def __init__(self, width, heads):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 16, 16)
        self.cls_token = nn.Parameter(random(1, 1, width))
        self.pos_embed = nn.Parameter(random(1, 197, width))
        self.blocks = nn.ModuleList(Block(width, heads, True, False) for _ in range(12))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, images):
        x = self.patch_embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def nanogpt():
    model = Gpt(65, 256, 384, 6, 6, False)
    tokens, following = torch.randint(65, (4, 256)), torch.randint(65, (1024,))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    return step(model, optimizer, lambda model: F.cross_entropy(model.logits(model(tokens)).view(1024, 65), following))


def gpt2():
    return Gpt(50257, 1024, 768, 12, 12, True).eval()


def caches():
    return [Cache(12, 512, 64) for _ in range(12)]


def gpt2_prefill():
    model, prompt = gpt2(), torch.randint(50257, (1, 256))

    def run():
        with torch.inference_mode():
            return model.logits(model(prompt, caches())[:, -1:])

    return run


def gpt2_decode():
    model, token, kept = gpt2(), torch.randint(50257, (1, 1)), caches()
    with torch.inference_mode():
        model(torch.randint(50257, (1, 256)), kept)

    def run():
        with torch.inference_mode():
            if kept[0].length == 272:
                for cache in kept:
                    cache.length = 256
            return model.logits(model(token, kept, kept[0].length))

    return run


CLASSIFIERS = {
    "resnet18": torchvision.models.resnet18,
    "resnet50": torchvision.models.resnet50,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "vit_tiny_patch16_224": lambda: Vit(192, 3),
    "vit_small_patch16_224": lambda: Vit(384, 6),
    "convnext_tiny": torchvision.models.convnext_tiny,
}


def cases():
    found = {}
    for shape in ("512", "1024", "2048"):
        side = int(shape)
        found[f"matmul/{shape}"] = inference(lambda side=side: (torch.matmul, random(side, side), random(side, side)))
    found["matmul/16x256x64x256"] = inference(lambda: (torch.matmul, random(16, 256, 64), random(16, 64, 256)))
    for name, make in LAYERS.items():
        found[name], found[f"{name}/train"] = inference(make), training(make)
    found["attention/decode_12x1024x64"] = inference(
        lambda: (F.scaled_dot_product_attention, random(1, 12, 1, 64), random(1, 12, 1024, 64), random(1, 12, 1024, 64))
    )
    found["embedding/50257x768_8x256"] = inference(lambda: (nn.Embedding(50257, 768), torch.randint(50257, (8, 256))))
    found["embedding/50257x768_8x256/train"] = embedding_train
    found["adamw/25M"], found["lion/25M"], found["clip_global_norm/25M"] = adamw, lion, clip
    for name, build in CLASSIFIERS.items():
        for batch in (1, 8):
            found[f"{name}/b{batch}"] = inference(lambda build=build, batch=batch: (build(), random(batch, 3, 224, 224)))
    found["resnet18/train/b8"] = train_classifier(torchvision.models.resnet18, lambda p: torch.optim.SGD(p, 1e-4))
    found["vit_tiny_patch16_224/train/b8"] = train_classifier(
        CLASSIFIERS["vit_tiny_patch16_224"], lambda p: torch.optim.AdamW(p, 1e-4, fused=True)
    )
    found["nanogpt-char/train/4x256"] = nanogpt
    # PyTorch's own stay in 32-bit floats: what a user changes when he asks for 16 or 8 bits.
    for batch in (1, 8):
        for name in ("resnet50", "vit_small_patch16_224"):
            found[f"{name}/b{batch}/bf16"] = found[f"{name}/b{batch}"]
    for suffix in ["", "/bf16", "/q8"]:
        found[f"gpt2/prefill_256{suffix}"] = gpt2_prefill
        found[f"gpt2/decode_after_256{suffix}"] = gpt2_decode
    return found


if __name__ == "__main__":
    serve(cases())
