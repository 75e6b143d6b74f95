"""What becomes of what was learned: the file that ships, what it is worth, and the folder that holds both."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import files, fitting, metrics_record, run_record
from model_maker.backbones.importers import TRAINED
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data.dataset import Dataset, Split
from model_maker.deploy import budget, checks, shipping
from model_maker.errors import OutputError
from model_maker.inference import evaluation
from model_maker.inference.classifier import Classifier, Scored
from model_maker.learning.finetune import Network
from model_maker.options import Options
from model_maker.progress import Stages
from model_maker.report import model_card, model_page
from model_maker.tflite import graph
from model_maker.tflite.integer_head import IntegerHead
from model_maker.tflite.layers import Layer
from model_maker.tflite.metadata import ModelInfo
from model_maker.version import __version__

Array = np.ndarray

MODEL = "model.tflite"
# Photos of the test part that go through the whole file, and through the float model beside it, where the scores of all
# follow from embeddings.
_RUN_PHOTOS = 64
# What weights may depend on, to the last bit.
_DECISIVE = ("ai-edge-litert", "litert-quantizer", "numpy", "pillow")


@dataclass(frozen=True)
class Shipment:
    """A model in the form that ships, and what it says of the test part.

    Attributes:
      options, split, base: what it was made by, on and from.
      info: its metadata but for how it came about.
      layers: what its head sees of the int8 backbone; none where the network was tuned.
      form: how it ships.
      budget: how that form was found; None where it was told.
      float_model: the network before quantization.
      bare: the file without metadata.
      scores: of the file, float32 [N, C].
      compared: photos of the test part on which the float model was run.
      expected: its scores of them, float32 [n, C].
      kernels: how it answers on other kernels.
    """

    options: Options
    split: Split
    base: QuantizedEmbedder
    info: ModelInfo
    layers: tuple[Layer, ...]
    form: shipping.Form
    budget: budget.Budget | None
    float_model: bytes
    bare: bytes
    scores: Array
    compared: list[int]
    expected: Array
    kernels: dict[str, Any]

    def file(self, **more: Any) -> bytes:
        """Returns the file with its metadata, of which fields may be told."""
        return shipping.finish(self.bare, dataclasses.replace(self.info, **more))


def prepare(
    learned: fitting.Learned, base: QuantizedEmbedder, info: ModelInfo, split: Split, options: Options, clock: Stages
) -> Shipment:
    """Quantizes what was learned, runs the file on the test part, and has other kernels agree.

    Raises:
      ModelError: the file does not behave as the network that it was made from.
    """
    form, kept = shipping.Form(options.quantize, options.io), None
    if options.max_drop is not None:
        with clock.stage("Keep the accuracy budget"):
            kept = _keep_budget(learned, base, info, split, options, clock)
            form = kept.choice.form
    network = learned.network
    float_model = graph.attach_head(network.embedder, network.head.kernel, network.head.bias)
    head = promised = None
    if form.is_plain_int8 and network.layers and base.int8:
        with clock.stage("Quantize the head"):
            head = fitting.integer_head(network, fitting.join(split.train, split.validation), base, options)
            bare = shipping.with_edges(fitting.attached(head, network, base), base.normalization, options.io)
            promised = functools.partial(_scores_on, head, network, base, options)
    else:
        with clock.stage(f"Quantize ({form.quantize})"):
            seen, more = shipping.calibration_photos(shipping.by_hash(split.train))
            bare = shipping.ship(float_model, base, form, photos=seen, more=more, clock=clock, threads=options.threads)
    shipped = shipping.finish(bare, info)
    with clock.stage("Evaluate the file"):
        run, scores = _evaluate(shipped, head, network, split.test, base, options, clock)
    with clock.stage("Compare with the float model"):
        few = split.test.of(run)
        score = fitting.float_scores if network.layers else fitting.score
        expected = score(network, few, base, options)
        checks.check_promise(shipping.finish(float_model, info), few, expected)
    with clock.stage("Check other kernels"):
        kernels = checks.check_kernels(shipped, split.test, scores, threads=options.threads, promised=promised)
    return Shipment(
        options, split, base, info, network.layers, form, kept, float_model, bare, scores, run, expected, kernels
    )


def _scores_on(
    head: IntegerHead, network: Network, base: QuantizedEmbedder, options: Options, kernels: str, photos: Dataset
) -> Array:
    """Returns what a head on the int8 backbone makes of photos on one of LiteRT's CPU paths."""
    return head.scores(fitting.features(network, photos, base, options, kernels=kernels)[:], kernels=kernels)


