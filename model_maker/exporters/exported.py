"""Exported: one format of an export, and how it compares with the float model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """One format of an export.

    Attributes:
      format: a key of EXPORTERS.
      path: the model in the folder that was made; None where there is none.
      size_bytes: of all that the format consists of.
      difference: the largest of a probability from the float model's, on the photos it was checked on; None where
        nothing here runs the format.
      same_top1: share of these photos with the same answer; None likewise.
      note: what was not checked.
      failure: why it could not be made.
    """

    format: str
    path: Path | None = None
    size_bytes: int | None = None
    difference: float | None = None
    same_top1: float | None = None
    note: str = ""
    failure: str = ""
