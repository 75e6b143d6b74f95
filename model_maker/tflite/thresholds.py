"""Score thresholds in the metadata: one for all labels, and one per label.

Phone clients support the latter only through score calibration: a label that scores less than its minimum gets 0, which
the threshold for all labels then drops. The other steps of calibration, logit and sigmoid, cancel out here.
"""

import math
from collections.abc import Callable, Sequence

from model_maker.errors import ModelError
from model_maker.tflite import metadata_schema as schema

# By this end of its name we know the calibration that holds thresholds and nothing else; the apps look for it, too. In
# a file of several heads the head's name stands before it.
LABEL_THRESHOLDS = "label_thresholds.csv"
# Scale, slope and offset of the sigmoid; then the minimum score.
_LINE = "1,1,0,{}"


def put(
    scores: schema.TensorMetadata, threshold: float, own: Sequence[float], *, labels: int, prefix: str = ""
) -> dict[str, bytes]:
    """Writes thresholds into the metadata of the scores; returns the files that belong to them.

    Args:
      threshold: for all labels; 0 for none.
      own: those of single labels; empty for none.

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
            f"{prefix}{LABEL_THRESHOLDS}".encode(),
            b"The least score of each label, in the order of the scores.",
            schema.AssociatedFileType.TENSOR_AXIS_SCORE_CALIBRATION,
        )
        scores.associated_files = [*(scores.associated_files or []), file]
        files[f"{prefix}{LABEL_THRESHOLDS}"] = "\n".join(_LINE.format(float(value)) for value in own).encode()
    scores.process_units = units or None
    return files


def get(scores: schema.TensorMetadata, read: Callable[[str], bytes | None]) -> tuple[float, tuple[float, ...]]:
    """Reads the threshold for all labels (0 for none) and those of single labels (empty for none).

    Args:
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
    names = ((file.name or b"").decode() for file in scores.associated_files or [])
    name = next((name for name in names if name.endswith(LABEL_THRESHOLDS)), None)
    if name is None:
        return threshold, ()
    lines = (read(name) or b"").decode().splitlines()
    own = tuple(float(line.split(",")[3]) for line in lines)
    if not own or not all(map(math.isfinite, own)):
        raise ModelError(f"The model's {name} holds no numbers.")
    return threshold, own
