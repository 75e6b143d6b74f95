"""A model's metadata as the JSON that TFLite Support shows of it: fields as in the schema, enumerations by name."""

from __future__ import annotations

import dataclasses
import json
from enum import IntEnum
from typing import Any

from model_maker.errors import ModelError
from model_maker.tflite import graph, metadata
from model_maker.tflite import metadata_schema as schema

# Fields that hold a number of an enumeration, by the table that they are in.
_ENUMERATIONS: dict[tuple[type, str], type[IntEnum]] = {
    (schema.AssociatedFile, "type"): schema.AssociatedFileType,
    (schema.ImageProperties, "color_space"): schema.ColorSpaceType,
    (schema.BoundingBoxProperties, "type"): schema.BoundingBoxType,
    (schema.BoundingBoxProperties, "coordinate_type"): schema.CoordinateType,
    (schema.ScoreCalibrationOptions, "score_transformation"): schema.ScoreTransformationType,
}
# Fields that hold one of several tables, whose name stands beside them.
_UNIONS = ("content_properties", "options")


def render(content: bytes) -> str:
    """Returns the metadata of a `.tflite`; what is at its default is left out.

    Raises:
      ModelError: it has none.
    """
    tables = metadata.tables(graph.parse(content))
    if tables is None:
        raise ModelError("The model carries no metadata.")
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
