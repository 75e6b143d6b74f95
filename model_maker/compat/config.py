"""Export formats and quantization."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from model_maker.compat.absent import tells_absences
from model_maker.compat.data_loader import DataLoader, photos_of
from model_maker.compat.notices import UNUSED_ARGUMENTS, warn_once, warn_unused
from model_maker.errors import DataError
from model_maker.packaging.quantized_file import CALIBRATION_PHOTOS, Form

DEFAULT_QUANTIZATION_STEPS = 2000
_EDGES = ("float32", "uint8", "int8")


@enum.unique
class ExportFormat(enum.Enum):
    """The formats of `ImageClassifier.export`.

    Attributes:
      TFLITE: the `.tflite`, with metadata.
      SAVED_MODEL: a folder for TensorFlow.
      LABEL: the labels, one per line.
      VOCAB: for text models; raises an error.
      TFJS: a folder for TensorFlow.js.
    """

    TFLITE = "TFLITE"
    SAVED_MODEL = "SAVED_MODEL"
    LABEL = "LABEL"
    VOCAB = "VOCAB"
    TFJS = "TFJS"


@tells_absences
class QuantizationConfig:
    """The quantization of a `.tflite`.

    Args:
      optimizations, supported_ops, experimental_new_quantizer: for TensorFlow's converter, which is not used.
      representative_data: calibration photos; selects int8.
      quantization_steps: number of calibration photos; `quantized_file.CALIBRATION_PHOTOS`, 50, at most.
      inference_input_type, inference_output_type: "float32", "uint8" or "int8", or TensorFlow's or numpy's types of
      that name; float32 by default.
      supported_types: float16 among them selects float16 weights.

    Raises:
      DataError: unsupported input or output types.
    """

    def __init__(
        self,
        optimizations: Any = None,
        representative_data: DataLoader | None = None,
        quantization_steps: int | None = None,
        inference_input_type: Any = None,
        inference_output_type: Any = None,
        supported_ops: Any = None,
        supported_types: Any = None,
        experimental_new_quantizer: bool | None = None,
    ):
        if representative_data is not None and not len(photos_of(representative_data)):
            raise DataError("QuantizationConfig: representative_data has no photos. Pass some of the training data.")
        if quantization_steps is not None and (not isinstance(quantization_steps, int) or quantization_steps < 1):
            raise DataError(f"QuantizationConfig: quantization_steps={quantization_steps!r}: pass 1 or more.")
        self.optimizations = optimizations
        self.representative_data = representative_data
        if representative_data is not None and quantization_steps is None:
            quantization_steps = DEFAULT_QUANTIZATION_STEPS
        self.quantization_steps = quantization_steps
        self.inference_input_type = inference_input_type
        self.inference_output_type = inference_output_type
        self.supported_ops = supported_ops
        self.supported_types = supported_types
        self.experimental_new_quantizer = experimental_new_quantizer
        _ = self.form  # raises errors early

    @classmethod
    def for_dynamic(cls) -> QuantizationConfig:
        """int8 weights, float activations, float input and output."""
        return cls()

    @classmethod
    def for_float16(cls) -> QuantizationConfig:
        """float16 weights, float input and output."""
        return cls(supported_types=["float16"])

    @classmethod
    def for_int8(
        cls,
        representative_data: DataLoader,
        quantization_steps: int = DEFAULT_QUANTIZATION_STEPS,
        inference_input_type: Any = "uint8",
        inference_output_type: Any = "uint8",
        supported_ops: Any = None,
    ) -> QuantizationConfig:
        """Integers throughout; see the class."""
        if representative_data is None:
            raise DataError("QuantizationConfig.for_int8 needs calibration photos: pass your training data.")
        return cls(
            representative_data=representative_data,
            quantization_steps=quantization_steps,
            inference_input_type=inference_input_type,
            inference_output_type=inference_output_type,
            supported_ops=supported_ops,
        )

    @property
    def form(self) -> Form:
        """The corresponding form."""
        warn_unused(
            "QuantizationConfig", **{name: getattr(self, name) for name in UNUSED_ARGUMENTS["QuantizationConfig"]}
        )
        steps, most = self.quantization_steps, CALIBRATION_PHOTOS
        if steps not in (None, DEFAULT_QUANTIZATION_STEPS):
            if self.representative_data is None:
                warn_once("QuantizationConfig: quantization_steps has no effect here: there is no representative_data.")
            elif steps > most:
                warn_once(f"QuantizationConfig: quantization_steps={steps} is limited to {most}, which is enough.")
        edges = {_dtype(kind) for kind in (self.inference_input_type, self.inference_output_type)}
        if len(edges) > 1 or not edges <= set(_EDGES):
            raise DataError(
                f"QuantizationConfig: input {_dtype(self.inference_input_type)} and output "
                f"{_dtype(self.inference_output_type)} are not supported; pass the same for both: {', '.join(_EDGES)}."
            )
        [io] = edges
        if self.representative_data is not None:
            return Form("int8", io)
        if io == "int8":
            raise DataError("QuantizationConfig: int8 input and output need an int8 model. Add representative_data.")
        types = self.supported_types
        types = [] if types is None else types if isinstance(types, list | tuple | set) else [types]
        return Form("float16" if "float16" in map(_dtype, types) else "dynamic", io)


def _dtype(kind: Any) -> str:
    """Returns the name of a type of TensorFlow or numpy, or of a text; None is float32."""
    try:
        return np.dtype(getattr(kind, "as_numpy_dtype", kind) or np.float32).name
    except TypeError:
        return str(kind)