def _evaluate(
    shipped: bytes,
    head: IntegerHead | None,
    network: Network,
    test: Dataset,
    base: QuantizedEmbedder,
    options: Options,
    clock: Stages,
) -> tuple[list[int], Array]:
    """Scores the test part: a file on the int8 backbone from embeddings, and some photos from pixels as a proof.

    Returns:
      The photos that went through the file, and float32 [N, C] of all.
    """
    classifier = Classifier(shipped, threads=options.threads)
    # A float input whose mean is no whole pixel rounds each of them, so its embeddings are not those at hand.
    if head is None or (options.io == "float32" and base.normalization.mean % 1):
        return list(range(len(test))), classifier.score(test, progress=clock.progress)
    run, scores = test.spread(_RUN_PHOTOS), _scores_on(head, network, base, options, "xnnpack", test)
    checks.check_equal(classifier.score(test.of(run), progress=clock.progress), scores[run])
    return run, scores


def measure(
    shipment: Shipment, learned: fitting.Learned, dataset: Dataset, folds: dict[str, Any] | None, clock: Stages
) -> tuple[Shipment, evaluation.Metrics, dict[str, Any]]:
    """Measures the file, and chooses score thresholds where a precision is asked for.

    Returns:
      The shipment with thresholds, its metrics, and the content of `metrics.json` but for sizes.
    """
    options, split, base = shipment.options, shipment.split, shipment.base
    scores, labels = shipment.scores, np.array(split.test.labels)
    metrics, report = metrics_record.measure(
        dataset, split, scores, learned.fit, compared=shipment.compared, expected=shipment.expected
    )
    if options.precision is not None or options.label_precision is not None:
        info, thresholds = fitting.choose_thresholds(shipment.info, learned, split.validation, base, options, clock)
        shipment = dataclasses.replace(shipment, info=info)
        report["thresholds"] = thresholds | {"test": evaluation.answered(scores, labels, info.limits).as_dict()}
    kept = shipment.budget
    report |= {"kernels": shipment.kernels, "folds": folds, "budget": kept and kept.as_dict(latency=False)}
    if learned.tuned:
        frozen, tuned = (fitting.score(one, split.test, base, options) for one in (learned.frozen, learned.network))
        report["fine_tuning"] = metrics_record.tuning(learned.tuned, frozen, tuned, labels)
    metrics_record.warn(report, clock)
    return shipment, metrics, report


def check_output(output: Path, *, overwrite: bool) -> None:
    """Checks before any work that the folder may be made; only what `train` made is ever replaced.

    Raises:
      OutputError: it may not.
    """
    files.check_new(output, overwrite=overwrite, advice="or pass --overwrite to replace it")
    if output.is_dir() and any(output.iterdir()) and not (output / run_record.FILE).exists():
        raise OutputError(
            f"{output} holds no {run_record.FILE}, so it was not made by train and --overwrite does not replace it. "
            "Choose another folder."
        )


