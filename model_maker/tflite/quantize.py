"""Post-training quantization: recipes on ai-edge-quantizer, ranges measured by our own runner."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from model_maker.data.images import Normalization
from model_maker.errors import ModelError
from model_maker.tflite import graph, rounding
from model_maker.tflite.interpreter import Runner

Array = np.ndarray
Ranges = dict[str, tuple[float, float]]

FORMATS = ("int8", "dynamic", "float16", "none")


@dataclass(frozen=True)
class Calibration:
    """What photos tell of a float model's activations.

    Attributes:
      ranges: the least and the greatest value of each activation, by name.
      samples: what the weights of each layer saw; without them weights are rounded one by one.
    """

    ranges: Ranges
    samples: rounding.Samples = field(default_factory=dict)


class Calibrator:
    """Observes every activation of a float model; one instance a thread.

    Args:
      model: a float `.tflite`.
    """

    def __init__(self, model: bytes):
        content, self._names = graph.expose_activations(model)
        self._runner = Runner(content)
        self._input = _input_name(model)
        self._layers = rounding.Layers(model)

    def observe(self, batch: Array) -> Calibration:
        """Runs one photo, float32 [1, H, W, 3], normalized."""
        outputs = dict(zip(self._names, self._runner.run_all(batch), strict=True))
        ranges = {name: (float(values.min()), float(values.max())) for name, values in outputs.items()}
        return Calibration(ranges, self._layers.observe({**outputs, self._input: batch}))


def combine(observed: Sequence[Calibration]) -> Calibration:
    """Combines photos: the least and the greatest value that any of them gave, and the samples of all.

    Against the mean over photos (what ai-edge-quantizer's own calibrator comes near to) this brings the int8 scores a
    third closer to the float ones; see docs/MEASUREMENTS.md.
    """
    ranges = [entry.ranges for entry in observed]
    extremes = {
        name: (min(entry[name][0] for entry in ranges), max(entry[name][1] for entry in ranges)) for name in ranges[0]
    }
    return Calibration(extremes, rounding.combine([entry.samples for entry in observed]))


def quantize(model: bytes, kind: str, *, normalization: Normalization, calibration: Calibration | None = None) -> bytes:
    """Quantizes a float classifier.

    Args:
      model: a float `.tflite` with one image input, normalized.
      kind: one of FORMATS. "int8" gives int8 edges, to be set with `graph.set_io`; the others keep float ones.
      normalization: states the range of the input exactly: pixel 0 to pixel 255.
      calibration: from `Calibrator`, of photos; int8 needs it.

    Raises:
      ModelError: an operator that ai-edge-quantizer cannot quantize.
    """
    if kind == "none":
        return model
    with _quiet():
        from ai_edge_quantizer import quantizer

        worker = quantizer.Quantizer(model, _recipe(kind))
        measured = None
        if kind == "int8":
            ranges = calibration.ranges if calibration else {}
            low, high = normalization(np.array([0, 255], np.uint8))
            measured = {
                tensor: {"min": np.array([[[[least]]]]), "max": np.array([[[[most]]]])}
                for tensor, (least, most) in {**ranges, _input_name(model): (low, high)}.items()
            }
        try:
            result = worker.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"ai-edge-quantizer cannot make {kind}: {error}") from error
    packed = graph.pack(graph.parse(bytes(result.quantized_model)))
    if kind == "int8" and calibration:
        return rounding.Layers(model).round(packed, calibration.samples)
    return packed


def _input_name(model: bytes) -> str:
    main = graph.parse(model).subgraphs[0]
    return main.tensors[main.inputs[0]].name.decode()


def _recipe(kind: str):
    from ai_edge_quantizer import qtyping, recipe, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    if kind == "int8":
        return recipe.static_wi8_ai8()
    manager = recipe_manager.RecipeManager()
    if kind == "dynamic":
        manager.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        # The runtime in TFLite Task Library knows one scale for the whole kernel here; it takes scales by class for
        # zeros, without a word, and answers softmax(bias) to every photo.
        manager.add_dynamic_config(
            regex=".*",
            operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
            num_bits=8,
            granularity=qtyping.QuantGranularity.TENSORWISE,
        )
        return manager.get_quantization_recipe()
    manager.add_weight_only_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        num_bits=16,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    return manager.get_quantization_recipe()


@contextlib.contextmanager
def _quiet():
    """ai-edge-quantizer prints, draws bars and warns of its own debugging run; `--json` promises one document."""
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
