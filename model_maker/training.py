"""train(): from a folder of photos to a phone-ready `.tflite`, the whole story from top to bottom."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import files, fitting, metrics_record, run_record
from model_maker.backbones import embedder
from model_maker.backbones.embedder import Embedder
from model_maker.backbones.importers import TRAINED
from model_maker.data import sources
from model_maker.data.dataset import Dataset, Split
from model_maker.deploy import budget, checks, model_card, plots, shipping
from model_maker.deploy import report as report_page
from model_maker.errors import DataError, OutputError
from model_maker.inference import evaluation
from model_maker.inference.classifier import Classifier, Scored
from model_maker.learning import checkpoint as checkpoints
from model_maker.learning.engines import ENGINES
from model_maker.learning.watch import Watch
from model_maker.options import Options, check
from model_maker.progress import Reporter, Stages
from model_maker.tflite import graph, metadata
from model_maker.version import __version__

Array = np.ndarray

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
      directory: the folder with `model.tflite`, `float.tflite`, `labels.txt`, `metrics.json`, `run.json`, `README.md`,
        `report.html` and its plots.
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
    data: str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    tensorboard: str | os.PathLike | None = None,
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
      >>> result = model_maker.train("flowers", "flowers_model", fine_tune="tail", max_drop=0.5)
      >>> result.metrics.top1
      0.925
    """
    chosen = dataclasses.replace(options or Options(), **changes)
    output = Path(output) if output is not None else Path(f"{sources.title(data)}_model")
    check(chosen)
    backbone = embedder.choose(
        chosen.model,
        image_size=chosen.image_size,
        weights_file=chosen.weights,
        normalization=chosen.normalization,
    )
    _check_output(output, overwrite=overwrite)
    clock = Stages(reporter or Reporter())
    engine = ENGINES[chosen.engine](chosen.address, chosen.shards, clock.note)

    with clock.stage("List photos"):
        dataset = sources.read(data, hasher=engine.hash, progress=clock.progress)
        _spare_photos(dataset, data, output)
        # Too few photos are told before the long work, and again without the unreadable.
        split = _split(dataset, chosen, clock)
    checkpoint = _checkpoint(output, dataset, chosen, clock, resume=resume)
    with clock.stage(f"Prepare {backbone.name}"):
        base = embedder.embedder(backbone, tell=clock.note, progress=clock.progress)
    augmented = chosen.augmentation != "none" and not chosen.fine_tune
    if augmented:
        # Before the plain photos, which are among them: so each photo to learn from is decoded once.
        with clock.stage(f"Embed views ({chosen.augmentation})"):
            photos = dataset if chosen.folds else fitting.join(split.train, split.validation)
            fitting.embed(photos, base, chosen, augmented=True, engine=engine, progress=clock.progress, tell=clock.note)
    with clock.stage("Embed photos"):
        # What was embedded in this very run is no news.
        tell = None if augmented else clock.note
        _, unreadable = fitting.embed(dataset, base, chosen, engine=engine, progress=clock.progress, tell=tell)
        dataset = dataset.without(unreadable)
        split = _split(dataset, chosen, clock)
        _tell(clock, dataset, split.notes)
    logs = Path(tensorboard) if tensorboard else None
    watch = Watch(clock.progress, clock.stage, checkpoint, callbacks, logs)
    try:
        learned = fitting.learn(split.train, split.validation, base, chosen, clock, watch=watch, engine=engine)
    except KeyboardInterrupt:
        if checkpoint and checkpoint.path.exists():
            clock.note("The same command with --resume goes on behind the last finished epoch.")
        raise
    if learned.fit.class_weights.max() > 1:
        clock.note("The classes are uneven (more than 2 to 1), so each weighs alike in training.")
    expected = fitting.score(learned.network, split.test, base, chosen)
    folds = None
    if chosen.folds:
        with clock.stage(f"Estimate by {chosen.folds} folds"):
            folds = fitting.estimate_by_folds(dataset, base, chosen, clock)
    info = _model_info(data, dataset, base, chosen)
    form, kept = shipping.Form(chosen.quantize, chosen.io), None
    if chosen.max_drop is not None:
        with clock.stage("Keep the accuracy budget"):
            kept = _keep_budget(base, info, split, learned, chosen, clock)
            form = kept.choice.form
    with clock.stage(f"Quantize ({form.quantize})"):
        network = learned.network
        float_model = graph.attach_head(network.embedder, network.head.kernel, network.head.bias)
        seen, more = shipping.calibration_photos(shipping.by_hash(split.train))
        bare = shipping.ship(
            float_model,
            base,
            form,
            photos=seen,
            more=more,
            clock=clock,
            threads=chosen.threads,
        )
    with clock.stage("Evaluate the file"):
        shipped = shipping.finish(bare, info)
        scores = Classifier(shipped, threads=chosen.threads).score(split.test, progress=clock.progress)
    with clock.stage("Check other kernels"):
        checks.check_promise(shipping.finish(float_model, info), split.test, expected)
        kernels = checks.check_kernels(shipped, split.test, scores, threads=chosen.threads)

    metrics, report = metrics_record.measure(dataset, split, scores, expected, learned.fit)
    if chosen.precision is not None or chosen.label_precision is not None:
        info, thresholds = fitting.choose_thresholds(info, learned, split.validation, base, chosen, clock)
        answered = evaluation.answered(scores, np.array(split.test.labels), info.limits)
        report["thresholds"] = thresholds | {"test": answered.as_dict()}
    report |= {"kernels": kernels, "folds": folds, "budget": kept and kept.as_dict(latency=False)}
    if learned.tuned:
        frozen = fitting.score(learned.frozen, split.test, base, chosen)
        report["fine_tuning"] = metrics_record.tuning(learned.tuned, frozen, expected, np.array(split.test.labels))
    metrics_record.warn(report, clock)
    with clock.stage("Write"):
        shipped = shipping.finish(bare, dataclasses.replace(info, provenance=_provenance(chosen, report)))
        report["sizes"] = {"model_bytes": len(shipped), "float_model_bytes": len(float_model)}
        card = model_card.render(
            info,
            report,
            backbone=base.name,
            quantize=kept.choice.name if kept else form.quantize,
            io=chosen.io,
            image_size=base.image_size,
        )
        texts = {
            "labels.txt": "\n".join(dataset.classes),
            "metrics.json": _json(report),
            "README.md": card,
            run_record.FILE: _json(
                run_record.compose(data, chosen, dataset, split, clock) | {"budget": kept and kept.as_dict()}
            ),
        }
        scored = Scored(split.test.samples, np.array(split.test.labels), scores)
        texts[report_page.FILE] = report_page.render(
            info.name,
            scored,
            report,
            model=output.name,
            learned=report_page.learned_from(split),
            stages=clock.records,
        )
        binaries = {"model.tflite": shipped, TRAINED: shipping.finish(float_model, info)}
        binaries |= plots.draw(report["test"], report_page.reliability(scored))
        _write(output, binaries, texts, split.test, scores, overwrite=overwrite)
    if checkpoint:
        checkpoint.remove()
    return Result(output, metrics, report, clock.seconds, kept)


