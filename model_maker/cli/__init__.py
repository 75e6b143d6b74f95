"""The command line: one sub-command is one call of the Python API, plus printing.

The only place that prints or exits. What a command prints on stdout is its result; bars and notes go to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from absl import app, logging
from absl.flags import argparse_flags

from model_maker import exits, quiet
from model_maker.version import __version__

_EXAMPLES = """examples:
  model_maker sample-data flowers              draw five kinds of flowers to try everything with
  model_maker train --data flowers             make flowers_model/model.tflite
  model_maker evaluate flowers_model           accuracy on the photos that training did not see
  model_maker predict flowers_model rose.jpg   classify photos
"""
_KINDS = "int8, int16x8, int4, dynamic, float16 or none"
_PREDICT = """model_maker predict [options] MODEL PHOTO [PHOTO ...]
       model_maker predict [options] --model NAME PHOTO [PHOTO ...]"""


def run() -> None:
    """The `model_maker` command."""
    try:
        app.run(main, flags_parser=parse)
    except KeyboardInterrupt:  # while the command line was read
        sys.exit(exits.INTERRUPTED)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; usage errors exit with 2."""
    whole = parser()
    found = whole.parse_args(arguments[1:])
    if found.command == "predict" and found.model is None and len(found.photos) < 2:
        whole.error("predict needs a model and photos: MODEL PHOTO ..., or --model NAME PHOTO ...")
    return found


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands, which also writes their reference."""
    parser = argparse_flags.ArgumentParser(
        prog="model_maker",
        description="Turns a folder of photos into an image classifier that runs on a phone.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"model_maker {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the library's log")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _train,
        _evaluate,
        _predict,
        _verify,
        _inspect,
        _models,
        _export,
        _codegen,
        _starter,
        _embedder,
        _benchmark,
        _demo,
        _doctor,
        _augment,
        _sample_data,
    ):
        add(commands)
    return parser


def main(arguments: argparse.Namespace) -> int:
    """Runs a command; returns the exit code."""
    quiet.hush_pillow()
    logging.set_verbosity(logging.INFO if arguments.debug else logging.ERROR)
    return exits.exit_code(
        lambda: _call(arguments),
        program="model_maker",
        debug=arguments.debug,
        interrupted="interrupted. Nothing half-made was left; finished work is kept and not repeated.",
    )


def _call(arguments: argparse.Namespace) -> int | None:
    home = importlib.import_module(f"model_maker.cli.{arguments.home}")
    return getattr(home, arguments.command)(arguments)


def _command(commands, name: str, summary: str, *, home: str = "commands", **more) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", inherited_absl_flags=None, **more
    )
    parser.set_defaults(command=name.replace("-", "_"), home=home)
    return parser


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _train(commands) -> None:
    # Flags that are not given stay absent, so that --config and the defaults of training.Options can fill them.
    parser = _command(
        commands, "train", "train on a folder of photos and write a .tflite", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--data", metavar="DIR", help="DIR/<class>/photos, or DIR/{train,val,test}/<class>/photos")
    parser.add_argument("--output", metavar="DIR", help="folder to make (default: <data name>_model)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--config", metavar="RUN.JSON", help="repeat a run; other flags take precedence")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="backbone, see `model_maker models`, or a model file or address; several, as A,B,C, are compared"
        " (default: efficientnet_lite0)",
    )
    parser.add_argument(
        "--init-from", metavar="DIR", help="go on from the network of an earlier run, also with other classes"
    )
    parser.add_argument("--max-size", type=float, metavar="MB", help="recommend one of several models up to this size")
    parser.add_argument("--max-latency", type=float, metavar="MS", help="recommend one up to this latency at 1 thread")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument(
        "--normalization", metavar="MEAN,STD", help="what an imported model's input expects, in pixels, as 127.5,127.5"
    )
    parser.add_argument("--quantize", metavar="KIND", help=f"{_KINDS} (default: int8)")
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="points of top-1 that quantization may lose, as 0.5; other forms are tried until one loses no more",
    )
    parser.add_argument("--io", metavar="TYPE", help="input and output: uint8 or float32 (default: uint8)")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="another input size than the backbone's own")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="share of each class (default: 0.1)")
    parser.add_argument("--test", type=float, metavar="SHARE", help="share of each class (default: 0.2)")
    parser.add_argument(
        "--augment",
        metavar="PRESET",
        help="learn from augmented views of photos too: none, light, standard or strong"
        " (default: none, in fine-tuning standard)",
    )
    parser.add_argument("--views", type=int, metavar="K", help="views of a photo, the first plain (default: 4)")
    parser.add_argument("--class-weight", metavar="HOW", help="auto: uneven classes weigh alike; none (default: auto)")
    parser.add_argument(
        "--precision",
        type=float,
        metavar="SHARE",
        help="choose a score threshold so that this share of answers is right, as 0.95; below it a photo is unknown",
    )
    parser.add_argument(
        "--label-precision",
        type=float,
        metavar="SHARE",
        help="choose a threshold for each label so that this share of its answers is right",
    )
    _fine_tuning(parser)
    _place(parser)
    parser.add_argument("--folds", type=int, metavar="K", help="also estimate accuracy by K-fold cross-validation")
    parser.add_argument("--seed", type=int, help="another seed divides photos and draws views otherwise (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="photos at a time (default: all cores)")
    parser.add_argument("--name", help="model name in the metadata (default: the data folder's)")
    parser.add_argument("--author", help="author in the metadata")
    parser.add_argument("--licence", help="licence in the metadata (default: that of the backbone's weights)")
    parser.add_argument("--json", action="store_true", default=False, help="print metrics as one JSON document")
    parser.set_defaults(overwrite=False)


def _place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "many machines", "The same model, from photos embedded by a cluster: docs/SCALING.md."
    )
    group.add_argument("--engine", metavar="NAME", help="where photos are embedded: local or ray (default: local)")
    group.add_argument(
        "--address", metavar="HOST:PORT", help="the Ray cluster, or auto for this node's (default: Ray on this machine)"
    )
    group.add_argument(
        "--shards", metavar="DIR", help="folder or s3:// address that all machines reach (default: the cache)"
    )


def _fine_tuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fine-tuning")
    group.add_argument(
        "--fine-tune",
        metavar="SCOPE",
        nargs="?",
        const="tail",
        help="train the network, too: tail, its last stages, or all of it (default: tail where given without SCOPE)",
    )
    group.add_argument("--budget", metavar="TIME", help="the best model in so much time, as 90s, 5m, 1h")
    group.add_argument("--epochs", type=int, metavar="N", help="passes over the photos (default: 10, with --budget 40)")
    group.add_argument("--batch-size", type=int, metavar="N", help="photos in a step (default: 32)")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="the highest (default: 0.0005)")
    group.add_argument("--weight-decay", type=float, metavar="RATE", help="of AdamW (default: 0.01)")
    group.add_argument("--dropout", type=float, metavar="SHARE", help="before the head (default: 0.2)")
    group.add_argument("--label-smoothing", type=float, metavar="SHARE", help="of each label (default: 0.1)")
    group.add_argument("--mix", type=float, metavar="ALPHA", help="mixup and cutmix (default: 0, none)")
    group.add_argument("--resume", action="store_true", default=False, help="go on with an interrupted run")
    group.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard")


def _evaluate(commands) -> None:
    parser = _command(commands, "evaluate", "measure a model's accuracy")
    parser.add_argument("model", metavar="MODEL", help="a .tflite, a folder that train made, or an export")
    parser.add_argument("--data", metavar="DIR", help="labelled photos (default: the test part of the training data)")
    parser.add_argument("--report", metavar="FILE", help="also write a page with plots and the worst mistakes")
    parser.add_argument("--overwrite", action="store_true", help="replace that page")
    _json_flag(parser)


def _predict(commands) -> None:
    parser = _command(commands, "predict", "classify photos", usage=_PREDICT)
    parser.add_argument("--model", metavar="NAME", help="a backbone's name instead of a file: knows ImageNet's classes")
    parser.add_argument(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="files, folders, http(s) addresses, or - for stdin;"
        " before them MODEL, a .tflite, a folder that train made or an export, unless --model is given",
    )
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="labels for each photo (default: 3)")
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="lower scores are unknown, 0 to 1 (default: the model's own)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--csv", action="store_true", help="print CSV: photo,rank,label,score")


def _verify(commands) -> None:
    parser = _command(
        commands,
        "verify",
        "run a .tflite wherever it may have to run, and hold it against what phone clients demand",
        home="delivery_commands",
        epilog="Exit code 1: a runtime that is installed refuses the file, or clients would.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    parser.add_argument(
        "--data", metavar="DIR", help="labelled photos, of which 50 are used (default: the test part of the training)"
    )
    _json_flag(parser)


def _inspect(commands) -> None:
    parser = _command(commands, "inspect", "show what a .tflite contains")
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    _json_flag(parser)


def _models(commands) -> None:
    parser = _command(commands, "models", "list the backbones")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")


def _export(commands) -> None:
    parser = _command(
        commands, "export", "write a model in the formats of other runtimes, each checked", home="delivery_commands"
    )
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or a .tflite classifier")
    parser.add_argument("--format", metavar="NAME[,NAME]", help="see docs/EXPORT.md (default: all)")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", metavar="DIR", help="folder to make")
    place.add_argument("--android", metavar="DIR", help="Android app to put the model in, or a new folder for ours")
    place.add_argument("--ios", metavar="DIR", help="iOS app to put the model in, or a new folder for ours")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an export, or another model, that stands there"
    )
    parser.add_argument(
        "--io", metavar="TYPE", help="edges of the .tflite formats: uint8, float32 or, not in apps, int8"
    )
    parser.add_argument("--data", metavar="DIR", help="photos to calibrate and check on (default: the training's)")
    _json_flag(parser)


def _codegen(commands) -> None:
    parser = _command(commands, "codegen", "write a typed wrapper around a model, for an app", home="delivery_commands")
    parser.add_argument("model", metavar="MODEL", help="a folder that train made, or a .tflite classifier")
    language = parser.add_mutually_exclusive_group(required=True)
    for name, what in (
        ("kotlin", "for Android, on LiteRT"),
        ("swift", "for iOS, on TensorFlowLiteSwift"),
        ("js", "a module for browsers, on LiteRT.js"),
        ("python", "on ai-edge-litert"),
    ):
        language.add_argument(f"--{name}", action="store_const", dest="language", const=name, help=what)
    parser.add_argument("--output", metavar="FILE", help="file to write (default: print it)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.add_argument("--name", metavar="CLASS", help="name of the class (default: by the model's name)")
    parser.add_argument("--package", metavar="NAME", help="package of the Kotlin file (default: modelmaker)")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="labels for each photo (default: 3)")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="lowest score, 0 to 1 (default: the model's)")


def _starter(commands) -> None:
    parser = _command(
        commands,
        "starter",
        "write a ready classifier of ImageNet's 1000 classes, to try an app with",
        home="delivery_commands",
    )
    parser.add_argument("model", metavar="NAME", nargs="?", default="efficientnet_lite0", help="backbone, see `models`")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--data", metavar="DIR", help="photos to calibrate on (default: pictures made for it)")
    _export_flags(parser, quantize="int8", io="uint8")


def _embedder(commands) -> None:
    parser = _command(
        commands, "embedder", "write a backbone as an embedder .tflite, for search on phones", home="delivery_commands"
    )
    parser.add_argument("--model", metavar="NAME", default="efficientnet_lite0", help="backbone, or a model file")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument("--normalization", metavar="MEAN,STD", help="what an imported model's input expects, in pixels")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="another input size than the backbone's own")
    _export_flags(parser, quantize="none", io="float32")


def _export_flags(parser: argparse.ArgumentParser, *, quantize: str, io: str) -> None:
    parser.add_argument("--output", metavar="DIR", required=True, help="folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--quantize", metavar="KIND", default=quantize, help=f"{_KINDS} (default: {quantize})")
    parser.add_argument("--io", metavar="TYPE", default=io, help=f"uint8 or float32 (default: {io})")
    _json_flag(parser)


def _benchmark(commands) -> None:
    from benchmarks import cli as benchmark

    parser = _command(
        commands,
        "benchmark",
        "measure a model's latency here or on a phone",
        epilog=benchmark.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    benchmark.add_arguments(parser)


def _demo(commands) -> None:
    parser = _command(
        commands,
        "demo",
        "try a model in the browser: photos, camera, video; nothing leaves this machine",
        home="delivery_commands",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    parser.add_argument("--export", metavar="DIR", help="write the page as a static site instead, for any host")
    parser.add_argument("--overwrite", action="store_true", help="replace a site that stands there")


def _doctor(commands) -> None:
    parser = _command(commands, "doctor", "tell what is wrong with a data set, and mend it", home="data_commands")
    parser.add_argument("data", metavar="DATA", help="photos, as for train")
    parser.add_argument("--html", metavar="FILE", help="also write a page with thumbnails")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if it exists")
    parser.add_argument(
        "--fix",
        metavar="KIND[,KIND]",
        nargs="?",
        const="",
        help="move photos with these findings into the quarantine; nothing is deleted (default: broken,duplicates)",
    )
    parser.add_argument("--undo", action="store_true", help="put everything back from the quarantine")
    parser.add_argument("--quarantine", metavar="DIR", help="where photos go (default: DATA_quarantine beside DATA)")
    parser.add_argument("--model", metavar="NAME", help="backbone that compares photos (default: efficientnet_lite2)")
    parser.add_argument("--threads", type=int, metavar="N", help="photos at a time (default: all cores)")
    _json_flag(parser)


def _augment(commands) -> None:
    parser = _command(
        commands,
        "augment",
        "draw augmented views of some photos on one sheet, to judge them by eye",
        home="data_commands",
    )
    parser.add_argument("data", metavar="DATA", help="folder of photos, as for train")
    parser.add_argument("--preview", metavar="FILE", required=True, help="sheet to write, .png or .jpg")
    parser.add_argument(
        "--preset", metavar="NAME", default="standard", help="none, light, standard or strong (default: standard)"
    )
    parser.add_argument("--photos", type=int, default=6, metavar="N", help="rows (default: 6)")
    parser.add_argument("--views", type=int, default=8, metavar="K", help="columns, the first plain (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other views (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace the sheet if it exists")
    _json_flag(parser)


def _sample_data(commands) -> None:
    parser = _command(
        commands, "sample-data", "draw a practice data set of five kinds of flowers", home="data_commands"
    )
    parser.add_argument("directory", metavar="DIR", help="folder to make")
    parser.add_argument("--per-class", type=int, default=60, metavar="N", help="pictures of each kind (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws others (default: 0)")
    _json_flag(parser)
