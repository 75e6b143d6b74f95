"""`predict`: labels for photos, videos and cameras."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys

from model_maker.cli.arguments import command, foreign, foreign_flags, head_flag
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
    parser.add_argument("--save", metavar="DIR", help="folder to make, of copies with the answer drawn onto them")
    foreign_flags(parser)
    head_flag(parser)
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
    from model_maker.inference import annotation, predict_inputs

    if arguments.top_k < 1:
        raise DataError(f"--top-k {arguments.top_k}: give 1 or more.")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise DataError(f"--threshold {arguments.threshold:g}: give a score from 0 to 1.")
    classifier, named = _classifier(arguments)
    rows: list[dict] = []
    live = False
    with annotation.album(arguments.save, named) as keep:
        try:
            for item, scores in predict_inputs.scored(
                classifier, named, every=arguments.every, frames=arguments.frames
            ):
                live = item.live
                row, ranked = _answer(classifier, item, scores, arguments)
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


def _answer(classifier, item, scores, arguments: argparse.Namespace) -> tuple[dict, list]:
    """Returns what is printed of a picture, and its labels, best first; none where it cannot be read."""
    row = {"photo": item.name, **item.frame}
    if isinstance(scores, DataError):
        return row | {"error": str(scores).removeprefix(f"{item.name}: ").removeprefix("the picture: ")}, []
    ranked = classifier.rank(scores, top_k=arguments.top_k, threshold=arguments.threshold)
    return row | {"predictions": [dataclasses.asdict(entry) for entry in ranked]}, ranked


def _classifier(arguments: argparse.Namespace):
    """Returns the classifier that `predict` is to use, and what it is to classify."""
    from model_maker.backbones import BACKBONES, importers
    from model_maker.cli.bars import Bars
    from model_maker.exporters import starter
    from model_maker.inference.classifier import Classifier

    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and (arguments.model in BACKBONES or not importers.is_address(model)):
        if arguments.labels or arguments.normalization or arguments.head:
            raise DataError(
                f"--labels, --normalization and --head belong to a file; {model} knows its own. Leave them out."
            )
        with Bars(arguments) as bars:
            return Classifier(starter.cached(model, progress=bars)), photos
    return Classifier(model, head=arguments.head, **foreign(arguments)), photos


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            photo, label = spreadsheet.cell(row["photo"]), spreadsheet.cell(entry["label"])
            writer.writerow((photo, rank, label, f"{entry['score']:.6f}"))
