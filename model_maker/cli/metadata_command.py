"""`metadata`: writes labels and normalization into a third-party `.tflite`."""

import argparse
import dataclasses

from model_maker.cli.arguments import command, foreign, foreign_flags, json_flag
from model_maker.cli.printing import print_json
from model_maker.errors import DataError
from model_maker.fitting import RESIZES
from model_maker.terminal import exit_codes


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "metadata",
        "write labels and normalization into a third-party .tflite",
        epilog="Exit code 1: the file was written, but phone clients will reject it; the reason is printed.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    foreign_flags(parser)
    parser.add_argument("--output", metavar="FILE", required=True, help=".tflite to write")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it exists")
    for name in ("name", "version", "author", "licence", "description"):
        parser.add_argument(f"--{name}", metavar="TEXT", help=f"{name} in the metadata (default: as it is)")
    parser.add_argument(
        "--resize",
        choices=tuple(RESIZES),
        help="how photos were fitted to the input when it was trained (default: as it is, or stretch)",
    )
    parser.add_argument(
        "--display-names",
        action="append",
        default=[],
        metavar="LOCALE=FILE",
        help="what labels are called in another language, as de=namen.txt, one a line; may be repeated",
    )
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import certificate_views
    from model_maker.verification import metadata_writing

    texts = {name: getattr(arguments, name) for name in metadata_writing.TEXTS}
    localized = dict(_localized(stated) for stated in arguments.display_names)
    found = metadata_writing.describe(
        arguments.model,
        arguments.output,
        overwrite=arguments.overwrite,
        display_names=localized,
        resize=arguments.resize,
        **foreign(arguments),
        **texts,
    )
    if arguments.json:
        rules = [
            {"demand": entry.rule.demand, "passed": entry.passed, "received": entry.received}
            for entry in found.findings
        ]
        print_json({"path": str(found.path), "metadata": dataclasses.asdict(found.info), "rules": rules})
    else:
        certificate_views.show_described(found)
    for entry in found.broken:
        exit_codes.say(
            "model_maker", f"{found.path}: {entry.rule.demand}; it has {entry.received}. {entry.rule.advice}"
        )
    return 1 if found.broken else 0


def _localized(stated: str) -> tuple[str, str]:
    """Reads --display-names."""
    locale, mark, file = stated.partition("=")
    if not (locale and mark and file):
        raise DataError(f"--display-names {stated}: give LOCALE=FILE, for example de=namen.txt.")
    return locale, file
