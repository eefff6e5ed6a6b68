"""From the start of a process to the first prediction of a ResNet-18, whose weights are in a file: `cargo xtask bench --processes`.

`make FOLDER` writes random weights and an image, and `predict FOLDER` does in PyTorch what the program is measured with.
"""

import json
import pathlib
import struct
import sys

import torch
import torchvision

command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
torch.set_num_threads(2)
if command == "make":
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")
    images = torch.randn(1, 3, 224, 224)
    torch.save(images, folder / "images.pth")
    numbers = images.numpy().tobytes()
    head = json.dumps({"images": {"dtype": "F32", "shape": list(images.shape), "data_offsets": [0, len(numbers)]}}).encode()
    (folder / "images.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + numbers)
else:
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    model.load_state_dict(torch.load(folder / "resnet18.pth"), assign=True)
    with torch.inference_mode():
        print(model.eval()(torch.load(folder / "images.pth")).argmax().item())
