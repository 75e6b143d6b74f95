"""Exports a backbone: an embedder `.tflite` with metadata, for search and clustering on phones."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_maker.backbones import embedder
from model_maker.backbones.registry import DEFAULT
from model_maker.data import calibration_pictures
from model_maker.data.images import Photo
from model_maker.packaging import quantized_file
from model_maker.packaging.quantized_file import Form
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import metadata

FILE = "embedder.tflite"


def export_embedder(
    model: str = DEFAULT,
    output: str | os.PathLike[str] = "embedder_model",
    *,
    form: Form | None = None,
    photos: Sequence[Photo] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **choice: Any,
) -> Path:
    """Writes any backbone, also an imported one, as an embedder `.tflite` with metadata.

    Args:
      model: a key of BACKBONES, or the path or address of another model.
      output: the output folder, with `embedder.tflite`.
      form: quantization and input type; float by default. The output is always float32 [1, D].
      photos: calibration photos for int8, as `images.load` takes them; generated images by default.
      overwrite: whether to replace an existing folder.
      progress: receives stages, progress and notes.
      **choice: see `embedder.choose`.

    Returns:
      The output folder.

    Raises:
      BackboneError: there is no such model, or it cannot be used.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> folder = model_maker.export_embedder("efficientnet_lite0", "my_embedder")
      >>> (folder / "embedder.tflite").stat().st_size / 1e6
      13.4...
    """
    output, progress = Path(output), Progress(progress)
    form = form or Form("none", "float32")
    chosen = embedder.choose(model, **choice)
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it")
    with progress.stage(f"Prepare {chosen.name}"):
        base = embedder.embedder(chosen, progress=progress)
    with progress.stage(f"Quantize ({form.quantize})"):
        pictures = list(calibration_pictures.pictures()) if photos is None else photos
        form = Form(form.quantize, form.io, output_io="float32")
        bare = quantized_file.convert(base.content, base, form, photos=pictures, progress=progress)
    info = metadata.ModelInfo(
        normalization=base.normalization,
        name=base.name,
        version="1",
        licence=base.licence,
        description=f"Image embedder: the {base.name} features of a photo.",
    )
    with files.new_directory(output, overwrite=overwrite) as folder:
        (folder / FILE).write_bytes(metadata.write(bare, info, embedder=True))
    return output
