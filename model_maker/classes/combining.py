"""combine(): combines classifiers on one backbone into one file with a single inference and one output each."""

import os
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import output_folder
from model_maker.data import calibration_pictures, images
from model_maker.errors import DataError, ModelError, about
from model_maker.fitting import Fit
from model_maker.inference.classifier import model_file
from model_maker.output_folder import CARD, MODEL
from model_maker.packaging import self_test
from model_maker.progress import Progress
from model_maker.report import model_card
from model_maker.system import files
from model_maker.tflite import class_memory, io_types, metadata, output_heads, vetting, zip_files
from model_maker.tflite.interpreter import LiteRTRunner
from model_maker.tflite.metadata import ModelInfo

Array = np.ndarray[Any, Any]

RECORD = "combined.json"
# Images on which scores must be equal; inferences to compare latencies.
_PICTURES, _RUNS = 8, 20


@dataclass(frozen=True)
class CombinedHead:
    """One output of a combined file: its name, and the labels of its scores."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Combined:
    """The result of `combine`.

    Attributes:
      directory: contains `model.tflite`, `combined.json` and `README.md`.
      heads: its outputs, in order.
      size_bytes: size of the file; `apart_bytes` is the total size of the originals.
      latency_ms: of one inference on this machine, with one thread; `apart_ms` is the total of the originals.
    """

    directory: Path
    heads: tuple[CombinedHead, ...]
    size_bytes: int
    apart_bytes: int
    latency_ms: float
    apart_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return asdict(self) | {"directory": str(self.directory)}


def combine(
    models: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Combined:
    """Combines classifiers on the same backbone into one file: a single inference, one output each.

    Each head keeps its thresholds, its label sets and the names of its labels. The memory of classes stays in the
    single files, where classes are edited before they are combined again; so does a self-test. Notes say so.

    Args:
      models: output folders of `train`, or `.tflite` classifiers with labels; two or more.
      output: the output folder.
      names: names of the outputs; by default those of the models.
      overwrite: whether to replace an existing output folder of `combine`.
      progress: receives stages and notes.

    Raises:
      DataError: there are fewer than two models, or `names` are invalid or not as many.
      ModelError: the models are on different backbones, or one is not a classifier with labels.
      OutputError: the folder cannot be created.

    Examples:
      >>> import model_maker
      >>> pair = model_maker.edit_classes("flowers_model", "two_flowers", remove=["daisy", "rose", "tulip"])
      >>> model_maker.combine(["flowers_model", pair.directory], "two_heads", names=["all", "two"]).heads[1].labels
      ('dandelion', 'sunflower')
    """
    paths, output, progress = [model_file(model) for model in models], Path(output), Progress(progress)
    if len(paths) < 2:
        raise DataError("Only one model was passed. Pass two or more.")
    for path in paths:
        files.check_new_beside(path, output, overwrite=overwrite, mark=RECORD)
    contents = [vetting.read(path) for path in paths]
    infos = [_described(path, content) for path, content in zip(paths, contents, strict=True)]
    if len(ways := {info.resize for info in infos}) > 1:
        raise ModelError(f"They fit photos in different ways: {', '.join(sorted(ways))}. Train all with one `resize`.")
    chosen = _names(names, [info.name or path.parent.name for info, path in zip(infos, paths, strict=True)])
    with progress.stage("Combine"):
        whole = contents[0]
        for count in range(2, len(contents) + 1):
            with about(f"{paths[0]} and {paths[count - 1]}"):
                whole = output_heads.combine(contents[:count], chosen[:count])
        content = metadata.write_heads(whole, dict(zip(chosen, infos, strict=True)))
    _note_left_out(paths, contents, progress)
    with progress.stage("Check the file"):
        for single in contents:
            vetting.vet(single)
        vetting.vet(content)
        _check(content, contents)
    with progress.stage("Measure latency"):
        latency, *apart = _latencies([content, *contents])
    heads = tuple(CombinedHead(name, info.labels) for name, info in zip(chosen, infos, strict=True))
    found = Combined(output, heads, len(content), sum(map(len, contents)), latency, sum(apart))
    record = {key: value for key, value in found.as_dict().items() if key != "directory"}
    with files.new_directory(output, overwrite=overwrite) as folder:
        texts = {
            RECORD: output_folder.as_json(record),
            CARD: model_card.render_combined(record, name=output.name),
        }
        output_folder.write(folder, {MODEL: content, **texts})
    return found


def _described(path: Path, content: bytes) -> ModelInfo:
    with about(path):
        info = metadata.read(content)
        metadata.check_single(info, "combining", "Ship its model.tflite as a file of its own.")
        if metadata.read_heads(content):
            raise ModelError("it has several outputs already. Combine the files that it was made of.")
        if not info.labels:
            raise ModelError("it carries no labels. Write them into it with `model_maker metadata` first.")
        return replace(info, normalization=info.normalization or io_types.stated_normalization(content))


def _note_left_out(paths: Sequence[Path], contents: Sequence[bytes], progress: Progress) -> None:
    """Says what the combined file does not have of the single ones."""
    parts = list(zip(paths, contents, strict=True))
    if having := [str(path) for path, content in parts if class_memory.is_in(content)]:
        progress.note(
            f"The combined file has no memory of classes: to edit them, edit {' or '.join(having)}, and combine again."
        )
    if having := [str(path) for path, content in parts if zip_files.read(content, self_test.FILE) is not None]:
        progress.note(f"The combined file has no self-test, which stays in {' and '.join(having)}.")


def _names(given: Sequence[str] | None, own: Sequence[str]) -> list[str]:
    """Returns the names of outputs, which must be plain because they also name files inside the model."""
    if given is None:
        found: list[str] = []
        for name in own:
            plain = re.sub(r"\W+", "_", name).strip("_") or "head"
            number = sum(other == plain or other.startswith(f"{plain}_") for other in found)
            found.append(f"{plain}_{number + 1}" if number else plain)
        return found
    if len(given) != len(own):
        raise DataError(f"`names={','.join(given)}`: {len(given)} names for {len(own)} models. Give one for each.")
    for name in given:
        if not re.fullmatch(r"\w+", name) or list(given).count(name) > 1 or name == "labels_without_background":
            raise DataError(f"`names={name}`: give each head a name of its own, of letters, digits and underscores.")
    return list(given)


def _check(content: bytes, singles: Sequence[bytes]) -> None:
    """Checks on images that the scores of all files are equal bit by bit."""
    runner, others = LiteRTRunner(content), [LiteRTRunner(single) for single in singles]
    for picture in list(calibration_pictures.pictures(_PICTURES // 2)):
        pixels = _input(runner, images.load(picture, Fit.to(runner.input_shape)))
        for score, other in zip(runner.run_all(pixels), others, strict=True):
            if not np.array_equal(score, other.run_all(pixels)[0]):
                raise ModelError(
                    "The scores of a head differ between the combined file and its own file. Please report this."
                )


def _input(runner: LiteRTRunner, pixels: Array) -> Array:
    given = pixels[None]
    return given if runner.input_dtype == np.uint8 else (given.astype(np.float32) - 127) / 128


def _latencies(contents: Sequence[bytes]) -> list[float]:
    """Returns the median milliseconds of an inference of each file, interleaved."""
    runners = [LiteRTRunner(content) for content in contents]
    for runner in runners:
        runner.set_input(np.zeros(runner.input_shape, runner.input_dtype))
        runner.invoke()
    taken: list[list[float]] = [[] for _ in runners]
    for _ in range(_RUNS):
        for runner, times in zip(runners, taken, strict=True):
            began = time.perf_counter()
            runner.invoke()
            times.append(1000 * (time.perf_counter() - began))
    return [round(statistics.median(times), 3) for times in taken]
