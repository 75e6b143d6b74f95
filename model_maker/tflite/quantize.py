"""Post-training quantization: recipes on litert-quantizer, ranges measured by our own runner."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.system import suppressed_output
from model_maker.tflite import graph, inspection, rounding
from model_maker.tflite.interpreter import LiteRTRunner, without_greeting

Array = np.ndarray
Ranges = dict[str, tuple[float, float]]

FORMATS = ("int8", "int16x8", "int4", "dynamic", "float16", "none")
# Formats that need activation ranges; formats that benefit from photos, for ranges or for rounding weights together.
STATIC = ("int8", "int16x8")
CALIBRATED = (*STATIC, "int4", "dynamic")
# Wider formats that single operators may use in a model of a format, cheapest first; "dynamic" means int8 weights.
MIXES = {"int8": ("int16x8", "float"), "int16x8": ("float",), "int4": ("dynamic",), "dynamic": ("float",)}
# Weight types in each format; depthwise layers have no int4 kernels.
_WEIGHTS = {
    "int8": ("int8",),
    "int16x8": ("int8",),
    "int4": ("int4", "int8"),
    "dynamic": ("int8",),
    "float16": ("float16",),
}


@dataclass(frozen=True)
class Calibration:
    """Statistics of a float model's activations over photos.

    Attributes:
      ranges: minimum and maximum of each activation, by name.
      samples: inputs of each layer with weights; without them weights are rounded one by one.
    """

    ranges: Ranges
    samples: rounding.Samples = field(default_factory=dict)


class Calibrator:
    """Observes every activation of a float model; use one instance per thread."""

    def __init__(self, model: bytes):
        content, self._names = graph.expose_activations(model)
        self._runner = LiteRTRunner(content)
        self._input = _input_name(model)
        self._layers = rounding.RoundableLayers(model)

    def observe(self, batch: Array, *, sample: bool = True) -> Calibration:
        """Runs one photo, float32 [1, H, W, 3], normalized; `sample` collects layer inputs for rounding weights."""
        outputs = dict(zip(self._names, self._runner.run_all(batch), strict=True))
        ranges = {name: (float(values.min()), float(values.max())) for name, values in outputs.items()}
        return Calibration(ranges, self._layers.observe({**outputs, self._input: batch}) if sample else {})


def combine(observed: Sequence[Calibration]) -> Calibration:
    """Combines photos: minimum and maximum over all of them, and the samples of all.

    Compared with the mean over photos (close to litert-quantizer's own calibrator) this brings the int8 scores a third
    closer to the float ones; see docs/MEASUREMENTS.md.
    """
    extremes = combine_ranges([entry.ranges for entry in observed])
    return Calibration(extremes, rounding.combine([entry.samples for entry in observed]))


def combine_ranges(ranges: Sequence[Ranges], *, rule: str = "extremes") -> Ranges:
    """Combines the ranges of photos by one of RULES; values outside are clipped, the others get finer steps."""
    return {
        name: (-RULES[rule]([-entry[name][0] for entry in ranges]), RULES[rule]([entry[name][1] for entry in ranges]))
        for name in ranges[0]
    }


# Each reduces the range ends of single photos to one.
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
      kind: one of FORMATS. "int8" and "int16x8" have integer input and output, which `graph.set_io` can change; the
        others keep float ones.
      normalization: gives the exact input range, from pixel 0 to pixel 255.
      calibration: from `Calibrator`; STATIC formats need its ranges, CALIBRATED ones gain from its samples.
      kept: maps output names of operators to the wider format of MIXES that they use.
      progress: called with (done, total) layers during rounding, which takes most of the time.

    Raises:
      ModelError: litert-quantizer cannot quantize an operator or skipped one, or `kept` names an unknown output.
    """
    if kind == "none":
        return model
    kept = kept or {}
    if kept:
        _check_mix(model, kind, kept)
    model = graph.pack(graph.parse(model))  # operator codes in the form that litert-quantizer reads
    # litert-quantizer prints, draws bars and warns about its debug run; `--json` promises one document.
    with suppressed_output.silenced(), without_greeting():
        import tqdm
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
        return rounding.RoundableLayers(model).round(packed, calibration.samples, progress=progress)
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
        raise ModelError(f"No operator has the output {unknown[0]}, which was to be kept as {kept[unknown[0]]}.")


def _check_kept(content: bytes, kept: Mapping[str, str]) -> None:
    """Raises if litert-quantizer silently ignored a requested format."""
    wanted = {"float": schema.TensorType.FLOAT32, "int16x8": schema.TensorType.INT16}
    types = _types(graph.parse(content)) if kept else {}
    for name, other in kept.items():
        if other in wanted and types[name] != wanted[other]:
            raise ModelError(f"litert-quantizer cannot keep the operator with output {name} as {other}.")


def check_weights(content: bytes, kind: str, kept: Mapping[str, str]) -> None:
    wide = inspection.wider_weights(
        content, _WEIGHTS[kind], kept=[name for name, other in kept.items() if other == "float"]
    )
    if wide:
        listed = ", ".join(wide[:3]) + (" ..." if len(wide) > 3 else "")
        raise ModelError(
            f"litert-quantizer did not quantize the weights of {len(wide)} operators, so the model is not {kind}: "
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
        _add_recipe(manager, other, f"^{re.escape(name)};$")  # litert-quantizer's name of an operator
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
        # The runtime in TFLite Task Library supports only one scale per kernel here; it silently reads per-channel
        # scales as zeros, and returns softmax(bias) for every photo.
        manager.add_dynamic_config(
            scope, Operation.FULLY_CONNECTED, num_bits=8, granularity=QuantGranularity.TENSORWISE
        )
    if kind == "int4":  # depthwise layers, which have few weights, have no int4 kernels
        manager.add_dynamic_config(scope, Operation.CONV_2D, num_bits=4)
        manager.add_dynamic_config(scope, Operation.FULLY_CONNECTED, num_bits=4)
