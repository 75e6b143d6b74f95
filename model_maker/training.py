"""train(): from a folder of photos to a phone-ready `.tflite`, the whole story from top to bottom."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker import extras, fitting, run_record, shipment
from model_maker.backbones import embedder, small_inputs
from model_maker.backbones.embedder import Embedder
from model_maker.backbones.int8_backbone import Int8Backbone, QuantizedEmbedder
from model_maker.backbones.registry import Backbone
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Split
from model_maker.deploy import budget
from model_maker.errors import DataError, OutputError
from model_maker.inference import evaluation
from model_maker.learning import checkpoint as checkpoints
from model_maker.learning import quantized
from model_maker.learning.engines import ENGINES, Engine
from model_maker.learning.watch import Watch
from model_maker.options import Options, check
from model_maker.progress import Reporter, Stages
from model_maker.tflite import metadata
from model_maker.version import __version__

# Options that say how the file ships, not what is learned.
_OF_THE_FILE = (
    "quantize",
    "io",
    "max_drop",
    "threads",
    "name",
    "author",
    "licence",
    "folds",
    "precision",
    "label_precision",
)


@dataclass(frozen=True)
class Result:
    """What `train` made.

    Attributes:
      directory: the folder with `model.tflite`, `float.tflite`, `labels.txt`, `metrics.json`, `run.json`, `split.json`,
        `README.md`, `report.html` and its plots.
      metrics: of the shipped file on the test part.
      report: the content of `metrics.json`.
      seconds: from beginning to end.
      budget: what was tried to keep `max_drop`, with latencies; None without one.
    """

    directory: Path
    metrics: evaluation.Metrics
    report: dict[str, Any]
    seconds: float
    budget: budget.Budget | None = None


def train(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    tensorboard: str | os.PathLike[str] | None = None,
    reporter: Reporter | None = None,
    options: Options | None = None,
    **changes: Any,
) -> Result:
    """Trains an image classifier on a folder of photos and writes it as a `.tflite` for phones.

    Args:
      data: `DIR/<class>/**`, `DIR/{train,val,test}/<class>/**`, or whatever else `data.sources.read` takes.
      output: the folder to make; `<data name>_model` unless told.
      overwrite: whether a folder that stands there is replaced.
      resume: whether to go on with a fine-tuning of the same output, options and photos that was interrupted.
      callbacks: `keras.callbacks.Callback` objects, which hear of each epoch of a fine-tuning.
      tensorboard: a folder for TensorBoard's logs of it.
      reporter: hears of stages, progress and notes.
      options: everything else that can be told; the defaults of `Options` unless given.
      **changes: single fields of `Options`, which take precedence.

    Returns:
      Result.

    Raises:
      DataError, BackboneError, ModelError, OutputError: each with one line that says what to do.

    Examples:
      >>> import model_maker
      >>> result = model_maker.train("flowers", "flowers_float16", quantize="float16")
      >>> f"{result.metrics.top1:.1%} of {result.metrics.photos} test photos"
      '9... of 61 test photos'
    """
    chosen = dataclasses.replace(options or Options(), **changes)
    output = Path(output) if output is not None else Path(f"{sources.title(data)}_model")
    followers = Followers(reporter or Reporter(), callbacks, Path(tensorboard) if tensorboard else None)
    return train_on(None, data, output, chosen, followers, overwrite=overwrite, resume=resume)


@dataclass(frozen=True)
class Followers:
    """Who follows a training.

    Attributes:
      reporter: receives stages, progress and notes.
      callbacks: `keras.callbacks.Callback` objects, of a fine-tuning.
      tensorboard: a folder for its logs.
    """

    reporter: Reporter
    callbacks: Sequence[Any] = ()
    tensorboard: Path | None = None


def train_on(
    int8: Int8Backbone | None,
    data: str | os.PathLike[str],
    output: Path,
    chosen: Options,
    followers: Followers,
    *,
    overwrite: bool,
    resume: bool = False,
) -> Result:
    """Does what `train` does, on an int8 backbone that is known; None for the one that the options name."""
    check(chosen)
    _check_fine_tuning(chosen, resume=resume, callbacks=followers.callbacks, tensorboard=followers.tensorboard)
    backbone = embedder.choose(
        chosen.model,
        image_size=chosen.image_size,
        weights_file=chosen.weights,
        normalization=chosen.normalization,
    )
    shipment.check_output(output, overwrite=overwrite)
    clock = Stages(followers.reporter)
    if isinstance(backbone, Backbone) and (note := small_inputs.warning(backbone)):
        clock.note(note)
    engine = ENGINES[chosen.engine](chosen.address, chosen.shards, clock.note)

    with clock.stage("List photos"):
        dataset = sources.read(data, hasher=engine.hash, progress=clock.progress)
        _spare_photos(dataset, data, output)
        # Too few photos are told before the long work, and again without the unreadable.
        first = _split(dataset, chosen, clock)
    checkpoint = _checkpoint(output, dataset, chosen, clock, resume=resume)
    with clock.stage(f"Prepare {backbone.name}"):
        embeds = embedder.embedder(backbone, tell=clock.note, progress=clock.progress)
        base = quantized.prepare(embeds, first.train, clock, threads=chosen.threads, known=int8)
    dataset, split = _embed(dataset, base, chosen, clock, engine)
    watch = Watch(clock.progress, clock.stage, checkpoint, followers.callbacks, followers.tensorboard)
    learned = _learn(split, base, chosen, clock, watch, engine)
    folds = None
    if chosen.folds:
        with clock.stage(f"Estimate by {chosen.folds} folds"):
            folds = fitting.estimate_by_folds(dataset, base, chosen, clock)

    made = shipment.prepare(learned, base, _model_info(data, dataset, base, chosen), split, chosen, clock)
    made, metrics, report = shipment.measure(made, learned, dataset, folds, clock)
    with clock.stage("Write"):
        record = run_record.compose(data, chosen, dataset, split, clock)
        report = shipment.write(output, made, report, record, overwrite=overwrite)
    if checkpoint:
        checkpoint.remove()
    return Result(output, metrics, report, clock.seconds, made.budget)


def _embed(
    dataset: Dataset, base: QuantizedEmbedder, options: Options, clock: Stages, engine: Engine
) -> tuple[Dataset, Split]:
    """Embeds every photo, and views of those to learn from; returns what can be read, and its parts."""
    augmented = options.augmentation != "none" and not options.fine_tune
    if augmented:
        # Before the plain photos, which are among them: so each photo to learn from is decoded once.
        with clock.stage(f"Embed views ({options.augmentation})"):
            split = _split(dataset, options, clock)
            seen = dataset if options.folds else fitting.join(split.train, split.validation)
            fitting.embed(seen, base, options, augmented=True, engine=engine, progress=clock.progress, tell=clock.note)
    with clock.stage("Embed photos"):
        # What was embedded in this very run is no news.
        tell = None if augmented else clock.note
        _, unreadable = fitting.embed(dataset, base, options, engine=engine, progress=clock.progress, tell=tell)
        dataset = dataset.without(unreadable)
        split = _split(dataset, options, clock)
        _tell(clock, dataset, split.notes)
    return dataset, split


def _learn(
    split: Split, base: QuantizedEmbedder, options: Options, clock: Stages, watch: Watch, engine: Engine
) -> fitting.Learned:
    try:
        learned = fitting.learn(split.train, split.validation, base, options, clock, watch=watch, engine=engine)
    except KeyboardInterrupt:
        if watch.checkpoint and watch.checkpoint.path.exists():
            clock.note("The same command with --resume goes on behind the last finished epoch.")
        raise
    if learned.fit.class_weights.max() > 1:
        clock.note("The classes to learn from are uneven (more than 2 to 1), so each weighs alike in training.")
    return learned


def _check_fine_tuning(
    options: Options, *, resume: bool, callbacks: Sequence[Any], tensorboard: str | os.PathLike[str] | None
) -> None:
    """Refuses what only a fine-tuning heeds where there is none, and logs that cannot be written."""
    if options.fine_tune is not None:
        if tensorboard is not None:  # TensorFlow 2.21 is installed without it
            extras.require("tensorboard", what="--tensorboard", error=DataError)
        return
    if resume:
        raise DataError("--resume goes on with fine-tuning; training without it has nothing to resume. Leave it out.")
    for name, given in (("--tensorboard", tensorboard is not None), ("callbacks", bool(callbacks))):
        if given:
            raise DataError(f"{name} follows the epochs of fine-tuning, and there are none: add --fine-tune tail.")


def _spare_photos(dataset: Dataset, data: str | os.PathLike[str], output: Path) -> None:
    """Photos are never in the way of what is replaced, and plots of a model never among the photos of the next run."""
    target = output.resolve()
    for place in sources.places(dataset, data):
        if place.resolve().is_relative_to(target):
            raise OutputError(f"{output} holds photos to learn from and cannot be replaced. Choose another folder.")
    for home in sources.homes(data):
        if home.is_dir() and target.is_relative_to(home.resolve()):
            raise OutputError(
                f"{output} lies in the data, {home}, where its plots would be read as a class. Choose a folder outside "
                "of it with --output."
            )


def _split(dataset: Dataset, options: Options, clock: Stages) -> Split:
    try:
        dataset.check_labels()
        if options.folds:
            dataset.folds(options.folds, seed=options.seed)
        return dataset.split(validation=options.validation, test=options.test, seed=options.seed)
    except DataError:
        _tell(clock, dataset)  # photos that were passed over are often the reason
        raise


def _tell(clock: Stages, dataset: Dataset, notes: Sequence[str] = ()) -> None:
    for note in (*dataset.notes, *notes):
        clock.note(note)
    if dataset.skipped:
        first = dataset.skipped[0]
        clock.note(
            f"Files that cannot be read as photos: {len(dataset.skipped)}, the first {first.path} ({first.reason})."
        )


def _checkpoint(
    output: Path, dataset: Dataset, options: Options, clock: Stages, *, resume: bool
) -> checkpoints.Checkpoint | None:
    """Finds where fine-tuning keeps its state, and checks that a run to resume is the same one."""
    if options.fine_tune is None:
        return None
    subject = {name: value for name, value in options.decisive.items() if name not in _OF_THE_FILE}
    subject |= {"photos": dataset.fingerprint[:16], "model_maker": __version__}
    found = checkpoints.open_checkpoint(output, subject, resume=resume)
    if found.path.exists() and not resume:
        clock.note(f"An unfinished fine-tuning of {output} is begun anew; --resume would go on with it.")
    return found


def _model_info(data: str | os.PathLike[str], dataset: Dataset, base: Embedder, options: Options) -> metadata.ModelInfo:
    return metadata.ModelInfo(
        labels=dataset.classes,
        normalization=base.normalization,
        # A folder's name may hold bytes that are no text; metadata is text.
        name=(options.name or sources.title(data)).encode(errors="replace").decode(),
        version="1",
        author=options.author or "",
        licence=options.licence or base.licence,
        description=f"Image classifier for {len(dataset.classes)} classes on {base.name} features.",
    )
