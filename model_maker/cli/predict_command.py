"""`predict`: labels for photos, videos and cameras."""

import argparse
import contextlib
import csv
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from model_maker.cli.arguments import command, foreign, foreign_flags, head_flag
from model_maker.cli.printing import print_json
from model_maker.cli.zero_shot_command import classifier_of, template_flag, tier_flags
from model_maker.errors import DataError
from model_maker.terminal import exit_codes, safe_text

# Longer than this, people want to see that something happens.
MOMENT_SECONDS = 1.5
_PREDICT = """model_maker predict [options] MODEL PHOTO [PHOTO ...]
       model_maker predict [options] --model NAME PHOTO [PHOTO ...]
       model_maker predict [options] --candidate-labels A,B PHOTO [PHOTO ...]"""


def add(commands) -> None:
    parser = command(commands, run, "predict", "classify photos", usage=_PREDICT)
    parser.add_argument("--model", metavar="NAME", help="backbone to use instead of a file; predicts ImageNet classes")
    parser.add_argument(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="files, folders, patterns in quotes, http(s) addresses, - for stdin, a .txt with a path in each line,"
        " videos, a camera number, rtsp:// addresses;"
        " MODEL (a .tflite, a folder that train made, or an export) comes first unless --model or"
        " --candidate-labels is given",
    )
    parser.add_argument("--every", type=int, metavar="N", help="classify every N-th frame of a video (default: 30)")
    parser.add_argument("--frames", type=int, metavar="N", help="maximum frames per video or camera (default: all)")
    parser.add_argument("--smooth", type=int, metavar="N", help="average the scores of a video or camera over N frames")
    parser.add_argument("--region", metavar="L,T,R,B", help="classify this part, in shares of width and height")
    parser.add_argument(
        "--rotation", type=int, default=0, metavar="DEGREES", help="rotate clockwise first, in steps of 90"
    )
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--allow", action="append", metavar="LABEL", help="answer with this label only; repeatable")
    labels.add_argument("--deny", action="append", metavar="LABEL", help="never answer with this label; repeatable")
    parser.add_argument("--locale", metavar="CODE", help="also show labels in this language, if the model has them")
    parser.add_argument("--save", metavar="DIR", help="new folder for copies with the prediction drawn on them")
    parser.add_argument("--why", metavar="DIR", help="new folder for heat maps of where the answers come from")
    foreign_flags(parser)
    _zero_shot(parser)
    head_flag(parser)
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="K",
        help="labels per photo (default: 3; of a model of several labels all that reach their thresholds)",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="lower scores are unknown, 0 to 1 (default: the model's own)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--csv",
        action="store_true",
        help="print CSV: photo,rank,label,score; text that looks like a formula is prefixed with an apostrophe",
    )


