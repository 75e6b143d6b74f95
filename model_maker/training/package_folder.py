"""Writes the output folder of a training: the file that ships, its records, report and card."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import json_records, output_folder, run_record
from model_maker.inference import training_overlap
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Explain
from model_maker.inference.training_report import MultiLabelReport, Report, Sizes, TrainingReport
from model_maker.learning import evidence
from model_maker.learning.evidence import TrainingPhotos
from model_maker.packaging import file_checks, quantized_file, self_test
from model_maker.report import model_card, model_page, multi_label_page, page_parts
from model_maker.system import files
from model_maker.tflite import class_rows, network_layers
from model_maker.training import multi_label_record
from model_maker.training.package import Package
from model_maker.training.training_data import join
from model_maker.version import __version__

# Packages that the exact weights may depend on.
_DECISIVE = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow")
# The metrics inside the file; the second one is also stated of the float model.
HEADLINE = ("photos", "top1", "top1_interval", "ece")


def write(output: Path, package: Package, report: Report, record: dict[str, Any], *, overwrite: bool) -> Report:
    """Writes the folder atomically; reads the model back and checks that its scores are those measured.

    Args:
      report: the result of `measurement.measure`.
      record: the content of `run.json` without the budget.

    Returns:
      The report with sizes, as `metrics.json` has it.

    Raises:
      OutputError: it cannot be written.
      ModelError: the written model gives different scores.
    """
    kept = package.budget
    provenance = _provenance(package, report)
    shipped = package.file(provenance=provenance)
    if package.options.self_test:
        shipped = self_test.added(shipped)
    report = dataclasses.replace(report, sizes=Sizes(len(shipped), len(package.float_model)))
    models = {
        output_folder.MODEL: shipped,
        output_folder.FLOAT_MODEL: quantized_file.with_metadata(package.float_model, package.info),
    }
    texts = {
        output_folder.LABELS: "\n".join(package.info.labels),
        output_folder.METRICS: output_folder.as_json(report.as_dict()),
        output_folder.SPLIT: training_overlap.compose(package.data.split, report.fingerprint),
        output_folder.RUN: output_folder.as_json(record | {"budget": kept and kept.as_dict()}),
    }
    with files.new_directory(output, overwrite=overwrite) as folder, ThreadPoolExecutor(1) as beside:
        output_folder.write(folder, models)
        checked, card = beside.submit(_check, package, folder), beside.submit(_card, package, report)
        output_folder.write(folder, _page(package, report, output.name, record, provenance, shipped))
        checked.result()
        output_folder.write(folder, texts | {output_folder.CARD: card.result()})
    return report


def _check(package: Package, folder: Path) -> None:
    """Checks the scores of the written models on some photos."""
    test = package.data.split.test
    file_checks.check_same_scores((folder / output_folder.MODEL).read_bytes(), test, package.scores)
    float_model = (folder / output_folder.FLOAT_MODEL).read_bytes()
    file_checks.check_promise(float_model, test.of(package.compared), package.expected)


def _page(
    package: Package,
    report: Report,
    model: str,
    record: dict[str, Any],
    provenance: dict[str, Any],
    shipped: bytes,
) -> dict[str, bytes]:
    """Returns the report and its plots."""
    drawn = package.drawing.result()
    shown: dict[str, Any] = {
        "drawn": drawn,
        "learned": page_parts.learned_from(package.data.split),
        "stages": page_parts.stage_rows(record["stages"]),
        "origin": page_parts.origin(provenance, trained=record["created"]),
        "links": page_parts.links((*page_parts.FILES, *(name for name in drawn if name.endswith(".png")))),
    }
    given = package.info.name, package.scored
    if isinstance(report, MultiLabelReport):
        return multi_label_page.make(*given, report.test, report, model=model, **shown)
    return model_page.make(*given, report.test, report, model=model, explain=_explaining(package, shipped), **shown)


def _explaining(package: Package, shipped: bytes) -> Explain | None:
    """Returns what explains the answers of the file, with the photos that a frozen network's head learned from."""
    data, known = package.data, None
    if package.layers and data.backbone.int8:
        photos = join(data.split.train, data.split.validation)
        columns = network_layers.features(data.backbone.layers, package.layers)
        maps = data.embeddings.select(photos).columns(columns)
        sizes = [layer.size for layer in package.layers]
        rows = class_rows.read(shipped)
        known = TrainingPhotos(photos.samples, np.array(photos.labels), photos.classes, maps, sizes, rows)
    return evidence.explaining(FileClassifier(shipped, threads=package.options.threads), known)


def _card(package: Package, report: Report) -> str:
    backbone, kept = package.data.backbone, package.budget
    return model_card.render(
        package.info,
        report,
        backbone=backbone.name,
        quantize=kept.choice.name if kept else package.form.quantize,
        io=package.options.io,
        fit=backbone.fit,
    )


def _provenance(package: Package, report: Report) -> dict[str, Any]:
    """The provenance inside the file, which `reproduce` reads."""
    kept, thresholds, prior = package.budget, None, None
    if isinstance(report, TrainingReport):
        thresholds, prior = report.thresholds, report.labels_from_text
    return {
        "model_maker": __version__,
        "packages": run_record.versions(_DECISIVE),
        "options": package.options.stated | {"name": package.info.name},
        "fingerprint": report.fingerprint,
        "photos": report.photos,
        "metrics": _headline(report),
        "backbone": _backbone(package),
        "answered": thresholds and thresholds.test.as_dict(),
        "budget": kept and {"max_drop": kept.max_drop, "within": kept.within, "chosen": kept.choice.name},
        **({"labels_from_text": json_records.as_dict(prior)} if prior else {}),
    }


def _headline(report: Report) -> dict[str, Any]:
    """The metrics inside the file."""
    names = HEADLINE if isinstance(report, TrainingReport) else multi_label_record.HEADLINE
    test, main = report.test.as_dict(), names[1]
    return {name: test[name] for name in names} | {f"float_{main}": getattr(report.float_model, main)}


def _backbone(package: Package) -> dict[str, Any] | None:
    """Identifies the int8 backbone and the layers that feed the head."""
    form = package.data.backbone.int8
    if form is None or not package.layers:
        return None
    layers = [dataclasses.astuple(layer) for layer in package.layers]
    return {"int8": form.digest[:16], "ranges": form.origin, "layers": layers}