def _write(
    output: Path, binaries: dict[str, bytes], texts: dict[str, str], test: Dataset, scores: Array, *, overwrite: bool
) -> None:
    """Writes the folder, whole or not at all; the model is read back from the disk and has to score as measured."""
    with files.new_directory(output, overwrite=overwrite) as folder:
        for name, content in binaries.items():
            (folder / name).write_bytes(content)
        checks.check_same_scores((folder / "model.tflite").read_bytes(), test, scores)
        for name, text in texts.items():
            # File names may hold bytes that are no text; JSON states them by this very escape.
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")


def _spare_photos(dataset: Dataset, data: str | os.PathLike, output: Path) -> None:
    """Replacing a folder removes what is in it, and photos are never in the way."""
    target = output.resolve()
    for place in sources.places(dataset, data):
        if place.resolve().is_relative_to(target):
            raise OutputError(f"{output} holds photos to learn from and cannot be replaced. Choose another folder.")


def _split(dataset: Dataset, options: Options, clock: Stages) -> Split:
    try:
        dataset.check_labels()
        if options.folds:
            dataset.folds(options.folds, seed=options.seed)
        return dataset.split(validation=options.validation, test=options.test, seed=options.seed)
    except DataError:
        _tell(clock, dataset)  # photos that were passed over are often the reason
        raise


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Checks before any work that the output may be made; only what `train` made is ever replaced."""
    files.check_new(output, overwrite=overwrite, advice="or pass --overwrite to replace it")
    if output.is_dir() and any(output.iterdir()) and not (output / run_record.FILE).exists():
        raise OutputError(
            f"{output} holds no {run_record.FILE}, so it was not made by train and --overwrite does not replace it. "
            "Choose another folder."
        )


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
        if resume:
            raise DataError(
                "--resume goes on with fine-tuning; training without it has nothing to resume. Leave it out."
            )
        return None
    subject = {name: value for name, value in options.decisive.items() if name not in _OF_THE_FILE}
    subject |= {"photos": dataset.fingerprint[:16], "model_maker": __version__}
    found = checkpoints.open_checkpoint(output, subject, resume=resume)
    if found.path.exists() and not resume:
        clock.note(f"An unfinished fine-tuning of {output} is begun anew; --resume would go on with it.")
    return found


def _keep_budget(
    base: Embedder, info: metadata.ModelInfo, split: Split, learned: fitting.Learned, options: Options, clock: Stages
) -> budget.Budget:
    """Finds the form to ship, by a network that has not learned from the photos that judge."""
    judged = fitting.unseeing(learned, split.train, base, options, clock)
    trial = budget.Trial(
        graph.attach_head(judged.embedder, judged.head.kernel, judged.head.bias),
        base,
        info,
        validation=split.validation,
        training=shipping.by_hash(split.train),
        clock=clock,
        threads=options.threads,
    )
    return budget.search(trial, shipping.Form(options.quantize, options.io), float(options.max_drop or 0), clock=clock)


def _model_info(data: str | os.PathLike, dataset: Dataset, base: Embedder, options: Options) -> metadata.ModelInfo:
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


def _provenance(options: Options, report: dict[str, Any]) -> dict[str, Any]:
    """What the file itself tells of its making."""
    return {
        "model_maker": __version__,
        "options": options.decisive,
        "fingerprint": report["fingerprint"],
        "photos": report["photos"],
        "metrics": {
            "photos": report["test"]["photos"],
            "top1": report["test"]["top1"],
            "top1_interval": report["test"]["top1_interval"],
            "float_top1": report["float"]["top1"],
            "ece": report["test"]["ece"],
        },
        "answered": report.get("thresholds") and report["thresholds"]["test"],
        "budget": report["budget"] and {key: report["budget"][key] for key in ("max_drop", "within", "chosen")},
    }


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
