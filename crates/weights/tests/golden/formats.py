"""Checkpoints of every format that is read, and what is in them.

Written with Python 3.11, torch 2.15.0, numpy 2.4.6, safetensors 0.8.0, gguf 0.19.0, huggingface_hub 2.4.0.

`formats_<library>_expected.safetensors` holds what a reader should find: floating-point tensors of any width as f32,
everything else as it is, all of them contiguous.
- `formats_state.pt`, `formats_protocol4.pt`, `formats_nocrc.pt`, `formats_legacy.pt`: one state dictionary, as `torch.save`
  writes it by default, with another pickle protocol, without checksums, and as before version 1.6
  (whose storages are named after addresses, so that one file differs from run to run)
- `formats_sharded.safetensors.index.json` and its two files: what of it is contiguous, as Hugging Face's libraries write it
- `formats_training.pt`: the same below `state_dict`, under the names that wrappers give, beside an optimiser and counters
- `formats_gan.pt`: two state dictionaries
- `formats_arrays.npz`, `formats_compressed.npz`, `formats_single.npy`: arrays
- `formats_model.gguf`: numbers, quantised tensors and metadata of all types; the expected values are the library's own
"""

import pathlib

import gguf
import numpy as np
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def plain(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous().clone()


def torch_files():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2, bias=False))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(7, 3, generator=generator)).square().sum().backward()
    optimizer.step()

    base = torch.rand(7, 11, generator=generator)
    cube = torch.arange(2 * 3 * 5, dtype=torch.int32).reshape(2, 3, 5)
    state = model.state_dict()
    state.update({
        "f64": torch.rand(3, 5, generator=generator).double() / 3,
        "f16": torch.tensor([1.5, -2.0, 6e-8, 65504.0, float("inf")]).half(),
        "bf16": torch.rand(13, generator=generator).bfloat16(),
        "i64": torch.tensor([2**62, -1]),
        "i32": torch.tensor([2**30, -1], dtype=torch.int32),
        "i16": torch.tensor([2**14, -1], dtype=torch.int16),
        "i8": torch.tensor([127, -128], dtype=torch.int8),
        "u64": torch.tensor([3, 5]).to(torch.uint64),
        "u32": torch.tensor([2**31, 5]).to(torch.uint32),
        "u16": torch.tensor([2**15, 5]).to(torch.uint16),
        "u8": torch.tensor([255, 0], dtype=torch.uint8),
        "bool": torch.tensor([[True, False, True]]),
        "scalar": torch.tensor(3.25),
        "empty": torch.zeros(0, 4),
        "base": base,
        "rows": base[2:5],
        "columns": base[:, 1:8:3],
        "transposed": base.t(),
        "permuted": cube.permute(2, 0, 1),
        "part_of_permuted": cube.permute(2, 0, 1)[1:4, :, 1],
        "expanded": torch.tensor([[1.0], [2.0], [3.0]]).half().expand(3, 7),
        "parameter": torch.nn.Parameter(torch.rand(2, 3, generator=generator)),
        "transposed_f16": torch.rand(5, 3, generator=generator).half().t(),
    })
    torch.save(state, HERE / "formats_state.pt")
    torch.save(state, HERE / "formats_protocol4.pt", pickle_protocol=4)
    torch.save(state, HERE / "formats_legacy.pt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(state, HERE / "formats_nocrc.pt")
    torch.serialization.set_crc32_options(True)
    save_file({name: plain(tensor) for name, tensor in state.items()}, HERE / "formats_torch_expected.safetensors")

    save_torch_state_dict(
        {name: plain(tensor) for name, tensor in state.items()},
        HERE,
        filename_pattern="formats_sharded{suffix}.safetensors",
        max_shard_size=1000,
    )

    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    training = {
        "epoch": 3,
        "arch": "net",
        "best": torch.tensor(0.5),
        "state_dict": wrapped,
        "optimizer": optimizer.state_dict(),
        "losses": [1.5, float("nan"), -1],
        "callbacks": {"best_models": {"a.pt": torch.tensor(0.25)}},
        "size": torch.Size([3, 5]),
        "device": torch.device("cpu"),
        "seed": 2**100,
        "none": None,
    }
    torch.save(training, HERE / "formats_training.pt")
    gan = {"generator": {"w": torch.tensor([1.0])}, "nets": {"discriminator": {"w": torch.tensor([2.0])}}}
    torch.save(gan, HERE / "formats_gan.pt")


def numpy_files():
    rng = np.random.default_rng(2)
    matrix = rng.random((5, 7))
    cube = rng.random((2, 3, 5))
    arrays = {
        "f8": matrix,
        "f4": matrix.astype("<f4"),
        "f2": matrix.astype("<f2"),
        "f8_big": matrix.astype(">f8"),
        "f4_big": matrix.astype(">f4"),
        "f2_big": matrix.astype(">f2"),
        "f4_fortran": np.asfortranarray(matrix.astype("<f4")),
        "f8_fortran_cube": np.asfortranarray(cube),
        "i4_big_fortran": np.asfortranarray((cube * 1e6).astype(">i4")),
        "i8": np.array([2**62, -1]),
        "i8_big": np.array([2**62, -1], dtype=">i8"),
        "i2": np.array([2**14, -1], dtype="<i2"),
        "i1": np.array([127, -128], dtype="i1"),
        "u8": np.array([2**63, 1], dtype="<u8"),
        "u4": np.array([2**31, 1], dtype="<u4"),
        "u2_big": np.array([2**15, 1], dtype=">u2"),
        "u1": np.array([255, 1], dtype="u1"),
        "bool": np.array([[True, False, True]]),
        "scalar": np.array(3.25, dtype="<f4"),
        "empty": np.zeros((0, 4), dtype="<f4"),
        "zeros": np.zeros((31, 37), dtype="<f4"),
        "block/weight": np.array([1.5], dtype="<f4"),
    }
    text = {"names": np.array(["a", "bcd"]), "complex": np.array([1j])}
    np.savez(HERE / "formats_arrays.npz", **arrays, **text)
    np.savez_compressed(HERE / "formats_compressed.npz", **arrays, **text)
    np.save(HERE / "formats_single.npy", arrays["f4_fortran"])

    def expected(array):
        array = array.astype(array.dtype.newbyteorder("<"))
        return np.ascontiguousarray(array.astype("f4") if array.dtype.kind == "f" else array).reshape(array.shape)

    save_arrays({name: expected(a) for name, a in arrays.items()}, HERE / "formats_numpy_expected.safetensors")


def gguf_file():
    rng = np.random.default_rng(3)
    writer = gguf.GGUFWriter(HERE / "formats_model.gguf", "tiny")
    writer.add_uint8("test.u8", 200)
    writer.add_int8("test.i8", -100)
    writer.add_uint16("test.u16", 60000)
    writer.add_int16("test.i16", -30000)
    writer.add_uint32("test.u32", 4000000000)
    writer.add_int32("test.i32", -2000000000)
    writer.add_uint64("test.u64", 2**63)
    writer.add_int64("test.i64", -(2**62))
    writer.add_float32("test.f32", 0.25)
    writer.add_float64("test.f64", 1e-3)
    writer.add_bool("test.bool", True)
    writer.add_string("test.text", "caf\u00e9, two\nlines")
    writer.add_array("test.short", [2, 3, 5])
    writer.add_array("test.words", ["a", "b"])
    writer.add_array("tokenizer.ggml.tokens", [f"token{i}" for i in range(101)])
    writer.add_array("tokenizer.ggml.scores", [float(i) for i in range(101)])

    expected = {}

    def add(name, values, kind):
        values = values.astype(np.float32)
        quantised = gguf.quants.quantize(values, kind)
        writer.add_tensor(name, quantised, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(quantised, kind).astype(np.float32).reshape(values.shape)

    kinds = gguf.GGMLQuantizationType
    add("f32.weight", rng.normal(size=(3, 5)), kinds.F32)
    add("f16.weight", rng.normal(size=(5, 7)), kinds.F16)
    add("bf16.weight", rng.normal(size=(2, 3, 5)), kinds.BF16)
    add("q8_0.weight", rng.normal(size=(3, 64)), kinds.Q8_0)
    add("q4_0.weight", rng.normal(size=(5, 96)), kinds.Q4_0)
    add("q4_1.weight", rng.normal(size=(7, 32)) + 1, kinds.Q4_1)
    # What ggml's Python doesn't write, it reads: bytes that say anything, with two scales that are small.
    scales = {"Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
    for name, places in scales.items():
        kind = kinds[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(256, size=(2, 2 * size), dtype=np.uint8)
        for block in blocks.reshape(4, size):
            for place in places:
                block[place:place + 2] = rng.normal(size=1).astype("<f2").view(np.uint8)
        writer.add_tensor(f"{name.lower()}.weight", blocks, raw_dtype=kind)
        expected[f"{name.lower()}.weight"] = gguf.quants.dequantize(blocks, kind).astype(np.float32)
    other = gguf.quants.quantize(rng.normal(size=(2, 32)).astype(np.float32), kinds.MXFP4)
    writer.add_tensor("mxfp4.weight", other, raw_dtype=kinds.MXFP4)
    for kind in ["i1", "i2", "i4", "i8", "f8"]:
        name = f"{np.dtype(kind).name}.values"
        values = np.array([100, -100, 3]).astype(kind)
        writer.add_tensor(name, values)
        expected[name] = values.astype("f4") if kind == "f8" else values
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_arrays(expected, HERE / "formats_gguf_expected.safetensors")


if __name__ == "__main__":
    torch_files()
    numpy_files()
    gguf_file()
