"""The engines that read and embed photos: ENGINES, selected by `train --engine`.

`Work` defines the processing of each photo, so all engines give byte-identical results.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from model_maker.data.sources import hash_all
from model_maker.data.streaming import stream
from model_maker.embeddings.work import Engine, Results, Wanted, Work
from model_maker.fitting import Fit
from model_maker.progress import Progress


class Local:
    """The threads of this process."""

    def hash(self, entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
        return hash_all(entries)

    def embed(self, photos: Sequence[Wanted], work: Work, size: Fit, *, threads: int | None = None) -> Results:
        yield from stream(photos, size, work.worker, threads=threads, load=work.views)


LOCAL = Local()


def _ray(address: str | None, shards: str | None, progress: Progress) -> Engine:
    from model_maker.embeddings.ray_engine import Ray

    return Ray(address, shards, progress)


# Each is called with the address of a cluster, the shared folder for its results, and a receiver of notes.
ENGINES: dict[str, Callable[[str | None, str | None, Progress], Engine]] = {"local": lambda *_: LOCAL, "ray": _ray}
