"""A training that nobody has asked for yet: its model is thrown away, and the next one finds what it needs.

The first training of some photos also loads modules, runs test photos through the float model and through other
kernels, and lets matplotlib list the fonts: half of its time. What that gives is in memory or in the cache afterwards.
"""

import traceback
from collections.abc import Callable

from absl import logging

from model_maker.errors import ModelMakerError
from model_maker.progress import Progress
from model_maker.studio.workspace import Workspace
from model_maker.system import files
from model_maker.training.train import train

# After this growth of the number of photos another rehearsal pays: the test photos are different by then.
_GROWTH = 1.25
# With more, fitting alone takes longer than what a rehearsal saves, and is not interrupted.
_MOST = 5_000


class Rehearsal:
    """Rehearses a training until `is_unwanted` returns that something more important has turned up."""

    def __init__(self, workspace: Workspace, is_unwanted: Callable[[], bool]):
        self._workspace, self._is_unwanted = workspace, is_unwanted
        self._photos = self._failed = 0

    def is_due(self, photos: int) -> bool:
        """Whether a rehearsal pays for this number of photos."""
        return max(1, _GROWTH * self._photos) <= photos <= _MOST and photos != self._failed

    def spare(self, photos: int) -> None:
        """Records a training of this number of photos, which makes a rehearsal unnecessary."""
        self._photos = photos

    def hold(self, photos: int) -> None:
        """Trains on the photos, whose number is given; if it fails, the real training reports why."""
        try:
            with files.temporary_directory() as folder:
                train(self._workspace.photos, folder / "model", progress=_Interruptible(self._is_unwanted))
            self._photos = photos
        except _Interrupted:
            return
        except (ModelMakerError, OSError) as error:  # such as a class that has one photo so far
            logging.info("rehearsal: %s", error)
            self._failed = photos
        except Exception:  # a bug, which must not end the thread that embeds
            logging.error("%s", traceback.format_exc())
            self._failed = photos


class _Interrupted(BaseException):
    """Something more important has turned up. Like ctrl-C not an Exception, so that no code on the way handles it."""


class _Interruptible(Progress):
    def __init__(self, is_unwanted: Callable[[], bool]):
        super().__init__()
        self._is_unwanted = is_unwanted

    def begin(self, name: str) -> None:
        self.step(0, 0)

    def step(self, done: int, total: int) -> None:
        if self._is_unwanted():
            raise _Interrupted
