"""`models`: the backbones."""

import argparse
import dataclasses

from model_maker.cli.arguments import command
from model_maker.cli.printing import print_json


def add(commands) -> None:
    parser = command(commands, run, "models", "list the backbones")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.backbones import BACKBONES, DEFAULT, measured
    from model_maker.cli import model_views

    shown = (
        "name",
        "image_size",
        "embedding_size",
        "parameters",
        "macs",
        "top1",
        "top5",
        "top1_int8",
        "licence",
        "source",
    )
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
        print(model_views.models_markdown(rows, DEFAULT), end="")
    else:
        model_views.show_models(rows, DEFAULT)
