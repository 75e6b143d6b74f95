"""`codegen`: a typed wrapper around a model."""

import argparse
from pathlib import Path

from model_maker.cli.arguments import command, head_flag
from model_maker.cli.printing import show
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(commands, run, "codegen", "write a typed wrapper around a model, for an app")
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or a .tflite classifier")
    language = parser.add_mutually_exclusive_group(required=True)
    for name, what in (
        ("kotlin", "for Android, on LiteRT"),
        ("swift", "for iOS, on TensorFlowLiteSwift"),
        ("dart", "for Flutter, on tflite_flutter"),
        ("js", "a module for browsers, on LiteRT.js"),
        ("python", "on ai-edge-litert"),
    ):
        language.add_argument(f"--{name}", action="store_const", dest="language", const=name, help=what)
    parser.add_argument("--output", metavar="FILE", help="file to write (default: print it)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.add_argument("--name", metavar="CLASS", help="name of the class (default: derived from the model's name)")
    parser.add_argument("--package", metavar="NAME", help="package of the Kotlin file (default: modelmaker)")
    head_flag(parser)
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="labels per photo (default: 3; all of a model of several labels)"
    )
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="lowest score, 0 to 1 (default: the model's)")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.apps.codegen import PACKAGE, codegen
    from model_maker.system import files

    if arguments.package is not None and arguments.language != "kotlin":
        raise DataError(f"--package {arguments.package} applies to --kotlin only. Leave it out.")
    path = Path(arguments.output) if arguments.output is not None else None
    if path is not None:
        files.check_new_text(path, overwrite=arguments.overwrite)
    code = codegen(
        arguments.model,
        arguments.language,
        name=arguments.name,
        package=arguments.package or PACKAGE,
        top_k=arguments.top_k,
        threshold=arguments.threshold,
        head=arguments.head,
    )
    if path is None:
        print(code, end="")
    else:
        files.write(path, code.encode())
        show(f"{path} ({len(code.splitlines())} lines)")
