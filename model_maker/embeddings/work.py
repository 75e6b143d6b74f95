"""Work: what is done to each photo, the same on every engine; Engine: what one of them does."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model_maker.data import augment
from model_maker.data.augment import PRESETS, Augmentation
from model_maker.data.dataset import Sample
from model_maker.errors import DataError
from model_maker.fitting import Fit
from model_maker.normalization import Normalization
from model_maker.tflite.interpreter import Runner

Array = np.ndarray
Results = Generator[Array | DataError, None, None]
# A photo, and the names of those of its views that are to be computed, by number.
Wanted = tuple[Sample, dict[int, str]]


@dataclass(frozen=True)
class Work:
    """What is made of photos.

    Attributes:
      embedder: a `.tflite`, [1, H, W, 3] to [1, ...], float32 or int8.
      normalization: what it expects; None for pixels as they are, uint8.
      augmentation, seed: what makes the views beside the plain photo.
      kernels: which of LiteRT's CPU paths computes.
      name: of all that an embedding depends on besides the photo and the view, see `embedding.cache_path`.
    """

    embedder: bytes
    normalization: Normalization | None
    augmentation: Augmentation = PRESETS["none"]
    seed: int = 0
    kernels: str = "xnnpack"
    name: str = ""

    def views(self, photo: Wanted, size: Fit, content: bytes | None = None) -> Array:
        """Makes the views that are wanted of a photo: uint8 [K, H, W, 3].

        Args:
          photo: which photo, and which views.
          size: the input, and how photos are fitted to it.
          content: the photo's bytes, where they have been read before.

        Raises:
          DataError: the photo cannot be read.
        """
        sample, names = photo
        return augment.views(
            sample.path if content is None else content,
            size,
            self.augmentation,
            digest=sample.digest,
            seed=self.seed,
            numbers=list(names),
        )

    def worker(self) -> Callable[[Array], Array]:
        """Returns what maps views, uint8 [K, H, W, 3], to [K, D]: float16, or the int8 that the file computes."""
        runner, normalize = Runner(self.embedder, kernels=self.kernels), self.normalization or (lambda pixels: pixels)
        kept = stored_type(runner)

        def embed(views: Array) -> Array:
            rows = (runner.run_all(normalize(view[None]))[0].ravel() for view in views)
            return np.stack([row.astype(kept) for row in rows])

        return embed


def stored_type(runner: Runner) -> np.dtype:
    """Returns as what the output of an embedder is kept: integers as they are, real numbers as float16."""
    return runner.output_dtype if runner.output_dtype.kind == "i" else np.dtype("<f2")


class Engine(Protocol):
    """Reads photos, and embeds them; in order, and few in memory at a time."""

    def hash(self, entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
        """Yields (sha256 of the photo's bytes, ""), or ("", reason), for each entry that a source lists."""

    def embed(self, photos: Sequence[Wanted], work: Work, size: Fit, *, threads: int | None = None) -> Results:
        """Yields [K, D] for each photo, float16 or int8, or why it cannot be read.

        Args:
          photos: what is wanted.
          work: what is made of them.
          size: the input, and how photos are fitted to it.
          threads: number of threads; all cores by default.
        """
