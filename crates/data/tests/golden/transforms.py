"""Golden outputs of image transforms, mixup and CutMix.

Writes transforms.safetensors beside itself. Made with Python 3.11, torch 2.15.0, torchvision 0.29.2, Pillow 13.0.0,
timm 1.0.31, numpy 2.4.6, safetensors 0.8.0. Everything is deterministic: each function gets its arguments explicitly.
"""

from pathlib import Path

import numpy as np
import timm.data.mixup
import torch
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import InterpolationMode, autoaugment
from torchvision.transforms import functional as F

NEAREST, BILINEAR, BICUBIC = InterpolationMode.NEAREST, InterpolationMode.BILINEAR, InterpolationMode.BICUBIC
out = {}


def put(name, image):
    out[name] = np.asarray(image)


def picture(height, width, channels):
    """Gradients, a bright disc and some noise, in the middle of the range and at both its ends."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        plane = 40.0 + 6.0 * (channel + 1) * x - 4.0 * (channel - 1) * y
        plane = plane + 130.0 * (((x - 8 - channel) ** 2 + (y - 9) ** 2) < 30)
        plane = plane + ((x * 7919 + y * 104729 + channel * 1299709) * 2654435761 % 4294967296) / 4294967296 * 50
        planes.append(plane)
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


# Width 23, height 19; the grey one 17 by 13.
rgb = Image.fromarray(picture(19, 23, 3))
grey = Image.fromarray(picture(13, 17, 1)[..., 0])
put("rgb", rgb)
put("grey", grey)
put("luma", rgb.convert("L"))

# Sizes are named width x height.
for name, mode in [("bilinear", BILINEAR), ("bicubic", BICUBIC)]:
    for width, height in [(7, 11), (37, 31), (23, 5), (3, 19), (1, 1)]:
        put(f"resize.{name}.{width}x{height}", F.resize(rgb, [height, width], mode))
    put(f"resize.{name}.grey.11x29", F.resize(grey, [29, 11], mode))
    put(f"resize.{name}.shorter7", F.resize(rgb, 7, mode))
put("resized_crop", F.resized_crop(rgb, 3, 5, 11, 13, [9, 8], BICUBIC))
put("centre_crop.11x8", F.center_crop(rgb, [8, 11]))
put("centre_crop.grey.20x9", F.center_crop(grey, [9, 20]))
put("flip", F.hflip(rgb))
put("pad_crop", F.crop(F.pad(rgb, 4, 0), 2, 7, 19, 23))

put("rotate.nearest.33", F.rotate(rgb, 33.0, NEAREST, fill=(10, 20, 30)))
put("rotate.nearest.-71.5", F.rotate(rgb, -71.5, NEAREST))
put("rotate.bilinear.33", F.rotate(rgb, 33.0, BILINEAR, fill=(10, 20, 30)))
put("rotate.bilinear.90", F.rotate(rgb, 90.0, BILINEAR))
put("rotate.bilinear.grey.-17", F.rotate(grey, -17.0, BILINEAR, fill=99))

for factor in [0.3, 1.7]:
    put(f"brightness.{factor}", F.adjust_brightness(rgb, factor))
    put(f"contrast.{factor}", F.adjust_contrast(rgb, factor))
    put(f"saturation.{factor}", F.adjust_saturation(rgb, factor))
    put(f"sharpness.{factor}", F.adjust_sharpness(rgb, factor))
for turn in [0.1, -0.37, 0.5]:
    put(f"hue.{turn}", F.adjust_hue(rgb, turn))
put("contrast.grey.1.7", F.adjust_contrast(grey, 1.7))
put("sharpness.grey.0.3", F.adjust_sharpness(grey, 0.3))

# RandAugment's operations, some with nearest pixels and black, some bilinear in grey.
for op, magnitude in [
    ("Identity", 0.0),
    ("ShearX", 0.21),
    ("ShearY", -0.13),
    ("TranslateX", 5.9),
    ("TranslateY", -3.9),
    ("Rotate", 9.0),
    ("Brightness", 0.27),
    ("Color", -0.63),
    ("Contrast", -0.27),
    ("Sharpness", 0.63),
    ("Posterize", 5.0),
    ("Solarize", 178.5),
    ("AutoContrast", 0.0),
    ("Equalize", 0.0),
]:
    put(f"op.{op}", autoaugment._apply_op(rgb, op, magnitude, NEAREST, None))
    if op in ["ShearX", "ShearY", "TranslateX", "Rotate", "AutoContrast", "Equalize"]:
        put(f"op.{op}.grey", autoaugment._apply_op(grey, op, -magnitude, BILINEAR, [50]))

small = F.resize(rgb, [5, 7], BILINEAR)
put("normalize", F.normalize(F.to_tensor(small), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).numpy())

# timm's, with its random numbers replaced; labels 3, 0, 2, 1 of 5 classes.
images = torch.from_numpy(picture(6, 7, 8).transpose(2, 0, 1).reshape(4, 2, 6, 7).astype(np.float32) / 255)
labels = torch.tensor([3, 0, 2, 1])
put("mix.images", images.numpy())
mix = timm.data.mixup.Mixup(label_smoothing=0.0, num_classes=5)
mix._params_per_batch = lambda: (0.7, False)
mixed, targets = mix(images.clone(), labels)
put("mixup.images", mixed.numpy())
put("mixup.targets", targets.numpy())
timm.data.mixup.rand_bbox = lambda *_, **__: (1, 4, 2, 7)  # rows 1 to 4, columns 2 to 7
mix._params_per_batch = lambda: (0.7, True)
mixed, targets = mix(images.clone(), labels)
put("cutmix.images", mixed.numpy())
put("cutmix.targets", targets.numpy())

save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, Path(__file__).with_suffix(".safetensors"))
