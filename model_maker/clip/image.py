"""ImageTower: photos as vectors."""

from collections.abc import Callable, Iterable, Sized

import numpy as np
from PIL import Image

from model_maker.backbones import network, weights
from model_maker.clip import cached, fastvit, image_network, layers, records, tensors
from model_maker.data import images
from model_maker.data.images import Photo
from model_maker.data.streaming import stream
from model_maker.errors import DataError
from model_maker.progress import SILENT, Progress
from model_maker.tflite import graph
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.quantize import quantize

Array = np.ndarray

# As what the file may be kept. Int8 throughout loses too much: cosines of .979 with the float tower's vectors.
KINDS = ("float16", "dynamic", "none")


class ImageTower:
    """From photos to vectors that can be compared with those of the same model's `TextTower`.

    What it needs is downloaded on first use, announced, and kept as a `.tflite`; after that it works offline.

    Args:
      name: a key of TOWERS.
      quantization: one of KINDS.
      accept_licence: the licence that you accept; needed for towers that are not for every use.
      progress: receives what is downloaded, from where, and kilobytes.

    Attributes:
      record: what is known of the model.
      content: the `.tflite`: float32 [1, H, H, 3], normalized by `image_network.NORMALIZATION`, to float32 [1, D].

    Raises:
      BackboneError: an unknown name, a licence that was not accepted, or files that cannot be had, are damaged, or are
        another model's.

    Examples:
      >>> tower = ImageTower()  # doctest: +SKIP
      >>> tower.embed(["cat.jpg", "dog.jpg"]).shape  # doctest: +SKIP
      (2, 512)
    """

    def __init__(
        self,
        name: str = records.DEFAULT,
        *,
        quantization: str = "float16",
        accept_licence: str | None = None,
        progress: Progress = SILENT,
    ):
        self.record = records.get(name, accept_licence=accept_licence)
        self.content = cached.content(
            self.record,
            f"image-{quantization}",
            ".tflite",
            lambda: _make(self.record, quantization, progress),
            modules=(tensors, image_network, fastvit, layers, network, weights, graph),
        )

    def embed(self, photos: Iterable[Photo], *, threads: int | None = None, progress: Progress = SILENT) -> Array:
        """Embeds photos, on every core.

        Args:
          photos: whatever `images.load` takes.
          threads: as many as there are cores by default.

        Returns:
          float32 [N, D], rows of length 1.

        Raises:
          DataError: a photo cannot be read; the message names it and says why.
        """
        total = len(photos) if isinstance(photos, Sized) else 0
        rows: list[Array] = []
        progress.step(0, total)
        for found in stream(photos, self.record.image_size, self._worker, threads=threads, load=self._load):
            if isinstance(found, DataError):
                raise found
            rows.append(found)
            progress.step(len(rows), max(total, len(rows)))
        return cached.unit(np.stack(rows)) if rows else np.empty((0, self.record.embedding_size), np.float32)

    def _load(self, photo: Photo, size: int) -> Array:
        return prepare(images.picture(photo), size, crop=self.record.crop, resampling=self.record.resampling)[None]

    def _worker(self) -> Callable[[Array], Array]:
        runner = LiteRTRunner(self.content)
        return lambda pixels: runner.run(image_network.NORMALIZATION(pixels))[0]


def prepare(image: Image.Image, size: int, *, crop: bool, resampling: str = "bicubic") -> Array:
    """Converts an upright RGB photo to the tower's input as in training, antialiased: uint8 [size, size, 3].

    Args:
      crop: whether the shorter side is brought to the size and the longer one loses its ends; else both are stretched.
    """
    kernel = Image.Resampling[resampling.upper()]
    if not crop:
        return np.asarray(image.resize((size, size), kernel))
    width, height = image.size
    # The middle of the resized photo is made from the original at once: what would be cut off never exists, which of a
    # long narrow photo may be more than memory holds.
    resized = [size * side // min(width, height) for side in (width, height)]
    across, down = width / resized[0], height / resized[1]
    left, top = (resized[0] - size) // 2 * across, (resized[1] - size) // 2 * down
    right, bottom = min(left + size * across, width), min(top + size * down, height)
    # Pillow rounds between its two passes and takes the cheaper one first, which of a part may be another than of the
    # whole; so each is asked for by itself.
    image = image.resize((size, height), kernel, (left, 0, right, height))
    return np.asarray(image.resize((size, size), kernel, (0, top, size, bottom)))


def _make(tower: records.Tower, quantization: str, progress: Progress) -> bytes:
    found = tensors.read(tower.weights.path(progress=progress), tower)
    content = image_network.build(tower, found)
    content = quantize(content, quantization, normalization=image_network.NORMALIZATION)
    if tower.terms is None:
        return content
    model = graph.parse(content)
    model.description = f"Image tower of {tower.name}. Licence: {tower.terms}. {tower.terms.notice}"
    return graph.pack(model)