def _zero_shot(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("labels without a model", "Zero-shot: no model was trained on these labels.")
    group.add_argument("--candidate-labels", metavar="LABELS", help="labels to choose from, with commas, as cat,dog")
    tier_flags(group)
    template_flag(group)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import metrics_views, why
    from model_maker.inference import annotation, views

    if arguments.top_k is not None and arguments.top_k < 1:
        raise DataError(f"--top-k {arguments.top_k}: pass 1 or more.")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise DataError(f"--threshold {arguments.threshold:g}: pass a score from 0 to 1.")
    view = views.View(_region(arguments.region), arguments.rotation)
    classifier, named, tier = _classifier(arguments)
    _check_locale(classifier, arguments.locale)
    allowed = views.candidates(classifier.labels, arguments.allow, arguments.deny)
    rows: list[dict] = []
    live = False
    with annotation.album(arguments.save, named) as keep, why.album(arguments, classifier, named, view) as explain:
        try:
            for item, scores in _scored(arguments, classifier, named, view):
                live = item.live
                row, ranked = _answer(classifier, item, scores, arguments, tier, allowed)
                if "error" not in row:
                    keep(item, [f"{one.label} {one.score:.3f}" for one in ranked] or ["no label"])
                    explain(item, ranked, row)
                if live and "error" not in row and not (arguments.json or arguments.csv):
                    metrics_views.show_answer(row)
                else:
                    rows.append(row)
        except KeyboardInterrupt:
            if not live:  # ctrl-C is the usual end of a live source only
                raise
    if arguments.json:
        print_json(rows)
    elif arguments.csv:
        _print_csv(rows)
    else:
        metrics_views.show_predictions(rows)
    failed = [row for row in rows if "error" in row]
    for row in failed:
        exit_codes.say("model_maker", f"{row['photo']}: {row['error']}")
    return 1 if failed else 0


def _scored(arguments: argparse.Namespace, classifier, named: Sequence[str], view) -> Iterator[tuple[Any, Any]]:
    """Yields pictures with their scores; where this takes more than a moment, a bar shows how many are done."""
    from model_maker.cli.bars import Bars
    from model_maker.inference import predict_inputs

    bars, shown = Bars(arguments), arguments.why is not None  # which shows its own progress
    with contextlib.ExitStack() as until_done:
        for item, scores in predict_inputs.scored(
            classifier,
            named,
            every=arguments.every,
            frames=arguments.frames,
            view=view,
            smooth=arguments.smooth,
            progress=bars,
        ):
            if not shown and not item.live and bars.seconds > MOMENT_SECONDS:
                until_done.enter_context(bars)
                bars.begin("Classify photos")
                shown = True
            yield item, scores


def _answer(classifier, item, scores, arguments: argparse.Namespace, tier: str | None, allowed) -> tuple[dict, list]:
    """Returns the output row of an image, and its labels, best first; no labels if it cannot be read."""
    row = {"photo": item.name, **item.frame, **({"tier": tier} if tier else {})}
    if isinstance(scores, DataError):
        return row | {"error": str(scores).removeprefix(f"{item.name}: ").removeprefix("the picture: ")}, []
    top_k = arguments.top_k or (None if classifier.info.multi_label else 3)
    ranked = classifier.rank(scores, top_k=top_k, threshold=arguments.threshold, allowed=allowed)
    answers = [dataclasses.asdict(entry) for entry in ranked]
    if names := classifier.info.display_names.get(arguments.locale or ""):
        for answer in answers:
            answer["display_name"] = names[answer["index"]] if answer["index"] >= 0 else answer["label"]
    if sets := classifier.info.label_sets:
        shown = [(names or classifier.labels)[one.index] for one in classifier.label_set(scores)]
        row |= {"coverage": sets.coverage, "label_set": shown}
    return row | {"predictions": answers}, ranked


def _check_locale(classifier, locale: str | None) -> None:
    known = classifier.info.display_names
    if locale is not None and locale not in known:
        has = f"it has {', '.join(known)}" if known else "it has none; `model_maker metadata` writes them"
        raise DataError(f"--locale {locale}: the model has no names of its labels in it; {has}.")


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    """Reads --region."""
    if text is None:
        return None
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError as error:
        raise DataError(f"--region {text}: give LEFT,TOP,RIGHT,BOTTOM, for example 0.25,0,0.75,1.") from error
    return left, top, right, bottom


def _classifier(arguments: argparse.Namespace):
    """Returns the classifier, the inputs to classify, and the tier of zero-shot classification, if any."""
    from model_maker.backbones import embedder, importers
    from model_maker.classifiers import Classifier
    from model_maker.cli.bars import Bars

    if arguments.candidate_labels is not None:
        if arguments.labels or arguments.normalization or arguments.head:
            raise DataError(
                "--labels, --normalization and --head belong to a model file, and candidate labels need none."
            )
        classifier, tier = classifier_of(arguments)
        return classifier, arguments.photos, tier
    for flag in ("tier", "text_vectors", "tower", "accept_licence", "hypothesis_template"):
        if getattr(arguments, flag) is not None:
            raise DataError(f"--{flag.replace('_', '-')} belongs to --candidate-labels: give labels, or leave it out.")
    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and not importers.is_address(model):
        embedder.choose(model)  # suggests similar names
    with Bars(arguments) as bars:
        return Classifier(model, head=arguments.head, **foreign(arguments), progress=bars), photos, None


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            photo, label = safe_text.cell(row["photo"]), safe_text.cell(entry["label"])
            writer.writerow((photo, rank, label, f"{entry['score']:.6f}"))
