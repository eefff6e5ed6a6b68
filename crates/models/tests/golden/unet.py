"""Golden numbers of a U-Net with each kind of convolution and of upsampling.

The modules have the parameter names of the PyTorch implementation that most others derive from (milesial's
Pytorch-UNet), with fewer levels and channels. That one pads its convolutions and normalises; without both, it is the
network of the paper, except that nothing is dropped here. Run as `python unet.py`; writes unet_valid, unet_same and
unet_bilinear beside itself. Versions: see golden.py.
"""

import torch
from torch import nn
from torch.nn import functional as F

from golden import write


class DoubleConv(nn.Module):
    def __init__(self, channels_in, channels_out, padding, norm, between=None):
        super().__init__()
        between = between or channels_out

        def layers(source, target):
            normalize = nn.BatchNorm2d(target) if norm else nn.Identity()
            return [nn.Conv2d(source, target, 3, padding=padding, bias=not norm), normalize, nn.ReLU()]

        self.double_conv = nn.Sequential(*layers(channels_in, between), *layers(between, channels_out))

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, *args):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(*args))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, channels_in, channels_out, padding, norm, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(channels_in, channels_out, padding, norm, between=channels_in // 2)
        else:
            self.up = nn.ConvTranspose2d(channels_in, channels_in // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(channels_in, channels_out, padding, norm)

    def forward(self, x, skip):
        x = self.up(x)
        # Positive where the skip is larger, which zeros are added for if convolutions are padded and which is cropped
        # from the skip if not.
        rows, columns = (skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3])
        frame = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        if self.conv.double_conv[0].padding[0] > 0:
            x = F.pad(x, frame)
        else:
            skip = F.pad(skip, [-side for side in frame])
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    def __init__(self, in_channels, num_classes, width, padding, norm, bilinear):
        super().__init__()
        shrink = 2 if bilinear else 1
        self.inc = DoubleConv(in_channels, width, padding, norm)
        self.down1 = Down(width, 2 * width, padding, norm)
        self.down2 = Down(2 * width, 4 * width // shrink, padding, norm)
        self.up1 = Up(4 * width, 2 * width // shrink, padding, norm, bilinear)
        self.up2 = Up(2 * width, width, padding, norm, bilinear)
        self.outc = nn.Module()
        self.outc.conv = nn.Conv2d(width, num_classes, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x = self.up1(self.down2(x2), x2)
        return self.outc.conv(self.up2(x, x1))


torch.manual_seed(0)
for name, padding, norm, bilinear, size, seed in [
    # The sizes are odd before some of the poolings, so that what is added or cropped is not the same at both sides.
    ("unet_valid", 0, False, False, (51, 47), 1),
    ("unet_same", 1, True, False, (23, 17), 1),
    ("unet_bilinear", 1, True, True, (23, 17), 1),
]:
    gradients = ["inc.double_conv.0.weight", "outc.conv.weight"]
    if not bilinear:
        gradients.append("up1.up.weight")
    write(
        name,
        UNet(2, 3, 5 if not bilinear else 4, padding, norm, bilinear),
        image_shape=(1 if padding == 0 else 3, 2, *size),
        depths=["down1", "down2", "up1"],
        gradients=gradients,
        seed=seed,
    )
