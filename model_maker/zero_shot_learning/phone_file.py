"""zero_shot_file(): a finished `.tflite` for classes of which there is no photo."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker import evaluation, output_folder
from model_maker.data import sources
from model_maker.inference.classifier import FileClassifier, Scored
from model_maker.progress import Progress
from model_maker.report import model_card, model_page, page_parts
from model_maker.system import dates, files
from model_maker.zero_shot_learning import int8_model
from model_maker.zero_shot_learning.int8_model import ZeroShotModel
from model_maker.zero_shot_learning.text_vectors import TextVectors

# What stands where an accuracy would.
NOT_MEASURED = "not measured: pass --data DIR with photos to measure"


@dataclass(frozen=True)
class Made:
    """What `zero_shot_file` made.

    Attributes:
      directory: the folder with `model.tflite`, `float.tflite`, `labels.txt`, `README.md` and, where it was measured,
        `metrics.json`, `report.html` and its plots.
      tier: which tier answered; `source` what it knows words from.
      meanings: what each label was taken for.
      size_bytes: of `model.tflite`.
      metrics: on the photos that were given; None without any.
    """

    directory: Path
    tier: str
    source: str
    meanings: dict[str, str]
    size_bytes: int
    metrics: evaluation.Metrics | None

    def as_dict(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "output": str(self.directory),
            "tier": self.tier,
            "source": self.source,
            "labels": self.meanings,
            "model_bytes": self.size_bytes,
            "accuracy": self.metrics.as_dict() if self.metrics else NOT_MEASURED,
        }


def zero_shot_file(
    labels: Sequence[str],
    output: str | os.PathLike[str],
    *,
    model: str = "efficientnet_lite0",
    tier: str | None = None,
    vectors: TextVectors | None = None,
    data: str | os.PathLike[str] | None = None,
    weights: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Writes a classifier for phones of classes of which there is no photo, from their names.

    Args:
      labels: two or more names.
      output: the folder to make.
      model: the backbone, a key of BACKBONES with published kernels.
      tier: a key of `tiers.TIERS`; "known" by default, or "words" where vectors are given.
      vectors: of texts, for the tier "words".
      data: labeled photos to measure it on; their classes have to be among the labels.
      weights: a file to use instead of the published weights.
      overwrite: whether a folder that stands there, made by this, is replaced.
      progress: receives stages, steps and notes.

    Returns:
      Made.

    Raises:
      DataError, BackboneError, ModelError, OutputError: each with one line that says what to do.

    Examples:
      >>> import model_maker
      >>> model_maker.zero_shot_file(["cat", "dog"], "cats_and_dogs").tier
      'known'
    """
    output, progress = Path(output), Progress(progress)
    advice = "or pass `overwrite=True` to replace it"
    files.check_new(output, overwrite=overwrite, advice=advice, mark=output_folder.MODEL)
    made = int8_model.build(labels, model=model, tier=tier, vectors=vectors, weights=weights, progress=progress)
    measured = _measure(made, data, progress) if data is not None else None
    with progress.stage("Write"):
        size_bytes = _write(output, made, measured, overwrite=overwrite)
    found = made.head
    meanings = dict(zip(found.labels, found.meanings, strict=True))
    return Made(output, found.tier, found.source, meanings, size_bytes, measured[1] if measured else None)


def _measure(
    made: ZeroShotModel, data: str | os.PathLike[str], progress: Progress
) -> tuple[Scored, evaluation.Metrics]:
    """Measures the int8 file on labeled photos."""
    with progress.stage("Measure the file"):
        dataset, notes = sources.read_to_judge(data)
        for note in notes:
            progress.note(note)
        classifier = FileClassifier(made.file())
        scored = classifier.score_labelled(dataset, progress=progress.step)
        return scored, classifier.measure(scored)


def _write(
    output: Path, made: ZeroShotModel, measured: tuple[Scored, evaluation.Metrics] | None, *, overwrite: bool
) -> int:
    """Writes the folder, whole or not at all; returns the size of the model, bytes."""
    scored, metrics = measured or (None, None)
    test = metrics.as_dict() if metrics else {}
    accuracy = {key: test[key] for key in ("photos", "top1", "top1_interval", "ece") if metrics}
    binaries: dict[str, bytes] = {}
    if scored and metrics:
        written = (output_folder.MODEL, output_folder.FLOAT_MODEL, output_folder.LABELS, output_folder.CARD)
        binaries = model_page.make(
            made.info.name,
            scored,
            metrics,
            model=output.name,
            origin=[
                ("backbone", made.base.name),
                ("knows words from", made.head.source),
                ("made", dates.shown(dates.now())),
            ],
            links=page_parts.links((*written, output_folder.METRICS, *model_page.ALWAYS)),
        )
    shipped = made.file(accuracy)
    binaries |= {output_folder.MODEL: shipped, output_folder.FLOAT_MODEL: made.float_file(accuracy)}
    texts = {
        output_folder.LABELS: "\n".join(made.head.labels),
        output_folder.CARD: model_card.render_zero_shot(
            made.info,
            len(shipped),
            tier=made.head.tier,
            source=made.head.source,
            meanings=made.head.meanings,
            backbone=made.base.name,
            fit=made.base.fit,
            metrics=metrics,
        ),
    }
    if metrics:
        report = {"tier": made.head.tier, "test": test, "sizes": {"model_bytes": len(shipped)}}
        texts[output_folder.METRICS] = output_folder.as_json(report)
    with files.new_directory(output, overwrite=overwrite) as folder:
        output_folder.write(folder, binaries)
        output_folder.write(folder, texts)
    return len(shipped)
