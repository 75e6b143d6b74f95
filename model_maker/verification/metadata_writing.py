"""describe(): writes metadata into a third-party `.tflite` and checks it against phone-client requirements."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_maker.errors import DataError, ModelError, about
from model_maker.fitting import RESIZES
from model_maker.inference import label_files
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.normalization import Normalization
from model_maker.system import files
from model_maker.tflite import client_rules, inspection, io_types, metadata, vetting
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.metadata import ModelInfo

TEXTS = ("name", "version", "author", "licence", "description")


@dataclass(frozen=True)
class Described:
    """The written file, its metadata, and the result for each of `client_rules.RULES`."""

    path: Path
    info: ModelInfo
    findings: tuple[client_rules.RuleCheck, ...]

    @property
    def broken(self) -> tuple[client_rules.RuleCheck, ...]:
        """Requirements that it violates, so that phone clients reject it."""
        return tuple(entry for entry in self.findings if entry.rule.binding and not entry.passed)


def describe(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    normalization: Normalization | None = None,
    display_names: Mapping[str, str | os.PathLike[str]] | None = None,
    resize: str | None = None,
    overwrite: bool = False,
    **texts: str | None,
) -> Described:
    """Writes labels, normalization and texts into a copy of a `.tflite`; values that are not passed stay unchanged.

    Args:
      model: a `.tflite`, or a folder that `train` made.
      labels: a file, see `label_files.read`.
      normalization: of the input; integer input states it itself.
      display_names: by locale, for example "de", a file with one name per label.
      resize: how photos were fitted to the input when it was trained, a key of `fitting.RESIZES`.
      **texts: some of TEXTS.

    Raises:
      ModelError: the model is not supported, or its normalization is unknown.
      DataError: the labels cannot be read, or their number differs from that of the model's scores.
      OutputError: the file cannot be written.
    """
    path, output = model_file(model), Path(output)
    if resize is not None and resize not in RESIZES:
        raise DataError(f"`resize={resize!r}`: choose one of {', '.join(RESIZES)}.")
    files.check_new_file(output, overwrite=overwrite)
    names = label_files.read(labels) if labels is not None else ()
    content = vetting.read(path)
    with about(path):
        info = _own(content, replaced=bool(names))
        scores = inspection.inspect(content).outputs[0].shape
        if names:
            label_files.check_count(names, int(scores[-1]) if scores else 1, labels)
            info = dataclasses.replace(
                info, labels=names, threshold=0.0, label_thresholds=(), label_sets=None, display_names={}
            )
        if not info.labels:
            raise ModelError("it has no labels. Pass `labels=FILE` with one label per line.")
        for locale, file in (display_names or {}).items():
            localized = label_files.read(file)
            label_files.check_count(localized, len(info.labels), file)
            info = dataclasses.replace(info, display_names=info.display_names | {locale: localized})
        told: dict[str, Any] = {name: text for name, text in (texts | {"resize": resize}).items() if text is not None}
        info = dataclasses.replace(info, normalization=normalization or _known(content, info), **told)
        new = metadata.write(content, info)
        _check_same(content, new)
        FileClassifier(new)
    files.write(output, new)
    return Described(output, info, tuple(client_rules.check(new)))


def _own(content: bytes, *, replaced: bool) -> ModelInfo:
    try:
        return metadata.read(content)
    except ModelError:
        if not replaced:
            raise
        return ModelInfo()  # for example if the number of labels differs from that of scores


def _known(content: bytes, info: ModelInfo) -> Normalization:
    if found := info.normalization or io_types.stated_normalization(content):
        return found
    raise ModelError(
        "it takes float input and does not state its normalization. Pass `normalization=MEAN,STD` in pixels: "
        "127.5,127.5 for -1 to 1, 0,255 for 0 to 1."
    )


def _check_same(content: bytes, new: bytes) -> None:
    """Checks that only the metadata has changed: both files give the same scores for the same noise."""
    before, after = LiteRTRunner(content), LiteRTRunner(new)
    values = np.random.default_rng(0).integers(0, 255, before.input_shape)
    noise = values.astype(before.input_dtype) if before.input_dtype != np.int8 else (values - 128).astype(np.int8)
    if not np.array_equal(before.run(noise), after.run(noise), equal_nan=True):
        raise ModelError("The scores of the file with metadata differ from those of the original. Please report this.")
