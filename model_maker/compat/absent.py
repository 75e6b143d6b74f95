"""Public names of the original that are not offered, and what to use instead: the only place that knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from model_maker.errors import ModelMakerError

_Class = TypeVar("_Class", bound=type)

_OTHER_TASK = (
    "it belongs to another task than image classification, the only one here. Keep tflite-model-maker, on Python 3.9, "
    "for it"
)
_TASKS = ("audio_classifier", "object_detector", "question_answer", "recommendation", "searcher", "text_classifier")
_LISTS = ("AUDIO_CLASSIFICATION", "OBJECT_DETECTION", "QUESTION_ANSWER", "RECOMMENDATION", "TEXT_CLASSIFICATION")

# By class or module, the names and what their message says.
NOT_OFFERED: dict[str, dict[str, str]] = {
    "compat": dict.fromkeys(_TASKS, _OTHER_TASK),
    "model_spec": {f"{name}_MODELS": _OTHER_TASK for name in _LISTS},
    "QuantizationConfig": {
        "get_converter_with_quantization": (
            "TensorFlow's converter is not used. Give the config to export(quantization_config=...)"
        ),
    },
    "ImageClassifier": {
        "model": (
            "there is no Keras model. summary() shows the parts, evaluate and predict_top_k run it, "
            "export(export_format=ExportFormat.SAVED_MODEL) writes what TensorFlow loads"
        ),
        "create_model": "there is no Keras model. create(..., do_train=False) makes a classifier that train() trains",
        "create_serving_model": (
            "there is no Keras model. export(export_format=ExportFormat.SAVED_MODEL) writes one that takes pixels "
            "from 0 to 255"
        ),
        "preprocess": (
            "photos are given as they are: evaluate, predict_top_k and the exported files resize and normalize them. "
            "gen_dataset(preprocess=...) takes a function of yours"
        ),
    },
}


class AbsentError(ModelMakerError, AttributeError):
    """A name of the original that is not offered; an AttributeError, too, so that `hasattr` says no."""


class AbsentTaskError(ModelMakerError, ImportError):
    """A module of the original that is not offered; an ImportError, for `from ... import` hides AttributeErrors."""


class _Absence:
    """A class attribute that raises what there is to say of it, for the class and for its instances."""

    def __init__(self, text: str):
        self.text = text

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AbsentError(self.text)


def tells_absences(owner: _Class) -> _Class:
    """Class decorator: reaching for a name of NOT_OFFERED raises an AbsentError that says what to use."""
    for name in NOT_OFFERED[owner.__name__]:
        setattr(owner, name, _Absence(_text(owner.__name__, name)))
    return owner


def module_getattr(module: str, error: type[ModelMakerError] = AbsentError) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module, by its name, of which NOT_OFFERED names some."""

    def getattr_(name: str) -> NoReturn:
        if name in NOT_OFFERED[module.rpartition(".")[2]]:
            raise error(_text(module.rpartition(".")[2], name))
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return getattr_


def _text(owner: str, name: str) -> str:
    return f"{owner}.{name} is not offered: {NOT_OFFERED[owner][name]}."
