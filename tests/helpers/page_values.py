"""What every template of a page or card is filled with, full of markup, for report/test_pages.py."""

from pathlib import Path

from model_maker import json_records
from model_maker.evaluation import Metrics
from model_maker.fitting import Fit
from model_maker.inference.training_report import MultiLabelReport, TrainingReport
from model_maker.report import pages

TEMPLATES = Path(pages.__file__).with_name("templates")
NASTY = '<script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3)\' {{ 7 + 7 }} `x` | [a](b) *c*\n# d'
# Parts of others, which have no page of their own.
PARTS = {
    "base.html",
    "parts.html",
    "model_tiles.html",
    "model_thresholds.html",
    "model_label_sets.html",
    "advice.html",
    "confusion.html",
    "examples.html",
    "head_fit.html",
    "model_origin.html",
    "slider.html",
    "usage.html",
}
INTERVAL = [0.5, 0.9]
_MEASURED = {
    "photos": 4,
    "top1": 0.5,
    "top1_interval": INTERVAL,
    "top5": 1.0,
    "balanced_accuracy": 0.5,
    "ece": 0.1,
    "per_class": {NASTY: {"f1": 0.5, "precision": 0.5, "recall": 0.5, "photos": 4}},
    "confusion": [[4]],
}
METRICS = json_records.read(Metrics, _MEASURED)
ROW = (NASTY,) * 5
SVG = b'<svg viewBox="0 0 1 1"><defs></defs></svg>'
INFO = {
    "name": NASTY,
    "description": NASTY,
    "licence": NASTY,
    "labels": (NASTY,),
    "threshold": 0.5,
    "label_thresholds": (),
    "normalization": {"mean": 1.0, "std": 2.0},
    "multi_label": True,
}
_SHARE = {"photos": 4, "answered": 2, "precision": 0.5, "precision_interval": INTERVAL}
_HELD = {"photos": 4, "coverage": 0.5, "coverage_interval": INTERVAL, "size": 1.5}
_ADVICE = {
    "photos": 20,
    "per_class": 10.0,
    "test": {"photos": 4, "top1": 0.5},
    "curve": [{"per_class": 2.0, "top1": 0.5}],
    "forecasts": [{"factor": 1.5, "top1": 0.5, "interval": INTERVAL}],
    "classes": [{"label": NASTY, "photos": 10, "more": 5, "top1": 0.5, "interval": INTERVAL}],
    "kinds": [{"text": NASTY, "label": NASTY, "photos": 9, "wrong": 4, "others": 20, "others_wrong": 1}],
}
_CHANGE = {"accuracy_change": 0.1, "accuracy_change_interval": INTERVAL}
_HEAD = {
    "path": [{"regularization": 0.1, "loss": 0.2}],
    "regularization": 0.1,
    "temperature": 1.0,
    "layers": NASTY,
    "candidates": {NASTY: {"loss": 0.2, "behind": 0.0, "behind_error": 0.0, "features": 1000}},
}
_CONTENT = {
    "advice": _ADVICE,
    "label_sets": {
        "coverage": 0.9,
        "labels": {NASTY: {"limit": 0.1, "photos": 4, "by_class": True}},
        "test": _HELD | {"promised": 0.9, "single": 0.5, "per_class": {NASTY: _HELD}},
    },
    "test": _MEASURED,
    "float": _MEASURED,
    "agreement": {"photos": 4, "same_top1": 0.5, "largest_difference": 0.1} | _CHANGE,
    "trade_off": [_SHARE | {"score": 0.5}],
    "sizes": {"model_bytes": 1, "float_model_bytes": 1},
    "photos": {"train": 1, "validation": 1},
    "cross_validation": _HEAD | {"top1": 0.5},
    "kernels": {},
    "fine_tuning": {
        "improved": False,
        "frozen_top1": 0.5,
        "against_frozen": {"photos": 4, "same_top1": 0.5, "largest_difference": 0.1} | _CHANGE,
        "blends": {},
        "history": [],
    },
    "fingerprint": NASTY,
    "labels_from_text": {"tier": NASTY, "source": NASTY, "labels": {}, "scale": 1.0},
    "thresholds": {"score": 0.5, "test": _SHARE},
}
REPORT = json_records.read(TrainingReport, _CONTENT)
_SEVERAL = {
    "photos": 4,
    "mean_average_precision": 0.5,
    "mean_average_precision_interval": INTERVAL,
    "macro_f1": 0.5,
    "micro_f1": 0.5,
    "exact_match": 0.5,
    "exact_match_interval": INTERVAL,
    "per_class": {
        NASTY: {"average_precision": 0.5, "f1": 0.5, "precision": 0.5, "recall": 0.5, "photos": 4, "threshold": 0.4},
        "rare": {"average_precision": None, "f1": 0.0, "precision": 0.0, "recall": 0.0, "photos": 0, "threshold": 0.5},
    },
}
SEVERAL_REPORT = json_records.read(
    MultiLabelReport,
    _CONTENT
    | {
        "test": _SEVERAL,
        "float": _SEVERAL,
        "agreement": {"photos": 4, "same_labels": 0.5, "largest_difference": 0.1, "exact_match_change": 0.1},
        "cross_validation": _HEAD | {"mean_average_precision": 0.5},
        "thresholds": {"score": 0.5, "labels": {}},
    },
)
PHOTO = {"true": NASTY, "answer": NASTY, "score": 0.5, "place": NASTY, "address": NASTY, "name": NASTY, "label": NASTY}
PHOTO |= {"heat": NASTY, "near": [NASTY], "alt": NASTY, "answers": [(NASTY, 0.5)], "right": False}
EXAMPLES = {
    "origin": [(NASTY, NASTY)],
    "links": [(NASTY, NASTY)],
    "rates": [ROW[:3]],
    "rate_table": [ROW[:3]],
    "start": 50,
    "most_errors": 24,
    "examples": [
        {
            "title": NASTY,
            "note": NASTY,
            "photos": [PHOTO, PHOTO | {"address": "", "heat": "", "right": True, "answers": []}],
        }
    ],
}
VALUES = {
    "model_page.html": EXAMPLES
    | {
        "title": NASTY,
        "explained": True,
        "test": METRICS,
        "seen": NASTY,
        "report": REPORT,
        "wrong": 3,
        "charts": dict.fromkeys(("interval", "calibration", "head", "fine_tuning"), SVG),
        "learned": {NASTY: 1},
        "thresholds": {"own": REPORT.thresholds.test, "proven": [ROW]},
        "label_sets": {"promised": 0.9, "held": REPORT.label_sets.test.whole, "single": 0.5, "rows": [ROW]},
        "classes": METRICS.per_class,
        "pairs": [ROW],
        "most": 150,
        "calibration": [ROW],
        "tuning": [ROW],
        "usage": {NASTY: NASTY},
        "stages": [ROW],
        "confusion": {
            "labels": [NASTY],
            "matrices": [(NASTY, NASTY, [(NASTY, [("h", 5, NASTY), ("m", 1, NASTY)])])],
            "all": 1,
            "wide": True,
            "many": True,
        },
    },
    "multi_label_page.html": EXAMPLES
    | {
        "title": NASTY,
        "curves": [ROW],
        "recalls": list(ROW[:4]),
        "test": SEVERAL_REPORT.test,
        "seen": NASTY,
        "report": SEVERAL_REPORT,
        "wrong": 3,
        "charts": dict.fromkeys(("interval", "precision_recall", "head"), SVG),
        "learned": {NASTY: 1},
        "labels": SEVERAL_REPORT.test.per_class[:1],
        "usage": {NASTY: NASTY},
        "stages": [ROW],
    },
    "certificate.html": {
        "title": NASTY,
        "file": NASTY,
        "size": NASTY,
        "passed": False,
        "origin": [(NASTY, NASTY)],
        "links": (),
        "photos": 1,
        "sha256": NASTY,
        "failures": [NASTY],
        "columns": ROW[:3],
        "runtimes": [ROW],
        "apps": [ROW],
        "rules": [ROW[:3]],
        "trials": [ROW[:3]],
        "remarks": [NASTY],
        "command": NASTY,
    },
    "advice_page.html": {"title": NASTY, "advice": REPORT.advice},
    "doctor.html": {
        "name": NASTY,
        "classes": {NASTY: 1},
        "readable": 1,
        "notes": [NASTY],
        "sentences": [NASTY],
        "undo": NASTY,
        "kinds": [
            {
                "key": "kind",
                "severity": "look",
                "title": NASTY,
                "advice": NASTY,
                "count": 101,
                "command": NASTY,
                "moves": 2,
                "findings": [
                    {"text": NASTY, "count": 1, "photos": [PHOTO]},
                    {"text": NASTY, "count": 9, "photos": [PHOTO, PHOTO]},
                    {"text": NASTY, "count": 0, "photos": []},
                ],
            }
        ],
    },
    "photo_groups.html": {
        "title": NASTY,
        "lead": NASTY,
        "groups": [
            {
                "title": NASTY,
                "text": NASTY,
                "photos": [
                    {"address": NASTY, "name": NASTY, "text": NASTY},
                    {"address": "", "name": NASTY, "text": ""},
                ],
            }
        ],
    },
    "compare_models.html": {
        "title": NASTY,
        "photos": 9,
        "verdict": NASTY,
        "rows": [ROW[:3]],
        "notes": [NASTY],
        "limits": NASTY,
        **dict.fromkeys(
            ("wrong", "right"),
            {
                "title": NASTY,
                "count": 3,
                "shown": [dict.fromkeys(("address", "name", "label", "old", "new"), NASTY)],
            },
        ),
    },
    "robustness.html": {
        "title": NASTY,
        "photos": 9,
        "augment": NASTY,
        "background": NASTY,
        "betrayed": True,
        "notes": [NASTY],
        "limits": NASTY,
        "rows": [
            {
                **dict.fromkeys(("name", "what", "source", "interval", "change", "score", "regained"), NASTY),
                "share": "50.0",
                "photos": [NASTY, ""],
            }
        ],
    },
    "explanations.html": {
        "title": NASTY,
        "lead": NASTY,
        "photos": [
            {
                "answer": NASTY,
                "name": NASTY,
                "text": NASTY,
                "sum": NASTY,
                "address": NASTY,
                "heat": NASTY,
                "training": [{"label": NASTY, "name": NASTY, "weight": NASTY, "address": NASTY}],
            }
        ],
    },
    "benchmark.html": {
        "machine": NASTY,
        "created": NASTY,
        "best": {"ms": NASTY, "name": NASTY},
        "heads": ROW,
        "remarks": [(NASTY, True)],
        "models": [{"name": NASTY, "facts": NASTY, "chart": SVG}] * 2,
        "rows": [
            {
                "model": NASTY,
                "delegate": NASTY,
                "reason": reason,
                "median": NASTY,
                "interval": NASTY,
                "noisy": True,
                "cells": ROW,
            }
            for reason in ("", NASTY)
        ],
    },
    "model_card.md": {
        "info": INFO,
        "report": REPORT,
        "backbone": NASTY,
        "quantize": NASTY,
        "io": "float32",
        "fit": Fit(8, 8),
    },
    "multi_label_card.md": {
        "info": INFO,
        "report": SEVERAL_REPORT,
        "backbone": NASTY,
        "quantize": NASTY,
        "io": "float32",
        "fit": Fit(8, 8),
    },
    "starter_card.md": {
        "info": INFO,
        "backbone": {"name": NASTY, "image_size": 8, "source": NASTY},
        "model_bytes": 1,
        "classes": NASTY,
        "published": {NASTY: 1.0},
        "quantize": NASTY,
        "io": NASTY,
    },
    "zero_shot_card.md": {
        "info": INFO,
        "model_bytes": 1,
        "tier": NASTY,
        "source": NASTY,
        "meanings": [(NASTY, NASTY)],
        "backbone": NASTY,
        "fit": Fit(8, 8),
        "metrics": METRICS,
    },
    "combined_card.md": {
        "name": NASTY,
        "heads": [{"name": NASTY, "labels": [NASTY]}],
        "size_bytes": 1,
        "apart_bytes": 2,
        "latency_ms": 1.0,
        "apart_ms": 2.0,
    },
    "edited_card.md": {
        "name": NASTY,
        "labels": [NASTY],
        "new": [{"label": NASTY, "photos": 2, "found": 1, "top1_interval": INTERVAL}],
        "old": {"photos": 1, "before": 0.5, "after": 0.5},
        "size_bytes": 1,
    },
    "export_card.md": {
        "info": INFO,
        "entry": {"format": NASTY, "difference": 0.1, "same_top1": 0.5, "note": NASTY},
        "fit": Fit(8, 8),
        "probes": 3,
        "contract": "a `line`",
        "usage": "```\nx\n```",
        "io": NASTY,
    },
}
