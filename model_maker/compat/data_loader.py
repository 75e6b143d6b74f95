"""DataLoader: labeled photos in a fixed order, with splitting."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_maker.compat.notices import warn_once, warn_unused
from model_maker.data import images, sources
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError
from model_maker.system import extras

if TYPE_CHECKING:
    import tensorflow as tf


class DataLoader:
    """Photos and their labels.

    Args:
      dataset: the photos in order.
      size: has no effect here; a Dataset knows how many photos it has.
      index_to_label: the class names; those of the dataset by default.

    Raises:
      DataError: it is not a Dataset of this package.
    """

    def __init__(self, dataset: Dataset, size: int | None = None, index_to_label: list[str] | None = None):
        if not isinstance(dataset, Dataset):
            raise DataError(
                f"DataLoader: {type(dataset).__name__} is not a dataset from model_maker.load_dataset. "
                "Use DataLoader.from_folder; photos are decoded from their files, not taken from tf.data."
            )
        if size not in (None, len(dataset)):
            warn_once(f"DataLoader: size has no effect here: a Dataset knows how many photos it has, {len(dataset)}.")
        names = tuple(index_to_label or dataset.classes)
        self.photos = dataset if names == dataset.classes else relabelled(dataset, names)

    @classmethod
    def from_folder(cls, filename: str | os.PathLike[str], shuffle: bool = True) -> DataLoader:
        """Reads one folder of photos for each class, or whatever else `model_maker.load_dataset` reads.

        Args:
          filename: path of the dataset.
          shuffle: whether to order them by the hashes of their contents, which is random but deterministic; else by
          class, then path.

        Raises:
          DataError: there are no photos, or only one class.
        """
        photos = sources.read(filename)
        for note in photos.notes:
            warn_once(note)
        if photos.skipped:
            first = photos.skipped[0]
            warn_once(f"Files that cannot be read: {len(photos.skipped)}, the first {first.path} ({first.reason}).")
        if any(sample.part for sample in photos.samples):
            warn_once(f"{filename} has its own splits, but from_folder reads all. Pass train/ and test/ separately.")
        return cls(_shuffled(photos) if shuffle else photos)

    @classmethod
    def from_tfds(cls, name: str) -> tuple[DataLoader | None, DataLoader | None, DataLoader | None]:
        """Reads a dataset that tensorflow_datasets has prepared on this machine; downloads nothing.

        Args:
          name: of the dataset, with its configuration if it has one.

        Returns:
          Training, validation and test photos; None for a split that the dataset lacks.

        Raises:
          DataError: it was not prepared on this machine.
        """
        home = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets") / name
        versions = [folder for folder in home.glob("*") if (folder / "dataset_info.json").is_file()]
        if not versions:
            raise DataError(
                f"{home} contains no prepared dataset. Run tensorflow_datasets.load({name!r}) once, or use from_folder."
            )
        newest = max(versions, key=lambda folder: [int(part) for part in folder.name.split(".") if part.isdigit()])
        photos = sources.read(newest)
        train, validation, test = (photos.stated(part) for part in ("train", "validation", "test"))
        return tuple(cls(part) if len(part) else None for part in (train, validation, test))  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def size(self) -> int:
        """Number of photos."""
        return len(self)

    @property
    def index_to_label(self) -> list[str]:
        """The class names, sorted; a label is an index into them."""
        return list(self.photos.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.photos.classes)

    def split(self, fraction: float) -> tuple[DataLoader, DataLoader]:
        """Splits the photos in order: the first `int(size * fraction)`, and the rest.

        Raises:
          DataError: the fraction is not between 0 and 1.
        """
        if not 0 < fraction < 1:
            raise DataError(f"split({fraction}): pass a fraction above 0 and below 1, for example 0.9.")
        count, samples = int(len(self) * fraction), self.photos.samples
        # Unreadable files belong to the whole dataset, and are reported with the first split.
        first = dataclasses.replace(self.photos, samples=samples[:count])
        rest = dataclasses.replace(self.photos, samples=samples[count:], skipped=())
        return type(self)(first), type(self)(rest)

    def gen_dataset(
        self,
        batch_size: int = 1,
        is_training: bool = False,
        shuffle: bool = False,
        input_pipeline_context: Any = None,
        preprocess: Callable[..., Any] | None = None,
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """Returns a tf.data.Dataset of the photos for inspection; training does not use it.

        Args:
          batch_size: photos per batch; more than one needs photos of equal size, or a `preprocess` that resizes them.
          is_training, shuffle: shuffle within three batches if both are true.
          input_pipeline_context: has no effect here.
          preprocess: called with a photo, its label and `is_training=`.
          drop_remainder: whether to drop a smaller last batch.

        Returns:
          Batches of uint8 [N, H, W, 3] and int64 [N]; the photos upright, in their original size.

        Raises:
          DataError: TensorFlow is not installed.
        """
        extras.require("tensorflow", what="DataLoader.gen_dataset", error=DataError)
        import tensorflow as tf

        warn_unused("gen_dataset", input_pipeline_context=input_pipeline_context)
        signature = (tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int64))
        batches = tf.data.Dataset.from_generator(self._pairs, output_signature=signature)
        batches = batches.apply(tf.data.experimental.assert_cardinality(len(self)))
        if preprocess:
            prepared = functools.partial(preprocess, is_training=is_training)
            batches = batches.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
        if is_training and shuffle:
            # TensorFlow needs a seed for shuffling after fine-tuning has made the process deterministic.
            batches = batches.shuffle(min(len(self), 3 * batch_size), seed=0)
        return batches.batch(batch_size, drop_remainder=drop_remainder).prefetch(tf.data.AUTOTUNE)

    def _pairs(self) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
        for sample in self.photos.samples:
            yield np.asarray(images.picture(sample.path)), sample.label


def photos_of(data: Any) -> Dataset:
    """Returns the photos of a DataLoader.

    Raises:
      DataError: it is not a DataLoader.
    """
    if not isinstance(data, DataLoader):
        what = f"{type(data).__name__} {str(data)[:60]!r}"
        raise DataError(f"{what} is not a DataLoader: pass DataLoader.from_folder(...).")
    return data.photos


def relabelled(photos: Dataset, classes: tuple[str, ...]) -> Dataset:
    """Returns photos with labels as indices into other class names.

    Raises:
      DataError: a class is not among them.
    """
    if unknown := sorted(set(photos.classes) - set(classes)):
        raise DataError(f"There are photos of {', '.join(unknown)}, but the classes are {', '.join(classes)}.")
    labels = [classes.index(name) for name in photos.classes]
    samples = tuple(dataclasses.replace(sample, label=labels[sample.label]) for sample in photos.samples)
    return dataclasses.replace(photos, samples=samples, classes=classes)


def _shuffled(photos: Dataset) -> Dataset:
    """Orders by content: copies of a photo are adjacent, so a split separates at most one from its copies."""
    return dataclasses.replace(photos, samples=tuple(sorted(photos.samples, key=lambda sample: sample.digest)))
