"""`starter`: a classifier of ImageNet's 1000 classes."""

import argparse

from model_maker.cli.arguments import command, form_of, output_flags
from model_maker.cli.printing import show_file
from model_maker.output_folder import MODEL


def add(commands) -> None:
    parser = command(
        commands,
        run,
        "starter",
        "write a pretrained classifier for the 1000 ImageNet classes, for testing an app",
    )
    parser.add_argument("model", metavar="NAME", nargs="?", default="efficientnet_lite0", help="backbone, see `models`")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--data", metavar="DIR", help="calibration photos (default: generated images)")
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
