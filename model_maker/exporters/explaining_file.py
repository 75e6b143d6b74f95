"""export_explaining(): a classifier that also gives where its answers come from, for phones and browsers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from model_maker import output_folder
from model_maker.errors import about
from model_maker.inference.classifier import Classifier, model_file
from model_maker.output_folder import MODEL
from model_maker.system import files
from model_maker.tflite import logit_shares, metadata, vetting

RECORD = "why.json"


@dataclass(frozen=True)
class ExplainingFile:
    """The result of `export_explaining`.

    Attributes:
      path: of the file, whose first output are the scores; the second is float32 [1, side, side, C], the share of each
        cell of the photo in the logit of each label.
      side: cells of the grid, in each direction.
      bias: what each logit has without any photo, by label.
      size_bytes: of the file.
    """

    path: Path
    side: int
    bias: dict[str, float]
    size_bytes: int


def export_explaining(
    model: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False
) -> ExplainingFile:
    """Writes a classifier with the shares of cells as a second output: one inference gives both.

    Args:
      model: a `.tflite`, or a folder that `train` made.
      output: the folder to make, with `model.tflite` and `why.json`, which has `side` and `bias`.
      overwrite: whether a folder that stands there is replaced.

    Raises:
      ModelError: the answers of this model cannot be explained.
      OutputError: the folder cannot be made.

    Examples:
      >>> import model_maker
      >>> made = model_maker.export_explaining("flowers_model", "flowers_why")
      >>> made.side, list(made.bias)[:2]
      (7, ['daisy', 'dandelion'])
    """
    path, output = model_file(model), Path(output)
    files.check_new(output, overwrite=overwrite, advice="or pass `overwrite=True` to replace it", mark=RECORD)
    content = vetting.read(path)
    with about(path):
        info = Classifier(content, threads=1).info
        made = logit_shares.attach(content)
        explaining = metadata.write(made.content, info)
        vetting.vet(explaining)
    bias = {label: float(value) for label, value in zip(info.labels, made.rows.bias, strict=True)}
    with files.new_directory(output, overwrite=overwrite) as folder:
        record = {"side": made.side, "bias": bias}
        output_folder.write(folder, {MODEL: explaining, RECORD: output_folder.as_json(record)})
    return ExplainingFile(output / MODEL, made.side, bias, len(explaining))
