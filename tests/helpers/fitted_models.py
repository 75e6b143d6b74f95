"""Small classifiers for each way to fit photos, on square and oblong inputs."""

import numpy as np
from tiny_network import TinyNetwork

from model_maker.fitting import RESIZES
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, quantize

PIXELS = Normalization(127, 128)
SHAPES = {"square": (8, 8), "oblong": (6, 10)}
# What tests run through: both edges, every way, and an oblong input with each.
NAMES = tuple(f"{shape}_{resize}" for shape in SHAPES for resize in RESIZES)


def make(name, io="uint8"):
    """Returns a `.tflite` of one of NAMES, int8 inside for uint8; `a`, `b` and `c` are its labels."""
    shape, _, resize = name.partition("_")
    random = np.random.default_rng(4)
    network = TinyNetwork(SHAPES[shape]).conv(random.normal(size=(6, 3, 3, 3)).astype(np.float32)).mean()
    content = network.dense(random.normal(size=(3, 6))).softmax().content()
    if io == "uint8":
        photos = random.integers(0, 256, (20, 1, *SHAPES[shape], 3), np.uint8)
        calibrator = quantize.Calibrator(content)
        seen = quantize.combine([calibrator.observe(PIXELS(photo)) for photo in photos])
        content = quantize.quantize(content, "int8", normalization=PIXELS, calibration=seen)
    content = graph.set_io(content, io, mean=PIXELS.mean, std=PIXELS.std)
    return metadata.write(content, metadata.ModelInfo(("a", "b", "c"), PIXELS, name="tiny", resize=resize))
