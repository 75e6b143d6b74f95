"""Parts of metrics.json from what training found, and notes on them."""

from collections.abc import Mapping, Sequence

from model_maker import json_records
from model_maker.inference import conformal
from model_maker.inference.precision_thresholds import Threshold
from model_maker.inference.training_report import Candidate, CrossValidation, Epoch, Report
from model_maker.learning import heads
from model_maker.learning.fine_tuning import Tuned
from model_maker.progress import Progress
from model_maker.tflite.label_sets import LabelSets

_LOW_AGREEMENT = 0.98
# Maximum number of labels in one note.
_NAMED = 4


def cross_validation(fit: heads.FittedHead, mean_average_precision: float | None = None) -> CrossValidation:
    """Returns how a head was chosen; of several labels a photo, with the mAP of held-out photos."""
    several = mean_average_precision is not None
    candidates = {
        name: Candidate(
            loss=one.loss,
            top1=None if several else one.top1,
            behind=one.behind,
            behind_error=one.behind_error,
            exact_match=one.top1 if several else None,
            features=sum(layer.size for layer in one.layers),
        )
        for name, one in fit.candidates.items()
    }
    return CrossValidation(
        top1=None if several else fit.top1,
        mean_average_precision=mean_average_precision,
        regularization=fit.regularization,
        temperature=fit.temperature,
        layers=fit.chosen,
        candidates=candidates,
        path=fit.path,
    )


def history(tuned: Tuned | None) -> tuple[Epoch, ...]:
    """Returns the epochs of fine-tuning without seconds, because metrics.json is deterministic."""
    return tuple(json_records.read(Epoch, entry) for entry in (tuned.history if tuned else ()))


def warn(report: Report, progress: Progress) -> None:
    """Notes differences between predictions of the file and of its references."""
    found = report.agreement
    answers = {"its float model": (found.photos, found.same)} | {
        f"itself on the {name} kernels": (entry.photos, entry.same) for name, entry in report.kernels.items()
    }
    for other, (photos, same) in answers.items():
        # One differing photo is normal; more than that, and more than two in a hundred, is reported.
        differing = round((1 - same) * photos)
        if differing > 1 and same < _LOW_AGREEMENT:
            progress.note(
                f"The file gives another answer than {other} on {differing} of {photos} photos. "
                "If that is too many, try `max_drop=0.5`, or `quantize='float16'`."
            )


def warn_unproven(overall: Threshold | None, labels: Mapping[str, Threshold], progress: Progress) -> None:
    """Notes which requested precision cannot be proven, and which can."""
    if overall and not overall.kept:
        progress.note(
            f"{overall.photos} photos cannot prove a precision of {100 * overall.precision:g} %. From score "
            f"{overall.score:g} on they prove {100 * overall.bound:.1f} %, which the model uses. Add photos for more."
        )
    short = sorted((entry.bound, name, entry.precision) for name, entry in labels.items() if not entry.kept)
    if short:
        named = ", ".join(f"{name} {100 * bound:.1f} %" for bound, name, _ in short[:_NAMED])
        progress.note(
            f"A precision of {100 * short[0][2]:g} % cannot be proven for {len(short)} of {len(labels)} labels. Proven "
            f"precision: {named}{' and so on' if len(short) > _NAMED else ''}. Add photos of these for more."
        )


def warn_label_sets(sets: LabelSets, labels: Sequence[str], progress: Progress) -> None:
    """Notes for which classes the promised coverage holds only on average, and how many photos they lack."""
    needed, asked = conformal.fewest(sets.coverage), f"{100 * sets.coverage:g} %"
    if not any(sets.limits):
        progress.note(
            f"{max(sets.photos)} photos are too few to promise {asked} with less than all labels. Add photos, or ask "
            "for less."
        )
        return
    short = [name for name, own in zip(labels, sets.by_class, strict=True) if not own]
    if short:
        named = ", ".join(short[:_NAMED]) + (" and others" if len(short) > _NAMED else "")
        progress.note(
            f"The coverage of {asked} is kept on average over all classes, not for each of: {named}. A class needs "
            f"{needed} photos to learn from for a promise of its own."
        )
