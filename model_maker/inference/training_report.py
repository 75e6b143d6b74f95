"""metrics.json: what `train` measured, which pages, cards and summaries show."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from model_maker import json_records
from model_maker.errors import DataError
from model_maker.evaluation import Agreement, Answered, LabelSetMetrics, Metrics
from model_maker.forecasts import Advice
from model_maker.inference.label_thresholds import LabelThreshold
from model_maker.inference.precision_thresholds import Threshold
from model_maker.multi_label_metrics import LabelAgreement, MultiLabelMetrics
from model_maker.output_folder import METRICS
from model_maker.system import files

Kind = TypeVar("Kind", bound="TrainingReport | MultiLabelReport")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A set of layers with the cross-validated results of its heads; see `heads.LayerCandidate`.

    Attributes:
      top1, exact_match: the one for one label a photo, the other for several.
      features: number of features of the layers.
    """

    loss: float
    top1: float | None = None
    behind: float
    behind_error: float
    exact_match: float | None = None
    features: int


@dataclass(frozen=True)
class Tried:
    """A regularization, and the mean loss of held-out photos with it."""

    regularization: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """How the head was chosen.

    Attributes:
      top1, mean_average_precision: of held-out photos; the one for one label a photo, the other for several.
      regularization, temperature: the chosen ones.
      layers: name of the chosen one of `candidates`.
      path: regularizations from strong to weak, until the loss rose.
    """

    top1: float | None = None
    mean_average_precision: float | None = None
    regularization: float
    temperature: float
    layers: str
    candidates: dict[str, Candidate]
    path: tuple[Tried, ...] = ()

    @property
    def features(self) -> int:
        """Number of features that the head sees."""
        return self.candidates[self.layers].features


@dataclass(frozen=True)
class AnsweredFrom:
    """What one score threshold for all labels does on the test photos."""

    score: float
    answered: Answered = field(metadata=json_records.FLAT)


@dataclass(frozen=True)
class NamesPrior:
    """The names that training started from: tier, source of words, meaning by label, and the scale of the prior."""

    tier: str
    source: str
    labels: dict[str, str]
    scale: float


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Score thresholds that keep a precision.

    Attributes:
      score: the lowest one of the file.
      all: the one of `precision`.
      labels: those of `label_precision`.
      test: their effect on the test photos.
    """

    score: float
    all: Threshold | None = None
    labels: dict[str, Threshold] = field(default_factory=dict)
    test: Answered


@dataclass(frozen=True)
class LabelThresholds:
    """The lowest threshold of a file with several labels a photo, and that of each label."""

    score: float
    labels: dict[str, Threshold | LabelThreshold]


@dataclass(frozen=True, kw_only=True)
class KernelAgreement:
    """The file on some CPU kernels, compared with itself on XNNPACK.

    Attributes:
      photos: number of photos.
      same_top1, same_labels: share with the same best label, or of several a photo with the same labels.
      largest_difference: of any single score.
    """

    photos: int
    same_top1: float | None = None
    same_labels: float | None = None
    largest_difference: float

    @property
    def same(self) -> float:
        """Share of the photos with the same answer."""
        return self.same_top1 or self.same_labels or 0.0


@dataclass(frozen=True)
class Folds:
    """Metrics of all photos by cross-validation; with fine-tuning also those of frozen features."""

    folds: int
    metrics: Metrics | MultiLabelMetrics = field(metadata=json_records.FLAT)
    frozen_top1: float | None = None
    against_frozen: Agreement | None = None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch of fine-tuning; the first entry is what it began with."""

    phase: str
    epoch: int
    loss: float | None = None
    validation_loss: float
    validation_top1: float
    learning_rate: float | None = None


@dataclass(frozen=True)
class FineTuning:
    """The effect of fine-tuning on the test photos, measured with float models, and its details, see `Tuned`."""

    improved: bool
    frozen_top1: float
    against_frozen: Agreement
    blends: dict[str, dict[str, float]]
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class Changes:
    """Top-1, and right answers of an older model that turned wrong: by the new head alone, and by the average."""

    photos: int
    top1_alone: float
    top1: float
    turned_wrong_alone: int
    turned_wrong: int


@dataclass(frozen=True)
class Kept:
    """The effect of averaging with an older head.

    Attributes:
      old: path of the older model.
      weight: weight of its head in the average.
      held_out: on photos that neither head was trained on.
      test: on the test photos, with the original older model.
    """

    old: str
    weight: float
    held_out: Changes
    test: Changes


@dataclass(frozen=True)
class Limit:
    """The limit of a label in `LabelSets`."""

    limit: float
    photos: int
    by_class: bool


@dataclass(frozen=True)
class PromisedSets:
    """Label sets of a promised coverage, and what they hold on the test photos."""

    coverage: float
    labels: dict[str, Limit]
    test: LabelSetMetrics


@dataclass(frozen=True)
class Sizes:
    """Sizes of the written files, bytes."""

    model_bytes: int
    float_model_bytes: int


UNWRITTEN = Sizes(0, 0)


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What `train` measured.

    Attributes:
      test: of the shipped file on the test photos.
      float_model: of the float model, on those test photos that it was run on; `agreement` compares both there.
      photos: number of photos by split.
      trade_off: the effect of some score thresholds.
      fingerprint: of the dataset.
      kernels: by name of the kernels.
      budget: the search within `max_drop`, as `Budget.as_dict` gives it without latencies.
      advice: what more photos would gain; None where it was not measured, as always with fine-tuning.
    """

    test: Metrics
    float_model: Metrics = field(metadata=json_records.named("float"))
    agreement: Agreement
    cross_validation: CrossValidation
    photos: dict[str, int]
    trade_off: tuple[AnsweredFrom, ...] = ()
    fingerprint: str
    labels_from_text: NamesPrior | None = None
    thresholds: Thresholds | None = None
    kernels: dict[str, KernelAgreement]
    folds: Folds | None
    budget: dict[str, Any] | None
    fine_tuning: FineTuning | None = None
    kept_answers: Kept | None = None
    label_sets: PromisedSets | None = None
    advice: Advice | None
    sizes: Sizes = UNWRITTEN

    def as_dict(self) -> dict[str, Any]:
        """Returns the content of `metrics.json`."""
        content = json_records.as_dict(self)
        if self.fine_tuning:
            del content["advice"]
        return content


@dataclass(frozen=True, kw_only=True)
class MultiLabelReport:
    """What `train` measured of a model with several labels a photo; fields as of TrainingReport."""

    test: MultiLabelMetrics
    float_model: MultiLabelMetrics = field(metadata=json_records.named("float"))
    agreement: LabelAgreement
    cross_validation: CrossValidation
    photos: dict[str, int]
    thresholds: LabelThresholds
    fingerprint: str
    kernels: dict[str, KernelAgreement]
    folds: Folds | None
    budget: dict[str, Any] | None
    sizes: Sizes = UNWRITTEN

    def as_dict(self) -> dict[str, Any]:
        """Returns the content of `metrics.json`."""
        return json_records.as_dict(self)


Report = TrainingReport | MultiLabelReport


def read(folder: Path, kind: type[Kind], *, advice: str = "Pass a folder that `train` made.") -> Kind:
    """Reads the `metrics.json` that `train` wrote to a folder.

    Raises:
      DataError: it is missing, damaged, or of another kind of model; with `advice`.
    """
    file = folder / METRICS
    try:
        return json_records.read(kind, json.loads(files.read_regular(file)))
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}. {advice}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not as `train` wrote it: {error}. {advice}") from error
