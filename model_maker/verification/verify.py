"""verify(): the certificate of a `.tflite`: available runtimes, known apps and requirements of phone clients.

`packaging.file_checks` has the checks of training and export; this module checks any file, whoever made it.
"""

import copy
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_maker import run_record
from model_maker.apps import put_in_app
from model_maker.apps.preprocessing import PREPARATIONS
from model_maker.apps.put_in_app import App
from model_maker.demo import browser
from model_maker.errors import ModelError, ModelMakerError, about
from model_maker.fitting import STRETCH, Fit
from model_maker.inference.classifier import FileClassifier, model_file
from model_maker.normalization import Normalization
from model_maker.packaging import self_test
from model_maker.packaging.file_checks import KERNEL_PHOTOS
from model_maker.progress import Progress
from model_maker.system import dates, files
from model_maker.tflite import client_rules, inspection, interpreter
from model_maker.tflite.interpreter import KERNELS
from model_maker.verification import clients, trials
from model_maker.verification.certificate import NOT_HERE, OWN, REFUSED, SAME, Certificate, Run, judge
from model_maker.verification.trials import HeadTrial

Array = np.ndarray[Any, Any]

MAX_PHOTOS = 50
_KERNEL_NAMES = {"xnnpack": "LiteRT, XNNPACK", "none": "LiteRT, no delegate", "reference": "LiteRT, reference"}


