"""`combine`: several classifiers on one backbone as one file."""

import argparse

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json
from model_maker.output_folder import MODEL


def add(commands) -> None:
    parser = command(
        commands, run, "combine", "make one .tflite of several classifiers on one backbone: one inference, all scores"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders that train made, or .tflite classifiers")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to make")
    parser.add_argument("--names", metavar="A,B", help="names of the outputs (default: those of the models)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if this command made it")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.classes.combining import combine
    from model_maker.cli.bars import Bars
    from model_maker.terminal import rendering

    names = None if arguments.names is None else [name.strip() for name in arguments.names.split(",")]
    with Bars(arguments) as bars:
        found = combine(arguments.models, arguments.output, names=names, overwrite=arguments.overwrite, progress=bars)
    if arguments.json:
        print_json(found.as_dict())
        return
    rows = [(head.name, f"{len(head.labels)} labels") for head in found.heads]
    rows += [
        ("size", f"{found.size_bytes / 1e6:.2f} MB, apart {found.apart_bytes / 1e6:.2f} MB"),
        ("latency", f"{found.latency_ms:.1f} ms here with one thread, apart {found.apart_ms:.1f} ms"),
    ]
    rendering.facts(rendering.console(), rows, [("model", rendering.escape(str(found.directory / MODEL)))])
