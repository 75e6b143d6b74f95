"""The YAML at the head of model cards, from which the Hugging Face Hub reads licence, task and measured accuracy."""

from __future__ import annotations

import re
from typing import Any

from model_maker.tflite.metadata import ModelInfo

_TAGS = ["tflite", "litert", "image-classification", "on-device"]
# Those of the Hub's licence identifiers that backbones and users state; any other is "other", with its name.
_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc0-1.0")
# What the Hub calls each metric, what people call it, and its key in `metrics.json`.
_METRICS = (
    ("accuracy", "Top-1 accuracy", "top1"),
    ("mean_average_precision", "mAP", "mean_average_precision"),
    ("f1", "F1, mean of the labels", "macro_f1"),
)


def compose(info: ModelInfo, report: dict[str, Any]) -> str:
    """Returns the lines between two `---`, and an empty one.

    Args:
      info: the model's metadata.
      report: the content of `metrics.json`; empty where nothing was measured.
    """
    from huggingface_hub import ModelCardData

    licence, results = info.licence.lower(), _results(report)
    data = ModelCardData(
        license=licence if licence in _LICENCES else "other",
        license_name=None if licence in _LICENCES else _identifier(licence) or None,
        library_name="litert",
        pipeline_tag="image-classification",
        tags=_TAGS,
        metrics=[result.metric_type for result in results] or None,
        model_name=_identifier(info.name) or "classifier",
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n\n"


def _results(report: dict[str, Any]) -> list[Any]:
    from huggingface_hub import EvalResult

    test = report.get("test", {})
    fingerprint = f", fingerprint {report['fingerprint'][:16]}" if "fingerprint" in report else ""
    return [
        EvalResult(
            task_type="image-classification",
            task_name="Image classification",
            dataset_type="custom",
            dataset_name=f"{test['photos']} test photos{fingerprint}",
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=test[key],
        )
        for kind, name, key in _METRICS
        if key in test
    ]


def _identifier(text: str) -> str:
    """Replaces what could be markup in a viewer that shows the YAML as text."""
    return re.sub(r"[^\w.]+", "-", text).strip("-_")
