"""The accuracy budget: searches for the smallest quantized form whose accuracy loss stays within a limit.

The loss is the drop of top-1 against the float model on validation photos, with a head that was not trained on them: on
its training photos a head is too confident for quantization to change a prediction. With few validation photos the loss
is coarse (of 60, one is 1.7 points), and predictions that become correct by chance hide others that become wrong. So a
second figure has to stay within the budget, too, the risk: for predictions that differ, how much less likely the new
one is by the float model's calibrated scores. It varies smoothly, and is never negative. The mean difference of all
scores from the float model's is not a measure of accuracy; it ranks forms of equal loss, and includes training photos
if validation photos are few.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_maker import evaluation
from model_maker.backbones.embedder import Embedder
from model_maker.data import images
from model_maker.data.dataset import Dataset
from model_maker.data.entries import Location
from model_maker.errors import DataError, ModelError
from model_maker.inference.classifier import FileClassifier
from model_maker.packaging import quantized_file
from model_maker.packaging.quantized_file import Calibrations, Form
from model_maker.progress import Progress
from model_maker.tflite import graph, metadata, quantize
from model_maker.tflite.interpreter import LiteRTRunner

Array = np.ndarray

# Enough to rank operators, few enough that an operator takes a fraction of a second.
_SENSITIVITY_PHOTOS = 8
# Minimum number of photos for comparing scores, if available.
_CLOSENESS_PHOTOS = 100
_LATENCY_RUNS = 7
# Tried last, unchanged.
LAST = ("dynamic", "float16")


@dataclass(frozen=True)
class Step:
    """One form that was tried.

    Attributes:
      top1: on the validation photos.
      drop: loss of top-1 against the float model, a share; `drop_interval` is its paired 95 % confidence interval.
      risk: expected loss of top-1 by the float model's scores where predictions differ, a share.
      same_top1: share of the validation photos with the same prediction.
      difference: mean difference of a score from the float model's.
      latency_ms: median of some runs on one thread of this machine.
    """

    name: str
    form: Form
    top1: float
    drop: float
    drop_interval: evaluation.Interval
    risk: float
    same_top1: float
    difference: float
    size_bytes: int
    latency_ms: float


@dataclass(frozen=True)
class Budget:
    """The forms that were tried for a budget.

    Attributes:
      max_drop: percentage points of top-1.
      float_top1: of the float model on them.
      steps: in the order in which they were tried.
      chosen: index of the form to ship: the last if it is within the budget, else the best.
      within: whether it is within the budget.
    """

    max_drop: float
    photos: int
    float_top1: float
    steps: tuple[Step, ...]
    chosen: int
    within: bool

    @property
    def choice(self) -> Step:
        return self.steps[self.chosen]

    def as_dict(self, *, latency: bool = True) -> dict[str, Any]:
        """Returns plain JSON types, optionally without latencies, the only values that are not reproducible."""
        steps = []
        for step in self.steps:
            entry = {key: value for key, value in vars(step).items() if key not in ("form", "latency_ms")}
            entry |= {"kept": dict(step.form.kept), "drop_interval": list(step.drop_interval)}
            steps.append(entry | ({"latency_ms": round(step.latency_ms, 4)} if latency else {}))
        own = {key: getattr(self, key) for key in ("max_drop", "photos", "float_top1", "within")}
        return own | {"chosen": self.choice.name, "steps": steps}


class FormTrial:
    """A float model with its validation photos and calibration data; converts it and measures the result.

    Args:
      float_model: a classifier whose head has not seen the validation photos.
      base: the embedder with the same input.
      training: training photos of the head, in the order of their use for calibration.
      plain_int8: the model on the int8 backbone, if it has one; otherwise it is quantized like all other forms.

    Raises:
      DataError: there are no validation photos, or a photo cannot be read.
    """

    def __init__(
        self,
        float_model: bytes,
        base: Embedder,
        info: metadata.ModelInfo,
        *,
        validation: Dataset,
        training: Sequence[Location],
        progress: Progress,
        plain_int8: bytes | None = None,
        threads: int | None = None,
    ):
        if not len(validation):
            raise DataError("An accuracy budget needs validation photos, but there are none: add some.")
        self.model, self.base, self.info, self._threads = float_model, base, info, threads
        self._plain_int8 = plain_int8
        self.photos, self.more = quantized_file.calibration_photos(training)
        self.calibrations = Calibrations(
            float_model, base, self.photos, more=self.more, progress=progress, threads=threads
        )
        self.labels = np.array(validation.labels)
        used = len(self.photos) + len(self.more)
        further = training[used:][: max(_CLOSENESS_PHOTOS - len(validation), 0)]
        self._judges = [*(sample.path for sample in validation.samples), *further]
        self.scores = self._score(float_model)

    def try_form(self, name: str, form: Form) -> Step:
        """Converts the model to a form and measures it."""
        if form.is_plain_int8 and self._plain_int8:
            bare = self._plain_int8
        else:
            bare = quantized_file.convert_calibrated(self.model, self.base, form, self.calibrations)
        scores, count = self._score(bare), len(self.labels)
        found = evaluation.compare(self.scores[:count], scores[:count], self.labels)
        low, high = found.accuracy_change_interval
        return Step(
            name=name,
            form=form,
            top1=float((scores[:count].argmax(axis=1) == self.labels).mean()),
            drop=0.0 - found.accuracy_change,  # never -0.0
            drop_interval=(-high, -low),
            risk=risk(self.scores[:count], scores[:count]),
            same_top1=found.same_top1,
            difference=float(np.abs(scores - self.scores).mean()),
            size_bytes=len(bare),
            latency_ms=_latency_ms(bare),
        )

    def _score(self, bare: bytes) -> Array:
        classifier, rows = FileClassifier(quantized_file.with_metadata(bare, self.info), threads=self._threads), []
        for row in classifier.scores(self._judges):
            if isinstance(row, DataError):
                raise row
            rows.append(row)
        return np.array(rows, np.float32)


def risk(real: Array, scores: Array) -> float:
    """Returns the expected loss of top-1 by calibrated scores if other scores replace them, both float [N, C]."""
    chosen = np.take_along_axis(real, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float((real.max(axis=1) - chosen).mean())


def search(trial: FormTrial, form: Form, max_drop: float, *, progress: Progress) -> Budget:
    """Tries a form and, while it loses too much, more and more accurate ones.

    In order: more calibration photos and other rules for ranges; with the best of those, mixed precision that keeps
    one, two, four and up to half of the operators, the most sensitive first; dynamic and float16. Operators of an int8
    model are kept in float, not int16: the runtime has only reference kernels for int16, which are some thirty times
    slower, and TFLite Task Library's runtime cannot convert int8 to int16 at all.

    Returns:
      Budget; if no step is within it, the chosen one loses least, then the one with the closest scores.
    """
    right = float((trial.scores[: len(trial.labels)].argmax(axis=1) == trial.labels).mean())
    steps: list[Step] = []
    for name, attempt in _attempts(trial, form, steps, progress):
        try:
            steps.append(trial.try_form(name, attempt))
        except ModelError as error:
            if not steps:
                raise
            progress.note(f"{name}: {error}")
            continue
        progress.note(_step_note(steps[-1]))
        if within := 100 * _loss(steps[-1]) <= max_drop + 1e-9:
            break
    chosen = steps.index(steps[-1] if within else _best(steps))
    _conclude(steps[chosen], within, max_drop, len(trial.labels), progress)
    return Budget(max_drop, len(trial.labels), right, tuple(steps), chosen, within)


def sensitivities(trial: FormTrial, form: Form) -> dict[str, float]:
    """Measures how much the quantization of each single operator changes the scores.

    Quantizes one operator at a time and measures the mean difference of a score on some photos.

    Returns:
      Difference by the name of the operator's output, the most sensitive first.
    """
    normalization = trial.base.normalization
    pixels = [normalization(images.load(photo, trial.base.fit)[None]) for photo in trial.photos[:_SENSITIVITY_PHOTOS]]
    runner = LiteRTRunner(trial.model)
    real = np.concatenate([runner.run(picture) for picture in pixels])
    calibration = trial.calibrations.get(rule=form.rule, more=form.more)
    names, spared = _operators(trial.model, form.quantize), quantize.MIXES[form.quantize][-1]
    found = {}
    for name in names:
        inner = quantize.quantize(
            trial.model,
            form.quantize,
            normalization=normalization,
            calibration=calibration,
            kept={other: spared for other in names if other != name},
        )
        content = graph.set_io(inner, "float32", mean=normalization.mean, std=normalization.std)
        runner = LiteRTRunner(content)
        found[name] = float(np.abs(np.concatenate([runner.run(picture) for picture in pixels]) - real).mean())
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def _attempts(trial: FormTrial, form: Form, steps: Sequence[Step], progress: Progress) -> Iterator[tuple[str, Form]]:
    """Yields the next form while the previous ones, listed in `steps`, exceed the budget."""
    yield form.quantize, form
    if form.quantize in quantize.STATIC and trial.more:
        photos = len(trial.photos) + len(trial.more)
        for rule in quantize.RULES:
            yield f"{form.quantize}, {rule}, {photos} photos", replace(form, rule=rule, more=True)
    if form.quantize in quantize.MIXES:
        form = _best(steps).form
        ranked = sensitivities(trial, form)
        listed = ", ".join(f"{name.split(';')[0]} ({value:.4f})" for name, value in list(ranked.items())[:3])
        progress.note(f"Operators whose quantization moves the scores most: {listed}.")
        spared, count = quantize.MIXES[form.quantize][-1], 1
        while count <= max(1, len(ranked) // 2):
            kept = dict.fromkeys(list(ranked)[:count], spared)
            yield f"{form.quantize}, {count} kept {spared}", replace(form, kept=kept)
            count *= 2
    for kind in LAST[LAST.index(form.quantize) + 1 if form.quantize in LAST else 0 :]:
        yield kind, replace(form, quantize=kind, kept={}, rule="extremes", more=False)


def _best(steps: Sequence[Step]) -> Step:
    return min(steps, key=lambda step: (_loss(step), step.difference))


def _loss(step: Step) -> float:
    return max(step.drop, step.risk)


def _operators(model: bytes, kind: str) -> list[str]:
    """Returns the names of operators that a format changes: all, or those with weights."""
    tree = graph.parse(model)
    tensors = tree.subgraphs[0].tensors
    weighty = ("CONV_2D", "FULLY_CONNECTED", *["DEPTHWISE_CONV_2D"] * (kind != "int4"))
    return [
        tensors[operator.outputs[0]].name.decode()
        for operator in tree.subgraphs[0].operators
        if kind in quantize.STATIC or graph.operator_name(tree, operator) in weighty
    ]


def _latency_ms(content: bytes) -> float:
    runner = LiteRTRunner(content)
    runner.set_input(np.zeros(runner.input_shape, runner.input_dtype))
    runner.invoke()
    times = []
    for _ in range(_LATENCY_RUNS):
        begin = time.perf_counter()
        runner.invoke()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def _step_note(step: Step) -> str:
    low, high = (100 * end for end in step.drop_interval)
    return (
        f"{step.name}: loses {100 * step.drop:.1f} points (95 % interval {low:.1f} to {high:.1f}), "
        f"at risk {100 * step.risk:.1f}, {step.size_bytes / 1e6:.2f} MB, {step.latency_ms:.1f} ms."
    )


def _conclude(step: Step, within: bool, max_drop: float, photos: int, progress: Progress) -> None:
    if not within:
        progress.note(
            f"Nothing loses {max_drop:g} points or less; {step.name} loses least and is used. "
            "Allow more, or try another `model`."
        )
    if max_drop < 100 / photos:
        progress.note(
            f"One of {photos} validation photos is {100 / photos:.1f} points, more than the budget of {max_drop:g}: "
            "it is met if no net loss occurs and the expected loss by the scores is small."
        )
