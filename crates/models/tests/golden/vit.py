"""Golden numbers of Vision Transformers from three implementations, each small enough for a file.

Run as `python vit.py`; writes vit_timm, vit_timm_mean, vit_torchvision, vit_huggingface and vit_positions beside itself.
Versions: see golden.py; also timm 1.0.31, transformers 5.23.0.

vit_positions_expected has `positions`, two tokens before a grid of 3x5, and what timm resamples them to:
`to.<rows>x<columns>`. Computed in f64 and stored as f32.
"""

import tempfile

import torch
from safetensors.torch import load_file, save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer as Timm
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer as Torchvision
from transformers import ViTConfig, ViTForImageClassification

from golden import HERE, write


def timm(pooling):
    return Timm(
        img_size=(9, 15), patch_size=3, in_chans=2, num_classes=7, global_pool=pooling,
        embed_dim=10, depth=2, num_heads=2, mlp_ratio=1.7,
    )


def torchvision():
    """Takes square images only."""
    model = Torchvision(
        image_size=15, patch_size=3, num_layers=2, num_heads=2, hidden_dim=10, mlp_dim=17, num_classes=7,
    )
    model.conv_proj = nn.Conv2d(2, 10, kernel_size=3, stride=3)
    return model


class HuggingFace(ViTForImageClassification):
    def __init__(self):
        super().__init__(ViTConfig(
            image_size=(9, 15), patch_size=3, num_channels=2, num_labels=7, hidden_size=10, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=17, layer_norm_eps=1e-6,
        ))

    def forward(self, images):
        return super().forward(pixel_values=images).logits


def published_names(model, name):
    """The file under the names in which Hugging Face publishes checkpoints, which aren't those of its modules."""
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        save_file(load_file(f"{folder}/model.safetensors"), HERE / f"{name}.safetensors")


write(
    "vit_timm", timm("token"), image_shape=(3, 2, 9, 15), depths=["blocks.0", "norm"],
    gradients=["pos_embed", "blocks.0.attn.qkv.weight", "head.weight"], seed=1,
)
write(
    "vit_timm_mean", timm("avg"), image_shape=(3, 2, 9, 15), depths=["blocks.1", "fc_norm"],
    gradients=["cls_token", "blocks.1.mlp.fc1.weight"], seed=2,
)
write(
    "vit_torchvision", torchvision(), image_shape=(3, 2, 15, 15), depths=["encoder.ln"],
    gradients=["class_token", "encoder.layers.encoder_layer_1.self_attention.in_proj_weight"], seed=3,
)
model = HuggingFace()
write(
    "vit_huggingface", model, image_shape=(3, 2, 9, 15), depths=["vit.layernorm"],
    gradients=["vit.embeddings.position_embeddings", "classifier.weight"], seed=4,
)
published_names(model, "vit_huggingface")

generator = torch.Generator().manual_seed(5)
positions = torch.rand((1, 2 + 3 * 5, 7), generator=generator) * 2 - 1
expected = {"positions": positions}
with torch.no_grad():
    double = positions.double()
    # timm computes in f32 whatever it gets.
    double.float = lambda: double
    for size in [(5, 7), (2, 3), (3, 11), (1, 1), (13, 2)]:
        key = f"to.{size[0]}x{size[1]}"
        resampled = resample_abs_pos_embed(double, list(size), [3, 5], num_prefix_tokens=2)
        expected[key] = resampled.float().contiguous()
save_file(expected, HERE / "vit_positions_expected.safetensors")
