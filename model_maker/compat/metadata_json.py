"""Renders a model's metadata as JSON like TFLite Support: fields as in the schema, enumerations by name."""

import dataclasses
import json
from enum import IntEnum
from typing import Any

from model_maker.errors import ModelError
from model_maker.tflite import graph, metadata
from model_maker.tflite import metadata_schema as schema

# Fields with a value of an enumeration, by table and field.
_ENUMERATIONS: dict[tuple[type, str], type[IntEnum]] = {
    (schema.AssociatedFile, "type"): schema.AssociatedFileType,
    (schema.ImageProperties, "color_space"): schema.ColorSpaceType,
    (schema.BoundingBoxProperties, "type"): schema.BoundingBoxType,
    (schema.BoundingBoxProperties, "coordinate_type"): schema.CoordinateType,
    (schema.ScoreCalibrationOptions, "score_transformation"): schema.ScoreTransformationType,
}
# Fields with a union, whose type is in a field of its own.
_UNIONS = ("content_properties", "options")


def render(content: bytes) -> str:
    """Returns the metadata of a `.tflite`; fields at their default are omitted.

    Raises:
      ModelError: it has no metadata.
    """
    tables = metadata.tables(graph.parse(content))
    if tables is None:
        raise ModelError("The model has no metadata.")
    return json.dumps(_table(tables), indent=2, ensure_ascii=False) + "\n"


def _table(table: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if field.name in _UNIONS and value is not None:
            found[f"{field.name}_type"] = type(value).__name__
            if inner := _table(value):
                found[field.name] = inner
        elif value is not None and value != field.default:
            kind = _ENUMERATIONS.get((type(table), field.name))
            found[field.name] = kind(value).name if kind and value in list(kind) else _value(value)
    return found


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list):
        return [_value(entry) for entry in value]
    return _table(value) if dataclasses.is_dataclass(value) else value
