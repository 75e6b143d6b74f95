"""`reproduce`: retrains a model and compares the files byte by byte."""

import argparse

from model_maker.cli.arguments import command, data_of, json_flag, part_folders
from model_maker.cli.printing import print_result
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "reproduce",
        "retrain a model from its recorded settings and compare the files",
        epilog="Exit code 0: the files are byte-identical; 1: they differ, and differences are listed.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite that train made, or its folder")
    parser.add_argument("--data", metavar="DIR", help="photos that the model was trained on")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="keep the new model in this folder (default: discard it)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import comparison_views
    from model_maker.cli.bars import Bars
    from model_maker.training.reproduction import reproduce

    if (data := data_of(arguments)) is None:
        raise DataError("reproduce needs the photos that the model was trained on: pass --data DIR.")
    with Bars(arguments) as bars:
        found = reproduce(arguments.model, data, output=arguments.output, overwrite=arguments.overwrite, progress=bars)
    print_result(arguments, found, comparison_views.show_reproduction)
    return 0 if found.equal else 1
