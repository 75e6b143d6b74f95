"""Converts the trained network to the shipped file, and measures it."""

from __future__ import annotations

import dataclasses
import functools
import os
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from model_maker import evaluation, multi_label_metrics
from model_maker.data import sources
from model_maker.data.dataset import Dataset
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.embeddings import computing
from model_maker.inference import conformal
from model_maker.inference.classifier import Classifier, Scored
from model_maker.learning.fine_tuning import Network
from model_maker.options import Options
from model_maker.packaging import accuracy_budget, file_checks, quantized_file
from model_maker.progress import Progress
from model_maker.report import model_page, multi_label_page
from model_maker.report.drawing import Drawing, Wanted
from model_maker.tflite import class_memory, graph, network_layers
from model_maker.tflite.class_memory import ClassMemory
from model_maker.tflite.integer_heads import IntegerHead
from model_maker.tflite.metadata import ModelInfo
from model_maker.tflite.network_layers import Layer
from model_maker.training import advice, learn, metrics_record, multi_label
from model_maker.training.learn import Learned
from model_maker.training.training_data import TrainingData, join

Array = np.ndarray

# Number of test photos that run through the complete file and the float model, if the scores of all photos are computed
# from embeddings.
_RUN_PHOTOS = 64


@dataclass(frozen=True)
class Package:
    """A model in its shipped form, with its scores on the test photos.

    Attributes:
      options, data: of its training.
      info: its metadata without provenance.
      layers: layers of the int8 backbone that feed its head; empty for a fine-tuned network.
      form: of the shipped file.
      budget: the search for that form; None without a budget.
      float_model: the network before quantization.
      bare: the file without metadata.
      memory: of its classes, which the file carries, or None.
      scores: of the file, float32 [N, C], with their `metrics`.
      compared: test photos that the float model was run on.
      expected: their scores by the float model, float32 [n, C].
      kernels: comparison with other kernels.
      drawing: the figures of its report, drawn as soon as the scores are known.
    """

    options: Options
    data: TrainingData
    info: ModelInfo
    layers: tuple[Layer, ...]
    form: quantized_file.Form
    budget: accuracy_budget.Budget | None
    float_model: bytes
    bare: bytes
    memory: ClassMemory | None
    scores: Array
    metrics: evaluation.Metrics
    compared: list[int]
    expected: Array
    kernels: dict[str, Any]
    drawing: Drawing

    @property
    def scored(self) -> Scored:
        """The test photos and their scores by the file."""
        return _scored(self.data, self.scores)

    def file(self, **more: Any) -> bytes:
        """Returns the file with its metadata; `more` replaces fields."""
        return quantized_file.with_metadata(self.bare, dataclasses.replace(self.info, **more), self.memory)


def describe(data: str | os.PathLike[str], embedded: TrainingData, options: Options) -> ModelInfo:
    """Returns the metadata of a model without provenance; `data` is the argument of `train`."""
    classes, backbone = embedded.photos.classes, embedded.backbone
    return ModelInfo(
        labels=classes,
        normalization=backbone.normalization,
        # A folder name may contain bytes that are not text, but metadata is text.
        name=(options.name or sources.title(data)).encode(errors="replace").decode(),
        version="1",
        author=options.author or "",
        licence=options.licence or backbone.licence,
        description=f"Image classifier for {len(classes)} classes on {backbone.name} features.",
        multi_label=options.multi_label,
        resize=backbone.resize,
    )


