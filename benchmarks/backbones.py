"""Size and latency of every backbone as an int8 classifier; `python -m benchmarks.backbones` writes them down.

Neither depends on the values of the weights, so networks are built with random ones, which never leave this process:
nothing has to be downloaded.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from absl import logging

from model_maker.backbones import BACKBONES, Backbone
from model_maker.backbones.layer_weights import BatchNorm
from model_maker.backbones.measured import FILE
from model_maker.benchmark import host
from model_maker.benchmark.environment import this_machine
from model_maker.data import calibration_pictures, images
from model_maker.errors import BackboneError
from model_maker.system import files
from model_maker.tflite import graph, quantize

Array = np.ndarray

CLASSES = 5
_PICTURES = 2


def measure(names: list[str]) -> dict[str, dict[str, float]]:
    """Returns size in bytes and the median latency at one thread of each backbone, measured in turns in one run."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in names:
            logging.info("Building %s.", name)
            paths.append(Path(folder) / f"{name}.tflite")
            paths[-1].write_bytes(_classifier(BACKBONES[name]))
        rows, _ = host.measure(paths, threads=[1], delegates=["xnnpack"])
        return {
            Path(row.model).stem: {
                "size_bytes": Path(row.model).stat().st_size,
                "latency_ms": round(row.median_ms or float("nan"), 2),
            }
            for row in rows
        }


class RandomWeights:
    """Weights of any network, under which activations keep their spread."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def kernel(
        self, layer: str, shape: tuple[int, ...], *, depthwise: bool, biased: bool
    ) -> tuple[Array, Array | None]:
        inputs = shape[1] * shape[2] * (1 if depthwise else shape[3])
        kernel = self._random.normal(size=shape) * np.sqrt(2 / inputs)
        return kernel, np.zeros(shape[3] if depthwise else shape[0]) if biased else None

    def normalization(self, layer: str, channels: int) -> BatchNorm:
        return BatchNorm(np.ones(channels), np.zeros(channels), np.zeros(channels), np.ones(channels))

    def refusal(self, layer: str) -> BackboneError:
        return BackboneError(f"{layer} cannot be given random weights.")


def _classifier(backbone: Backbone) -> bytes:
    content = backbone.family.build(backbone.image_size, RandomWeights(), **dict(backbone.variant))
    kernel = np.random.default_rng(0).normal(size=(CLASSES, backbone.embedding_size)) / 100
    whole = graph.attach_head(content, kernel, np.zeros(CLASSES))
    calibrator = quantize.Calibrator(whole)
    pictures = [images.load(picture, backbone.image_size) for picture in calibration_pictures.pictures(_PICTURES)]
    ranges = quantize.combine(
        [calibrator.observe(backbone.normalization(picture[None])) for picture in pictures]
    ).ranges
    inner = quantize.quantize(
        whole, "int8", normalization=backbone.normalization, calibration=quantize.Calibration(ranges)
    )
    return graph.set_io(inner, "uint8", mean=backbone.normalization.mean, std=backbone.normalization.std)


def main() -> None:
    logging.set_verbosity(logging.INFO)
    machine = this_machine()
    record = {"processor": machine.name, "classes": CLASSES, "backbones": measure(list(BACKBONES))}
    files.write(FILE, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
