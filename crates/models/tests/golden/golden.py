"""What the golden scripts of this folder share: random weights, and what a PyTorch module computes with them.

Written with Python 3.11, torch 2.15.0, torchvision 0.29.2, safetensors 0.8.0. Everything is computed in f64 from weights
that f32 holds exactly, and stored as f32, so that a test sees the error of the tested code alone.

`<name>.safetensors` holds the weights under PyTorch's names, `<name>_expected.safetensors`:
- `images`, `coefficients`: the input, and what the logits are multiplied by to get the scalar that is differentiated
- `eval.<module>`: what these modules put out in evaluation; `eval.logits` the logits
- `train.logits`: the logits in training; `train.<name>`: running statistics after this one step
- `gradient.images`, `gradient.<name>`: gradients in training (matrices of linear layers transposed, as burn holds them)
"""

import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def randomize(module, generator):
    """Random weights, with statistics that no freshly initialised module has."""

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if tensor.dim() > 1:
                bound = (3 / tensor[0].numel()) ** 0.5
                uniform(tensor, -bound, bound)
            elif name.endswith("running_var") or name.endswith("weight"):
                uniform(tensor, 0.5, 1.5)
            else:
                uniform(tensor, -0.5, 0.5)


def write(name, model, image_shape, depths, gradients, seed, adjust=lambda model: None):
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    randomize(model, generator)
    adjust(model)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, HERE / f"{name}.safetensors")

    model = model.double()
    images = torch.rand(image_shape, generator=generator).double() * 2 - 1
    expected = {"images": images.clone()}

    def keep(key):
        return lambda _module, _inputs, output: expected.__setitem__(f"eval.{key}", output.detach())

    hooks = [model.get_submodule(depth).register_forward_hook(keep(depth)) for depth in depths]
    model.eval()
    expected["eval.logits"] = model(images).detach()
    for hook in hooks:
        hook.remove()

    model.train()
    images.requires_grad_(True)
    logits = model(images)
    coefficients = torch.rand(logits.shape, generator=generator).double() * 2 - 1
    (logits * coefficients).sum().backward()
    expected["coefficients"] = coefficients
    expected["train.logits"] = logits.detach()
    for key, tensor in model.state_dict().items():
        if "running" in key:
            expected[f"train.{key}"] = tensor
    expected["gradient.images"] = images.grad
    for key in gradients:
        gradient = model.get_parameter(key).grad
        expected[f"gradient.{key}"] = gradient.T if gradient.dim() == 2 else gradient
    floats = {k: v.float().contiguous() for k, v in expected.items()}
    save_file(floats, HERE / f"{name}_expected.safetensors")
