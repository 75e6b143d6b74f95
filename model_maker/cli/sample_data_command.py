"""`sample-data`: a practice dataset, drawn."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json, show


def add(commands) -> None:
    parser = command(commands, run, "sample-data", "draw a practice dataset of five kinds of flowers")
    parser.add_argument("directory", metavar="DIR", help="output folder")
    parser.add_argument("--per-class", type=int, default=60, metavar="N", help="images per class (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.data import sample_data

    directory = Path(arguments.directory)
    with Bars(arguments) as bars, bars.stage("Draw pictures"):
        paths = sample_data.draw(directory, per_class=arguments.per_class, seed=arguments.seed, progress=bars.step)
    classes = sorted({path.parent.name for path in paths})
    if arguments.json:
        print_json({"directory": str(directory), "pictures": len(paths), "classes": classes})
    else:
        show(f"{len(paths)} pictures of {', '.join(classes)} in {directory}")
