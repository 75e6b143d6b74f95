"""Where real photos and published models are, if they are."""

import os
from pathlib import Path

from checkout import ROOT

SHARED = Path(os.environ.get("MODEL_MAKER_SHARED") or ROOT.parent / "shared")
