"""Work, the processing of each photo, the same on every engine; Engine, the interface of engines."""

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
from model_maker.tflite.in_place import Ends
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray
Results = Generator[Array | DataError, None, None]
# A photo, and the names of the views to compute, by number.
Wanted = tuple[Sample, dict[int, str]]


@dataclass(frozen=True)
class Work:
    """How photos become embeddings.

    Attributes:
      embedder: a `.tflite`, [1, H, W, 3] to [1, ...], float32 or int8.
      normalization: of its input; None for raw uint8 pixels.
      augmentation, seed: how to make the views other than the original photo.
      name: name of the store, see `computing.cache_path`.
    """

    embedder: bytes
    normalization: Normalization | None
    augmentation: Augmentation = PRESETS["none"]
    seed: int = 0
    kernels: str = "xnnpack"
    name: str = ""

    def views(self, photo: Wanted, size: Fit, content: bytes | None = None) -> Array:
        """Makes the requested views of a photo, uint8 [K, H, W, 3], from its bytes if they have already been read.

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
        """Returns a function from views, uint8 [K, H, W, 3], to [K, D]: float16, or int8 if the file returns int8."""
        runner, normalize = (
            LiteRTRunner(self.embedder, kernels=self.kernels),
            self.normalization or (lambda pixels: pixels),
        )
        kept = stored_type(runner)

        def embed(views: Array) -> Array:
            rows = (runner.run_all(normalize(view[None]))[0].ravel() for view in views)
            return np.stack([row.astype(kept) for row in rows])

        return embed


def stored_type(embedder: LiteRTRunner | Ends) -> np.dtype:
    """Returns the type in which an embedder's output is stored: its own for integers, float16 for floats."""
    return embedder.output_dtype if embedder.output_dtype.kind == "i" else np.dtype("<f2")


class Engine(Protocol):
    """Reads and embeds photos, in order, with few in memory at a time."""

    def hash(self, entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
        """Yields (sha256 of the photo's bytes, ""), or ("", reason), for each entry that a source lists."""

    def embed(self, photos: Sequence[Wanted], work: Work, size: Fit, *, threads: int | None = None) -> Results:
        """Yields [K, D] for each photo and its requested views, float16 or int8, or why it cannot be read."""
