"""Small networks to train on, and what a trained model says of itself."""

import numpy as np
from tiny_network import FUSED, TinyNetwork

from model_maker.tflite import metadata


def tiny(size):
    """Two halvings of the picture, 16 features; what its input expects is told nowhere."""
    random = np.random.default_rng(0)
    chain = TinyNetwork(size).conv(0.3 * random.normal(size=(8, 3, 3, 3)), stride=2, fused=FUSED.RELU6)
    chain.depthwise(0.3 * random.normal(size=(1, 3, 3, 8)), stride=2)
    return chain.conv(random.normal(size=(16, 1, 1, 8)), fused=FUSED.RELU6).mean().content()


def provenance(model, folder):
    """What the float file says of its making."""
    model.export(folder, "told.tflite", quantization_config=None)
    return metadata.read((folder / "told.tflite").read_bytes()).provenance
