"""`predict`: labels for photos, videos and cameras."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys

from model_maker.cli.arguments import command, foreign, foreign_flags
from model_maker.cli.printing import print_json
from model_maker.cli.zero_shot_command import classifier_of, template_flag, tier_flags
from model_maker.errors import DataError
from model_maker.terminal import exit_codes, spreadsheet

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
    parser.add_argument("--save", metavar="DIR", help="new folder for copies with the prediction drawn on them")
    foreign_flags(parser)
    _zero_shot(parser)
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="labels per photo (default: 3)")
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
    from model_maker.cli import metrics_views
    from model_maker.inference import annotation, predict_inputs

    if arguments.top_k < 1:
        raise DataError(f"--top-k {arguments.top_k}: pass 1 or more.")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise DataError(f"--threshold {arguments.threshold:g}: pass a score from 0 to 1.")
    classifier, named, tier = _classifier(arguments)
    rows: list[dict] = []
    live = False
    with annotation.album(arguments.save, named) as keep:
        try:
            for item, scores in predict_inputs.scored(
                classifier, named, every=arguments.every, frames=arguments.frames
            ):
                live = item.live
                row, ranked = _answer(classifier, item, scores, arguments, tier)
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


def _answer(classifier, item, scores, arguments: argparse.Namespace, tier: str | None) -> tuple[dict, list]:
    """Returns the output row of an image, and its labels, best first; no labels if it cannot be read."""
    row = {"photo": item.name, **item.frame, **({"tier": tier} if tier else {})}
    if isinstance(scores, DataError):
        return row | {"error": str(scores).removeprefix(f"{item.name}: ").removeprefix("the picture: ")}, []
    ranked = classifier.rank(scores, top_k=arguments.top_k, threshold=arguments.threshold)
    return row | {"predictions": [dataclasses.asdict(entry) for entry in ranked]}, ranked


def _classifier(arguments: argparse.Namespace):
    """Returns the classifier, the inputs to classify, and the tier of zero-shot classification, if any."""
    from model_maker.backbones import BACKBONES, importers
    from model_maker.cli.bars import Bars
    from model_maker.exporters import starter
    from model_maker.inference.classifier import Classifier

    if arguments.candidate_labels is not None:
        if arguments.labels or arguments.normalization:
            raise DataError("--labels and --normalization belong to a model file, and candidate labels need none.")
        classifier, tier = classifier_of(arguments)
        return classifier, arguments.photos, tier
    for flag in ("tier", "text_vectors", "tower", "hypothesis_template"):
        if getattr(arguments, flag) is not None:
            raise DataError(f"--{flag.replace('_', '-')} belongs to --candidate-labels: give labels, or leave it out.")
    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and (arguments.model in BACKBONES or not importers.is_address(model)):
        if arguments.labels or arguments.normalization:
            raise DataError(f"--labels and --normalization apply to model files; {model} has its own. Leave them out.")
        with Bars(arguments) as bars:
            return Classifier(starter.cached(model, progress=bars)), photos, None
    return Classifier(model, **foreign(arguments)), photos, None


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            photo, label = spreadsheet.cell(row["photo"]), spreadsheet.cell(entry["label"])
            writer.writerow((photo, rank, label, f"{entry['score']:.6f}"))
