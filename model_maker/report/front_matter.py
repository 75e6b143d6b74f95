"""The YAML at the head of model cards, from which the Hugging Face Hub reads licence, task and measured accuracy."""

import re
from typing import Any

from model_maker.evaluation import Metrics
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.tflite.metadata import ModelInfo

_TAGS = ["tflite", "litert", "image-classification", "on-device"]
# Those of the Hub's licence identifiers that backbones and users state; any other is "other", with its name.
_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc0-1.0")
# What the Hub calls each metric, what people call it, and its name in Metrics or MultiLabelMetrics.
_METRICS = (
    ("accuracy", "Top-1 accuracy", "top1"),
    ("mean_average_precision", "mAP", "mean_average_precision"),
    ("f1", "F1, mean of the labels", "macro_f1"),
)


def compose(info: ModelInfo, test: Metrics | MultiLabelMetrics | None = None, fingerprint: str = "") -> str:
    """Returns the lines between two `---`, and an empty one.

    Args:
      test: of the test photos; None where nothing was measured.
      fingerprint: of their dataset, if known.
    """
    from huggingface_hub import ModelCardData

    licence, results = info.licence.lower(), _results(test, fingerprint)
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


def _results(test: Metrics | MultiLabelMetrics | None, fingerprint: str) -> list[Any]:
    from huggingface_hub import EvalResult

    if test is None:
        return []
    source = f", fingerprint {fingerprint[:16]}" if fingerprint else ""
    return [
        EvalResult(
            task_type="image-classification",
            task_name="Image classification",
            dataset_type="custom",
            dataset_name=f"{test.photos} test photos{source}",
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=getattr(test, key),
        )
        for kind, name, key in _METRICS
        if hasattr(test, key)
    ]


def _identifier(text: str) -> str:
    """Replaces what could be markup in a viewer that shows the YAML as text."""
    return re.sub(r"[^\w.]+", "-", text).strip("-_")
