"""What the sub-commands do that make and use a model: call the API, hand the result to `views`.

Imports stand inside, here as in the other files of commands, for a quick start.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
from pathlib import Path

from model_maker.errors import DataError, about
from model_maker.terminal import exit_codes, safe_text, spreadsheet


def train(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.cli import training_views
    from model_maker.cli.bars import Bars
    from model_maker.options import Options, from_record
    from model_maker.training.train import train

    given = vars(arguments)
    names = {field.name for field in dataclasses.fields(Options)}
    options = {name: value for name, value in given.items() if name in names}
    data = data_of(arguments)
    if "config" in given:
        record = run_record.load(given["config"])
        try:
            from_record(record["options"])
        except DataError as error:
            raise DataError(f"{given['config']}: {error} Correct it there.") from error
        options, data = record["options"] | options, data or record["data"]
    if "init_from" in given:
        options["model"] = _earlier_run(given)
    if not data:
        raise DataError("train needs photos: pass --data DIR with one folder of photos for each class.")
    if "views" in given and Options(**options).augmentation == "none":
        raise DataError("--views is the number of augmented views: say which with --augment, as --augment standard.")
    limits = {"max_size_mb": given.get("max_size"), "max_latency_ms": given.get("max_latency")}
    if "," in options.get("model", "") and not Path(options["model"]).exists():
        _compare(data, options, limits, arguments)
        return
    if any(limit is not None for limit in limits.values()):
        raise DataError("--max-size and --max-latency choose among models: give several, as --model A,B,C.")
    with Bars() as bars:
        result = train(
            data,
            given.get("output"),
            overwrite=arguments.overwrite,
            resume=arguments.resume,
            tensorboard=given.get("tensorboard"),
            progress=bars,
            **options,
        )
    if arguments.json:
        print_json({"output": str(result.directory), "seconds": round(result.seconds, 2), **result.report})
    else:
        training_views.show_training(result)


def data_of(arguments: argparse.Namespace) -> str | None:
    """Returns what a command was told of its photos: one name, or folders of parts.

    Raises:
      DataError: both, or parts without one to learn from.
    """
    from model_maker.data import split_folders

    data: str | None = getattr(arguments, "data", None)
    told = {part: getattr(arguments, f"{flag[2:-4]}_dir", None) for part, flag in split_folders.FLAGS.items()}
    given = {part: path for part, path in told.items() if path is not None}
    if not given:
        return data
    flags = ", ".join(split_folders.FLAGS[part] for part in given)
    if data is not None:
        raise DataError(f"{flags} name the photos by part, and {data} all of them: give one or the other.")
    if "train" not in given:
        raise DataError(f"{flags} without --train-dir: say which photos to learn from.")
    return split_folders.address(**given)


def _earlier_run(given: dict) -> str:
    from model_maker.output_folder import FLOAT_MODEL

    folder = given["init_from"]
    if "model" in given:
        raise DataError("--init-from brings its own network: leave --model out.")
    if not (Path(folder) / FLOAT_MODEL).is_file():
        raise DataError(f"--init-from {folder}: there is no {FLOAT_MODEL}. Give a folder that `train` made.")
    return folder


def _compare(data: str, options: dict, limits: dict, arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.cli.bars import Bars
    from model_maker.training import comparison

    for flag, stated in (("--resume", arguments.resume), ("--tensorboard", getattr(arguments, "tensorboard", None))):
        if stated:
            raise DataError(f"{flag} belongs to the fine-tuning of one model: leave it out, or give one --model.")
    models = [name.strip() for name in options.pop("model").split(",") if name.strip()]
    with Bars() as bars:
        found = comparison.compare(
            data,
            models,
            getattr(arguments, "output", None),
            overwrite=arguments.overwrite,
            progress=bars,
            **limits,
            **options,
        )
    if arguments.json:
        print_json({"output": str(found.directory), **comparison.as_dict(found)})
    else:
        views.show_comparison(found)


def evaluate(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.cli import views
    from model_maker.cli.bars import Bars
    from model_maker.inference.classifier import Classifier
    from model_maker.report import model_page

    page = new_page(arguments)
    classifier = Classifier(arguments.model, **foreign(arguments))
    with Bars() as bars:
        dataset, notes = run_record.photos_for(arguments.model, arguments.data)
        for note in notes:
            bars.note(note)
        with bars.stage("Evaluate the file"):
            scored = classifier.score_labelled(dataset, progress=bars.step)
            metrics = classifier.measure(scored)
        if skipped := len(dataset.skipped) + len(dataset) - metrics.photos:
            bars.note(f"{skipped} files cannot be read as photos and do not count.")
        if page is not None:
            name, own = classifier.info.name, run_record.is_own_test(arguments.model, arguments.data)
            model_page.write(page, name, scored, metrics, model=arguments.model, own_test=own)
            bars.note(f"The report: {page}")
    if arguments.json:
        print_json(metrics.as_dict())
    else:
        views.show_metrics(metrics)


def new_page(arguments: argparse.Namespace) -> Path | None:
    """Returns where --report is to be written, before the long work, if it may be."""
    from model_maker.report import model_page

    if arguments.report is None:
        return None
    model_page.check_new(page := Path(arguments.report), overwrite=arguments.overwrite)
    return page


def reproduce(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.cli.bars import Bars
    from model_maker.training.reproduction import reproduce

    if (data := data_of(arguments)) is None:
        raise DataError("reproduce needs the photos that the model was trained on: pass --data DIR.")
    with Bars() as bars:
        found = reproduce(arguments.model, data, output=arguments.output, overwrite=arguments.overwrite, progress=bars)
    if arguments.json:
        print_json(found.as_dict())
    else:
        views.show_reproduction(found)
    return 0 if found.equal else 1


def predict(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
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
                    views.show_answer(row)
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
        views.show_predictions(rows)
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
    from model_maker.export import starter
    from model_maker.inference.classifier import Classifier

    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and (arguments.model in BACKBONES or not importers.is_address(model)):
        if arguments.labels or arguments.normalization:
            raise DataError(f"--labels and --normalization belong to a file; {model} knows its own. Leave them out.")
        with Bars() as bars:
            return Classifier(starter.cached(model, progress=bars)), photos
    return Classifier(model, **foreign(arguments)), photos


def foreign(arguments: argparse.Namespace) -> dict:
    """Returns what was told of a model that does not say it itself, as `Classifier` takes it."""
    from model_maker.backbones import input_range

    return {"labels": arguments.labels, "normalization": input_range.parse(arguments.normalization)}


def inspect(arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.inference.classifier import model_file
    from model_maker.tflite import inspection, metadata, vetting

    path = model_file(arguments.model)
    content = vetting.read(path)
    with about(path):
        facts, info = inspection.inspect(content), metadata.read(content)
    if arguments.json:
        print_json({"path": str(path), **dataclasses.asdict(facts), "metadata": dataclasses.asdict(info)})
    else:
        views.show_model(path, facts, info)


def benchmark(arguments: argparse.Namespace) -> int:
    from model_maker.benchmark import command_line

    return command_line.run_command(arguments)


def models(arguments: argparse.Namespace) -> None:
    from model_maker.backbones import BACKBONES, DEFAULT, measured
    from model_maker.cli import views

    shown = ("name", "image_size", "embedding_size", "parameters", "macs", "top1", "top1_int8", "licence", "source")
    found = measured.read()
    rows = [
        {key: getattr(backbone, key) for key in shown}
        | {"normalization": dataclasses.asdict(backbone.normalization), "offline": backbone.weights.is_here()}
        | found["backbones"].get(backbone.name, {})
        for backbone in BACKBONES.values()
    ]
    if arguments.json:
        print_json(rows)
    elif arguments.markdown:
        print(views.models_markdown(rows, DEFAULT), end="")
    else:
        views.show_models(rows, DEFAULT)


def show(text: str, *, flush: bool = False) -> None:
    """Prints a text that may hold names from outside."""
    print(safe_text.set_in(text), flush=flush)


def print_json(content) -> None:
    print(safe_text.printable_json(json.dumps(content, indent=2, ensure_ascii=False)))


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            photo, label = spreadsheet.cell(row["photo"]), spreadsheet.cell(entry["label"])
            writer.writerow((photo, rank, label, f"{entry['score']:.6f}"))
