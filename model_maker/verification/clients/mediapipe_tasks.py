"""MediaPipe Tasks, the engine of MediaPipe's samples; runs in a child, see `clients.ask`.

Its runtime may send usage metrics to its vendor, so it runs only if the system can cut off the network.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from model_maker.system import extras, limited_process
from model_maker.verification import clients

_ADVICE = f"Run: {extras.command('mediapipe')} and, on a bare Debian: apt-get install libgl1 libgles2"


@contextlib.contextmanager
def _opened(model: str) -> Iterator[Callable[[str], Sequence[Any]]]:
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        yield lambda photo: classifier.classify(mediapipe.Image.create_from_file(photo)).classifications


def _work(*names: str) -> bytes:
    # MediaPipe would import TensorFlow, which classification does not need and which takes most of its ten seconds.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    # It imports matplotlib, which fails if the environment names the backend of a notebook that is not installed.
    os.environ["MPLBACKEND"] = "agg"
    try:
        from mediapipe.tasks.python import vision  # noqa: F401
    except (ImportError, OSError) as error:  # the wheel, or a system library
        return clients.reply_missing(error, _ADVICE)
    return clients.reply(_opened, names)


if __name__ == "__main__":
    limited_process.answer(_work)