def quantize(
    learned: Learned,
    data: TrainingData,
    info: ModelInfo,
    options: Options,
    progress: Progress,
    drawing: Drawing,
) -> Package:
    """Quantizes the network, runs the file on the test photos, and compares other kernels.

    Args:
      learned, data, info, options: the network to ship.
      progress: receives progress events.
      drawing: draws the figures of the report as soon as the scores are known.

    Raises:
      ModelError: the file does not behave like its network.
    """
    form, kept = quantized_file.Form(options.quantize, options.io), None
    if options.max_drop is not None:
        with progress.stage("Search within the budget"):
            kept = _keep_budget(learned, data, info, options, progress)
            form = kept.choice.form
    network, test = learned.network, data.split.test
    float_model = graph.attach_head(
        network.embedder, network.head.kernel, network.head.bias, multi_label=network.head.multi_label
    )
    head = promised = memory = None
    if form.is_plain_int8 and network.layers and data.backbone.int8:
        with progress.stage("Quantize the head"):
            head, bare = _on_int8_backbone(network, join(data.split.train, data.split.validation), data, options)
            promised = functools.partial(_scores_on, head, network, data, options)
            memory = _remember(network, data) if options.memory and not options.multi_label else None
    else:
        with progress.stage(f"Quantize ({form.quantize})"):
            seen, more = quantized_file.calibration_photos(quantized_file.by_hash(data.split.train))
            bare = quantized_file.convert(
                float_model, data.backbone, form, photos=seen, more=more, progress=progress, threads=options.threads
            )
    shipped = quantized_file.with_metadata(bare, info)
    with progress.stage("Evaluate the file"):
        run, scores = _evaluate(shipped, head, network, data, options, progress)
    metrics = _metrics(test, scores, info)
    drawing.begin(_figures(learned, metrics, _scored(data, scores)))
    with progress.stage("Compare with the float model"):
        few = test.of(run)
        expected = learn.float_scores(network, few, data, options)
        file_checks.check_promise(quantized_file.with_metadata(float_model, info), few, expected)
    with progress.stage("Check other kernels"):
        kernels = file_checks.check_kernels(shipped, test, scores, threads=options.threads, promised=promised)
    return Package(
        options,
        data,
        info,
        network.layers,
        form,
        kept,
        float_model,
        bare,
        memory,
        scores,
        metrics,
        run,
        expected,
        kernels,
        drawing,
    )


def _on_int8_backbone(
    network: Network, photos: Dataset, data: TrainingData, options: Options
) -> tuple[IntegerHead, bytes]:
    """Returns the integer head of a frozen network, and the int8 file without metadata."""
    head = learn.integer_head(network, photos, data)
    whole = learn.attached(head, network, data)
    return head, quantized_file.with_io_types(whole, data.backbone.normalization, options.io)


def _remember(network: Network, data: TrainingData) -> ClassMemory:
    """Returns the memory of the classes of a frozen network: of the photos that its head learned from."""
    photos = join(data.split.train, data.split.validation)
    seen = data.features(network, photos)
    return class_memory.summarize(seen, np.array(photos.labels), classes=len(photos.classes), step=seen.step)


def _scored(data: TrainingData, scores: Array) -> Scored:
    test = data.split.test
    truth = test.targets if isinstance(test, MultiLabelDataset) else np.array(test.labels)
    return Scored(test.samples, truth, scores)


def _metrics(test: Dataset, scores: Array, info: ModelInfo) -> evaluation.Metrics:
    """Returns the metrics of test photos; a MultiLabelMetrics where they may have several labels."""
    if isinstance(test, MultiLabelDataset):
        several = multi_label_metrics.measure(scores, test.targets, test.classes, info.limits)
        return cast(evaluation.Metrics, several)  # see `Classifier.measure`
    return evaluation.measure(scores, np.array(test.labels), test.classes)


def _figures(learned: Learned, metrics: evaluation.Metrics, scored: Scored) -> dict[str, Wanted]:
    report = {
        "test": metrics.as_dict(),
        "cross_validation": {"path": metrics_record.path(learned.fit)},
        "fine_tuning": {"history": metrics_record.history(learned.tuned) if learned.tuned else ()},
    }
    page = multi_label_page if scored.labels.ndim == 2 else model_page
    return page.wanted(scored, report)


def _scores_on(
    head: IntegerHead, network: Network, data: TrainingData, options: Options, kernels: str, photos: Dataset
) -> Array:
    """Returns the scores of a head on the int8 backbone with some kernels of LiteRT."""
    if kernels == "xnnpack":
        return head.scores(data.features(network, photos)[:], kernels=kernels)
    maps, _ = computing.feature_maps(photos, *data.backbone.computing, threads=options.threads, kernels=kernels)
    columns = network_layers.features(data.backbone.layers, network.layers)
    return head.scores(maps.columns(columns)[:], kernels=kernels)


