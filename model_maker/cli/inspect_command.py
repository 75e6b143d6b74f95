"""`inspect`: what a `.tflite` contains."""

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
        heads = metadata.read_heads(content)
    if arguments.json:
        stated = {
            "metadata": dataclasses.asdict(info),
            "heads": {name: list(head.labels) for name, head in heads.items()},
            "rules": {name: _rules(head) for name, head in heads.items()},
        }
        print_json({"path": str(path), **dataclasses.asdict(facts), **stated})
    else:
        model_views.show_model(path, facts, info, heads)


def _rules(head) -> dict:
    """Returns from which scores on the labels of a head are shown."""
    sets = head.label_sets
    return {
        "threshold": head.threshold,
        "label_thresholds": list(head.label_thresholds),
        "label_sets": dataclasses.asdict(sets) if sets else None,
    }
