"""train(): trains on a folder of photos and writes a `.tflite` for phones, from top to bottom in this file."""

import dataclasses
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from model_maker import output_folder, run_record
from model_maker.backbones import embedder, small_inputs
from model_maker.backbones.int8_backbone import Int8Backbone
from model_maker.backbones.registry import Backbone
from model_maker.data import proportions, sources
from model_maker.data.given_photos import Indexed
from model_maker.data.images import Photo
from model_maker.embeddings import int8_suitability
from model_maker.embeddings.engines import ENGINES
from model_maker.learning.callbacks import NO_CALLBACKS, Callbacks
from model_maker.options import Options, check
from model_maker.progress import Progress
from model_maker.report.drawing import Drawing
from model_maker.system import files
from model_maker.training import folds, measurement, package, package_folder, preparation, training_data
from model_maker.training.learn import learn
from model_maker.training.multi_label_record import with_thresholds
from model_maker.training.result import Result


def train(
    data: str | os.PathLike[str] | Iterable[Any] | Indexed[Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    images: Iterable[Photo] | None = None,
    labels: Iterable[Any] | None = None,
    class_names: Sequence[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    tensorboard: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
    **changes: Any,
) -> Result:
    """Trains an image classifier on a folder of photos and writes it as a `.tflite` for phones.

    Args:
      data: `DIR/<class>/**`, `DIR/{train,val,test}/<class>/**`, or any other dataset format of `data.sources.read`. Or
        in-memory photos: pairs of photo and label, or a dataset of PyTorch, TensorFlow or Hugging Face; they are saved
        in the cache.
      images, labels: photos (arrays, tensors, Pillow images, paths) and as many labels, names or numbers from 0; with
        `multi_label`, a list of them per photo, or an array with 0 or 1 per class.
      class_names: names of numeric labels.
      output: output folder; `<data name>_model` by default, `images_model` for in-memory photos.
      overwrite: whether to replace an existing folder.
      resume: whether to continue an interrupted fine-tuning with the same output, options and photos.
      callbacks: `keras.callbacks.Callback` objects, which receive the epochs of fine-tuning.
      tensorboard: folder for TensorBoard logs of fine-tuning.
      progress: receives progress events.
      options: all other options; `Options()` by default.
      **changes: single fields of `Options`, which take precedence.

    Returns:
      Result.

    Raises:
      DataError, BackboneError, ModelError, OutputError: with a one-line message that says what to do.

    Examples:
      >>> import model_maker
      >>> result = model_maker.train("flowers", "flowers_float16", quantize="float16")
      >>> f"{result.metrics.top1:.1%} of {result.metrics.photos} test photos"
      '9... of 61 test photos'
    """
    chosen = dataclasses.replace(options or Options(), **changes)
    progress = Progress(progress)
    data = preparation.kept_photos(
        data, images=images, labels=labels, class_names=class_names, multi_label=chosen.multi_label, progress=progress
    )
    output = Path(output) if output is not None else Path(f"{sources.title(data)}_model")
    followers = Callbacks(callbacks, Path(tensorboard) if tensorboard else None)
    return train_on(None, data, output, chosen, progress, followers, overwrite=overwrite, resume=resume)


def train_on(
    int8: Int8Backbone | None,
    data: str | os.PathLike[str],
    output: Path,
    options: Options,
    progress: Progress | None = None,
    callbacks: Callbacks = NO_CALLBACKS,
    *,
    overwrite: bool = False,
    resume: bool = False,
    forgotten: Collection[str] = (),
) -> Result:
    """Trains like `train`, with a given int8 backbone; None for the default one.

    Ignores photos whose sha256 is in `forgotten`.
    """
    check(options)
    preparation.check_fine_tuning(options, callbacks, resume=resume)
    choice = embedder.choose(
        options.model,
        image_size=options.image_size,
        weights_file=options.weights,
        normalization=options.normalization,
    )
    files.check_new(
        output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it", mark=output_folder.RUN
    )
    progress = Progress(progress)
    if isinstance(choice, Backbone) and (note := small_inputs.warning(choice)):
        progress.note(note)
    engine = ENGINES[options.engine](options.address, options.shards, progress)

    with Drawing() as drawing:  # starts early, because matplotlib takes a while to import
        with progress.stage("List photos"):
            photos = sources.read(data, multi_label=options.multi_label, hasher=engine.hash, progress=progress.step)
            photos = photos.without_contents(forgotten)
            preparation.check_output(photos, data, output)
            # Checks for too few photos before the long work; repeated without unreadable ones later.
            first = training_data.split(photos, options, progress)
        checkpoint = preparation.open_checkpoint(output, photos, options, progress, resume=resume)
        with progress.stage(f"Prepare {choice.name}"):
            base = embedder.embedder(choice, resize=options.resize, progress=progress)
            backbone = int8_suitability.prepare(base, first.train, progress, threads=options.threads, known=int8)
        embedded = training_data.prepare(photos, backbone, options, progress, engine=engine)
        learned = learn(embedded, options, progress, checkpoint=checkpoint, callbacks=callbacks, engine=engine)
        if learned.fit.class_weights.max() > 1:
            progress.note("The training classes are imbalanced (more than 2 to 1), so training weights them equally.")
        estimate = None
        if options.folds:
            with progress.stage(f"Cross-validate with {options.folds} folds"):
                estimate = folds.estimate(embedded, options, progress)
        info = package.describe(data, embedded, options)
        if options.multi_label:
            info = with_thresholds(info, learned.fit, options)
        made = package.quantize(learned, embedded, info, options, progress, drawing)
        made, report = measurement.measure(made, learned, estimate, progress)
        if note := proportions.note(embedded.photos, base.fit):
            progress.note(note)
        with progress.stage("Write"):
            record = run_record.compose(data, options, embedded.photos, embedded.split, progress)
            record |= {"forgotten": sorted(forgotten)} if forgotten else {}
            report = package_folder.write(output, made, report, record, overwrite=overwrite)
    if checkpoint:
        checkpoint.remove()
    return Result(output, report, progress.seconds, made.budget, scored=made.scored)
