"""Prepares for training in the background: embeds photos as they arrive, and rehearses once no more do."""

import threading
from collections.abc import Callable
from pathlib import Path

from absl import logging

from model_maker.backbones import embedder, int8_backbone
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.backbones.registry import DEFAULT
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Sample
from model_maker.data.entries import ListedPhoto
from model_maker.embeddings import computing
from model_maker.errors import ModelMakerError
from model_maker.studio.rehearsal import Rehearsal
from model_maker.studio.workspace import Workspace

# Photos between two looks whether somebody needs the processor: to begin with some takes as long as a dozen photos. For
# fewer it waits as long as others arrive.
_BATCH = 64
_WAIT_S = 0.25
# Photos are considered complete after this time without changes.
_QUIET_S = 1.0


class EmbeddingAhead:
    """A thread that embeds whatever is in a workspace and not known yet, so that jobs find it in the cache.

    Args:
      is_needed_elsewhere: whether a job runs, which embeds what it needs itself.

    Attributes:
      done, total: photos that are embedded or cannot be read, and all.
      rehearsal: what follows when all are.
    """

    def __init__(self, workspace: Workspace, is_needed_elsewhere: Callable[[], bool]):
        self._workspace, self._is_needed_elsewhere = workspace, is_needed_elsewhere
        self._backbone: QuantizedEmbedder | None = None
        self._known: dict[tuple[str, int, int], str] = {}
        self.done = self.total = 0
        self._ends, self._news = threading.Event(), threading.Event()
        self.rehearsal = Rehearsal(workspace, lambda: self._news.is_set() or is_needed_elsewhere())
        self._thread = threading.Thread(target=self._run, name="studio embedding", daemon=True)

    def start(self) -> None:
        self._news.set()
        self._thread.start()

    def look(self) -> None:
        """Signals that there may be new photos."""
        self._news.set()

    @property
    def is_ready(self) -> bool:
        """Whether nothing is left to prepare."""
        return self.done >= self.total and not self.rehearsal.is_due(self.total)

    def close(self) -> None:
        self._ends.set()
        self._news.set()
        self._thread.join()

    @property
    def backbone(self) -> QuantizedEmbedder:
        """The default backbone, as `train` uses it on most photos."""
        if self._backbone is None:
            base = embedder.embedder(embedder.choose(DEFAULT))
            self._backbone = QuantizedEmbedder.of(base, int8_backbone.int8_backbone(base, []))
        return self._backbone

    def by_digest(self) -> dict[tuple[str, str], Path]:
        """Returns the photos of classes that it knows: by hash and the name of the class."""
        root = self._workspace.photos
        return {
            (digest, Path(path).relative_to(root).parts[0]): Path(path)
            for (path, _, _), digest in list(self._known.items())
            if Path(path).is_relative_to(root) and Path(path).is_file()
        }

    def _run(self) -> None:
        while self._news.wait() and not self._ends.is_set():
            self._news.clear()
            try:
                self._catch_up()
            except (ModelMakerError, OSError) as error:  # such as a photo that is moved meanwhile: train tells the rest
                logging.info("embedding ahead: %s", error)
                self._ends.wait(_WAIT_S)
                continue
            if self.rehearsal.is_due(self.total) and not self._news.wait(_QUIET_S) and not self._is_needed_elsewhere():
                self.rehearsal.hold(self.total)

    def _catch_up(self) -> None:
        lacking = self._lacking()
        while 0 < len(lacking) < _BATCH and self._news.wait(_WAIT_S) and not self._ends.is_set():
            self._news.clear()
            self._ends.wait(_WAIT_S)
            lacking = self._lacking()
        for start in range(0, len(lacking), _BATCH):
            while self._is_needed_elsewhere() and not self._ends.wait(_WAIT_S):
                pass
            if self._ends.is_set():
                return
            self._embed(lacking[start : start + _BATCH])

    def _lacking(self) -> list[tuple[tuple[str, int, int], ListedPhoto]]:
        """Lists the photos that were not embedded by this thread, in the order of their classes."""
        photos = [photo for group in self._workspace.classes().values() for photo in group] + self._workspace.pile()
        keys = {}
        for photo in photos:
            try:
                facts = photo.path.stat()
            except OSError:
                continue
            keys[(str(photo.path), facts.st_mtime_ns, facts.st_size)] = ListedPhoto(photo.path, "")
        self.total = len(keys)
        self.done = sum(key in self._known for key in keys)
        return [(key, entry) for key, entry in keys.items() if key not in self._known]

    def _embed(self, some: list[tuple[tuple[str, int, int], ListedPhoto]]) -> None:
        digests = sources.hash_all([entry for _, entry in some])
        found = [(key, entry, digest) for (key, entry), (digest, _) in zip(some, digests, strict=True)]
        samples = tuple(Sample(entry.path, 0, digest) for _, entry, digest in found if digest)
        if samples:
            computing.feature_maps(Dataset(samples, ("",)), *self.backbone.computing)
        self._known |= {key: digest for key, _, digest in found}
        self.done += len(some)
