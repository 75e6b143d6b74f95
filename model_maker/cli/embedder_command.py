"""`embedder`: a backbone as a standalone `.tflite`."""

import argparse

from model_maker.cli.arguments import command, form_of, output_flags
from model_maker.cli.printing import show_file


def add(commands) -> None:
    parser = command(commands, run, "embedder", "write a backbone as an embedding .tflite, for on-device image search")
    parser.add_argument("--model", metavar="NAME", default="efficientnet_lite0", help="backbone, or a model file")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--normalization", metavar="MEAN,STD", help="input normalization of an imported model")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="input size (default: the backbone's own)")
    output_flags(parser, quantize="none", io="float32")


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli.bars import Bars
    from model_maker.exporters import embedder_file

    with Bars(arguments) as bars:
        folder = embedder_file.export_embedder(
            arguments.model,
            arguments.output,
            form=form_of(arguments),
            overwrite=arguments.overwrite,
            progress=bars,
            weights_file=arguments.weights,
            normalization=arguments.normalization,
            image_size=arguments.image_size,
        )
    show_file(folder / embedder_file.FILE, arguments)
