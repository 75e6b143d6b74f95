"""`label`: which photos to label first."""

import argparse

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json


def add(commands) -> None:
    parser = command(commands, run, "label", "tell which unlabeled photos to label first, and what each looks like")
    parser.add_argument("data", metavar="DATA", help="labeled photos, as for train")
    parser.add_argument("--unlabelled", metavar="DIR", required=True, help="folder of photos without labels")
    parser.add_argument("--top", type=int, metavar="N", default=50, help="how many (default: 50)")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.studio.labelling import label

    with Bars(arguments) as bars:
        found = label(arguments.data, arguments.unlabelled, top=arguments.top, progress=bars)
    if arguments.json:
        rows = [{"path": str(one.path), "guess": one.guess or None, "score": round(one.score, 4)} for one in found]
        print_json({"photos": rows})
    else:
        _show(found)


def _show(found) -> None:
    """Prints a table of photos, the first to label first."""
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    table = rendering.table("photo", "looks like", "score>")
    for one in found:
        score = f"{one.score:.3f}" if one.guess else "-"
        table.add_row(escape(str(one.path)), escape(one.guess or "-"), score)
    rendering.console().print(table)
