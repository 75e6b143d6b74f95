"""Warnings for scripts that were written for the original; each is logged once per process."""

from typing import Any

from absl import logging

from model_maker.progress import Progress

_SOLVED = "the head is fitted to its optimum; only train_whole_model=True uses epochs"
_STEPS = "an epoch shows every photo once"
_ORDER = "the order of photos does not matter to the head, and fine-tuning always shuffles"
_ONE_BY_ONE = "photos run one by one on all cores"
_CONVERTER = "TensorFlow's converter is not used"

# By function, the arguments without effect: their default, which logs nothing, and the reason.
UNUSED_ARGUMENTS: dict[str, dict[str, tuple[Any, str]]] = {
    "create": {
        "epochs": (None, _SOLVED),
        "batch_size": (None, _SOLVED),
        "dropout_rate": (None, _SOLVED),
        "steps_per_epoch": (None, _STEPS),
        "learning_rate": (
            None,
            "it applied to SGD; model_maker.train(fine_tune='all', learning_rate=...) sets the one of AdamW",
        ),
        "momentum": (None, "the optimizers are L-BFGS for the head and AdamW for the network"),
        "shuffle": (False, _ORDER),
        "use_hub_library": (True, "there is only one training loop"),
        "warmup_steps": (None, "fine-tuning warms up by a share of its steps"),
        "model_dir": (
            None,
            "no checkpoints are written; model_maker.train(fine_tune='all') keeps some and resumes",
        ),
    },
    "ImageClassifier": {
        "shuffle": (True, _ORDER),
        "representative_data": (None, "training photos are used; QuantizationConfig.for_int8 accepts others"),
    },
    "train": {"steps_per_epoch": (None, _STEPS)},
    "evaluate": {"batch_size": (32, _ONE_BY_ONE)},
    "predict_top_k": {"batch_size": (32, _ONE_BY_ONE)},
    "export": {
        "vocab_filename": ("vocab.txt", "vocabularies are for text models"),
        "with_metadata": (True, "every file has metadata"),
        "overwrite": (True, "files and models with these names are always replaced"),
        "include_optimizer": (True, "there is no optimizer to save"),
        "save_format": (None, "it is a SavedModel; `model_maker export --format keras` writes a Keras file"),
        "signatures": (None, "there is only one, serving_default"),
        "options": (None, "TensorFlow's defaults are used"),
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
logged: set[str] = set()


def warn_once(text: str) -> None:
    """Logs a warning, unless it was logged before."""
    if text not in logged:
        logged.add(text)
        logging.warning("%s", text)


def warn_unused(where: str, **given: Any) -> None:
    """Warns of arguments without effect that are not at their default, with the reason.

    Args:
      where: a key of UNUSED_ARGUMENTS.
      **given: names and values; unknown names are reported, too.
    """
    for name, value in given.items():
        default, reason = UNUSED_ARGUMENTS[where].get(name, (..., "it is unknown"))
        if value is not default and value != default:
            warn_once(f"{where}: {name} has no effect here: {reason}.")


class Notices(Progress):
    """Logs notes, for example on downloads and first conversions, as warnings, which scripts show."""

    def note(self, text: str) -> None:
        """Logs it once."""
        warn_once(text)
