"""Post-training quantization: recipes on litert-quantizer, ranges measured by our own runner."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import tqdm
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.system import suppressed_output
from model_maker.tflite import graph, inspection, rounding
from model_maker.tflite.interpreter import Runner, without_greeting

Array = np.ndarray
Ranges = dict[str, tuple[float, float]]

FORMATS = ("int8", "int16x8", "int4", "dynamic", "float16", "none")
# Those that need the ranges of activations, and those that photos serve: for ranges, and to round weights together.
STATIC = ("int8", "int16x8")
CALIBRATED = (*STATIC, "int4", "dynamic")
# As what single operators of a format may be kept, the cheaper first; "dynamic" means int8 weights.
MIXES = {"int8": ("int16x8", "float"), "int16x8": ("float",), "int4": ("dynamic",), "dynamic": ("float",)}
# Types of weights in each format; int4 has no kernels for depthwise layers.
_WEIGHTS = {
    "int8": ("int8",),
    "int16x8": ("int8",),
    "int4": ("int4", "int8"),
    "dynamic": ("int8",),
    "float16": ("float16",),
}


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

    def observe(self, batch: Array, *, sample: bool = True) -> Calibration:
        """Runs one photo, float32 [1, H, W, 3], normalized; `sample` tells whether weights are to be rounded by it."""
        outputs = dict(zip(self._names, self._runner.run_all(batch), strict=True))
        ranges = {name: (float(values.min()), float(values.max())) for name, values in outputs.items()}
        return Calibration(ranges, self._layers.observe({**outputs, self._input: batch}) if sample else {})


def combine(observed: Sequence[Calibration]) -> Calibration:
    """Combines photos: the least and the greatest value that any of them gave, and the samples of all.

    Against the mean over photos (what litert-quantizer's own calibrator comes near to) this brings the int8 scores a
    third closer to the float ones; see docs/MEASUREMENTS.md.
    """
    extremes = combine_ranges([entry.ranges for entry in observed])
    return Calibration(extremes, rounding.combine([entry.samples for entry in observed]))


def combine_ranges(ranges: Sequence[Ranges], *, rule: str = "extremes") -> Ranges:
    """Combines the ranges of photos by one of RULES; what lies outside is clipped, the rest gets finer steps."""
    return {
        name: (-RULES[rule]([-entry[name][0] for entry in ranges]), RULES[rule]([entry[name][1] for entry in ranges]))
        for name in ranges[0]
    }


# From the ends of photos' ranges to the end of all.
RULES: dict[str, Callable[[Sequence[float]], float]] = {
    "extremes": max,
    "percentile": lambda ends: float(np.percentile(ends, 90)),
    "mean": lambda ends: float(np.mean(ends)),
}


def quantize(
    model: bytes,
    kind: str,
    *,
    normalization: Normalization,
    calibration: Calibration | None = None,
    kept: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Quantizes a float classifier.

    Args:
      model: a float `.tflite` with one image input, normalized.
      kind: one of FORMATS. "int8" and "int16x8" give integer edges, to be set with `graph.set_io`; the others keep
        float ones.
      normalization: states the range of the input exactly: pixel 0 to pixel 255.
      calibration: from `Calibrator`, of photos; STATIC formats need its ranges, CALIBRATED ones are better for its
        samples.
      kept: operators that are spared, by the names of their outputs: as what of MIXES.
      progress: called with (done, total) layers whose weights are rounded together, which takes most of the time.

    Raises:
      ModelError: an operator that litert-quantizer cannot quantize or passed over, or none that has a kept name.
    """
    if kind == "none":
        return model
    kept = kept or {}
    _check_mix(model, kind, kept)
    model = graph.pack(graph.parse(model))  # states operators as litert-quantizer reads them
    # It prints, draws bars and warns of its own debugging run; `--json` promises one document.
    with suppressed_output.silenced(), without_greeting():
        from litert_quantizer import quantizer
        from litert_quantizer.utils import progress_utils

        # Rewriting the graph draws a bar on stderr, with enable_progress_bar=False too.
        vars(progress_utils)["tqdm"] = SimpleNamespace(tqdm=lambda **more: tqdm.tqdm(**{**more, "disable": True}))

        worker = quantizer.Quantizer(model, recipe(kind, kept))
        measured = None
        if kind in STATIC:
            ranges = calibration.ranges if calibration else {}
            low, high = normalization(np.array([0, 255], np.uint8))
            measured = {
                tensor: {"min": np.array([[[[least]]]]), "max": np.array([[[[most]]]])}
                for tensor, (least, most) in {**ranges, _input_name(model): (low, high)}.items()
            }
        try:
            result = worker.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"litert-quantizer cannot make {kind}: {error}") from error
    packed = graph.pack(graph.parse(bytes(result.quantized_model)))
    _check_kept(packed, kept)
    check_weights(packed, kind, kept)
    if kind in CALIBRATED and calibration:
        return rounding.Layers(model).round(packed, calibration.samples, progress=progress)
    return packed


