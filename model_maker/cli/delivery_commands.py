"""What the sub-commands do that take a model elsewhere: call the API, hand the result to views."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import threading
import webbrowser
from pathlib import Path

from model_maker.cli.commands import new_page, print_json, show
from model_maker.errors import DataError
from model_maker.output_folder import MODEL
from model_maker.terminal import exit_codes


def export(arguments: argparse.Namespace) -> int:
    from model_maker.cli import views
    from model_maker.cli.bars import Bars
    from model_maker.export import export as exports

    if arguments.output is None:
        return _put_in_app(arguments)
    formats = [name.strip() for name in (arguments.format or exports.ALL).split(",") if name.strip()]
    with Bars() as bars:
        found = exports.export(
            arguments.model,
            arguments.output,
            formats=formats,
            io=arguments.io,
            data=arguments.data,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    if arguments.json:
        print_json({"output": str(found.directory), **exports.as_dict(found)})
    else:
        views.show_export(found)
    failed = [entry for entry in found.entries if entry.failure]
    for entry in failed:
        exit_codes.say("model_maker", f"{entry.format}: {entry.failure}")
    return 1 if failed and formats != [exports.ALL] else 0


def _put_in_app(arguments: argparse.Namespace) -> int:
    from model_maker.apps import put_in_app
    from model_maker.cli import views
    from model_maker.cli.bars import Bars

    platform = "android" if arguments.android else "ios"
    if arguments.format:
        raise DataError(f"--format {arguments.format}: an app takes a .tflite. Leave it out, or use --output DIR.")
    with Bars() as bars:
        found = put_in_app.put_in_app(
            arguments.model,
            getattr(arguments, platform),
            platform,
            io=arguments.io,
            data=arguments.data,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    if arguments.json:
        print_json({"app": found.app.name, "path": str(found.path), "bytes": found.size_bytes, "new": found.made_app})
    else:
        views.show_app(found, getattr(arguments, platform))
    return 0


def codegen(arguments: argparse.Namespace) -> None:
    from model_maker.apps import codegen as generator
    from model_maker.system import files

    if arguments.package is not None and arguments.language != "kotlin":
        raise DataError(f"--package {arguments.package} belongs to --kotlin. Leave it out.")
    path = Path(arguments.output) if arguments.output is not None else None
    if path is not None:
        files.check_new_text(path, overwrite=arguments.overwrite)
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
        show(f"{path} ({len(code.splitlines())} lines)")


def starter(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.export import starter as starters

    with Bars() as bars:
        folder = starters.starter(
            arguments.model,
            arguments.output,
            form=_form(arguments),
            weights=arguments.weights,
            data=arguments.data,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    _show_file(folder / MODEL, arguments)


def embedder(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.export import embedder_file

    with Bars() as bars:
        folder = embedder_file.export_embedder(
            arguments.model,
            arguments.output,
            form=_form(arguments),
            overwrite=arguments.overwrite,
            progress=bars,
            weights_file=arguments.weights,
            normalization=arguments.normalization,
            image_size=arguments.image_size,
        )
    _show_file(folder / embedder_file.FILE, arguments)


def _form(arguments: argparse.Namespace):
    from model_maker.options import check_value
    from model_maker.packaging.quantized_file import Form

    check_value("quantize", arguments.quantize)
    check_value("io", arguments.io)
    return Form(arguments.quantize, arguments.io)


def _show_file(path: Path, arguments: argparse.Namespace) -> None:
    size = path.stat().st_size
    if arguments.json:
        print_json({"path": str(path), "bytes": size})
    else:
        show(f"{path} ({size / 1e6:.2f} MB)")


def verify(arguments: argparse.Namespace) -> int:
    from model_maker import run_record
    from model_maker.cli import certificate_views
    from model_maker.cli.bars import Bars
    from model_maker.inference.classifier import Classifier
    from model_maker.report import model_page
    from model_maker.verify import verify as certificates

    page = new_page(arguments)
    with Bars() as bars:
        found = certificates.verify(arguments.model, data=arguments.data, progress=bars)
    if arguments.json:
        print_json(found.as_dict())
    else:
        certificate_views.show_certificate(found)
    if page is not None and not found.apps:
        exit_codes.say("model_maker", f"{page} is not written, for LiteRT does not run the file.")
    elif page is not None:
        with Bars() as bars:
            classifier = Classifier(arguments.model)
            with bars.stage("Evaluate the file"):
                dataset, _ = run_record.photos_for(arguments.model, arguments.data)
                scored = classifier.score_labelled(dataset, progress=bars.step)
            metrics, name = classifier.measure(scored), classifier.info.name
            own, certificate = run_record.is_own_test(arguments.model, arguments.data), found.as_dict()
            model_page.write(page, name, scored, metrics, model=arguments.model, own_test=own, certificate=certificate)
            bars.note(f"The report: {page}")
    return 1 if found.failures else 0


def metadata(arguments: argparse.Namespace) -> int:
    from model_maker.cli import certificate_views
    from model_maker.cli.commands import foreign
    from model_maker.verify import metadata_writing

    texts = {name: getattr(arguments, name) for name in metadata_writing.TEXTS}
    found = metadata_writing.describe(
        arguments.model, arguments.output, overwrite=arguments.overwrite, **foreign(arguments), **texts
    )
    if arguments.json:
        rules = [
            {"demand": entry.rule.demand, "passed": entry.passed, "received": entry.received}
            for entry in found.findings
        ]
        print_json({"path": str(found.path), "metadata": dataclasses.asdict(found.info), "rules": rules})
    else:
        certificate_views.show_described(found)
    for entry in found.broken:
        exit_codes.say(
            "model_maker", f"{found.path}: {entry.rule.demand}; it has {entry.received}. {entry.rule.advice}"
        )
    return 1 if found.broken else 0


def demo(arguments: argparse.Namespace) -> None:
    from model_maker.demo import static_site as page
    from model_maker.demo.server import Server

    if arguments.export:
        if arguments.port is not None:
            raise DataError(f"--port {arguments.port} is of the server, which --export does without: leave one out.")
        folder = page.write_site(arguments.model, arguments.export, overwrite=arguments.overwrite)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        show(f"{folder}/{page.INDEX} ({size / 1e6:.1f} MB in all)")
        return
    with Server(page.site(arguments.model), arguments.port or 0) as server:
        show(f"{arguments.model} at {server.url} (ctrl-C ends)", flush=True)
        if not arguments.no_browser:
            # Aside, for a browser in the terminal returns only when it is left.
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print()  # behind the terminal's ^C
