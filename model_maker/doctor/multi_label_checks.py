"""Checks of photos with several labels; `checks.CHECKS` lists them with the others."""

import math
from collections.abc import Iterator

import numpy as np

from model_maker.data.multi_label import MultiLabelDataset
from model_maker.doctor.examination import Examination
from model_maker.doctor.findings import Finding

# How many times more likely than not a label must be that a photo lacks; or less, of one that it has.
_DOUBT = math.log(1.5)
# Labels that share all photos by chance are rare from here on.
_TOGETHER = 4


def differing_sets(examination: Examination) -> Iterator[Finding]:
    """Finds near duplicates with different labels; exact copies have the labels of all."""
    if not isinstance(examination.dataset, MultiLabelDataset):
        return
    for group in examination.members():
        named = sorted({examination.dataset.name(examination.dataset.samples[index]) for index in group})
        if len(named) > 1:
            paths = tuple(examination.dataset.samples[index].path for index in group)
            yield Finding(" and ".join(named), paths, paths)


def doubtful(examination: Examination) -> Iterator[Finding]:
    """Finds labels that a photo seems to lack, and labels that it seems to have by mistake, the clearest first."""
    dataset, found = examination.dataset, examination.label_errors
    if not isinstance(dataset, MultiLabelDataset):
        return
    doubts = np.argwhere(found.confident & (found.margins <= -_DOUBT))
    for index, label in sorted(doubts.tolist(), key=lambda pair: (found.margins[*pair], pair)):
        name, score = dataset.classes[label], 100 * found.scores[index, label]
        has = dataset.targets[index, label]
        text = f"has {name} ({score:.0f} %)" if has else f"lacks {name} ({score:.0f} %)"
        yield Finding(
            f"{text}; labeled {dataset.name(dataset.samples[index])}",
            (dataset.samples[index].path,),
            suggestion="" if has else name,
            score=float(-found.margins[index, label]),
        )


def inseparable(examination: Examination) -> Iterator[Finding]:
    """Finds labels that nearly all photos have, and pairs of which one never occurs without the other."""
    dataset = examination.dataset
    if not isinstance(dataset, MultiLabelDataset):
        return
    having = dataset.targets.astype(int)
    counts, together = having.sum(axis=0), having.T @ having
    for label, name in enumerate(dataset.classes):
        if (without := len(dataset) - counts[label]) < 2:
            yield Finding(f"{name} is on {counts[label]} of {len(dataset)} photos; {without} are without it")
    for label, other in np.argwhere(together == counts[:, None]).tolist():
        if label == other or counts[label] < _TOGETHER or counts[other] == len(dataset):
            continue
        if counts[label] < counts[other]:
            text = f"{dataset.classes[label]} is on {counts[label]} photos, each of which has {dataset.classes[other]}"
        elif label < other:
            text = f"{dataset.classes[label]} and {dataset.classes[other]} are on the same {counts[label]} photos"
        else:
            continue  # the same pair again
        yield Finding(text)
