"""The image classifiers of `cargo xtask bench` in ONNX Runtime, on two threads."""

import io

import onnxruntime
import torch

from protocol import serve
from torch_peer import CLASSIFIERS


def session(build, batch):
    def prepare():
        model, images = build().eval(), torch.randn(batch, 3, 224, 224)
        exported = io.BytesIO()
        torch.onnx.export(model, (images,), exported, dynamo=False, opset_version=17)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
        inputs = {session.get_inputs()[0].name: images.numpy()}
        return lambda: session.run(None, inputs)

    return prepare


if __name__ == "__main__":
    serve({f"{name}/b{batch}": session(build, batch) for name, build in CLASSIFIERS.items() for batch in (1, 8)})
