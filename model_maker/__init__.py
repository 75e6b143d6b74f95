"""Model Maker: a folder of photos becomes an image classifier for phones.

The names below load what they need when they are first used; importing this package loads neither TensorFlow nor
LiteRT.
"""

import importlib
from typing import TYPE_CHECKING, Any

from model_maker.version import __version__

__all__ = [
    "Classifier",
    "ModelMakerError",
    "Options",
    "Prediction",
    "__version__",
    "advise",
    "codegen",
    "combine",
    "compare",
    "compare_models",
    "diagnose",
    "edit_classes",
    "explain",
    "export",
    "export_embedder",
    "export_explaining",
    "forget",
    "keywords",
    "load_dataset",
    "mend",
    "organize",
    "pipeline",
    "put_back",
    "put_in_app",
    "reproduce",
    "robustness",
    "search",
    "split_model",
    "starter",
    "train",
    "verify",
    "zero_shot",
    "zero_shot_file",
]

if TYPE_CHECKING:  # the names of __getattr__, for type checkers and editors
    from model_maker.apps.codegen import codegen
    from model_maker.apps.put_in_app import put_in_app
    from model_maker.assessment.model_comparison import compare_models
    from model_maker.assessment.robustness import robustness
    from model_maker.classes.combining import combine
    from model_maker.classes.editing import edit_classes
    from model_maker.classes.splitting import split_model
    from model_maker.classifiers import Classifier, pipeline
    from model_maker.collection.keywords import keywords
    from model_maker.collection.organize import organize
    from model_maker.collection.search import search
    from model_maker.data.sources import read as load_dataset
    from model_maker.doctor.diagnosis import diagnose
    from model_maker.doctor.quarantine import mend, put_back
    from model_maker.errors import ModelMakerError
    from model_maker.explanations.explain import explain
    from model_maker.exporters.embedder_file import export_embedder
    from model_maker.exporters.explaining_file import export_explaining
    from model_maker.exporters.export import export
    from model_maker.exporters.starter import starter
    from model_maker.inference.classifier import Prediction
    from model_maker.options import Options
    from model_maker.training.advice import advise
    from model_maker.training.comparison import compare
    from model_maker.training.forgetting import forget
    from model_maker.training.reproduction import reproduce
    from model_maker.training.train import train
    from model_maker.verification.verify import verify
    from model_maker.zero_shot_learning.classify import zero_shot
    from model_maker.zero_shot_learning.phone_file import zero_shot_file

_HOMES = {
    "Classifier": ("model_maker.classifiers", "Classifier"),
    "Prediction": ("model_maker.inference.classifier", "Prediction"),
    "Options": ("model_maker.options", "Options"),
    "ModelMakerError": ("model_maker.errors", "ModelMakerError"),
    "advise": ("model_maker.training.advice", "advise"),
    "combine": ("model_maker.classes.combining", "combine"),
    "compare": ("model_maker.training.comparison", "compare"),
    "compare_models": ("model_maker.assessment.model_comparison", "compare_models"),
    "diagnose": ("model_maker.doctor.diagnosis", "diagnose"),
    "mend": ("model_maker.doctor.quarantine", "mend"),
    "put_back": ("model_maker.doctor.quarantine", "put_back"),
    "pipeline": ("model_maker.classifiers", "pipeline"),
    "codegen": ("model_maker.apps.codegen", "codegen"),
    "put_in_app": ("model_maker.apps.put_in_app", "put_in_app"),
    "edit_classes": ("model_maker.classes.editing", "edit_classes"),
    "explain": ("model_maker.explanations.explain", "explain"),
    "export": ("model_maker.exporters.export", "export"),
    "export_embedder": ("model_maker.exporters.embedder_file", "export_embedder"),
    "export_explaining": ("model_maker.exporters.explaining_file", "export_explaining"),
    "forget": ("model_maker.training.forgetting", "forget"),
    "reproduce": ("model_maker.training.reproduction", "reproduce"),
    "robustness": ("model_maker.assessment.robustness", "robustness"),
    "search": ("model_maker.collection.search", "search"),
    "organize": ("model_maker.collection.organize", "organize"),
    "keywords": ("model_maker.collection.keywords", "keywords"),
    "split_model": ("model_maker.classes.splitting", "split_model"),
    "starter": ("model_maker.exporters.starter", "starter"),
    "load_dataset": ("model_maker.data.sources", "read"),
    "train": ("model_maker.training.train", "train"),
    "verify": ("model_maker.verification.verify", "verify"),
    "zero_shot": ("model_maker.zero_shot_learning.classify", "zero_shot"),
    "zero_shot_file": ("model_maker.zero_shot_learning.phone_file", "zero_shot_file"),
}

if not TYPE_CHECKING:  # else type checkers accept any missing name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _HOMES[name]
        return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
