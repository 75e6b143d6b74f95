"""What a model card is made of, with figures that were made up."""

from model_maker.normalization import Normalization
from model_maker.tflite.metadata import ModelInfo

REPORT = {
    "test": {
        "photos": 125,
        "top1": 0.9284,
        "top1_interval": [0.8694, 0.9616],
        "ece": 0.0496,
        "per_class": {
            "rose": {"precision": 0.875, "recall": 0.9, "f1": 0.8873, "photos": 20},
            "a|b": {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "photos": 2},
        },
    },
    "float": {"top1": 0.936, "photos": 125},
    "cross_validation": {"layers": "top", "candidates": {"top": {"features": 2368}}},
    "agreement": {"same_top1": 0.992},
    "trade_off": [{"score": 0.5, "coverage": 0.95, "precision": 0.96}, {"score": 0.9, "coverage": 0.7, "precision": 1}],
    "thresholds": {"test": {"coverage": 0.512, "precision": 0.9876}},
    "sizes": {"model_bytes": 3_957_394},
    "photos": {"train": 413, "validation": 62, "test": 125},
    "fingerprint": "0123456789abcdef0123456789abcdef",
}
INFO = ModelInfo(("rose", "a|b"), Normalization(127.0, 128.0), name="flowers", licence="Apache-2.0")
