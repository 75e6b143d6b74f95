"""TFLite's metadata schema as dataclasses, with a reader and a writer.

Names and order follow the schema; the order defines the binary format. Strings are bytes, because other tools may
write text that is not UTF-8. Enum fields are plain integers, because files may hold values that are not listed here.

Generated classes for it exist only in mediapipe (500 MB) and tflite-support, which ends with Python 3.11.

Source: metadata_schema.fbs of TFLite Support, format version 1.5; MediaPipe ships the same schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import numpy as np

from model_maker.tflite import flatbuffer, graph

_IDENTIFIER = b"M001"

Byte = Annotated[int, np.dtype("i1")]
Int = Annotated[int, np.dtype("<i4")]
UInt = Annotated[int, np.dtype("<u4")]
Float = Annotated[float, np.dtype("<f4")]
Data = Annotated[bytes, flatbuffer.Aligned(16)]


class AssociatedFileType(IntEnum):
    UNKNOWN = 0
    DESCRIPTIONS = 1
    TENSOR_AXIS_LABELS = 2
    TENSOR_VALUE_LABELS = 3
    TENSOR_AXIS_SCORE_CALIBRATION = 4
    VOCABULARY = 5
    SCANN_INDEX_FILE = 6


class ColorSpaceType(IntEnum):
    UNKNOWN = 0
    RGB = 1
    GRAYSCALE = 2


class BoundingBoxType(IntEnum):
    UNKNOWN = 0
    BOUNDARIES = 1
    UPPER_LEFT = 2
    CENTER = 3


class CoordinateType(IntEnum):
    RATIO = 0
    PIXEL = 1


class ScoreTransformationType(IntEnum):
    IDENTITY = 0
    LOG = 1
    INVERSE_LOGISTIC = 2


@dataclass
class AssociatedFile:
    """A file in the zip appended to the model; `type` is an AssociatedFileType."""

    name: bytes | None = None
    description: bytes | None = None
    type: Byte = 0
    locale: bytes | None = None
    version: bytes | None = None


@dataclass
class FeatureProperties:
    """Marks a tensor of features or scores."""


@dataclass
class ImageSize:
    width: UInt = 0
    height: UInt = 0


@dataclass
class ImageProperties:
    """Describes an image tensor; `color_space` is a ColorSpaceType."""

    color_space: Byte = 0
    default_size: ImageSize | None = None


@dataclass
class AudioProperties:
    sample_rate: UInt = 0
    channels: UInt = 0


@dataclass
class BoundingBoxProperties:
    """Describes a tensor of boxes; `type` is a BoundingBoxType, `coordinate_type` a CoordinateType."""

    index: list[UInt] | None = None
    type: Byte = 0
    coordinate_type: Byte = 0


ContentProperties = FeatureProperties | ImageProperties | BoundingBoxProperties | AudioProperties


@dataclass
class ValueRange:
    min: Int = 0
    max: Int = 0


@dataclass
class Content:
    """The content of a tensor: what it is, and the range of indices to which this applies."""

    content_properties: ContentProperties | None = None
    range: ValueRange | None = None


@dataclass
class NormalizationOptions:
    """The model expects (x - mean) / std; one value for all channels, or one per channel."""

    mean: list[Float] | None = None
    std: list[Float] | None = None


@dataclass
class ScoreCalibrationOptions:
    """A file holds calibration parameters of scores; `score_transformation` is a ScoreTransformationType."""

    score_transformation: Byte = 0
    default_score: Float = 0.0


@dataclass
class ScoreThresholdingOptions:
    """Clients drop results that score lower."""

    global_score_threshold: Float = 0.0


@dataclass
class BertTokenizerOptions:
    vocab_file: list[AssociatedFile] | None = None


@dataclass
class SentencePieceTokenizerOptions:
    sentencePiece_model: list[AssociatedFile] | None = None  # noqa: N815 - spelled so in the schema
    vocab_file: list[AssociatedFile] | None = None


@dataclass
class RegexTokenizerOptions:
    delim_regex_pattern: bytes | None = None
    vocab_file: list[AssociatedFile] | None = None


ProcessUnitOptions = (
    NormalizationOptions
    | ScoreCalibrationOptions
    | ScoreThresholdingOptions
    | BertTokenizerOptions
    | SentencePieceTokenizerOptions
    | RegexTokenizerOptions
)


@dataclass
class ProcessUnit:
    """One preprocessing or postprocessing step."""

    options: ProcessUnitOptions | None = None


@dataclass
class Stats:
    """The range of a tensor's values; one value for all channels, or one per channel."""

    max: list[Float] | None = None
    min: list[Float] | None = None


@dataclass
class TensorGroup:
    name: bytes | None = None
    tensor_names: list[bytes] | None = None


@dataclass
class TensorMetadata:
    """Describes an input or output tensor."""

    name: bytes | None = None
    description: bytes | None = None
    dimension_names: list[bytes] | None = None
    content: Content | None = None
    process_units: list[ProcessUnit] | None = None
    stats: Stats | None = None
    associated_files: list[AssociatedFile] | None = None


@dataclass
class CustomMetadata:
    name: bytes | None = None
    data: Data | None = None


@dataclass
class SubGraphMetadata:
    """Describes a subgraph, with its inputs and outputs in the model's order."""

    name: bytes | None = None
    description: bytes | None = None
    input_tensor_metadata: list[TensorMetadata] | None = None
    output_tensor_metadata: list[TensorMetadata] | None = None
    associated_files: list[AssociatedFile] | None = None
    input_process_units: list[ProcessUnit] | None = None
    output_process_units: list[ProcessUnit] | None = None
    input_tensor_groups: list[TensorGroup] | None = None
    output_tensor_groups: list[TensorGroup] | None = None
    custom_metadata: list[CustomMetadata] | None = None


@dataclass
class ModelMetadata:
    """Describes a model; the root table."""

    name: bytes | None = None
    description: bytes | None = None
    version: bytes | None = None
    subgraph_metadata: list[SubGraphMetadata] | None = None
    author: bytes | None = None
    license: bytes | None = None
    associated_files: list[AssociatedFile] | None = None
    min_parser_version: bytes | None = None


def read(packed: bytes) -> ModelMetadata:
    """Parses a metadata flatbuffer. Options and content properties of unknown types become None.

    Raises:
      ModelError: the buffer is damaged.
    """
    with graph.explained("The model's metadata"):
        return flatbuffer.read(packed, ModelMetadata)


def pack(metadata: ModelMetadata) -> bytes:
    """Serializes metadata, byte-identical to what classes generated by flatc write."""
    return flatbuffer.pack(metadata, _IDENTIFIER)
