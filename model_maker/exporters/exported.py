"""Exported: one format of an export, and its comparison with the float model."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """One format of an export.

    Attributes:
      format: a key of EXPORTERS.
      path: the model in the output folder; None if it failed.
      difference: largest difference of a probability from the float model's, on the photos of the check; None if
        nothing here can run the format.
      same_top1: share of these photos with the same prediction; None likewise.
      failure: why it could not be written.
    """

    format: str
    path: Path | None = None
    size_bytes: int | None = None
    difference: float | None = None
    same_top1: float | None = None
    note: str = ""
    failure: str = ""
