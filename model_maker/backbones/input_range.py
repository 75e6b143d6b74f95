"""Finds the input normalization of a foreign model: stated, measured, described, or inferred from the graph.

Models in the registry have their normalization in their record.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.errors import BackboneError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph

UNIT = Normalization(mean=0.0, std=255.0)
PIXELS = Normalization(mean=0.0, std=1.0)
_ADVICE = "State what its input expects with `normalization=MEAN,STD`, as 127.5,127.5 for -1 to 1 or 0,255 for 0 to 1."


@dataclass(frozen=True)
class ScalingStep:
    """One operator of the scaling at the beginning of a graph: x -> scale * x + offset, averaged over channels.

    `alike` is whether they are the same for all channels; the operator has one output.
    """

    scale: float
    offset: float
    alike: bool
    operator: schema.OperatorT


def parse(text: str | None) -> Normalization | None:
    """Reads "MEAN,STD", both in pixels from 0 to 255.

    Raises:
      BackboneError: it is not that.
    """
    if text is None:
        return None
    try:
        mean, std = (float(part) for part in text.split(","))
    except ValueError:
        mean, std = np.nan, np.nan
    if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
        raise BackboneError(f"`normalization={text!r}`: pass MEAN,STD in pixels (0 to 255), for example 127.5,127.5.")
    return Normalization(mean, std)


def from_quantization(image: schema.TensorT) -> Normalization | None:
    """Returns the normalization implied by a quantized input's scale and zero point."""
    scale = image.quantization.scale if image.quantization is not None else None
    if image.type == schema.TensorType.FLOAT32 or scale is None or not len(scale):
        return None
    stated = image.quantization.zeroPoint
    zero_point = 0 if stated is None or not len(stated) else int(stated[0])
    offset = 128 if image.type == schema.TensorType.INT8 else 0
    # Six digits, because 1 / 0.007843138 is 127.4999 in float32 instead of 127.5.
    return Normalization(float(zero_point + offset), float(f"{1 / float(scale[0]):.6g}"))


def infer(
    model: schema.ModelT,
    stated: Normalization | None,
    measured: Normalization | None,
    described: Normalization | None,
    kind: str,
    assumed: Normalization | None = None,
) -> tuple[Normalization, str]:
    """Determines the normalization of the input, and explains why.

    If the graph begins with its own scaling, that shows whether it expects 0 to 1 or raw pixels; metadata that would
    lead to an asymmetric range is wrong, as in some published embedders.

    Args:
      stated: by the user.
      measured: from the quantization of the file's original input.
      described: by metadata.
      kind: of the TensorFlow model that it was before, from `tensorflow_models.kind`; empty for none.
      assumed: default if nothing determines it.

    Raises:
      ModelError: nothing determines it, and there is no default; the user has to state it.
    """
    if stated:
        return stated, ", as stated"
    if measured:
        return measured, ", from the input's quantization"
    steps = list(_leading_steps(model))
    scale, offset = 1.0, 0.0
    for step in steps:
        scale, offset = scale * step.scale, offset * step.scale + step.offset

    def is_centred(normalization: Normalization) -> bool:
        low, high = scale * normalization(np.array([0.0, 255.0])) + offset
        return abs(low + high) <= 0.3 * (high - low) and high - low < 10

    if described and (not steps or is_centred(described)):
        return described, ", from the metadata"
    for candidate in (UNIT, PIXELS):
        if steps and is_centred(candidate):
            against = f", against {described.mean:g},{described.std:g} of the metadata" if described else ""
            return candidate, f", as the scaling inside shows{against}"
    if described:
        return described, ", from the metadata"
    if kind == "hub":
        return UNIT, ", by TF Hub's convention for images (0 to 1)"
    if assumed:
        return assumed, ", which is assumed: nothing in it tells, so state it if you know better"
    raise ModelError(f"It takes float input and does not say which. {_ADVICE}")


def absorb(model: schema.ModelT, normalization: Normalization) -> Normalization:
    """Moves the scaling at the beginning of the graph into the normalization, if it is the same for all channels.

    This avoids separate quantization steps for it in int8, and states the normalization in one place.

    Returns:
      The normalization of the shortened graph.
    """
    mean, std = normalization.mean, normalization.std
    for step in list(_leading_steps(model)):
        if not step.alike or step.scale <= 0:
            break
        mean, std = mean - step.offset * std / step.scale, std / step.scale
        model.subgraphs[0].inputs = [int(step.operator.outputs[0])]
        model.subgraphs[0].operators.remove(step.operator)
    # Constants of a graph are float32: 0.00784313772 means 1 / 127.5.
    return Normalization(float(f"{mean:.6g}"), float(f"{std:.6g}"))


def _leading_steps(model: schema.ModelT) -> Iterator[ScalingStep]:
    main = model.subgraphs[0]
    tensor = int(main.inputs[0])
    while True:
        users = [operator for operator in main.operators if tensor in operator.inputs]
        name = graph.operator_name(model, users[0]) if len(users) == 1 else ""
        if name not in ("MUL", "DIV", "ADD", "SUB") or int(users[0].inputs[0]) != tensor:
            return
        other = main.tensors[users[0].inputs[1]]
        if not other.buffer or users[0].builtinOptions.fusedActivationFunction:
            return
        values = graph.constant(model, other)
        # Channels differ only slightly, so their mean is enough to recognize the range.
        value = float(values.mean())
        scale = {"MUL": value, "DIV": 1 / value if value else 0.0}.get(name, 1.0)
        offset = {"ADD": value, "SUB": -value}.get(name, 0.0)
        yield ScalingStep(scale, offset, bool((values == values.flat[0]).all()), users[0])
        tensor = int(users[0].outputs[0])
