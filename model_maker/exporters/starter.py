"""Starter models: classifiers of ImageNet's classes, from published weights and without training."""

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from model_maker.backbones import embedder
from model_maker.backbones.registry import DEFAULT, Backbone
from model_maker.data import calibration_pictures, drawn_flowers, imagenet, sample_data, sources
from model_maker.data.entries import Location
from model_maker.data.images import Photo
from model_maker.errors import BackboneError
from model_maker.output_folder import LABELS, MODEL
from model_maker.packaging import quantized_file
from model_maker.packaging.quantized_file import Form
from model_maker.progress import Progress
from model_maker.report import model_card
from model_maker.system import files
from model_maker.tflite import graph, metadata, quantize, rounding


def starter(
    model: str = DEFAULT,
    output: str | os.PathLike[str] = "starter_model",
    *,
    form: Form | None = None,
    weights: str | None = None,
    data: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes a classifier of ImageNet's classes, to try an app before you have your own photos.

    Args:
      model: a key of BACKBONES.
      output: the output folder, with `model.tflite`, `labels.txt` and `README.md`.
      form: quantization, input and output type; int8 with uint8 input and output by default.
      weights: a file to use instead of the published weights.
      data: calibration photos for int8, one folder per class; generated images by default.
      overwrite: whether to replace an existing folder.
      progress: receives stages, progress and notes.

    Returns:
      The output folder.

    Raises:
      BackboneError: there is no such backbone, or no classifier in its weights.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> from model_maker.packaging.quantized_file import Form
      >>> folder = model_maker.starter(form=Form("float16", io="float32"))
      >>> len(model_maker.Classifier(folder).labels)
      1000
    """
    output, progress = Path(output), Progress(progress)
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it")
    backbone, form = _backbone(model, weights), form or Form()
    photos = _photos(data)
    if (form, weights, photos) == (Form(), None, None):
        content = cached(model, progress=progress)
        info = metadata.read(content)
    else:
        content, info = build(backbone, form, photos=photos, progress=progress)
    card = model_card.render_starter(info, len(content), backbone=backbone, quantize=form.quantize, io=form.io)
    with files.new_directory(output, overwrite=overwrite) as folder:
        (folder / MODEL).write_bytes(content)
        (folder / LABELS).write_text("\n".join(info.labels), encoding="utf-8", newline="\n")
        (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
    return output


def build(
    backbone: Backbone, form: Form, *, photos: Sequence[Photo] | None = None, progress: Progress
) -> tuple[bytes, metadata.ModelInfo]:
    """Builds the classifier.

    Args:
      photos: calibration photos for int8, as `images.load` takes them; None for generated images.

    Returns:
      The `.tflite` with metadata, and the metadata.

    Raises:
      BackboneError: its weights are unavailable, or have no classifier.
    """
    with progress.stage(f"Prepare {backbone.name}"):
        path = embedder.weights_of(backbone, progress=progress)
        kernel, bias = backbone.family.classifier(path)
        labels = imagenet.labels(backbone.classes)
        if kernel.shape != (len(labels), backbone.embedding_size):
            raise BackboneError(
                f"{path} holds a classifier of {len(kernel)} classes, not of {imagenet.described(backbone.classes)}."
            )
        base = embedder.embedder(backbone, progress=progress)
        float_model = graph.attach_head(base.content, kernel, bias)
    with progress.stage(f"Quantize ({form.quantize})"):
        photos = list(calibration_pictures.pictures()) if photos is None else photos
        bare = quantized_file.convert(float_model, base, form, photos=photos, progress=progress)
    info = metadata.ModelInfo(
        labels=labels,
        normalization=base.normalization,
        name=f"{backbone.name} for ImageNet",
        version="1",
        licence=backbone.licence,
        description=f"Classifier of {imagenet.described(backbone.classes)} with the weights published at "
        f"{backbone.source}.",
    )
    return quantized_file.with_metadata(bare, info), info


def cached(model: str, *, progress: Progress | None = None) -> bytes:
    """Returns the starter of a backbone with default options, built on first use.

    Raises:
      BackboneError: there is no such backbone, or no classifier in its weights.
    """
    backbone = _backbone(model, None)
    place, sources = (
        embedder.cache_path(backbone),
        (calibration_pictures, sample_data, drawn_flowers, imagenet, quantized_file),
    )
    recipe = [embedder.code_digest(str(source.__file__)) for source in (*sources, quantize, rounding, graph, metadata)]
    recipe += [version(package) for package in ("litert-quantizer", "numpy", "pillow")]
    key = hashlib.sha256(" ".join((*recipe, *imagenet.labels(backbone.classes))).encode()).hexdigest()[:16]
    path = place.parent.parent / "starters" / f"{place.stem}-{key}.tflite"
    if content := files.read_checked(path):
        return content
    content, _ = build(backbone, Form(), progress=Progress(progress))
    files.write_checked(path, content)
    return content


def _backbone(model: str, weights: str | None) -> Backbone:
    chosen = embedder.choose(model, weights_file=weights)
    if not isinstance(chosen, Backbone):
        raise BackboneError(f"{model} is an imported model; a starter needs the name of a backbone.")
    return chosen


def _photos(data: str | os.PathLike[str] | None) -> list[Location] | None:
    if data is None:
        return None
    samples = sorted(sources.read(data, least_classes=1).samples, key=lambda sample: sample.digest)
    return [sample.path for sample in samples[: 2 * quantized_file.CALIBRATION_PHOTOS]]
