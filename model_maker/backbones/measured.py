"""Measurements of the backbones as int8 classifiers; `python -m benchmarks.backbones` repeats them."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("measured.json")


def read() -> dict[str, Any]:
    """Returns `processor`, `classes` and `backbones`: by name, size_bytes and latency_ms (median, one thread)."""
    return json.loads(FILE.read_text(encoding="utf-8"))
