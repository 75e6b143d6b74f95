"""Public names of the original that are not supported, and their replacements."""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from model_maker.errors import ModelMakerError

_Class = TypeVar("_Class", bound=type)

_OTHER_TASK = "only image classification is supported. Use tflite-model-maker on Python 3.9 for other tasks"
_TASKS = ("audio_classifier", "object_detector", "question_answer", "recommendation", "searcher", "text_classifier")
_LISTS = ("AUDIO_CLASSIFICATION", "OBJECT_DETECTION", "QUESTION_ANSWER", "RECOMMENDATION", "TEXT_CLASSIFICATION")

# By class or module: names and messages.
NOT_OFFERED: dict[str, dict[str, str]] = {
    "compat": dict.fromkeys(_TASKS, _OTHER_TASK),
    "model_spec": {f"{name}_MODELS": _OTHER_TASK for name in _LISTS},
    "QuantizationConfig": {
        "get_converter_with_quantization": (
            "TensorFlow's converter is not used. Pass the config to export(quantization_config=...)"
        ),
    },
    "ImageClassifier": {
        "model": (
            "there is no Keras model. summary() prints the layers, evaluate and predict_top_k run it, "
            "export(export_format=ExportFormat.SAVED_MODEL) writes a SavedModel for TensorFlow"
        ),
        "create_model": "there is no Keras model. create(..., do_train=False) makes a classifier that train() trains",
        "create_serving_model": (
            "there is no Keras model. export(export_format=ExportFormat.SAVED_MODEL) writes one that takes pixels "
            "from 0 to 255"
        ),
        "preprocess": (
            "evaluate, predict_top_k and the exported files resize and normalize photos themselves. "
            "gen_dataset(preprocess=...) accepts your own function"
        ),
    },
}


class AbsentError(ModelMakerError, AttributeError):
    """A name of the original that is not supported; also an AttributeError, so that `hasattr` returns False."""


class AbsentTaskError(ModelMakerError, ImportError):
    """A module of the original that is not supported; an ImportError, as `from ... import` hides AttributeErrors."""


class _Absence:
    """A class attribute that raises its message, for the class and for its instances."""

    def __init__(self, text: str):
        self.text = text

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AbsentError(self.text)


def tells_absences(owner: _Class) -> _Class:
    """Class decorator: access to a name of NOT_OFFERED raises an AbsentError with the replacement."""
    for name in NOT_OFFERED[owner.__name__]:
        setattr(owner, name, _Absence(_text(owner.__name__, name)))
    return owner


def module_getattr(module: str, error: type[ModelMakerError] = AbsentError) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module with names in NOT_OFFERED."""

    def getattr_(name: str) -> NoReturn:
        if name in NOT_OFFERED[module.rpartition(".")[2]]:
            raise error(_text(module.rpartition(".")[2], name))
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return getattr_


def _text(owner: str, name: str) -> str:
    return f"{owner}.{name} is not supported: {NOT_OFFERED[owner][name]}."
