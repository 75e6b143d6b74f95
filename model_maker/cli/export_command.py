"""`export`: a model in the formats of other runtimes, or in a phone app."""

import argparse

from model_maker.cli.arguments import command, json_flag
from model_maker.cli.printing import print_json, show
from model_maker.errors import DataError
from model_maker.output_folder import BACKBONE, HEAD
from model_maker.terminal import exit_codes
from model_maker.terminal.flags import in_flags


def add(commands) -> None:
    parser = command(commands, run, "export", "convert a model to the formats of other runtimes and check each result")
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or a .tflite classifier")
    parser.add_argument("--format", metavar="NAME[,NAME]", help="see docs/EXPORT.md (default: all)")
    parser.add_argument(
        "--split",
        action="store_true",
        help="write backbone.tflite and head.json instead, for apps that download new heads",
    )
    parser.add_argument(
        "--teach",
        action="store_true",
        help="with --android or --ios: add backbone.tflite and head.json, with which our app can be taught classes",
    )
    parser.add_argument(
        "--why",
        action="store_true",
        help="write a model.tflite instead that also gives where its answers come from",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", metavar="DIR", help="output folder")
    place.add_argument("--android", metavar="DIR", help="existing Android app, or a new folder for the sample app")
    place.add_argument("--ios", metavar="DIR", help="existing iOS app, or a new folder for the sample app")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing export or model")
    parser.add_argument(
        "--io", metavar="TYPE", help="input and output type of .tflite formats: uint8, float32 or, except in apps, int8"
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--half", action="store_true", help="with --format tflite: float16")
    precision.add_argument("--int8", action="store_true", help="with --format tflite: int8, which is its default")
    parser.add_argument("--opset", type=int, metavar="N", help="of ONNX, 13 to 18 (default: 13)")
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="put eight drawn pictures and their scores into .tflite files, by which apps test a phone's delegates",
    )
    parser.add_argument("--data", metavar="DIR", help="photos to calibrate and check on (default: the training's)")
    parser.add_argument("--head", metavar="NAME", help="which output of a file that combine made (default: none)")
    json_flag(parser)


def run(arguments: argparse.Namespace) -> int:
    from model_maker.cli import export_views
    from model_maker.cli.bars import Bars
    from model_maker.exporters.export import ALL, as_dict, export

    if arguments.teach and arguments.output is not None:
        raise DataError("--teach belongs to --android or --ios. Leave it out; --split writes both files by themselves.")
    if arguments.split and arguments.why:
        raise DataError("--split and --why write different files. Leave one out.")
    if arguments.split:
        return _split(arguments)
    if arguments.why:
        return _explaining(arguments)
    if arguments.output is None:
        return _put_in_app(arguments)
    formats = [name.strip() for name in (arguments.format or ALL).split(",") if name.strip()]
    with Bars(arguments) as bars:
        found = export(
            arguments.model,
            arguments.output,
            formats=formats,
            io=arguments.io,
            half=arguments.half,
            int8=arguments.int8,
            opset=arguments.opset,
            data=arguments.data,
            head=arguments.head,
            self_test=arguments.self_test,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    if arguments.json:
        print_json({"output": str(found.directory), **as_dict(found)})
    else:
        export_views.show_export(found)
    failed = [entry for entry in found.entries if entry.failure]
    for entry in failed:
        exit_codes.say("model_maker", in_flags(f"{entry.format}: {entry.failure}", arguments.parser))
    return 1 if failed and formats != [ALL] else 0


def _split(arguments: argparse.Namespace) -> int:
    from model_maker.classes.splitting import split_model
    from model_maker.cli.bars import Bars

    _check_alone(arguments, "split")
    with Bars(arguments) as bars:
        found = split_model(
            arguments.model, arguments.output, head=arguments.head, overwrite=arguments.overwrite, progress=bars
        )
    if arguments.json:
        print_json(found.as_dict())
    else:
        show(f"{found.directory / BACKBONE} ({found.backbone_bytes / 1e6:.2f} MB)")
        show(f"{found.directory / HEAD} ({found.head_bytes / 1e3:.1f} KB, {len(found.labels)} labels)")
    return 0


def _explaining(arguments: argparse.Namespace) -> int:
    import dataclasses

    from model_maker.exporters.explaining_file import export_explaining

    _check_alone(arguments, "why")
    made = export_explaining(arguments.model, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        print_json(dataclasses.asdict(made) | {"path": str(made.path)})
    else:
        show(f"{made.path} ({made.size_bytes / 1e6:.2f} MB, shares of {made.side} x {made.side} cells)")
    return 0


def _check_alone(arguments: argparse.Namespace, mode: str) -> None:
    for flag in ("format", "io", "data", "self-test", "android", "ios"):
        if getattr(arguments, flag.replace("-", "_")) not in (None, False):
            raise DataError(
                f"--{flag} has no meaning beside --{mode}, which writes the model's own numbers. Leave it out."
            )


def _put_in_app(arguments: argparse.Namespace) -> int:
    from model_maker.apps import put_in_app
    from model_maker.classes import splitting
    from model_maker.cli import export_views
    from model_maker.cli.bars import Bars

    platform = "android" if arguments.android else "ios"
    if arguments.format:
        raise DataError(f"--format {arguments.format}: an app takes a .tflite. Leave it out, or use --output DIR.")
    for flag in ("half", "int8", "opset"):
        if getattr(arguments, flag):
            raise DataError(f"--{flag} belongs to --output. Leave it out; --io states the edges of an app's model.")
    with Bars(arguments) as bars:
        more = splitting.pair(arguments.model, head=arguments.head) if arguments.teach else None
        found = put_in_app.put_in_app(
            arguments.model,
            getattr(arguments, platform),
            platform,
            io=arguments.io,
            data=arguments.data,
            head=arguments.head,
            more=more,
            self_test=arguments.self_test,
            overwrite=arguments.overwrite,
            progress=bars,
        )
    if arguments.json:
        print_json({"app": found.app.name, "path": str(found.path), "bytes": found.size_bytes, "new": found.made_app})
    else:
        export_views.show_app(found, getattr(arguments, platform))
    return 0
