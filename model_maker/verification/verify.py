"""verify(): the certificate of a `.tflite`: available runtimes, known apps and requirements of phone clients.

`packaging.file_checks` has the checks of training and export; this module checks any file, whoever made it.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_maker import run_record
from model_maker.apps import put_in_app
from model_maker.apps.preprocessing import OURS, PREPARATIONS
from model_maker.apps.put_in_app import App
from model_maker.data import images
from model_maker.data.dataset import Dataset
from model_maker.demo import browser
from model_maker.errors import DataError, ModelError, ModelMakerError, about
from model_maker.inference.classifier import Classifier, model_file
from model_maker.normalization import Normalization
from model_maker.packaging import self_test
from model_maker.packaging.file_checks import KERNEL_PHOTOS
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import client_rules, inspection, interpreter
from model_maker.tflite.interpreter import KERNELS
from model_maker.verification import clients
from model_maker.verification.certificate import NOT_HERE, OWN, REFUSED, SAME, Certificate, Run, judge

Array = np.ndarray[Any, Any]

MAX_PHOTOS = 50
_KERNEL_NAMES = {"xnnpack": "LiteRT, XNNPACK", "none": "LiteRT, no delegate", "reference": "LiteRT, reference"}


def verify(
    model: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> Certificate:
    """Runs a file in every available runtime and checks it against phone-client requirements.

    Args:
      model: a `.tflite`, or a folder that `train` made.
      data: labeled photos; the test photos of the model by default. MAX_PHOTOS at most, of all classes.
      progress: receives progress events.

    Raises:
      ModelError: the model cannot be read, is damaged, or does not record its test photos.
      DataError: there are no photos, or they have classes that the model does not know.

    Examples:
      >>> import model_maker
      >>> model_maker.verify("flowers_model").failures
      []
    """
    progress = Progress(progress)
    path = model_file(model)
    content = interpreter.read(path)
    with about(path):
        findings = client_rules.check_apart(path)
    dataset, notes = run_record.photos_for(model, data)
    for note in notes:
        progress.note(note)
    ours = _classifier(content)
    with files.temporary_directory() as folder:
        with progress.stage("Prepare photos"):
            trial = _prepare(spread(dataset, MAX_PHOTOS), ours, Path(folder), progress)
        with progress.stage("Run in LiteRT"):
            runs = [_run_kernels(content, kernels, trial) for kernels in KERNELS]
            trials = _self_test(content) if ours else ()
        for name, engine in ELSEWHERE.items():
            if why := engine.missing():  # no stage, because nothing runs
                runs.append(Run(name, OWN, state=NOT_HERE, why=why))
                continue
            with progress.stage(f"Run in {name}"):
                runs += _run_elsewhere(name, engine.run, path, trial)
        with progress.stage("Run with preprocessing of apps"):
            in_apps = _run_apps(ours, inspection.inspect(content), trial, _refusals(runs, findings)) if ours else []
    digest = hashlib.sha256(content).hexdigest()
    found = tuple(runs), tuple(in_apps), tuple(findings), tuple(progress.notes)
    return Certificate(path, len(content), digest, len(trial.files), *found, trials)


def spread(dataset: Dataset, count: int) -> Dataset:
    """Returns a number of photos, evenly from all classes, independent of their names and order."""
    by_class = defaultdict(list)
    for sample in sorted(dataset.samples, key=lambda sample: sample.digest):
        by_class[sample.label].append(sample)
    ranked = [(rank, s.digest, s) for samples in by_class.values() for rank, s in enumerate(samples)]
    chosen = {id(sample) for *_, sample in sorted(ranked, key=lambda entry: entry[:2])[:count]}
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if id(sample) in chosen))


@dataclass(frozen=True)
class _Trial:
    """Photos, ready for every runtime.

    Attributes:
      files: photos that any client decodes, JPEG or PNG.
      pixel_files: the same at the input's size.
      prepared: uint8 [N, size, size, 3] by preparation.
      truth: int [N], indices of the true labels.
      expected: float32 [N, C], reference scores.
      limits: float32 [C], the threshold of each label.

    All but `files` are empty if LiteRT cannot run the model.
    """

    files: list[Path]
    pixel_files: list[Path] = field(default_factory=list)
    prepared: dict[str, Array] = field(default_factory=dict)
    truth: Array = field(default_factory=lambda: np.zeros(0, int))
    expected: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    limits: Array = field(default_factory=lambda: np.zeros(0, np.float32))


def _classifier(content: bytes) -> Classifier | None:
    try:
        return Classifier(content)
    except ModelError:  # `_run_kernels` reports the reason
        return None


def _prepare(dataset: Dataset, ours: Classifier | None, folder: Path, progress: Progress) -> _Trial:
    names = ours.indices(dataset.classes) if ours else np.zeros(len(dataset.classes), int)
    files, pixel_files, prepared, truth = [], [], defaultdict(list), []
    for number, sample in enumerate(dataset.samples):
        progress.step(number, len(dataset))
        try:
            picture = images.picture(sample.path)
        except DataError as error:
            progress.note(f"{error}; it is skipped.")
            continue
        files.append(plain_file(sample.path, picture, folder / f"photo_{number}.png"))
        if ours:
            for name, preparation in PREPARATIONS.items():
                prepared[name].append(preparation.prepare(picture, ours.image_size))
            pixel_files.append(folder / f"pixels_{number}.png")
            Image.fromarray(prepared[OURS][-1]).save(pixel_files[-1])
            truth.append(names[sample.label])
    if not files:
        raise DataError("There are no photos to run the model on. Pass `data=DIR` with photos.")
    if ours is None:
        return _Trial(files)
    arrays = {name: np.array(pixels) for name, pixels in prepared.items()}
    expected = _scores(ours, arrays[OURS])
    return _Trial(files, pixel_files, arrays, np.array(truth), expected, ours.thresholds)


def plain_file(photo: Any, picture: Image.Image, spare: Path) -> Path:
    """Returns the original file if every client decodes it as we do: an upright JPEG in RGB."""
    if isinstance(photo, Path):
        with Image.open(photo) as opened:
            if (opened.format, opened.mode, images.orientation(opened.getexif())) == ("JPEG", "RGB", 1):
                return photo.absolute()
    picture.save(spare)
    return spare


def _self_test(content: bytes) -> tuple[self_test.Trial, ...]:
    """Returns what the file's self-test says of LiteRT's kernels; nothing where it has none."""
    test = self_test.get(content)
    return self_test.run(test, self_test.kernels(content)) if test else ()


def _scores(classifier: Classifier, pixels: Iterable[Array]) -> Array:
    return np.array(list(classifier.scores(pixels)), np.float32)


def _run_kernels(content: bytes, kernels: str, trial: _Trial) -> Run:
    run = Run(_KERNEL_NAMES[kernels], SAME)
    try:
        classifier = Classifier(content, kernels=kernels)
    except ModelError as error:
        return replace(run, state=REFUSED, why=str(error))
    count = KERNEL_PHOTOS[kernels] if kernels == "reference" else len(trial.files)
    chosen = np.linspace(0, len(trial.files) - 1, min(count, len(trial.files))).astype(int)
    return _judged(run, _scores(classifier, trial.prepared[OURS][chosen]), trial, chosen)


def _refusals(runs: Iterable[Run], findings: Iterable[client_rules.Finding]) -> dict[str, str]:
    """Returns why an engine rejects the file: its own message first, else the violated requirement."""
    broken = [entry for entry in findings if not entry.passed]
    why = {
        engine: f"{entry.rule.demand}: {entry.received}. {entry.rule.advice}"
        for entry in reversed(broken)
        for engine in (*clients.CLIENTS, client_rules.LITERT_SAMPLES)
        if engine in entry.rule.by
    }
    return why | {run.name: run.why for run in runs if run.state == REFUSED}


def _run_apps(ours: Classifier, facts: inspection.ModelFacts, trial: _Trial, refusals: Mapping[str, str]) -> list[Run]:
    """Returns the runs of every app, then of other preprocessing."""

    @functools.cache
    def scores(preparation: str, normalization: Normalization | None) -> Array:
        if (preparation, normalization) == (OURS, ours.info.normalization):
            return trial.expected
        return _scores(_fed(ours, normalization), trial.prepared[preparation])

    def run(app: App) -> Run:
        row = Run(app.name, app.preparation)
        if why := put_in_app.refusal(ours.info, facts, app) or refusals.get(app.engine, ""):
            return replace(row, state=REFUSED, why=why)
        return _judged(row, scores(app.preparation, app.normalization or ours.info.normalization), trial)

    taken = {app.preparation for app in put_in_app.APPS}
    return [run(app) for app in put_in_app.APPS] + [
        _judged(Run(way.others, name), scores(name, ours.info.normalization), trial)
        for name, way in PREPARATIONS.items()
        if name not in taken
    ]


def _fed(classifier: Classifier, normalization: Normalization | None) -> Classifier:
    """Returns the run of an app that feeds float input with another normalization than the metadata states."""
    other = copy.copy(classifier)
    other.info = replace(classifier.info, normalization=normalization)
    return other


# Scores float [N, C] of files; NaN for omitted labels.
_Runner = Callable[[Path, Sequence[Path], int], Array]


@dataclass(frozen=True)
class Engine:
    """A runtime other than LiteRT: why it is not available, and how to run it."""

    missing: Callable[[], str]
    run: _Runner


def _run_elsewhere(name: str, run: _Runner, path: Path, trial: _Trial) -> list[Run]:
    """Runs both kinds of pixels at once, because starting takes most of the time."""
    count = len(trial.pixel_files)
    try:
        found = run(path, [*trial.pixel_files, *trial.files], trial.expected.shape[1])
    except clients.NotHere as error:
        return [Run(name, OWN, state=NOT_HERE, why=str(error))]
    except ModelMakerError as error:
        return [Run(name, OWN, state=REFUSED, why=str(error))]
    if not count:
        return [Run(name, OWN, photos=len(found))]
    return [_judged(Run(name, SAME), found[:count], trial), _judged(Run(name, OWN), found[count:], trial)]


def _ask(client: str) -> _Runner:
    def run(path: Path, files: Sequence[Path], classes: int) -> Array:
        [answer] = clients.ask(client, [path], files)
        if answer.refusal:
            raise ModelError(answer.refusal)
        return answer.scores(classes) if classes else np.zeros((len(files), 0))

    return run


def _no_browser() -> str:
    lacking = browser.missing()
    return f"LiteRT.js in Chromium is not available. It needs {lacking}." if lacking else ""


def _browse(path: Path, files: Sequence[Path], _: int) -> Array:
    return browser.run(path, files).scores


# Runtimes other than LiteRT, each in separate processes.
ELSEWHERE: dict[str, Engine] = {
    **{client: Engine(functools.partial(clients.missing, client), _ask(client)) for client in clients.CLIENTS},
    "LiteRT.js in Chromium": Engine(_no_browser, _browse),
}


def _judged(run: Run, scores: Array, trial: _Trial, chosen: Array | slice = slice(None)) -> Run:
    return judge(run, scores, trial.expected[chosen], trial.truth[chosen], limits=trial.limits)
