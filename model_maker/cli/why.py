"""--why: heat maps of where answers come from, for commands that classify photos."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from model_maker.errors import DataError

Explain = Callable[[Any, Sequence[Any], dict[str, Any]], None]


@contextlib.contextmanager
def album(arguments: argparse.Namespace, classifier, named: Sequence[str], view) -> Iterator[Explain]:
    """Gives what explains the answer of a picture; rows get their explanations when the block ends."""
    if arguments.why is None:
        yield lambda item, ranked, row: None
        return
    from model_maker.cli.bars import Bars
    from model_maker.explanations.album import album as made_in

    if not hasattr(classifier, "content"):
        raise DataError("--why: the towers compare photos with words as a whole. Leave out --why, or use another tier.")
    rows: list[dict[str, Any]] = []
    model = None if arguments.model or arguments.candidate_labels else arguments.photos[0]
    with (
        Bars(arguments) as bars,
        made_in(arguments.why, classifier, model, named=named, view=view, progress=bars) as made,
    ):

        def explain(item, ranked, row) -> None:
            if item.live:
                raise DataError("--why: a camera or a stream has no end. Pass photos or a video.")
            made.add(item.name, item.photo, ranked[0].index if ranked and ranked[0].index >= 0 else None)
            rows.append(row)

        yield explain
    for row, found in zip(rows, made.found, strict=True):
        row["why"] = found.as_dict()


def check(folder: str | None, classifier) -> None:
    """Checks before long work that explanations can be written there, if they are wanted."""
    from model_maker.inference.explanation import Explainer
    from model_maker.system import files
    from model_maker.tflite import metadata

    if folder is not None:
        metadata.check_single(classifier.info, "`why`", "Explain photos with `predict --why`.")
        files.check_new(Path(folder))
        Explainer(classifier)


def mistakes(arguments: argparse.Namespace, classifier, scored, bars) -> list[dict[str, Any]]:
    """Explains the most confident errors in a new folder; returns what --json has of each."""
    from model_maker.explanations.album import album as made_in
    from model_maker.report import photo_examples

    worst = photo_examples.worst(scored)
    rows = []
    with bars.stage("Explain errors"), made_in(arguments.why, classifier, arguments.model, progress=bars) as made:
        for done, index in enumerate(worst, start=1):
            sample, label = scored.samples[index], classifier.labels[scored.labels[index]]
            made.add(str(sample.path), sample.path, int(scored.scores[index].argmax()), f"labeled {label}")
            rows.append({"photo": str(sample.path), "true": label})
            bars.step(done, len(worst))
    return [row | found.as_dict() for row, found in zip(rows, made.found, strict=True)]


def for_page(model: str, classifier):
    """Returns what explains the errors on the page of `evaluate --report`."""
    from model_maker.explanations import training_photos
    from model_maker.learning import evidence
    from model_maker.progress import SILENT

    return evidence.explaining(classifier, training_photos.of(model, classifier, SILENT))