def _input_name(model: bytes) -> str:
    main = graph.parse(model).subgraphs[0]
    return main.tensors[main.inputs[0]].name.decode()


def _check_mix(model: bytes, kind: str, kept: Mapping[str, str]) -> None:
    for name, other in kept.items():
        if other not in MIXES.get(kind, ()):
            known = ", ".join(MIXES.get(kind, ())) or "nothing else"
            raise ModelError(f"{name} cannot be kept as {other} in a model of {kind}, which mixes with {known}.")
    if unknown := sorted(set(kept) - set(_types(graph.parse(model)))):
        raise ModelError(f"No operator of the model gives {unknown[0]}, which was to be kept as {kept[unknown[0]]}.")


def _check_kept(content: bytes, kept: Mapping[str, str]) -> None:
    """litert-quantizer passes over what an operator cannot be, without a word."""
    wanted = {"float": schema.TensorType.FLOAT32, "int16x8": schema.TensorType.INT16}
    types = _types(graph.parse(content)) if kept else {}
    for name, other in kept.items():
        if other in wanted and types[name] != wanted[other]:
            raise ModelError(f"The operator that gives {name} cannot be kept as {other}: litert-quantizer has no way.")


def check_weights(content: bytes, kind: str, kept: Mapping[str, str]) -> None:
    wide = inspection.wider_weights(
        content, _WEIGHTS[kind], kept=[name for name, other in kept.items() if other == "float"]
    )
    if wide:
        listed = ", ".join(wide[:3]) + (" ..." if len(wide) > 3 else "")
        raise ModelError(
            f"litert-quantizer left the weights of {len(wide)} operators as they were, so this is no {kind} model: "
            f"{listed}. Use `quantize='none'`, or another backbone."
        )


def _types(model: schema.ModelT) -> dict[str, int]:
    """Returns the type of each activation, by name."""
    main = model.subgraphs[0]
    return {
        main.tensors[index].name.decode(): main.tensors[index].type
        for operator in main.operators
        for index in operator.outputs
    }


def recipe(kind: str, kept: Mapping[str, str]):
    from litert_quantizer import recipe_manager

    manager = recipe_manager.RecipeManager()
    _add_recipe(manager, kind, ".*")
    for name, other in kept.items():
        _add_recipe(manager, other, f"^{re.escape(name)};$")  # how it calls an operator
    return manager.get_quantization_recipe()


def _add_recipe(manager, kind: str, scope: str) -> None:
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import QuantGranularity
    from litert_quantizer.qtyping import TFLOperationName as Operation

    every = Operation.ALL_SUPPORTED
    if kind in STATIC:
        manager.add_static_config(scope, every, activation_num_bits=16 if kind == "int16x8" else 8, weight_num_bits=8)
    elif kind == "float16":
        manager.add_weight_only_config(scope, every, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    elif kind == "float":
        manager.add_quantization_config(scope, every, algorithm_key=AlgorithmName.NO_QUANTIZE)
    else:
        manager.add_dynamic_config(scope, every, num_bits=8)
        # The runtime in TFLite Task Library knows one scale for the whole kernel here; it takes scales by class for
        # zeros, without a word, and answers softmax(bias) to every photo.
        manager.add_dynamic_config(
            scope, Operation.FULLY_CONNECTED, num_bits=8, granularity=QuantGranularity.TENSORWISE
        )
    if kind == "int4":  # no kernel knows int4 for depthwise layers, which have few weights
        manager.add_dynamic_config(scope, Operation.CONV_2D, num_bits=4)
        manager.add_dynamic_config(scope, Operation.FULLY_CONNECTED, num_bits=4)
