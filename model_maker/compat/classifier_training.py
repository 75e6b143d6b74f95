"""Trains a float classifier on the photos of two DataLoaders, for evaluation and export."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_maker.backbones import embedder, input_range
from model_maker.backbones.embedder import Embedder
from model_maker.compat.notices import Notices, warn_once
from model_maker.data import images
from model_maker.data.dataset import Dataset, Skipped, Split
from model_maker.embeddings import int8_suitability
from model_maker.errors import DataError
from model_maker.inference.classifier import FileClassifier
from model_maker.options import Options, check
from model_maker.packaging import file_checks, quantized_file
from model_maker.packaging.export_source import PROBES, ExportSource
from model_maker.progress import Progress
from model_maker.tflite import graph
from model_maker.tflite.metadata import ModelInfo
from model_maker.training import folds, learn
from model_maker.training.learn import Learned
from model_maker.training.training_data import TrainingData, embed, join
from model_maker.version import __version__


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
      source: the input of exports.
      features: length of the embedding.
      history: one entry per epoch of fine-tuning, see `learning.fine_tuning.Tuned`; None without.
    """

    source: ExportSource
    features: int
    history: list[dict[str, Any]] | None

    @functools.cached_property
    def classifier(self) -> FileClassifier:
        """The file that ships by default: int8 with uint8 input and output."""
        return FileClassifier(self.source.in_form("int8", "uint8"))


def train(train: Dataset, validation: Dataset, options: Options) -> Trained:
    """Trains on all photos that are passed; the caller keeps separate test photos.

    Args:
      train: training photos.
      validation: validation photos of the same classes; may be empty.

    Raises:
      DataError, BackboneError, ModelError: with a one-line message that says what to do.
    """
    check(options)
    choice = embedder.choose(
        options.model,
        image_size=options.image_size,
        normalization=options.normalization,
        assumed=input_range.UNIT,  # the defaults of the original's ModelSpec
    )
    progress = Progress(Notices())
    train = _twice_where_alone(train, validation)
    plain = embedder.embedder(choice, resize=options.resize, progress=progress)
    base = int8_suitability.prepare(plain, train, progress)
    embeddings, unreadable = embed(join(train, validation), base, options, progress=progress)
    train, validation = _without(train, unreadable), _without(validation, unreadable)
    _check_classes(embeddings.photos)
    if options.fine_tune and not len(validation):
        train, validation = folds.part_for_stopping(train, options)
    split = Split(train, validation, dataclasses.replace(train, samples=()))
    data = TrainingData(embeddings.photos, split, base, embeddings, embeddings)
    learned = learn.learn(data, options, progress)
    source = _source(learned, data, options, progress)
    return Trained(source, learned.network.head.kernel.shape[1], learned.tuned.history if learned.tuned else None)


def _source(learned: Learned, data: TrainingData, options: Options, progress: Progress) -> ExportSource:
    network, photos, base, train = learned.network, data.photos, data.backbone, data.split.train
    content = graph.attach_head(network.embedder, network.head.kernel, network.head.bias)
    info = ModelInfo(
        labels=photos.classes,
        normalization=base.normalization,
        name=base.name,
        version="1",
        licence=base.licence,
        description=f"Image classifier for {len(photos.classes)} classes on {base.name} features.",
        resize=base.resize,
        provenance={
            "model_maker": __version__,
            # Not as "options": they do not describe the split, so `train` would produce a different model with them.
            "learned_with": options.stated,
            "fingerprint": photos.fingerprint,
            "photos": {"train": len(set(train.samples)), "validation": len(data.split.validation)},
        },
    )
    finished = quantized_file.with_metadata(content, info)
    ordered = quantized_file.by_hash(train)
    last = set(ordered[-PROBES:])
    few = dataclasses.replace(train, samples=tuple(sample for sample in train.samples if sample.path in last))
    file_checks.check_promise(finished, few, learn.float_scores(network, few, data, options))
    probes = np.stack([images.load(sample.path, base.fit) for sample in few.samples])
    facts = base.name, content, base.normalization, base.image_size, base.licence
    classifier = Embedder(*facts, resize=base.resize)
    seen = ordered[: quantized_file.CALIBRATION_PHOTOS]
    int8 = None
    if network.layers and base.int8:
        int8 = graph.pack(learn.attached(learn.integer_head(network, photos, data), network, data))
    return ExportSource(base.name, finished, classifier, info, seen, probes, progress, int8)


def _twice_where_alone(train: Dataset, validation: Dataset) -> Dataset:
    """Returns the photos; a class's only photo is repeated, because cross-validation needs two."""
    counts = Counter(train.labels) + Counter(validation.labels)
    alone = [sample for sample in train.samples if counts[sample.label] == 1]
    for sample in alone:
        warn_once(f"{train.classes[sample.label]} has one photo, which is used twice. Add photos of it.")
    return dataclasses.replace(train, samples=(*train.samples, *alone))


def _check_classes(photos: Dataset) -> None:
    counts = Counter(photos.labels)
    for label, name in enumerate(photos.classes):
        if not counts[label]:
            raise DataError(f"{name} has no photo for training. Change the split, or add photos.")


def _without(photos: Dataset, unreadable: Sequence[Skipped]) -> Dataset:
    own = {sample.path for sample in photos.samples}
    bad = [entry for entry in unreadable if entry.path in own]
    for entry in bad:
        warn_once(f"{entry.path} cannot be read ({entry.reason}) and is skipped.")
    return photos.without(bad)
