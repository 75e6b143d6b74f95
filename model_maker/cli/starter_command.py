"""`starter`: a classifier of ImageNet's 1000 classes."""

from __future__ import annotations

import argparse

from model_maker.cli.arguments import command, form_of, output_flags
from model_maker.cli.printing import show_file
from model_maker.output_folder import MODEL


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "starter",
        "write a ready classifier of ImageNet's 1000 classes, to try an app with",
    )
    parser.add_argument("model", metavar="NAME", nargs="?", default="efficientnet_lite0", help="backbone, see `models`")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--data", metavar="DIR", help="photos to calibrate on (default: pictures made for it)")
    output_flags(parser, quantize="int8", io="uint8")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.exporters.starter import starter

    with Bars(arguments) as bars:
        folder = starter(
            arguments.model,
            arguments.output,
            form=form_of(arguments),
            weights=arguments.weights,
            data=arguments.data,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    show_file(folder / MODEL, arguments)
