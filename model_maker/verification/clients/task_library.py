"""TFLite Task Library, the engine of TensorFlow's Android and iOS samples; runs in a child, see `clients.ask`."""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from model_maker.system import extras, limited_process
from model_maker.verification import clients

_ADVICE = f"Run: {extras.command('tflite_support', 'libusb_package')}"


def prepare() -> None:
    """Makes its compiled modules loadable before the import: without TensorFlow's, and with libusb from a package."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)


@contextlib.contextmanager
def _opened(model: str) -> Iterator[Callable[[str], Sequence[Any]]]:
    from tflite_support.task import core, processor, vision

    classifier = vision.ImageClassifier.create_from_options(
        vision.ImageClassifierOptions(
            base_options=core.BaseOptions(file_name=model, num_threads=1),
            classification_options=processor.ClassificationOptions(max_results=-1),
        )
    )
    yield lambda photo: classifier.classify(vision.TensorImage.create_from_file(photo)).classifications


def _work(*names: str) -> bytes:
    try:
        prepare()
        import tflite_support.task.vision  # noqa: F401
    except (ImportError, OSError) as error:  # a package, or a system library
        return clients.reply_missing(error, _ADVICE)
    return clients.reply(_opened, names)


if __name__ == "__main__":
    limited_process.answer(_work)
