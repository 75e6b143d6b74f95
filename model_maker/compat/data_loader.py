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
from model_maker.data import given_photos, images, sources
from model_maker.data.dataset import Dataset
from model_maker.errors import DataError
from model_maker.system import extras

if TYPE_CHECKING:
    import tensorflow as tf


class DataLoader:
    """Photos and their labels.

    Args:
      dataset: the photos, in order: a Dataset of this package, or a tf.data.Dataset of photo and label.
      size: number of elements of a tf.data.Dataset, if it is unknown.
      index_to_label: the class names; those of a Dataset by default; required with tf.data.

    Raises:
      DataError: it is neither, or the size or the names are missing.
    """

    def __init__(
        self, dataset: Dataset | tf.data.Dataset, size: int | None = None, index_to_label: list[str] | None = None
    ):
        self._stream: tf.data.Dataset | None = None
        if not isinstance(dataset, Dataset):
            self._open_stream(dataset, size, index_to_label)
            return
        if size not in (None, len(dataset)):
            warn_once(f"DataLoader: size has no effect here: a Dataset knows how many photos it has, {len(dataset)}.")
        names = tuple(index_to_label or dataset.classes)
        self._photos: Dataset | None = dataset if names == dataset.classes else relabelled(dataset, names)
        self._names, self._size = names, len(dataset)

    def _open_stream(self, dataset: Any, size: int | None, names: list[str] | None) -> None:
        if not (hasattr(dataset, "element_spec") and hasattr(dataset, "take")):
            raise DataError(
                f"DataLoader: {type(dataset).__name__} is neither a dataset of model_maker.load_dataset "
                "nor a tf.data.Dataset. Use DataLoader.from_folder."
            )
        size = int(dataset.cardinality()) if size is None else size
        if size < 0:
            raise DataError("DataLoader: this tf.data.Dataset does not know its size. Give it as the second argument.")
        if not names:
            raise DataError("DataLoader: index_to_label is missing; a tf.data.Dataset does not name its labels.")
        self._stream, self._photos, self._names, self._size = dataset, None, tuple(names), int(size)

    @property
    def dataset(self) -> tf.data.Dataset:
        """Photos and labels, one by one, as a tf.data.Dataset."""
        return self._stream if self._stream is not None else self._decoded()

    @property
    def photos(self) -> Dataset:
        """The photos as a Dataset of this package; those of a tf.data.Dataset are first saved in the cache."""
        if self._photos is None:
            kept = sources.read(given_photos.keep(self._stream, class_names=self._names), least_classes=1)
            self._photos = relabelled(kept, self._names)
        return self._photos

    @classmethod
    def from_folder(cls, filename: str | os.PathLike[str], shuffle: bool = True) -> DataLoader:
        """Reads one folder of photos per class, or any other format that `model_maker.load_dataset` reads.

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
          name: name of the dataset, with its configuration if it has one.

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
        return self._size

    @property
    def size(self) -> int:
        """Number of photos."""
        return len(self)

    @property
    def index_to_label(self) -> list[str]:
        """The class names, sorted; a label is an index into them."""
        return list(self._names)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self._names)

    def split(self, fraction: float) -> tuple[DataLoader, DataLoader]:
        """Splits the photos in order: the first `int(size * fraction)`, and the rest.

        Raises:
          DataError: the fraction is not between 0 and 1.
        """
        if not 0 < fraction < 1:
            raise DataError(f"split({fraction}): pass a fraction above 0 and below 1, for example 0.9.")
        count = int(len(self) * fraction)
        if self._stream is not None:
            parts = (self._stream.take(count), count), (self._stream.skip(count), len(self) - count)
            first, rest = (type(self)(stream, size, self.index_to_label) for stream, size in parts)
            return first, rest
        samples = self.photos.samples
        # Unreadable files belong to the whole dataset, and are reported with the first split.
        learned = dataclasses.replace(self.photos, samples=samples[:count])
        others = dataclasses.replace(self.photos, samples=samples[count:], skipped=())
        return type(self)(learned), type(self)(others)

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
          Batches of uint8 [N, H, W, 3] and int64 [N]; the photos upright, in their original size; from a
          tf.data.Dataset its own elements.

        Raises:
          DataError: TensorFlow is not installed.
        """
        batches = self.dataset
        import tensorflow as tf

        warn_unused("gen_dataset", input_pipeline_context=input_pipeline_context)
        if preprocess:
            prepared = functools.partial(preprocess, is_training=is_training)
            batches = batches.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
        if is_training and shuffle:
            # TensorFlow needs a seed for shuffling after fine-tuning has made the process deterministic.
            batches = batches.shuffle(min(len(self), 3 * batch_size), seed=0)
        return batches.batch(batch_size, drop_remainder=drop_remainder).prefetch(tf.data.AUTOTUNE)

    def _decoded(self) -> tf.data.Dataset:
        extras.require("tensorflow", what="DataLoader.gen_dataset", error=DataError)
        import tensorflow as tf

        signature = (tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int64))
        photos = tf.data.Dataset.from_generator(self._pairs, output_signature=signature)
        return photos.apply(tf.data.experimental.assert_cardinality(len(self)))

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
