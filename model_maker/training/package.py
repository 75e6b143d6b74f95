"""Converts the trained network to the shipped file, and measures it."""

import dataclasses
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker import evaluation, multi_label_metrics
from model_maker.data import sources
from model_maker.data.dataset import Dataset
from model_maker.data.multi_label import MultiLabelDataset
from model_maker.evaluation import Metrics
from model_maker.inference.classifier import FileClassifier, Scored
from model_maker.inference.training_report import KernelAgreement
from model_maker.learning.fine_tuning import Network
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.options import Options
from model_maker.packaging import accuracy_budget, file_checks, quantized_file
from model_maker.progress import Progress
from model_maker.report import model_page, multi_label_page
from model_maker.report.drawing import Drawing, Wanted
from model_maker.tflite import class_memory, graph
from model_maker.tflite.class_memory import ClassMemory
from model_maker.tflite.integer_heads import IntegerHead
from model_maker.tflite.metadata import ModelInfo
from model_maker.tflite.network_layers import Layer
from model_maker.training import learn, metrics_record
from model_maker.training.learn import Learned
from model_maker.training.promise import Promise
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
    metrics: Metrics | MultiLabelMetrics
    compared: list[int]
    expected: Array
    kernels: dict[str, KernelAgreement]
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
    float_model: bytes | None = None
    plain = form.is_plain_int8 and network.layers and data.backbone.int8
    with progress.stage("Quantize the head" if plain else f"Quantize ({form.quantize})"):
        promise = _promise(network, data, options) if plain else None
        exact = promise.scores("xnnpack", test) if promise and promise.is_exact else None
        if exact is not None:
            drawing.begin(_figures(learned, data, exact, info))
        if promise:
            bare = _on_int8_backbone(promise.head, network, data, options)
        else:
            float_model = _in_float(network)
            bare = _converted(float_model, data, form, options, progress)
    shipped = quantized_file.with_metadata(bare, info)
    # The slow kernels and the sums over embeddings keep a core busy and no Python code, which does the rest meanwhile.
    with ThreadPoolExecutor(1) as beside:

        def check_kernels(scores: Array) -> Future[dict[str, KernelAgreement]]:
            promised = promise.scores if promise else None
            check = file_checks.check_kernels
            return beside.submit(check, shipped, test, scores, threads=options.threads, promised=promised)

        checked = None if exact is None else check_kernels(exact)
        remembered = beside.submit(_remember, promise, data, options)
        with progress.stage("Evaluate the file"):
            run, scores = _evaluate(shipped, exact, test, options, progress)
        if checked is None:
            drawing.begin(_figures(learned, data, scores, info))
            checked = check_kernels(scores)
        with progress.stage("Compare with the float model"):
            float_model = float_model or _in_float(network)
            expected = learn.float_scores(network, test.of(run), data, options)
        with progress.stage("Check other kernels"):
            kernels, memory = checked.result(), remembered.result()
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
        _metrics(test, scores, info),
        run,
        expected,
        kernels,
        drawing,
    )


def _in_float(network: Network) -> bytes:
    head = network.head
    return graph.attach_head(network.embedder, head.kernel, head.bias, multi_label=head.multi_label)


def _on_int8_backbone(head: IntegerHead, network: Network, data: TrainingData, options: Options) -> bytes:
    """Returns the int8 file of a frozen network with its integer head, without metadata."""
    whole = learn.attached(head, network, data)
    return quantized_file.with_io_types(whole, data.backbone.normalization, options.io)


def _promise(network: Network, data: TrainingData, options: Options) -> Promise:
    head = learn.integer_head(network, join(data.split.train, data.split.validation), data)
    return Promise(head, network, data, options)


def _converted(
    float_model: bytes, data: TrainingData, form: quantized_file.Form, options: Options, progress: Progress
) -> bytes:
    """Returns another file than the int8 file of a frozen network, without metadata."""
    photos, more = quantized_file.calibration_photos(quantized_file.by_hash(data.split.train))
    return quantized_file.convert(
        float_model, data.backbone, form, photos=photos, more=more, progress=progress, threads=options.threads
    )


def _remember(promise: Promise | None, data: TrainingData, options: Options) -> ClassMemory | None:
    """Returns the memory of the classes of a frozen network: of the photos that its head learned from."""
    if promise is None or not options.memory or options.multi_label:
        return None
    photos = join(data.split.train, data.split.validation)
    seen = data.features(promise.network, photos)
    return class_memory.summarize(seen, np.array(photos.labels), classes=len(photos.classes), step=seen.step)


def _scored(data: TrainingData, scores: Array) -> Scored:
    test = data.split.test
    truth = test.targets if isinstance(test, MultiLabelDataset) else np.array(test.labels)
    return Scored(test.samples, truth, scores)


def _metrics(test: Dataset, scores: Array, info: ModelInfo) -> Metrics | MultiLabelMetrics:
    if isinstance(test, MultiLabelDataset):
        return multi_label_metrics.measure(scores, test.targets, test.classes, info.limits)
    return evaluation.measure(scores, np.array(test.labels), test.classes)


def _figures(learned: Learned, data: TrainingData, scores: Array, info: ModelInfo) -> dict[str, Wanted]:
    metrics, scored, path = _metrics(data.split.test, scores, info), _scored(data, scores), learned.fit.path
    if isinstance(metrics, MultiLabelMetrics):
        return multi_label_page.wanted(scored, metrics, path)
    return model_page.wanted(scored, metrics, path, metrics_record.history(learned.tuned))


def _evaluate(
    shipped: bytes, promise: Array | None, test: Dataset, options: Options, progress: Progress
) -> tuple[list[int], Array]:
    """Scores the test photos; where embeddings promise their scores, runs some from pixels as a check.

    Returns:
      The photos that ran through the file, and float32 [N, C] of all.
    """
    classifier = FileClassifier(shipped, threads=options.threads)
    if promise is None:
        return list(range(len(test))), classifier.score(test, progress=progress.step)
    run = test.spread(_RUN_PHOTOS)
    file_checks.check_equal(classifier.score(test.of(run), progress=progress.step), promise[run])
    return run, promise


def _keep_budget(
    learned: Learned, data: TrainingData, info: ModelInfo, options: Options, progress: Progress
) -> accuracy_budget.Budget:
    """Finds the form to ship, using a network that was not trained on the validation photos."""
    judged, train = learn.unseeing(learned, data, options, progress), data.split.train
    plain = None
    if judged.layers and data.backbone.int8:
        plain = _on_int8_backbone(learn.integer_head(judged, train, data), judged, data, options)
    trial = accuracy_budget.FormTrial(
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
