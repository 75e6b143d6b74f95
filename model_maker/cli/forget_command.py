"""`forget`: a model retrained without some photos, with a receipt."""

import argparse

from model_maker.cli.arguments import command, data_of, json_flag, part_folders
from model_maker.cli.printing import print_json
from model_maker.errors import DataError


def add(commands) -> None:
    parser = command(commands, run, "forget", "retrain a model without some photos, as if it had never seen them")
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or the .tflite in it")
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="photos to forget, or their sha256 if deleted")
    parser.add_argument("--data", metavar="DIR", help="photos that the model was trained on, with these or without")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="folder of the new model (default: MODEL_without)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> None:
    from model_maker.cli import advice_views
    from model_maker.cli.bars import Bars
    from model_maker.training.forgetting import forget

    if (data := data_of(arguments)) is None:
        raise DataError("forget retrains on the photos that remain: pass --data DIR.")
    with Bars(arguments) as bars:
        found = forget(
            arguments.model, arguments.photos, data, arguments.output, overwrite=arguments.overwrite, progress=bars
        )
    if arguments.json:
        print_json(found.as_dict())
    else:
        advice_views.show_receipt(found.as_dict())
