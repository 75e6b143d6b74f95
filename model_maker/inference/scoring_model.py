"""ScoringModel: an opened model file that gives each photo one score per label."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import output_folder
from model_maker.data.dataset import Dataset
from model_maker.data.images import Photo
from model_maker.data.streaming import stream
from model_maker.errors import DataError, ModelError, about
from model_maker.fitting import Fit
from model_maker.inference import label_files, runtimes, views
from model_maker.normalization import Normalization, to_input
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


class ScoringModel:
    """A model file in any format that `export` writes, from pixels to scores; `Classifier` turns them into predictions.

    The arguments are those of `Classifier`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        threads: int | None = None,
        kernels: str = "xnnpack",
        labels: str | os.PathLike[str] | Sequence[str] | None = None,
        normalization: Normalization | None = None,
        head: str | None = None,
    ):
        self._threads = threads
        with about("the model" if isinstance(model, bytes) else model):
            self._model = runtimes.open_model(model, kernels=kernels)
            if head is not None:
                self._model = runtimes.open_head(self._model, head, kernels=kernels)
            self._head = head
            self._folder = None if isinstance(model, bytes) else output_folder.home(Path(model).resolve())
            self._kernels = kernels
            self._runner = self._model.runner()
            self.info = self._described(labels, normalization)
            self._check()

    def __getstate__(self) -> dict[str, Any]:
        """Returns the pickled state: a `.tflite` by its content, so that processes on other machines can open it."""
        return {
            "model": self._model.content or self._model.path,
            "folder": self._folder,
            "threads": self._threads,
            "kernels": self._kernels,
            "labels": self.labels,
            "normalization": self.info.normalization,
            "head": self._head,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        folder = state.pop("folder")
        ScoringModel.__init__(self, state.pop("model"), **state)
        self._folder = folder

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the scores."""
        return self.info.labels

    @property
    def content(self) -> bytes | None:
        """The bytes of a `.tflite`; None for other formats."""
        return self._model.content

    @property
    def image_size(self) -> int | tuple[int, int]:
        """Height and width of the input, pixels: one number for a square."""
        height, width = self._runner.input_shape[1:3]
        return height if height == width else (height, width)

    @property
    def fit(self) -> Fit:
        """Input size, and how photos are fitted to it by the model's metadata; stretched by default."""
        return Fit.to(self._runner.input_shape, self.info.resize)

    @property
    def thresholds(self) -> Array:
        """Minimum score at which each label is predicted, float32 [C], from the model's metadata; 0 for none."""
        return self.info.limits

    def scores(
        self, photos: Iterable[Photo | DataError], *, view: views.View = views.WHOLE
    ) -> Iterator[Array | DataError]:
        """Yields float32 [C] for each photo, or its part, in order, or a DataError with the reason there is none."""
        yield from stream(photos, self.fit, self.scorer, threads=self._threads, load=view.load)

    def score(self, dataset: Dataset, *, progress: Progress | None = None) -> Array:
        """Returns float32 [N, C], the scores of every photo of a dataset.

        Raises:
          DataError: a photo cannot be read.
        """
        scores = np.empty((len(dataset), len(self.labels)), np.float32)
        for index, result in enumerate(self._readable(sample.path for sample in dataset.samples)):
            scores[index] = result
            if progress:
                progress(index + 1, len(dataset))
        return scores

    def _readable(self, photos: Iterable[Photo | DataError], view: views.View = views.WHOLE) -> Iterator[Array]:
        for scores in self.scores(photos, view=view):
            if isinstance(scores, DataError):
                raise scores
            yield scores

    def prepared(self, pixels: Array, kind: np.dtype[Any]) -> Array:
        """Converts pixels, uint8 [1, H, H, 3], to the type of the input."""
        return to_input(pixels, kind, self.info.normalization)

    def scorer(self) -> Callable[[Array], Array]:
        """Returns a function from pixels, uint8 [1, H, H, 3], to scores, float32 [C]; not thread-safe."""
        runner = self._model.runner()

        def work(pixels: Array) -> Array:
            scores: Array = runner.run(self.prepared(pixels, runner.input_dtype))[0]
            if scores.shape != (len(self.labels),) or not np.isfinite(scores).all():
                raise ModelError(
                    f"The model does not give one finite score for each of its {len(self.labels)} labels, so it is "
                    "damaged. Download or export it again."
                )
            return scores

        return work

    def _described(
        self, labels: str | os.PathLike[str] | Sequence[str] | None, normalization: Normalization | None
    ) -> ModelInfo:
        """Returns the model's metadata, overridden by the arguments."""
        info = self._model.info
        if normalization is not None:
            info = dataclasses.replace(info, normalization=normalization)
        if labels is None:
            return info
        if isinstance(labels, str | os.PathLike):
            names, source = label_files.read(labels), str(labels)
        else:
            names, source = tuple(labels), "The list"
        blank = np.zeros(self._runner.input_shape, self._runner.input_dtype)
        label_files.check_count(names, self._runner.run(blank).size, source)
        if names == info.labels:
            return info
        return dataclasses.replace(info, labels=names, threshold=0.0, label_thresholds=(), label_sets=None)

    def _check(self) -> None:
        if not self.info.labels:
            raise ModelError(
                "it has no labels in its metadata (an export: in its labels.txt). "
                "Pass `labels=FILE` with one label per line."
            )
        shape, dtype = self._runner.input_shape, self._runner.input_dtype
        if len(shape) != 4 or shape[0] != 1 or min(shape[1:3]) < 1 or shape[3] != 3:
            raise ModelError(f"it takes an input of shape {list(shape)}; an image model takes [1, H, W, 3].")
        if dtype not in (np.uint8, np.float32, np.int8):
            raise ModelError(f"it takes {dtype} input; uint8, int8 and float32 are supported.")
        if dtype == np.float32 and self.info.normalization is None:
            raise ModelError(
                "it takes float input, but its metadata does not state one normalization. Pass "
                "`normalization=MEAN,STD` in pixels: 127.5,127.5 for -1 to 1, 0,255 for 0 to 1."
            )
