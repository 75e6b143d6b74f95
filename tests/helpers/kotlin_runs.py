"""Kotlin that classifies, on the JVM: a folder with what it is given, and what it says."""

import struct

import numpy as np
from kotlin_compiler import run_kotlin

from model_maker.tflite import inspection
from model_maker.tflite.interpreter import LiteRTRunner

TYPES = {"uint8": np.uint8, "float32": np.float32}


def prepare(folder, model, rgba):
    """Writes model, edges, photo (uint8 [H, W, 4]) and a random answer; returns its scores, float32 [C] by output."""
    folder.mkdir()
    facts = inspection.inspect(model)
    edges = (facts.inputs[0], *facts.outputs)
    lines = [f"{e.dtype.upper()} {','.join(map(str, e.shape))} {e.scale or 0} {e.zero_point or 0}" for e in edges]
    height, width = rgba.shape[:2]
    red, green, blue, alpha = np.moveaxis(rgba.astype(">u4"), 2, 0)
    argb = (alpha << 24 | red << 16 | green << 8 | blue).astype(">u4")
    random = np.random.default_rng(3)
    raw = [random.random(edge.shape[-1]) for edge in facts.outputs]
    raw = [
        values.astype(np.float32) if edge.dtype == "float32" else (values * 255).astype(np.uint8)
        for values, edge in zip(raw, facts.outputs, strict=True)
    ]
    (folder / "model").write_bytes(model)
    (folder / "edges").write_text("\n".join(lines))
    (folder / "photo").write_bytes(struct.pack(">ii", width, height) + argb.tobytes())
    (folder / "answer").write_bytes(b"".join(values.tobytes() for values in raw))
    return [
        values if edge.dtype == "float32" else (values.astype(np.float32) - edge.zero_point) * np.float32(edge.scale)
        for values, edge in zip(raw, facts.outputs, strict=True)
    ]


def run(classes, main, folder):
    """Returns what a harness told, and the input that its interpreter was fed."""
    told = run_kotlin(classes, main, folder).split("\0")[:-1]
    shape, dtype = (
        LiteRTRunner((folder / "model").read_bytes()).input_shape,
        LiteRTRunner((folder / "model").read_bytes()).input_dtype,
    )
    return told, np.frombuffer((folder / "seen").read_bytes(), dtype).reshape(shape)
