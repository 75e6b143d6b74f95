"""What a script that was written for the original has to be told, in the log and each thing once a process."""

from __future__ import annotations

from typing import Any

from absl import logging

from model_maker.progress import Progress

_SOLVED = "the head is fitted to its optimum; train_whole_model=True has epochs"
_STEPS = "an epoch shows every photo once"
_ORDER = "the order of photos does not matter to the head, and fine-tuning always shuffles"
_ONE_BY_ONE = "photos run one by one on all cores"
_CONVERTER = "TensorFlow's converter is not used"

# By function, the arguments that mean nothing here: their default, at which nothing is said, and why.
MEANINGLESS: dict[str, dict[str, tuple[Any, str]]] = {
    "create": {
        "epochs": (None, _SOLVED),
        "batch_size": (None, _SOLVED),
        "dropout_rate": (None, _SOLVED),
        "steps_per_epoch": (None, _STEPS),
        "learning_rate": (
            None,
            "it was for SGD; model_maker.train(fine_tune='all', learning_rate=...) sets that of AdamW",
        ),
        "momentum": (None, "the optimizer is another, L-BFGS for the head and AdamW for the network"),
        "shuffle": (False, _ORDER),
        "use_hub_library": (True, "there is one way to train"),
        "warmup_steps": (None, "fine-tuning warms up by a share of its steps"),
        "model_dir": (
            None,
            "no checkpoints are written; model_maker.train(fine_tune='all') keeps some and resumes",
        ),
    },
    "ImageClassifier": {
        "shuffle": (True, _ORDER),
        "representative_data": (None, "photos of the training calibrate; QuantizationConfig.for_int8 takes others"),
    },
    "train": {"steps_per_epoch": (None, _STEPS)},
    "evaluate": {"batch_size": (32, _ONE_BY_ONE)},
    "predict_top_k": {"batch_size": (32, _ONE_BY_ONE)},
    "export": {
        "vocab_filename": ("vocab.txt", "a vocabulary belongs to texts"),
        "with_metadata": (True, "every file has its metadata"),
        "overwrite": (True, "files and models of that name are replaced"),
        "include_optimizer": (True, "there is no optimizer to save"),
        "save_format": (None, "it is a SavedModel; `model_maker export --format keras` writes the other"),
        "signatures": (None, "there is one, serving_default"),
        "options": (None, "TensorFlow's own are used"),
    },
    "gen_dataset": {
        "input_pipeline_context": (None, "model_maker.train(engine='ray') uses several machines"),
    },
    "ModelSpec": {"compat_tf_versions": (None, "photos are embedded without TensorFlow")},
    "QuantizationConfig": {
        "optimizations": (None, _CONVERTER),
        "supported_ops": (None, _CONVERTER),
        "experimental_new_quantizer": (None, _CONVERTER),
    },
}
said: set[str] = set()


def tell(text: str) -> None:
    """Logs a warning, unless it was logged before."""
    if text not in said:
        said.add(text)
        logging.warning("%s", text)


def tell_meaningless(where: str, **given: Any) -> None:
    """Tells of arguments that mean nothing here and are not at their default, with the reason.

    Args:
      where: a key of MEANINGLESS.
      **given: names and values; a name that is not listed there is told of, too.
    """
    for name, value in given.items():
        default, reason = MEANINGLESS[where].get(name, (..., "it is not known"))
        if value is not default and value != default:
            tell(f"{where}: {name} means nothing here: {reason}.")


class Notices(Progress):
    """What the engine notes, as downloads and first conversions, is told like warnings, for scripts show these."""

    def note(self, text: str) -> None:
        """Tells it once."""
        tell(text)
