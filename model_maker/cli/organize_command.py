"""`organize`: a folder of photos sorted into folders, or its keywords."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_result
from model_maker.cli.zero_shot_command import template_flag, tier_flags, tier_options
from model_maker.errors import DataError

_EXAMPLES = """examples:
  model_maker organize pile --output sorted --labels cat,dog    without training
  model_maker organize pile --output sorted --model flowers_model
  model_maker organize pile --output sorted --groups 5          similar photos
  model_maker organize pile --output words --keywords --xmp     CSV and XMP
"""


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "organize",
        "sort a pile of photos into folders, or write keywords for them",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DIR", help="folder of photos, in folders of any depth; it stays as it is")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to make, which train --data reads")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--labels", metavar="LABELS", help="labels to sort by, with commas, or a .txt with one a line")
    parser.add_argument("--model", metavar="MODEL", help="model to sort by: a .tflite, or a folder that train made")
    parser.add_argument("--groups", type=int, metavar="N", help="so many groups of photos that are alike")
    parser.add_argument("--keywords", action="store_true", help="write keywords.csv instead, of --labels or any words")
    parser.add_argument("--xmp", action="store_true", help="with --keywords, also an XMP sidecar for each photo")
    parser.add_argument("--link", action="store_true", help="make symbolic links instead of copies")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="lower scores go to unsure/ (default: the model's own, or a label is at least twice as"
        " likely as the next);"
        " with --keywords, lower shares are left out (default: 0.3)",
    )
    parser.add_argument(
        "--backbone", metavar="NAME", default="efficientnet_lite0", help="backbone for labels, groups and keywords"
    )
    tier_flags(parser)
    template_flag(parser)
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.collection.keywords import keywords
    from model_maker.collection.organize import organize
    from model_maker.zero_shot_learning import label_names

    common = {
        "labels": None if arguments.labels is None else label_names.parse(arguments.labels),
        "backbone": arguments.backbone,
        "threshold": arguments.threshold,
        "overwrite": arguments.overwrite,
        **tier_options(arguments),
    }
    _check(arguments)
    with Bars(arguments) as bars:
        if arguments.keywords:
            words = keywords(arguments.data, arguments.output, xmp=arguments.xmp, progress=bars, **common)
            print_result(arguments, words, _show_keywords)
            return
        found = organize(
            arguments.data,
            arguments.output,
            model=arguments.model,
            groups=arguments.groups,
            link=arguments.link,
            progress=bars,
            **common,
        )
    print_result(arguments, found, _show)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.xmp and not arguments.keywords:
        raise DataError("--xmp writes keywords beside photos: add --keywords, or leave it out.")
    if arguments.keywords:
        for flag in ("model", "groups", "link"):
            if getattr(arguments, flag):
                raise DataError(f"--{flag} sorts photos into folders, and --keywords does not: leave one of them out.")


def _show(found) -> None:
    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    console, table = rendering.console(), rendering.table("folder", "photos>")
    for name, count in found.folders.items():
        table.add_row(escape(name), str(count))
    console.print(table)
    how = f"tier {found.tier} ({escape(found.source)})" if found.tier else f"by {found.by} ({escape(found.source)})"
    rendering.say(console, f"{how}; in [bold]{escape(str(found.directory))}[/], with examples.html and organized.csv")


def _show_keywords(found) -> None:
    from collections import Counter

    from model_maker.terminal import rendering
    from model_maker.terminal.rendering import escape

    counts = Counter(word for words in found.photos.values() for word in words)
    console, table = rendering.console(), rendering.table("keyword", "photos>")
    for word, count in counts.most_common(20):
        table.add_row(escape(word), str(count))
    console.print(table)
    none = sum(not words for words in found.photos.values())
    rendering.say(
        console, f"tier {found.tier} ({escape(found.source)}); {none} of {len(found.photos)} photos have none"
    )
    rendering.say(console, f"[bold]{escape(str(Path(found.directory) / 'keywords.csv'))}[/]")
