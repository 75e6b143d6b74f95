"""Result: the return value of `train`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from model_maker import evaluation
from model_maker.inference.classifier import Scored
from model_maker.inference.training_report import Report
from model_maker.packaging import accuracy_budget


@dataclass(frozen=True)
class Result:
    """The result of `train`.

    Attributes:
      directory: the folder with `model.tflite`, `float.tflite`, `labels.txt`, `metrics.json`, `run.json`, `split.json`,
        `README.md`, `report.html` and its plots.
      measured: everything that was measured, as `metrics.json` has it.
      seconds: total time.
      budget: the search within `max_drop`, with latencies; None without.
      scored: the test split, with the scores of the file.
    """

    directory: Path
    measured: Report
    seconds: float
    budget: accuracy_budget.Budget | None = None
    scored: Scored = dataclasses.field(kw_only=True)

    @property
    def metrics(self) -> evaluation.Metrics:
        """Metrics of the shipped file on the test photos; MultiLabelMetrics with `multi_label`."""
        return cast(evaluation.Metrics, self.measured.test)  # see `Classifier.measure`

    @property
    def report(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.measured.as_dict()
