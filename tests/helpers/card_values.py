"""What a model card is made of, with figures that were made up."""

from model_maker import json_records
from model_maker.inference.training_report import TrainingReport
from model_maker.normalization import Normalization
from model_maker.tflite.metadata import ModelInfo

_TEST = {
    "photos": 125,
    "top1": 0.9284,
    "top1_interval": [0.8694, 0.9616],
    "top5": 1.0,
    "balanced_accuracy": 0.7,
    "ece": 0.0496,
    "per_class": {
        "rose": {"precision": 0.875, "recall": 0.9, "f1": 0.8873, "photos": 20},
        "a|b": {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "photos": 2},
    },
    "confusion": [[18, 2], [1, 1]],
}
_SHARE = {"photos": 125, "answered": 64, "precision_interval": [0.5, 1.0]}
# As metrics.json has it.
CONTENT = {
    "test": _TEST,
    "float": _TEST | {"top1": 0.936},
    "agreement": {
        "photos": 125,
        "same_top1": 0.992,
        "largest_difference": 0.1,
        "accuracy_change": 0.0,
        "accuracy_change_interval": [-0.1, 0.1],
    },
    "cross_validation": {
        "top1": 0.9,
        "regularization": 0.1,
        "temperature": 1.0,
        "layers": "top",
        "candidates": {"top": {"loss": 0.3, "top1": 0.9, "behind": 0.0, "behind_error": 0.0, "features": 2368}},
        "path": [{"regularization": 0.1, "loss": 0.3}],
    },
    "photos": {"train": 413, "validation": 62, "test": 125},
    "trade_off": [
        {"score": 0.5, "photos": 200, "answered": 190, "precision": 0.96, "precision_interval": [0.5, 1.0]},
        {"score": 0.9, "photos": 200, "answered": 140, "precision": 1.0, "precision_interval": [0.5, 1.0]},
    ],
    "fingerprint": "0123456789abcdef0123456789abcdef",
    "thresholds": {"score": 0.5, "test": _SHARE | {"precision": 0.9876}},
    "kernels": {"none": {"photos": 16, "same_top1": 1.0, "largest_difference": 0.0}},
    "sizes": {"model_bytes": 3_957_394, "float_model_bytes": 13_000_000},
}
REPORT = json_records.read(TrainingReport, CONTENT)
INFO = ModelInfo(("rose", "a|b"), Normalization(127.0, 128.0), name="flowers", licence="Apache-2.0")
