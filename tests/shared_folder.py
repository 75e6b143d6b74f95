"""Where real photos and published models are, if they are."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("MODEL_MAKER_SHARED") or Path(__file__).resolve().parents[2] / "shared")
