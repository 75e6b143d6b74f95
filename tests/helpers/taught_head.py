"""A head of three features and two labels, small enough to work out by hand what it says."""

import base64
import json
import math
import struct

# Features of a photo, and of two of a class that is taught.
FEATURES, TAUGHT = [1.0, 2.0, -1.0], [[2.0, 4.0, 0.0], [4.0, 4.0, 0.0]]


def _packed(kind, *values):
    return base64.b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode()


def small_head(backbone_sha256):
    """Returns the text of a head.json for a backbone."""
    return json.dumps(
        {
            "format": "model_maker head 1",
            "backbone_sha256": backbone_sha256,
            "features": 3,
            "labels": ["a", "b"],
            "kernel": _packed("b", 1, 2, 3, -4, 0, 2),
            "steps": [0.5, 0.25],
            "bias": [0.25, 1.0],
            "teach": {
                "center": _packed("f", 1, 2, 0),
                "divisor": _packed("f", 2, 1, 4),
                "length": 2.0,
                "offset": 0.5,
            },
        }
    )


def by_hand():
    """Returns the scores of FEATURES, after both of TAUGHT were taught as one label."""
    a = 0.5 * (1 * 1 + 2 * 2 + 3 * -1) + 0.25  # 1.25
    b = 0.25 * (-4 * 1 + 0 * 2 + 2 * -1) + 1.0  # -0.5
    # The mean is (3, 4, 0); less the center (1, 2, 0), divided by (2, 1, 4): (1, 2, 0), of length sqrt(5).
    row = (2 / math.sqrt(5) * 1 / 2, 2 / math.sqrt(5) * 2 / 1, 0)
    taught = row[0] * (1 - 1) + row[1] * (2 - 2) + row[2] * (-1 - 0) + 0.5  # 0.5
    powers = [math.exp(logit) for logit in (a, b, taught)]
    return [power / sum(powers) for power in powers]
