"""Arguments that several commands share, and their parsing."""

import argparse
from collections.abc import Callable
from pathlib import Path

from model_maker.errors import DataError
from model_maker.system import files
from model_maker.terminal.flags import of_option

KINDS = "int8, int16x8, int4, dynamic, float16 or none"


def command(
    commands, run: Callable[[argparse.Namespace], int | None], name: str, summary: str, **more
) -> argparse.ArgumentParser:
    """Adds a sub-command, which `run` carries out."""
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", inherited_absl_flags=None, **more
    )
    parser.set_defaults(command=name, run=run, parser=parser)
    return parser


def json_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def part_folders(parser: argparse.ArgumentParser) -> None:
    """Adds one flag per split, as an alternative to a single dataset."""
    group = parser.add_argument_group(
        "one folder per split", "Instead of the dataset argument: folders with one folder per class."
    )
    for part, what in (("train", "to learn from"), ("val", "for validation"), ("test", "to test on")):
        group.add_argument(f"--{part}-dir", metavar="DIR", help=f"photos {what}")


def foreign_flags(parser: argparse.ArgumentParser) -> None:
    """Adds flags for what a third-party model may not state itself."""
    parser.add_argument("--labels", metavar="FILE", help="file with one label per line, for a model without labels")
    parser.add_argument(
        "--normalization", metavar="MEAN,STD", help="normalization of float input, for example 127.5,127.5"
    )


def head_flag(parser: argparse.ArgumentParser) -> None:
    """Adds what names one of the outputs of a combined file."""
    parser.add_argument("--head", metavar="NAME", help="which output of a file that combine made (default: the first)")


def output_flags(parser: argparse.ArgumentParser, *, quantize: str, io: str) -> None:
    parser.add_argument("--output", metavar="DIR", required=True, help="output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--quantize", metavar="KIND", default=quantize, help=f"{KINDS} (default: {quantize})")
    parser.add_argument("--io", metavar="TYPE", default=io, help=f"uint8 or float32 (default: {io})")
    json_flag(parser)


def data_of(arguments: argparse.Namespace) -> str | None:
    """Returns the dataset given on the command line: one location, or one folder per split.

    Raises:
      DataError: both are given, or there is no training split.
    """
    from model_maker.data import split_folders

    data: str | None = getattr(arguments, "data", None)
    stated = {part: getattr(arguments, name, None) for part, name in split_folders.PARAMETERS.items()}
    given = {part: path for part, path in stated.items() if path is not None}
    if not given:
        return data
    flags = ", ".join(of_option(split_folders.PARAMETERS[part]) for part in given)
    if data is not None:
        raise DataError(f"{flags} cannot be combined with {data}: pass either a dataset or one folder per split.")
    if "train" not in given:
        raise DataError(f"{flags} needs --train-dir, the folder of training photos.")
    return split_folders.address(**given)


def page_of(arguments: argparse.Namespace, given: str | None) -> Path | None:
    """Returns where to write a page; checks before the long work that it can be written."""
    if given is None:
        return None
    files.check_new_page(page := Path(given), overwrite=arguments.overwrite)
    return page


def foreign(arguments: argparse.Namespace) -> dict:
    """Returns --labels and --normalization in the form that `Classifier` takes."""
    from model_maker.backbones import input_range

    return {"labels": arguments.labels, "normalization": input_range.parse(arguments.normalization)}


def form_of(arguments: argparse.Namespace):
    from model_maker.options import check_value
    from model_maker.packaging.quantized_file import Form

    check_value("quantize", arguments.quantize)
    check_value("io", arguments.io)
    return Form(arguments.quantize, arguments.io)
