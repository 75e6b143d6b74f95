"""Training data: the split photos and their embeddings, computed once and passed on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data.augment import PRESETS
from model_maker.data.dataset import Dataset, Skipped, Split
from model_maker.embeddings import computing
from model_maker.embeddings.computing import Embeddings
from model_maker.embeddings.engines import LOCAL
from model_maker.embeddings.store import FeatureMaps
from model_maker.embeddings.work import Engine
from model_maker.errors import DataError
from model_maker.learning.fine_tuning import Network
from model_maker.options import Options
from model_maker.progress import SILENT, Progress
from model_maker.tflite import network_layers
from model_maker.training import text_prior
from model_maker.training.text_prior import TextPrior


@dataclass(frozen=True)
class TrainingData:
    """The input of training.

    Attributes:
      photos: all readable photos.
      split: training, validation and test photos.
      backbone: in float and int8.
      embeddings: of all photos, not augmented.
      views: embeddings of training photos, including augmented views if requested.
      prior: the kernels expected from the names of the classes, if requested.
    """

    photos: Dataset
    split: Split
    backbone: QuantizedEmbedder
    embeddings: Embeddings
    views: Embeddings
    prior: TextPrior | None = None

    def features(self, network: Network, photos: Dataset) -> FeatureMaps:
        """Returns the input of the head of a frozen network for some photos."""
        columns = network_layers.features(self.backbone.layers, network.layers)
        return self.embeddings.select(photos).columns(columns)


def prepare(
    dataset: Dataset,
    backbone: QuantizedEmbedder,
    options: Options,
    progress: Progress,
    *,
    engine: Engine = LOCAL,
) -> TrainingData:
    """Embeds every photo, and augmented views of training photos.

    Raises:
      DataError: too few photos can be read.
    """
    views = None
    if options.is_augmented:
        # Before the other photos, because views include the original: so each training photo is decoded once.
        with progress.stage(f"Embed views ({options.augmentation})"):
            first = split(dataset, options, progress)
            seen = dataset if options.folds else join(first.train, first.validation)
            views, _ = embed(seen, backbone, options, views=options.views, engine=engine, progress=progress)
    with progress.stage("Embed photos"):
        # Embeddings of the same run need no note.
        follower = progress if views is None else _StepsOnly(progress)
        embeddings, unreadable = embed(dataset, backbone, options, engine=engine, progress=follower)
        dataset = dataset.without(unreadable)
        divided = split(dataset, options, progress)
        note_photos(progress, dataset, divided.notes)
    prior = text_prior.of(dataset.classes, options, progress)
    return TrainingData(dataset, divided, backbone, embeddings, views or embeddings, prior)


class _StepsOnly(Progress):
    """Forwards steps only."""

    def note(self, text: str) -> None:
        pass


def embed(
    photos: Dataset,
    backbone: QuantizedEmbedder,
    options: Options,
    *,
    views: int = 1,
    engine: Engine = LOCAL,
    progress: Progress = SILENT,
) -> tuple[Embeddings, list[Skipped]]:
    """Returns embeddings of photos, and unreadable files; see `embeddings.computing` for the arguments."""
    maps, unreadable = computing.feature_maps(
        photos,
        *backbone.computing,
        views=views,
        augmentation=PRESETS[options.augmentation],
        seed=options.seed,
        threads=options.threads,
        engine=engine,
        progress=progress,
    )
    return Embeddings(photos.without(unreadable), maps), unreadable


def split(dataset: Dataset, options: Options, progress: Progress) -> Split:
    """Splits photos according to the options.

    Raises:
      DataError: a class has too few photos; notes on skipped files precede it, because they may be the reason.
    """
    try:
        dataset.check_labels()
        if options.folds:
            dataset.folds(options.folds, seed=options.seed)
        return _divide(dataset, options)
    except DataError:
        note_photos(progress, dataset)
        raise


def _divide(dataset: Dataset, options: Options) -> Split:
    try:
        return dataset.split(validation=options.validation, test=options.test, seed=options.seed)
    except DataError:
        if options.labels_from_text is None or options.max_drop is not None:
            raise
        # A head with a prior from names needs only one photo per class, so there may be none for validation.
        found = dataset.split(validation=options.validation, test=options.test, seed=options.seed, validating=False)
        return dataclasses.replace(found, notes=(*found.notes, "Photos are too few for a validation part."))


def note_photos(progress: Progress, dataset: Dataset, notes: Sequence[str] = ()) -> None:
    """Notes skipped files, and why."""
    for note in (*dataset.notes, *notes):
        progress.note(note)
    if dataset.skipped:
        first = dataset.skipped[0]
        progress.note(
            f"Files that cannot be read as photos: {len(dataset.skipped)}, the first {first.path} ({first.reason})."
        )


def join(train: Dataset, validation: Dataset) -> Dataset:
    """Returns the photos of two splits as one dataset."""
    return dataclasses.replace(train, samples=(*train.samples, *validation.samples))