def write(
    output: Path, shipment: Shipment, report: dict[str, Any], record: dict[str, Any], *, overwrite: bool
) -> dict[str, Any]:
    """Writes the folder, whole or not at all; the model is read back from the disk and has to score as measured.

    Args:
      output: the folder.
      shipment: what ships.
      report: what `measure` found.
      record: the content of `run.json` but for the budget.
      overwrite: whether a folder that stands there is replaced.

    Returns:
      The report with sizes, as `metrics.json` has it.

    Raises:
      OutputError: it cannot be written.
      ModelError: what was read back is not what was measured.
    """
    test, kept = shipment.split.test, shipment.budget
    scored = Scored(test.samples, np.array(test.labels), shipment.scores)
    shipped = shipment.file(provenance=_provenance(shipment, report))
    report = report | {"sizes": {"model_bytes": len(shipped), "float_model_bytes": len(shipment.float_model)}}
    binaries = {MODEL: shipped, TRAINED: shipping.finish(shipment.float_model, shipment.info)}
    learned = model_page.learned_from(shipment.split)
    binaries |= model_page.make(
        shipment.info.name, scored, report, model=output.name, learned=learned, stages=record["stages"]
    )
    texts = {
        "labels.txt": "\n".join(shipment.info.labels),
        model_page.METRICS: _json(report),
        run_record.FILE: _json(record | {"budget": kept and kept.as_dict()}),
        "README.md": _card(shipment, report),
    }
    with files.new_directory(output, overwrite=overwrite) as folder:
        for name, content in binaries.items():
            (folder / name).write_bytes(content)
        checks.check_same_scores((folder / MODEL).read_bytes(), test, shipment.scores)
        for name, text in texts.items():
            # File names may hold bytes that are no text; JSON states them by this very escape.
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    return report


def _card(shipment: Shipment, report: dict[str, Any]) -> str:
    base, kept = shipment.base, shipment.budget
    return model_card.render(
        shipment.info,
        report,
        backbone=base.name,
        quantize=kept.choice.name if kept else shipment.form.quantize,
        io=shipment.options.io,
        image_size=base.image_size,
    )


def _keep_budget(
    learned: fitting.Learned, base: QuantizedEmbedder, info: ModelInfo, split: Split, options: Options, clock: Stages
) -> budget.Budget:
    """Finds the form to ship, by a network that has not learned from the photos that judge."""
    judged = fitting.unseeing(learned, split.train, base, options, clock)
    plain = None
    if judged.layers and base.int8:
        head = fitting.integer_head(judged, split.train, base, options)
        plain = shipping.with_edges(fitting.attached(head, judged, base), base.normalization, options.io)
    trial = budget.Trial(
        graph.attach_head(judged.embedder, judged.head.kernel, judged.head.bias),
        base,
        info,
        plain_int8=plain,
        validation=split.validation,
        training=shipping.by_hash(split.train),
        clock=clock,
        threads=options.threads,
    )
    return budget.search(trial, shipping.Form(options.quantize, options.io), float(options.max_drop or 0), clock=clock)


def _provenance(shipment: Shipment, report: dict[str, Any]) -> dict[str, Any]:
    """What the file itself tells of its making; `reproduce` reads it."""
    return {
        "model_maker": __version__,
        "packages": run_record.versions(_DECISIVE),
        "options": shipment.options.decisive | {"name": shipment.info.name},
        "fingerprint": report["fingerprint"],
        "photos": report["photos"],
        "metrics": {
            "photos": report["test"]["photos"],
            "top1": report["test"]["top1"],
            "top1_interval": report["test"]["top1_interval"],
            "float_top1": report["float"]["top1"],
            "ece": report["test"]["ece"],
        },
        "backbone": _backbone(shipment),
        "answered": report.get("thresholds") and report["thresholds"]["test"],
        "budget": report["budget"] and {key: report["budget"][key] for key in ("max_drop", "within", "chosen")},
    }


def _backbone(shipment: Shipment) -> dict[str, Any] | None:
    """What tells the int8 backbone from others, and what the head sees of it."""
    form = shipment.base.int8
    if form is None or not shipment.layers:
        return None
    layers = [dataclasses.astuple(layer) for layer in shipment.layers]
    return {"int8": form.digest[:16], "ranges": form.origin, "layers": layers}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
