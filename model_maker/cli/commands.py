"""What each sub-command does: call the API, hand the result to `views`. Imports stand inside, for a quick start."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import json
import sys
import threading
import typing
import webbrowser
from pathlib import Path

from model_maker import exits
from model_maker.errors import DataError, about


def train(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.cli import views
    from model_maker.training import Options, train

    given = vars(arguments)
    names = {field.name for field in dataclasses.fields(Options)}
    options = {name: value for name, value in given.items() if name in names}
    data = given.get("data")
    if "config" in given:
        record = run_record.load(given["config"])
        _check_options(given["config"], record["options"])
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
    if any(limits.values()):
        raise DataError("--max-size and --max-latency choose among models: give several, as --model A,B,C.")
    with views.Bars() as bars:
        result = train(
            data,
            given.get("output"),
            overwrite=arguments.overwrite,
            resume=arguments.resume,
            tensorboard=given.get("tensorboard"),
            reporter=bars,
            **options,
        )
    if arguments.json:
        _print_json({"output": str(result.directory), "seconds": round(result.seconds, 2), **result.report})
    else:
        views.show_training(result)


def _earlier_run(given: dict) -> str:
    from model_maker.backbones import importers

    folder = given["init_from"]
    if "model" in given:
        raise DataError("--init-from brings its own network: leave --model out.")
    if not (Path(folder) / importers.TRAINED).is_file():
        raise DataError(f"--init-from {folder}: there is no {importers.TRAINED}. Give a folder that `train` made.")
    return folder


def _compare(data: str, options: dict, limits: dict, arguments: argparse.Namespace) -> None:
    from model_maker import comparison
    from model_maker.cli import views

    models = [name.strip() for name in options.pop("model").split(",") if name.strip()]
    with views.Bars() as bars:
        found = comparison.compare(
            data,
            models,
            getattr(arguments, "output", None),
            overwrite=arguments.overwrite,
            reporter=bars,
            **limits,
            **options,
        )
    if arguments.json:
        _print_json({"output": str(found.directory), **comparison.as_dict(found)})
    else:
        views.show_comparison(found)


def _check_options(config: str, options: dict[str, object]) -> None:
    """Refuses what `train` does not know, as a file edited by hand or written by another version may hold it."""
    from model_maker.training import Options

    kinds = typing.get_type_hints(Options)
    for name, value in options.items():
        if name not in kinds or not isinstance(value, kinds[name]):
            raise DataError(f"{config} holds the option {name} = {value!r}, which train cannot take. Correct it there.")


def evaluate(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.cli import views
    from model_maker.inference.classifier import Classifier

    classifier = Classifier(arguments.model)
    with views.Bars() as bars:
        dataset, notes = run_record.photos_for(arguments.model, arguments.data)
        for note in notes:
            bars.note(note)
        bars.stage("Evaluate the file")
        metrics = classifier.evaluate(dataset, progress=bars.progress)
        if skipped := len(dataset.skipped) + len(dataset) - metrics.photos:
            bars.note(f"{skipped} files cannot be read as photos and do not count.")
    if arguments.json:
        _print_json(metrics.as_dict())
    else:
        views.show_metrics(metrics)


def predict(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.inference import addresses

    if arguments.top_k < 1:
        raise DataError(f"--top-k {arguments.top_k}: give 1 or more.")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise DataError(f"--threshold {arguments.threshold:g}: give a score from 0 to 1.")
    classifier, named = _classifier(arguments)
    photos = list(addresses.expand(named))
    contents = (addresses.open_photo(photo) for photo in photos)
    rows: list[dict] = []
    for photo, scores in zip(photos, classifier.scores(contents), strict=True):
        if isinstance(scores, DataError):
            rows.append({"photo": photo, "error": str(scores).removeprefix(f"{photo}: ").removeprefix("the picture: ")})
            continue
        ranked = classifier.rank(scores, top_k=arguments.top_k, threshold=arguments.threshold)
        rows.append({"photo": photo, "predictions": [dataclasses.asdict(entry) for entry in ranked]})
    if arguments.json:
        _print_json(rows)
    elif arguments.csv:
        _print_csv(rows)
    else:
        views.show_predictions(rows)
    failed = [row for row in rows if "error" in row]
    for row in failed:
        exits.say("model_maker", f"{row['photo']}: {row['error']}")
    return 1 if failed else 0


def _classifier(arguments: argparse.Namespace):
    """Returns the classifier that `predict` is to use, and what it is to classify."""
    from model_maker.backbones import BACKBONES, importers
    from model_maker.cli import views
    from model_maker.deploy import starter
    from model_maker.inference.classifier import Classifier

    model, *photos = [arguments.model, *arguments.photos] if arguments.model else arguments.photos
    if arguments.model and (arguments.model in BACKBONES or not importers.is_address(model)):
        with views.Bars() as bars:
            return Classifier(starter.cached(model, reporter=bars)), photos
    return Classifier(model), photos


def export(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.deploy import export as exports

    if arguments.output is None:
        return _put_in_app(arguments)
    formats = [name.strip() for name in (arguments.format or exports.ALL).split(",") if name.strip()]
    with views.Bars() as bars:
        found = exports.export(
            arguments.model,
            arguments.output,
            formats=formats,
            io=arguments.io,
            data=arguments.data,
            overwrite=arguments.overwrite,
            reporter=bars,
        )
    if arguments.json:
        _print_json({"output": str(found.directory), **exports.as_dict(found)})
    else:
        views.show_export(found)
    failed = [entry for entry in found.entries if entry.failure]
    for entry in failed:
        exits.say("model_maker", f"{entry.format}: {entry.failure}")
    return 1 if failed and formats != [exports.ALL] else 0


def _put_in_app(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.deploy import apps

    platform = "android" if arguments.android else "ios"
    if arguments.format:
        raise DataError(f"--format {arguments.format}: an app takes a .tflite. Leave it out, or use --output DIR.")
    with views.Bars() as bars:
        found = apps.put_in_app(
            arguments.model,
            getattr(arguments, platform),
            platform,
            io=arguments.io,
            data=arguments.data,
            overwrite=arguments.overwrite,
            reporter=bars,
        )
    if arguments.json:
        _print_json({"app": found.app.name, "path": str(found.path), "bytes": found.size_bytes, "new": found.made_app})
    else:
        views.show_app(found, getattr(arguments, platform))
    return 0


def codegen(arguments: argparse.Namespace) -> None:
    from model_maker import files
    from model_maker.deploy import codegen as generator

    if arguments.package is not None and arguments.language != "kotlin":
        raise DataError(f"--package {arguments.package} belongs to --kotlin. Leave it out.")
    path = Path(arguments.output) if arguments.output is not None else None
    if path is not None:
        files.check_new_file(path, overwrite=arguments.overwrite)
    code = generator.codegen(
        arguments.model,
        arguments.language,
        name=arguments.name,
        package=arguments.package or generator.PACKAGE,
        top_k=arguments.top_k,
        threshold=arguments.threshold,
    )
    if path is None:
        print(code, end="")
    else:
        files.write(path, code.encode())
        print(f"{path} ({len(code.splitlines())} lines)")


def starter(arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.deploy import starter as starters

    with views.Bars() as bars:
        folder = starters.starter(
            arguments.model,
            arguments.output,
            form=_form(arguments),
            weights=arguments.weights,
            data=arguments.data,
            overwrite=arguments.overwrite,
            reporter=bars,
        )
    _show_file(folder / "model.tflite", arguments)


def embedder(arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.deploy import embedder_file

    with views.Bars() as bars:
        folder = embedder_file.export_embedder(
            arguments.model,
            arguments.output,
            form=_form(arguments),
            overwrite=arguments.overwrite,
            reporter=bars,
            weights_file=arguments.weights,
            normalization=arguments.normalization,
            image_size=arguments.image_size,
        )
    _show_file(folder / embedder_file.FILE, arguments)


def _form(arguments: argparse.Namespace):
    from model_maker.deploy.shipping import Form
    from model_maker.options import check_form

    check_form(arguments.quantize, arguments.io)
    return Form(arguments.quantize, arguments.io)


def _show_file(path: Path, arguments: argparse.Namespace) -> None:
    size = path.stat().st_size
    if arguments.json:
        _print_json({"path": str(path), "bytes": size})
    else:
        print(f"{path} ({size / 1e6:.2f} MB)")


def inspect(arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.inference.classifier import model_file
    from model_maker.tflite import inspection, metadata, vetting

    path = model_file(arguments.model)
    content = vetting.read(path)
    with about(path):
        facts, info = inspection.inspect(content), metadata.read(content)
    if arguments.json:
        _print_json({"path": str(path), **dataclasses.asdict(facts), "metadata": dataclasses.asdict(info)})
    else:
        views.show_model(path, facts, info)


def verify(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.deploy import verify as certificates

    with views.Bars() as bars:
        found = certificates.verify(arguments.model, data=arguments.data, reporter=bars)
    if arguments.json:
        _print_json(found.as_dict())
    else:
        views.show_certificate(found)
    return 1 if found.failures else 0


def benchmark(arguments: argparse.Namespace) -> int:
    from benchmarks import cli

    return cli.run_command(arguments)


def demo(arguments: argparse.Namespace) -> None:
    from model_maker.deploy import demo as page
    from model_maker.deploy.demo_server import Server

    if arguments.export:
        folder = page.write_site(arguments.model, arguments.export, overwrite=arguments.overwrite)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder}/{page.INDEX} ({size / 1e6:.1f} MB in all)")
        return
    with Server(page.site(arguments.model), arguments.port) as server:
        print(f"{arguments.model} at {server.url} (ctrl-C ends)", flush=True)
        if not arguments.no_browser:
            # Aside, for a browser in the terminal returns only when it is left.
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print()  # behind the terminal's ^C


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
        _print_json(rows)
    elif arguments.markdown:
        print(views.models_markdown(rows, DEFAULT), end="")
    else:
        views.show_models(rows, DEFAULT)


def doctor(arguments: argparse.Namespace) -> None:
    from model_maker import files
    from model_maker.cli import doctor_views, views
    from model_maker.doctor import checks, diagnosis, page, quarantine

    if arguments.undo:
        _put_back(arguments)
        return
    html = Path(arguments.html) if arguments.html is not None else None
    if html is not None:
        files.check_new_file(html, overwrite=arguments.overwrite)
    kinds = None
    if arguments.fix is not None:
        kinds = [kind.strip() for kind in arguments.fix.split(",") if kind.strip()] or list(checks.DEFAULT_MENDING)
        quarantine.check(arguments.data, kinds, arguments.quarantine)
    elif arguments.quarantine is not None:
        raise DataError("--quarantine says where photos go: give --fix or --undo, too.")
    with views.Bars() as bars:
        found = diagnosis.diagnose(
            arguments.data, model=arguments.model or diagnosis.MODEL, threads=arguments.threads, reporter=bars
        )
        if html is not None:
            bars.stage("Write the page")
            files.write(html, page.render(found).encode(errors="backslashreplace"))
    moves = quarantine.mend(found, kinds, arguments.quarantine) if kinds else None
    if arguments.json:
        mended = {"fixed": moves and doctor_views.moves_as_dict(moves)}
        _print_json(diagnosis.as_dict(found) | mended)
        return
    doctor_views.show_diagnosis(found)
    if moves:
        doctor_views.show_mending(found, moves)
    if html is not None:
        print(f"The page with thumbnails: {html}")


def _put_back(arguments: argparse.Namespace) -> None:
    from model_maker.cli import doctor_views
    from model_maker.doctor import quarantine

    if arguments.fix is not None or arguments.html is not None:
        raise DataError("--undo puts photos back and does nothing else: leave --fix and --html out.")
    moves = quarantine.put_back(arguments.data, arguments.quarantine)
    if arguments.json:
        _print_json(doctor_views.moves_as_dict(moves))
    else:
        doctor_views.show_put_back(moves)


def augment(arguments: argparse.Namespace) -> None:
    from model_maker.data import contact_sheet, sources

    path = Path(arguments.preview)
    contact_sheet.check(path, overwrite=arguments.overwrite)
    sheet = contact_sheet.draw(
        sources.read(arguments.data, least_classes=1),
        arguments.preset,
        photos=arguments.photos,
        views=arguments.views,
        seed=arguments.seed,
    )
    contact_sheet.write(path, sheet)
    if arguments.json:
        _print_json({"path": str(path), "preset": arguments.preset, "width": sheet.width, "height": sheet.height})
    else:
        print(f"{path} ({sheet.width} x {sheet.height} pixels, preset {arguments.preset})")


def sample_data(arguments: argparse.Namespace) -> None:
    from model_maker.cli import views
    from model_maker.data import sample_data

    directory = Path(arguments.directory)
    with views.Bars() as bars:
        bars.stage("Draw pictures")
        paths = sample_data.draw(directory, per_class=arguments.per_class, seed=arguments.seed, progress=bars.progress)
    classes = sorted({path.parent.name for path in paths})
    if arguments.json:
        _print_json({"directory": str(directory), "pictures": len(paths), "classes": classes})
    else:
        print(f"{len(paths)} pictures of {', '.join(classes)} in {directory}")


def _print_json(content) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def _print_csv(rows: list[dict]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("photo", "rank", "label", "score"))
    for row in rows:
        for rank, entry in enumerate(row.get("predictions", ()), start=1):
            writer.writerow((row["photo"], rank, entry["label"], f"{entry['score']:.6f}"))