def verify(
    model: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    head: str | None = None,
    progress: Progress | None = None,
) -> Certificate:
    """Runs a file in every available runtime and checks it against phone-client requirements.

    Args:
      model: a `.tflite`, or a folder that `train` made.
      data: labeled photos; the test photos of the model by default. MAX_PHOTOS at most, of all classes.
      head: which output of a file that `combine` made; each of them by default.
      progress: receives progress events.

    Raises:
      ModelError: the model cannot be read, is damaged, has no such head, or does not record its test photos.
      DataError: there are no photos, or they have classes that no head of the model knows.

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
    ours = trials.classifiers(content, head)
    several = any(found.classifier.info.multi_label for found in ours)
    dataset, notes = run_record.photos_for(model, data, multi_label=several)
    for note in notes:
        progress.note(note)
    if ours and (note := _clients_note(ours[0].classifier.fit)):
        progress.note(note)
    with files.temporary_directory() as folder:
        with progress.stage("Prepare photos"):
            heads = trials.prepare(trials.spread(dataset, MAX_PHOTOS), ours, Path(folder), progress)
        with progress.stage("Run in LiteRT"):
            runs = [_run_kernels(content, kernels, trial) for kernels in KERNELS for trial in heads]
            tested = _self_test(content) if ours else ()
        for name, engine in ELSEWHERE.items():
            if why := engine.missing():  # no stage, because nothing runs
                runs.append(Run(name, OWN, state=NOT_HERE, why=why))
                continue
            with progress.stage(f"Run in {name}"):
                runs += _run_elsewhere(name, engine.run, path, heads)
        with progress.stage("Run with preprocessing of apps"):
            in_apps = []
            for trial in heads:
                if trial.ours:
                    in_apps += _run_apps(trial.ours, inspection.inspect(content), trial, _refusals(runs, findings))
    digest = hashlib.sha256(content).hexdigest()
    found = tuple(runs), tuple(in_apps), tuple(findings), tuple(progress.notes)
    info = ours[0].classifier.info if ours else None
    return Certificate(
        path,
        len(content),
        digest,
        len(heads[0].files),
        *found,
        tested,
        created=dates.now(),
        name=info.name if info else path.name,
        provenance=info.provenance if info else {},
    )


def _clients_note(fit: Fit) -> str:
    """Returns what clients that resize photos themselves have to be given; empty where they do what training did."""
    if fit.resize == STRETCH:
        return ""
    return (
        f"The model was trained on photos {fit.description}. TFLite Task Library and MediaPipe Tasks stretch photos "
        "and have no option for this: pass them photos that are fitted already, as in the rows with the same pixels. "
        "Model Maker's apps, generated code and demo page fit photos themselves."
    )


def _self_test(content: bytes) -> tuple[self_test.Trial, ...]:
    """Returns what the file's self-test says of LiteRT's kernels; nothing where it has none."""
    test = self_test.get(content)
    return self_test.run(test, self_test.kernels(content)) if test else ()


def _run_kernels(content: bytes, kernels: str, trial: HeadTrial) -> Run:
    run = Run(_KERNEL_NAMES[kernels], SAME, head=trial.head)
    try:
        classifier = FileClassifier(content, kernels=kernels, head=trial.head or None)
    except ModelError as error:
        return replace(run, state=REFUSED, why=str(error))
    count = KERNEL_PHOTOS[kernels] if kernels == "reference" else len(trial.files)
    chosen = np.linspace(0, len(trial.files) - 1, min(count, len(trial.files))).astype(int)
    return _judged(run, trials.scores(classifier, trial.prepared[trial.trained][chosen]), trial, chosen)


def _refusals(runs: Iterable[Run], findings: Iterable[client_rules.RuleCheck]) -> dict[str, str]:
    """Returns why an engine rejects the file: its own message first, else the violated requirement."""
    broken = [entry for entry in findings if not entry.passed]
    why = {
        engine: f"{entry.rule.demand}: {entry.received}. {entry.rule.advice}"
        for entry in reversed(broken)
        for engine in (*clients.CLIENTS, client_rules.LITERT_SAMPLES)
        if engine in entry.rule.by
    }
    return why | {run.name: run.why for run in runs if run.state == REFUSED}


def _run_apps(
    ours: FileClassifier, facts: inspection.ModelFacts, trial: HeadTrial, refusals: Mapping[str, str]
) -> list[Run]:
    """Returns the runs of every app, then of other preprocessing; published samples show the first head alone."""

    @functools.cache
    def scores(preparation: str, normalization: Normalization | None) -> Array:
        if (preparation, normalization) == (trial.trained, ours.info.normalization):
            return trial.expected
        return trials.scores(_fed(ours, normalization), trial.prepared[preparation])

    def run(app: App) -> Run:
        row = Run(app.name, app.preparation or trial.trained, head=trial.head)
        if why := put_in_app.refusal(ours.info, facts, app) or refusals.get(app.engine, ""):
            return replace(row, state=REFUSED, why=why)
        return _judged(row, scores(row.pixels, app.normalization or ours.info.normalization), trial)

    if trial.output:
        return [run(app) for app in put_in_app.OWN.values()]
    taken = {app.preparation or trial.trained for app in put_in_app.APPS}
    return [run(app) for app in put_in_app.APPS] + [
        _judged(Run(way.others, name), scores(name, ours.info.normalization), trial)
        for name, way in PREPARATIONS.items()
        if name not in taken
    ]


def _fed(classifier: FileClassifier, normalization: Normalization | None) -> FileClassifier:
    """Returns the run of an app that feeds float input with another normalization than the metadata states."""
    other = copy.copy(classifier)
    other.info = replace(classifier.info, normalization=normalization)
    return other


# Scores float [N, C] of files by output, whose numbers of classes are given; NaN for omitted labels.
_Runner = Callable[[Path, Sequence[Path], Mapping[int, int]], Mapping[int, Array]]


@dataclass(frozen=True)
class OtherRuntime:
    """A runtime other than LiteRT: why it is not available, and how to run it."""

    missing: Callable[[], str]
    run: _Runner


def _run_elsewhere(name: str, run: _Runner, path: Path, heads: Sequence[HeadTrial]) -> list[Run]:
    """Runs both kinds of pixels and all heads at once, because starting takes most of the time."""
    files, pixel_files = heads[0].files, heads[0].pixel_files
    sizes = {trial.output: trial.expected.shape[1] for trial in heads if trial.ours}
    try:
        found = run(path, [*pixel_files, *files], sizes)
    except clients.NotHere as error:
        return [Run(name, OWN, state=NOT_HERE, why=str(error))]
    except ModelMakerError as error:
        return [Run(name, OWN, state=REFUSED, why=str(error))]
    if not pixel_files:
        return [Run(name, OWN, photos=len(files))]
    runs, count = [], len(pixel_files)
    for trial in heads:
        scores = found[trial.output]
        runs += [_judged(Run(name, SAME), scores[:count], trial), _judged(Run(name, OWN), scores[count:], trial)]
    return runs


def _ask(client: str) -> _Runner:
    def run(path: Path, files: Sequence[Path], sizes: Mapping[int, int]) -> Mapping[int, Array]:
        [answer] = clients.ask(client, [path], files)
        if answer.refusal:
            raise ModelError(answer.refusal)
        return {output: answer.scores(classes, output) for output, classes in sizes.items()}

    return run


def _no_browser() -> str:
    lacking = browser.missing()
    return f"LiteRT.js in Chromium is not available. It needs {lacking}." if lacking else ""


def _browse(path: Path, files: Sequence[Path], sizes: Mapping[int, int]) -> Mapping[int, Array]:
    found = browser.run(path, files).heads
    return {output: found[output] for output in sizes}


# Runtimes other than LiteRT, each in separate processes.
ELSEWHERE: dict[str, OtherRuntime] = {
    **{client: OtherRuntime(functools.partial(clients.missing, client), _ask(client)) for client in clients.CLIENTS},
    "LiteRT.js in Chromium": OtherRuntime(_no_browser, _browse),
}


def _judged(run: Run, scores: Array, trial: HeadTrial, chosen: Array | slice = slice(None)) -> Run:
    truth = None if trial.truth is None else trial.truth[chosen]
    return judge(replace(run, head=trial.head), scores, trial.expected[chosen], truth, limits=trial.limits)
