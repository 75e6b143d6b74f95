"""export_explaining(): a classifier that also outputs explanations of its predictions, for phones and browsers."""

import os
from dataclasses import dataclass
from pathlib import Path

from model_maker import output_folder
from model_maker.errors import about
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.output_folder import MODEL
from model_maker.system import files
from model_maker.tflite import logit_shares, metadata, vetting

RECORD = "why.json"


@dataclass(frozen=True)
class ExplainingFile:
    """The result of `export_explaining`.

    Attributes:
      path: the file. Its first output is the scores; the second is float32 [1, side, side, C], the contribution of each
        cell of the photo to the logit of each label.
      side: cells of the grid, in each direction.
      bias: the part of each logit that does not depend on the photo, by label.
      size_bytes: size of the file.
    """

    path: Path
    side: int
    bias: dict[str, float]
    size_bytes: int


def export_explaining(
    model: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False
) -> ExplainingFile:
    """Writes a classifier with the contributions of cells as a second output, from the same inference.

    Args:
      model: a `.tflite`, or an output folder of `train`.
      output: the output folder, with `model.tflite` and `why.json`, which has `side` and `bias`.
      overwrite: whether to replace an existing folder.

    Raises:
      ModelError: predictions of this model cannot be explained.
      OutputError: the folder cannot be created.

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
        info = FileClassifier(content, threads=1).info
        made = logit_shares.attach(content)
        explaining = metadata.write(made.content, info)
        vetting.vet(explaining)
    bias = {label: float(value) for label, value in zip(info.labels, made.rows.bias, strict=True)}
    with files.new_directory(output, overwrite=overwrite) as folder:
        record = {"side": made.side, "bias": bias}
        output_folder.write(folder, {MODEL: explaining, RECORD: output_folder.as_json(record)})
    return ExplainingFile(output / MODEL, made.side, bias, len(explaining))
