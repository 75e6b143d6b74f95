"""`doctor`: finds and fixes problems in a dataset."""

import argparse
import sys

from model_maker.cli.arguments import command, data_of, json_flag, page_of, part_folders
from model_maker.cli.printing import print_json, show
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(commands, run, "doctor", "find and fix problems in a dataset")
    parser.add_argument("data", metavar="DATA", nargs="?", help="photos, as for train")
    part_folders(parser)
    parser.add_argument("--html", metavar="FILE", help="also write an HTML report with thumbnails")
    parser.add_argument("--overwrite", action="store_true", help="replace the report if it exists")
    parser.add_argument(
        "--fix",
        metavar="KIND[,KIND]",
        nargs="?",
        const="",
        help="move photos with these findings to the quarantine after confirmation; nothing is deleted"
        " (default: broken,duplicates)",
    )
    parser.add_argument("--yes", action="store_true", help="move them without confirmation")
    parser.add_argument("--undo", action="store_true", help="move everything back from the quarantine")
    parser.add_argument("--quarantine", metavar="DIR", help="quarantine folder (default: DATA_quarantine beside DATA)")
    parser.add_argument("--multi-label", action="store_true", help="photos may have several labels, or none")
    parser.add_argument("--model", metavar="NAME", help="backbone for comparing photos (default: efficientnet_lite0)")
    parser.add_argument("--threads", type=int, metavar="N", help="photos processed in parallel (default: all cores)")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker import backbones
    from model_maker.cli import doctor_views
    from model_maker.cli.bars import Bars
    from model_maker.doctor import checks, diagnosis, doctor_page, quarantine
    from model_maker.system import files

    arguments.data = data_of(arguments)
    if arguments.data is None:
        raise DataError("doctor needs a dataset: pass a folder with one folder of photos per class.")
    if arguments.undo:
        _put_back(arguments)
        return
    html = page_of(arguments, arguments.html)
    kinds = None
    if arguments.fix is not None:
        kinds = [kind.strip() for kind in arguments.fix.split(",") if kind.strip()] or list(checks.DEFAULT_FIXES)
        quarantine.check(arguments.data, kinds, arguments.quarantine)
        if not arguments.yes and (arguments.json or not sys.stdin.isatty()):
            raise DataError("--fix asks for confirmation, but stdin is not interactive: add --yes.")
    elif arguments.quarantine is not None:
        raise DataError("--quarantine needs --fix or --undo.")
    with Bars(arguments) as bars:
        found = diagnosis.diagnose(
            arguments.data,
            model=arguments.model or backbones.DEFAULT,
            multi_label=arguments.multi_label,
            threads=arguments.threads,
            progress=bars,
        )
        if html is not None:
            with bars.stage("Write the report"):
                files.write(html, doctor_page.render(found).encode(errors="backslashreplace"))
    if kinds and not arguments.json:
        doctor_views.show_diagnosis(found)
        planned = quarantine.planned(found, kinds)
        doctor_views.show_plan(found, planned)
        if planned and not arguments.yes and not _agreed():
            print("Nothing was moved.")
            return
    moves = quarantine.mend(found, kinds, arguments.quarantine) if kinds else None
    if arguments.json:
        repaired = {"fixed": moves and doctor_views.moves_as_dict(moves)}
        print_json(diagnosis.as_dict(found) | repaired)
        return
    if moves:
        doctor_views.show_mending(found, moves)
    else:
        doctor_views.show_diagnosis(found)
    if html is not None:
        show(f"Report: {html}")


def _agreed() -> bool:
    print("Move them? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _put_back(arguments: argparse.Namespace) -> None:
    from model_maker.cli import doctor_views
    from model_maker.doctor import quarantine

    if arguments.fix is not None or arguments.html is not None:
        raise DataError("--undo only moves photos back: leave --fix and --html out.")
    moves = quarantine.put_back(arguments.data, arguments.quarantine)
    if arguments.json:
        print_json(doctor_views.moves_as_dict(moves))
    else:
        doctor_views.show_put_back(moves)
