"""What a script that was written for the original has to be told, in the log and each thing once a process."""

from __future__ import annotations

from collections.abc import Iterable

from absl import logging

from model_maker.progress import Reporter

_SOLVED = "the head is fitted to its optimum; train_whole_model=True has epochs"
# Arguments that mean nothing here, and why: of `create`,
_OF_CREATE = {
    "epochs": _SOLVED,
    "batch_size": _SOLVED,
    "dropout_rate": _SOLVED,
    "steps_per_epoch": "an epoch shows every photo once",
    "learning_rate": "it was for SGD; model_maker.train(fine_tune='all', learning_rate=...) sets that of AdamW",
    "momentum": "the optimizer is another, L-BFGS for the head and AdamW for the network",
    "shuffle": "the order of photos does not matter to the head, and fine-tuning always shuffles",
    "use_hub_library": "there is one way to train",
    "warmup_steps": "fine-tuning warms up by a share of its steps",
    "model_dir": "no checkpoints are written; model_maker.train(fine_tune='all') keeps some and resumes",
}
# and of `export`.
_OF_EXPORT = {
    "with_metadata": "every file has its metadata",
    "export_metadata_json_file": "`model_maker inspect FILE --json` shows what a file says of itself",
    "overwrite": "files and models of that name are replaced",
    "include_optimizer": "there is no optimizer to save",
    "save_format": "it is a SavedModel; `model_maker export --format keras` writes the other",
    "signatures": "there is one, serving_default",
    "options": "TensorFlow's own are used",
}
_said: set[str] = set()


def tell(text: str) -> None:
    """Logs a warning, unless it was logged before."""
    if text not in _said:
        _said.add(text)
        logging.warning("%s", text)


def tell_meaningless(where: str, names: Iterable[str]) -> None:
    """Tells of arguments that were given and mean nothing here, with the reason."""
    reasons = _OF_EXPORT if where == "export" else _OF_CREATE
    for name in names:
        tell(f"{where}: {name} means nothing here: {reasons.get(name, 'it is not known')}.")


class Notices(Reporter):
    """What the engine notes, as downloads and first conversions, is told like warnings, for scripts show these."""

    def note(self, text: str) -> None:
        """Tells it once."""
        tell(text)
