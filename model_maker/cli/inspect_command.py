"""`inspect`: what a `.tflite` contains."""

from __future__ import annotations

import argparse
import dataclasses

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json
from model_maker.errors import about


def add(commands) -> None:
    parser = command(commands, run, "inspect", "show what a .tflite contains")
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli import model_views
    from model_maker.inference.classifier import model_file
    from model_maker.tflite import inspection, metadata, vetting

    path = model_file(arguments.model)
    content = vetting.read(path)
    with about(path):
        facts, info = inspection.inspect(content), metadata.read(content)
        heads = {name: list(head.labels) for name, head in metadata.read_heads(content).items()}
    if arguments.json:
        print_json(
            {"path": str(path), **dataclasses.asdict(facts), "metadata": dataclasses.asdict(info), "heads": heads}
        )
    else:
        model_views.show_model(path, facts, info, heads)
