"""What the sub-commands do that look after photos: call the API, hand the result to views."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from model_maker.cli.commands import data_of, print_json, show
from model_maker.errors import DataError


def doctor(arguments: argparse.Namespace) -> None:
    from model_maker import backbones
    from model_maker.cli import doctor_views
    from model_maker.cli.bars import Bars
    from model_maker.doctor import checks, diagnosis, doctor_page, quarantine
    from model_maker.system import files

    arguments.data = data_of(arguments)
    if arguments.data is None:
        raise DataError("doctor needs photos: give a folder with one folder of photos for each class.")
    if arguments.undo:
        _put_back(arguments)
        return
    html = Path(arguments.html) if arguments.html is not None else None
    if html is not None:
        files.check_new_page(html, overwrite=arguments.overwrite)
    kinds = None
    if arguments.fix is not None:
        kinds = [kind.strip() for kind in arguments.fix.split(",") if kind.strip()] or list(checks.DEFAULT_MENDING)
        quarantine.check(arguments.data, kinds, arguments.quarantine)
        if not arguments.yes and (arguments.json or not sys.stdin.isatty()):
            raise DataError("--fix lists what it would move and asks, and here is nobody to ask: add --yes.")
    elif arguments.quarantine is not None:
        raise DataError("--quarantine says where photos go: give --fix or --undo, too.")
    with Bars() as bars:
        found = diagnosis.diagnose(
            arguments.data, model=arguments.model or backbones.DEFAULT, threads=arguments.threads, progress=bars
        )
        if html is not None:
            with bars.stage("Write the page"):
                files.write(html, doctor_page.render(found).encode(errors="backslashreplace"))
    if kinds and not arguments.json:
        doctor_views.show_diagnosis(found)
        doctor_views.show_plan(found, quarantine.planned(found, kinds))
        if not arguments.yes and not _agreed():
            print("Nothing was moved.")
            return
    moves = quarantine.mend(found, kinds, arguments.quarantine) if kinds else None
    if arguments.json:
        mended = {"fixed": moves and doctor_views.moves_as_dict(moves)}
        print_json(diagnosis.as_dict(found) | mended)
        return
    if moves:
        doctor_views.show_mending(found, moves)
    else:
        doctor_views.show_diagnosis(found)
    if html is not None:
        show(f"The page with thumbnails: {html}")


def _agreed() -> bool:
    print("Move them? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _put_back(arguments: argparse.Namespace) -> None:
    from model_maker.cli import doctor_views
    from model_maker.doctor import quarantine

    if arguments.fix is not None or arguments.html is not None:
        raise DataError("--undo puts photos back and does nothing else: leave --fix and --html out.")
    moves = quarantine.put_back(arguments.data, arguments.quarantine)
    if arguments.json:
        print_json(doctor_views.moves_as_dict(moves))
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
        print_json({"path": str(path), "preset": arguments.preset, "width": sheet.width, "height": sheet.height})
    else:
        show(f"{path} ({sheet.width} x {sheet.height} pixels, preset {arguments.preset})")


def sample_data(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.data import sample_data

    directory = Path(arguments.directory)
    with Bars() as bars, bars.stage("Draw pictures"):
        paths = sample_data.draw(directory, per_class=arguments.per_class, seed=arguments.seed, progress=bars.step)
    classes = sorted({path.parent.name for path in paths})
    if arguments.json:
        print_json({"directory": str(directory), "pictures": len(paths), "classes": classes})
    else:
        show(f"{len(paths)} pictures of {', '.join(classes)} in {directory}")


def completion(arguments: argparse.Namespace) -> None:
    from model_maker.terminal import completion

    print(completion.script(arguments.shell), end="")
