"""Score thresholds in the metadata: one for all labels, and one per label.

Phone clients support the latter only through score calibration: a label that scores less than its minimum gets 0, which
the threshold for all labels then drops. The other steps of calibration, logit and sigmoid, cancel out here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from model_maker.errors import ModelError
from model_maker.tflite import metadata_schema as schema

# This name marks a calibration that contains only thresholds; the apps look for it, too.
LABEL_THRESHOLDS = "label_thresholds.csv"
# Scale, slope and offset of the sigmoid; then the minimum score.
_LINE = "1,1,0,{}"


def put(scores: schema.TensorMetadata, threshold: float, own: Sequence[float], *, labels: int) -> dict[str, bytes]:
    """Writes thresholds into the metadata of the scores; returns the associated files.

    Args:
      scores: metadata of the scores.
      threshold: for all labels; 0 for none.
      own: thresholds of single labels; empty for none.
      labels: number of labels.

    Raises:
      ModelError: not every label has a threshold, or there is no threshold for all labels.
    """
    units = []
    if threshold:
        units.append(schema.ProcessUnit(schema.ScoreThresholdingOptions(threshold)))
    files = {}
    if own:
        if len(own) != labels or not threshold:
            raise ModelError(f"{len(own)} thresholds of single labels need {labels} labels and a threshold for all.")
        units.append(
            schema.ProcessUnit(
                schema.ScoreCalibrationOptions(schema.ScoreTransformationType.INVERSE_LOGISTIC, default_score=0.0)
            )
        )
        file = schema.AssociatedFile(
            LABEL_THRESHOLDS.encode(),
            b"The least score of each label, in the order of the scores.",
            schema.AssociatedFileType.TENSOR_AXIS_SCORE_CALIBRATION,
        )
        scores.associated_files = [*(scores.associated_files or []), file]
        files[LABEL_THRESHOLDS] = "\n".join(_LINE.format(float(value)) for value in own).encode()
    scores.process_units = units or None
    return files


def get(scores: schema.TensorMetadata, read: Callable[[str], bytes | None]) -> tuple[float, tuple[float, ...]]:
    """Reads the threshold for all labels (0 for none) and those of single labels (empty for none).

    Args:
      scores: metadata of the scores.
      read: returns a file inside the model by name, or None.

    Raises:
      ModelError: a listed file is missing, or contains values that are not finite numbers.
    """
    stated = (
        unit.options.global_score_threshold
        for unit in scores.process_units or []
        if isinstance(unit.options, schema.ScoreThresholdingOptions)
    )
    threshold = next(filter(math.isfinite, stated), 0.0)
    if not any(file.name == LABEL_THRESHOLDS.encode() for file in scores.associated_files or []):
        return threshold, ()
    lines = (read(LABEL_THRESHOLDS) or b"").decode().splitlines()
    own = tuple(float(line.split(",")[3]) for line in lines)
    if not own or not all(map(math.isfinite, own)):
        raise ModelError(f"The model's {LABEL_THRESHOLDS} holds no numbers.")
    return threshold, own
