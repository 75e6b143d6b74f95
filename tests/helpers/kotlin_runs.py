"""Kotlin that classifies, on the JVM: a folder with what it is given, and what it says."""

import struct

import numpy as np
from kotlin_compiler import run_kotlin

from model_maker.tflite import inspection
from model_maker.tflite.interpreter import Runner

TYPES = {"uint8": np.uint8, "float32": np.float32}


def prepare(folder, model, rgba):
    """Writes model, edges, photo (uint8 [H, W, 4]) and a random answer; returns the answer's scores, float32 [C]."""
    folder.mkdir()
    facts = inspection.inspect(model)
    edges = (facts.inputs[0], facts.outputs[0])
    lines = [f"{e.dtype.upper()} {','.join(map(str, e.shape))} {e.scale or 0} {e.zero_point or 0}" for e in edges]
    height, width = rgba.shape[:2]
    red, green, blue, alpha = np.moveaxis(rgba.astype(">u4"), 2, 0)
    argb = (alpha << 24 | red << 16 | green << 8 | blue).astype(">u4")
    raw = np.random.default_rng(3).random(edges[1].shape[-1])
    raw = raw.astype(np.float32) if edges[1].dtype == "float32" else (raw * 255).astype(np.uint8)
    (folder / "model").write_bytes(model)
    (folder / "edges").write_text("\n".join(lines))
    (folder / "photo").write_bytes(struct.pack(">ii", width, height) + argb.tobytes())
    (folder / "answer").write_bytes(raw.tobytes())
    if edges[1].dtype == "float32":
        return raw
    return (raw.astype(np.float32) - edges[1].zero_point) * np.float32(edges[1].scale)


def run(classes, main, folder):
    """Returns what a harness told, and the input that its interpreter was fed."""
    told = run_kotlin(classes, main, folder).split("\0")[:-1]
    shape, dtype = (
        Runner((folder / "model").read_bytes()).input_shape,
        Runner((folder / "model").read_bytes()).input_dtype,
    )
    return told, np.frombuffer((folder / "seen").read_bytes(), dtype).reshape(shape)
