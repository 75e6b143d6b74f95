"""`predict`: labels for photos, videos and cameras."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys

from model_maker.cli.arguments import command, foreign, foreign_flags
from model_maker.cli.printing import print_json
from model_maker.errors import DataError
from model_maker.terminal import exit_codes, spreadsheet

_PREDICT = """model_maker predict [options] MODEL PHOTO [PHOTO ...]
       model_maker predict [options] --model NAME PHOTO [PHOTO ...]"""


def add(commands) -> None:
    parser = command(commands, run, "predict", "classify photos", usage=_PREDICT)
    parser.add_argument("--model", metavar="NAME", help="a backbone's name instead of a file: knows ImageNet's classes")
    parser.add_argument(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="files, folders, patterns in quotes, http(s) addresses, - for stdin, a .txt with a path in each line,"
        " videos, the number of a camera, rtsp:// addresses;"
        " before them MODEL, a .tflite, a folder that train made or an export, unless --model is given",
    )
    parser.add_argument("--every", type=int, metavar="N", help="of videos, each N-th frame (default: 30)")
    parser.add_argument("--frames", type=int, metavar="N", help="so many frames of each video or camera (default: all)")
    parser.add_argument("--smooth", type=int, metavar="N", help="of videos and cameras, average scores over N frames")
    parser.add_argument("--region", metavar="L,T,R,B", help="classify this part, in shares of width and height")
    parser.add_argument("--rotation", type=int, default=0, metavar="DEGREES", help="turn it clockwise before, by 90s")
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--allow", action="append", metavar="LABEL", help="answer with this label; may be repeated")
    labels.add_argument("--deny", action="append", metavar="LABEL", help="never answer with it; may be repeated")
    parser.add_argument("--locale", metavar="CODE", help="also name labels in this language, as the model has it")
    parser.add_argument("--save", metavar="DIR", help="folder to make, of copies with the answer drawn onto them")
    foreign_flags(parser)
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="labels for each photo (default: 3)")
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="lower scores are unknown, 0 to 1 (default: the model's own)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--csv",
        action="store_true",
        help="print CSV: photo,rank,label,score; an apostrophe stands before text that spreadsheets take for a formula",
    )


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import metrics_views
    from model_maker.inference import annotation, predict_inputs, views

    if arguments.top_k < 1:
        raise DataError(f"--top-k {arguments.top_k}: give 1 or more.")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise DataError(f"--threshold {arguments.threshold:g}: give a score from 0 to 1.")
    view = views.View(_region(arguments.region), arguments.rotation)
    classifier, named = _classifier(arguments)
    _check_locale(classifier, arguments.locale)
    allowed = views.candidates(classifier.labels, arguments.allow, arguments.deny)
    rows: list[dict] = []
    live = False
    with annotation.album(arguments.save, named) as keep:
        try:
            for item, scores in predict_inputs.scored(
                classifier,
                named,
                every=arguments.every,
                frames=arguments.frames,
                view=view,
                smooth=arguments.smooth,
            ):
                live = item.live
                row, ranked = _answer(classifier, item, scores, arguments, allowed)
                if ranked:
                    keep(item, [f"{one.label} {one.score:.3f}" for one in ranked])
                if live and ranked and not (arguments.json or arguments.csv):
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


def _answer(classifier, item, scores, arguments: argparse.Namespace, allowed) -> tuple[dict, list]:
    """Returns what is printed of a picture, and its labels, best first; none where it cannot be read."""
    row = {"photo": item.name, **item.frame}
    if isinstance(scores, DataError):
        return row | {"error": str(scores).removeprefix(f"{item.name}: ").removeprefix("the picture: ")}, []
    ranked = classifier.rank(scores, top_k=arguments.top_k, threshold=arguments.threshold, allowed=allowed)
    answers = [dataclasses.asdict(entry) for entry in ranked]
    if names := classifier.info.display_names.get(arguments.locale or ""):
        for answer in answers:
            answer["display_name"] = names[answer["index"]] if answer["index"] >= 0 else answer["label"]
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
    """Returns the classifier that `predict` is to use, and what it is to classify."""
    from model_maker.backbones import embedder, importers
    from model_maker.classifiers import Classifier
    from model_maker.cli.bars import Bars

    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and not importers.is_address(model):
        embedder.choose(model)  # which says what is called nearly so
    with Bars(arguments) as bars:
        return Classifier(model, **foreign(arguments), progress=bars), photos


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            photo, label = spreadsheet.cell(row["photo"]), spreadsheet.cell(entry["label"])
            writer.writerow((photo, rank, label, f"{entry['score']:.6f}"))
