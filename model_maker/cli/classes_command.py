"""`classes`: classes added, removed, renamed and merged in a finished `.tflite`."""

import argparse

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_result
from model_maker.errors import DataError

_EXAMPLE = """examples:
  model_maker classes flowers_model --output more_flowers --add poppy poppies/
  model_maker classes flowers_model --output fewer --remove daisy --rename a=b
"""


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "classes",
        "add, remove, rename and merge the classes of a finished .tflite",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or any .tflite classifier")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if this command made it")
    for flag, what in (("add", "a new class, of its photos"), ("more", "further photos of a class that is there")):
        parser.add_argument(
            f"--{flag}",
            nargs=2,
            action="append",
            default=[],
            metavar=("NAME", "PHOTOS"),
            help=f"{what}: a folder or one photo; may be repeated",
        )
    parser.add_argument(
        "--remove", action="append", default=[], metavar="NAME", help="a class to remove; may be repeated"
    )
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="a new name for a class; may be repeated"
    )
    parser.add_argument(
        "--merge", action="append", default=[], metavar="A,B=NEW", help="classes that become one; may be repeated"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="labeled photos to measure the old classes on (default: not measured)"
    )
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.classes.editing import edit_classes
    from model_maker.cli import classes_views
    from model_maker.cli.bars import Bars

    merged = _pairs(arguments.merge, "merge")
    with Bars(arguments) as bars:
        found = edit_classes(
            arguments.model,
            arguments.output,
            add=_unique(arguments.add, "add"),
            more=_unique(arguments.more, "more"),
            remove=arguments.remove,
            rename=_unique(_pairs(arguments.rename, "rename"), "rename"),
            merge=_unique([(into, names.split(",")) for names, into in merged], "merge"),
            data=arguments.data,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    print_result(arguments, found, classes_views.show_edited)


def _pairs(given: list[str], flag: str) -> list[tuple[str, str]]:
    """Reads OLD=NEW; the last = parts, so that old names may hold one."""
    pairs = []
    for text in given:
        old, equals, new = text.rpartition("=")
        if not equals or not old:
            form = "A,B=NEW" if flag == "merge" else "OLD=NEW"
            raise DataError(f"--{flag} {text}: give it as {form}.")
        pairs.append((old, new))
    return pairs


def _unique(pairs: list, flag: str) -> dict:
    """Returns pairs as a dictionary, unless one name is given twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DataError(f"--{flag} names one class twice. Give each once.")
    return found