def _evaluate(
    shipped: bytes,
    head: IntegerHead | None,
    network: Network,
    data: TrainingData,
    options: Options,
    progress: Progress,
) -> tuple[list[int], Array]:
    """Scores the test photos: with an int8 backbone from embeddings, and some photos from pixels as a check.

    Returns:
      The photos that ran through the file, and float32 [N, C] of all.
    """
    test, classifier = data.split.test, Classifier(shipped, threads=options.threads)
    # Float input whose mean is not an integer rounds each pixel, so the embeddings differ from those computed.
    if head is None or (options.io == "float32" and data.backbone.normalization.mean % 1):
        return list(range(len(test))), classifier.score(test, progress=progress.step)
    run, scores = test.spread(_RUN_PHOTOS), _scores_on(head, network, data, options, "xnnpack", test)
    file_checks.check_equal(classifier.score(test.of(run), progress=progress.step), scores[run])
    return run, scores


def measure(
    package: Package, learned: Learned, folds: dict[str, Any] | None, progress: Progress
) -> tuple[Package, dict[str, Any]]:
    """Measures the file, and chooses score thresholds if a precision is requested.

    Returns:
      The package with thresholds, and the content of `metrics.json` without sizes.
    """
    options, data = package.options, package.data
    test = data.split.test
    if isinstance(test, MultiLabelDataset):
        report = multi_label.compose(
            data,
            package.scored,
            learned.fit,
            package.info,
            options,
            compared=package.compared,
            expected=package.expected,
        )
        report |= {"kernels": package.kernels, "folds": folds, "budget": None}
        metrics_record.warn(report, progress)
        return package, report
    scores, labels = package.scores, np.array(test.labels)
    report = metrics_record.compose(
        data, scores, package.metrics, learned.fit, compared=package.compared, expected=package.expected
    )
    if options.precision is not None or options.label_precision is not None:
        info, thresholds = learn.choose_thresholds(package.info, learned, data, options, progress)
        package = dataclasses.replace(package, info=info)
        report["thresholds"] = thresholds | {"test": evaluation.answered(scores, labels, info.limits).as_dict()}
    kept = package.budget
    report |= {"kernels": package.kernels, "folds": folds, "budget": kept and kept.as_dict(latency=False)}
    if learned.tuned:
        frozen, tuned = (learn.score(one, test, data, options) for one in (learned.frozen, learned.network))
        report["fine_tuning"] = metrics_record.tuning(learned.tuned, frozen, tuned, labels)
    if learned.kept:
        report["kept_answers"] = learned.kept.as_dict()
    if options.coverage is not None:
        package, report["label_sets"] = _promise(package, learned, options.coverage, progress)
    if not options.fine_tune:
        report["advice"] = advice.in_training(data, learned.fit, report["test"], options, progress)
    metrics_record.warn(report, progress)
    return package, report


def _promise(package: Package, learned: Learned, coverage: float, progress: Progress) -> tuple[Package, dict[str, Any]]:
    """Chooses label sets of a coverage, and measures on the test photos what they hold.

    Returns:
      The package with them, and their report.
    """
    in_bytes = package.options.io == "uint8" or package.form.quantize == "int8"
    sets = learn.choose_label_sets(learned, package.data, package.options, coverage, in_bytes=in_bytes)
    info = dataclasses.replace(package.info, label_sets=sets)
    metrics_record.warn_label_sets(sets, info.labels, progress)
    held = conformal.measure(sets, package.scores, np.array(package.data.split.test.labels), info.labels)
    return dataclasses.replace(package, info=info), sets.as_dict(info.labels) | {"test": held.as_dict()}


def _keep_budget(
    learned: Learned, data: TrainingData, info: ModelInfo, options: Options, progress: Progress
) -> accuracy_budget.Budget:
    """Finds the form to ship, using a network that was not trained on the validation photos."""
    judged, train = learn.unseeing(learned, data, options, progress), data.split.train
    plain = None
    if judged.layers and data.backbone.int8:
        _, plain = _on_int8_backbone(judged, train, data, options)
    trial = accuracy_budget.Trial(
        graph.attach_head(judged.embedder, judged.head.kernel, judged.head.bias),
        data.backbone,
        info,
        plain_int8=plain,
        validation=data.split.validation,
        training=quantized_file.by_hash(train),
        progress=progress,
        threads=options.threads,
    )
    form = quantized_file.Form(options.quantize, options.io)
    return accuracy_budget.search(trial, form, float(options.max_drop or 0), progress=progress)
