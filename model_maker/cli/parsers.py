"""What each sub-command can be told, but for `train`: see train_parser."""

from __future__ import annotations

import argparse

from model_maker.terminal import completion

KINDS = "int8, int16x8, int4, dynamic, float16 or none"
_COMPLETION = """to turn it on:
  bash   in ~/.bashrc                     eval "$(model_maker completion bash)"
  zsh    in ~/.zshrc, after compinit      eval "$(model_maker completion zsh)"
  fish   in ~/.config/fish/config.fish    model_maker completion fish | source
"""
_PREDICT = """model_maker predict [options] MODEL PHOTO [PHOTO ...]
       model_maker predict [options] --model NAME PHOTO [PHOTO ...]"""


def command(commands, name: str, summary: str, *, home: str = "commands", **more) -> argparse.ArgumentParser:
    """Adds a sub-command, which a function of its name in `home` carries out."""
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", inherited_absl_flags=None, **more
    )
    parser.set_defaults(command=name.replace("-", "_"), home=home, parser=parser)
    return parser


def json_flag(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def part_folders(parser: argparse.ArgumentParser) -> None:
    """Adds what names the parts of a data set, in the place of the data set."""
    group = parser.add_argument_group("parts under any name", "Folders with a folder for each class, instead of data.")
    for part, what in (("train", "to learn from"), ("val", "for validation"), ("test", "to test on")):
        group.add_argument(f"--{part}-dir", metavar="DIR", help=f"photos {what}")


def _foreign(parser: argparse.ArgumentParser) -> None:
    """Adds what a model of others may not say of itself."""
    parser.add_argument("--labels", metavar="FILE", help="one label a line, for a model that carries none")
    parser.add_argument(
        "--normalization", metavar="MEAN,STD", help="what its float input expects, in pixels, as 127.5,127.5"
    )


def _evaluate(commands) -> None:
    parser = command(commands, "evaluate", "measure a model's accuracy")
    parser.add_argument("model", metavar="MODEL", help="a .tflite, a folder that train made, or an export")
    parser.add_argument("--data", metavar="DIR", help="labelled photos (default: the test part of the training data)")
    _foreign(parser)
    parser.add_argument("--report", metavar="FILE", help="also write a page with the worst mistakes, and its plots")
    parser.add_argument("--overwrite", action="store_true", help="replace that page and its plots")
    json_flag(parser)


def _predict(commands) -> None:
    parser = command(commands, "predict", "classify photos", usage=_PREDICT)
    parser.add_argument("--model", metavar="NAME", help="a backbone's name instead of a file: knows ImageNet's classes")
    parser.add_argument(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="files, folders, patterns in quotes, http(s) addresses, - for stdin, a .txt with a path in each line,"
        " videos, the number of a camera, rtsp:// addresses;"
        " before them MODEL, a .tflite, a folder that train made or an export, unless --model is given",
    )
    parser.add_argument("--every", type=int, metavar="N", help="of videos, each N-th frame (default: 30)")
    parser.add_argument("--frames", type=int, metavar="N", help="so many frames of each video or camera (default: all)")
    parser.add_argument("--save", metavar="DIR", help="folder to make, of copies with the answer drawn onto them")
    _foreign(parser)
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="labels for each photo (default: 3)")
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="lower scores are unknown, 0 to 1 (default: the model's own)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--csv",
        action="store_true",
        help="print CSV: photo,rank,label,score; an apostrophe stands before text that spreadsheets take for a formula",
    )


def _reproduce(commands) -> None:
    parser = command(
        commands,
        "reproduce",
        "train a model again as its file says, and compare the bytes",
        epilog="Exit code 0: the bytes are equal; 1: they are not, and what differs is told.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite that train made, or its folder")
    parser.add_argument("--data", metavar="DIR", help="the photos that it was trained on")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="keep the new model in this folder (default: nothing is kept)")
    parser.add_argument("--overwrite", action="store_true", help="replace that folder")
    json_flag(parser)


def _verify(commands) -> None:
    parser = command(
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
    parser.add_argument("--report", metavar="FILE", help="also write a page of it, and of how good the model is")
    parser.add_argument("--overwrite", action="store_true", help="replace that page and its plots")
    json_flag(parser)


def _inspect(commands) -> None:
    parser = command(commands, "inspect", "show what a .tflite contains")
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    json_flag(parser)


def _metadata(commands) -> None:
    parser = command(
        commands,
        "metadata",
        "write labels and normalization into a .tflite of others",
        home="delivery_commands",
        epilog="Exit code 1: the file is written, but phone clients would refuse it; the reason is printed.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    _foreign(parser)
    parser.add_argument("--output", metavar="FILE", required=True, help="the .tflite to make")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it exists")
    for name in ("name", "version", "author", "licence", "description"):
        parser.add_argument(f"--{name}", metavar="TEXT", help=f"{name} in the metadata (default: as it is)")
    json_flag(parser)


def _models(commands) -> None:
    parser = command(commands, "models", "list the backbones")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")


def _export(commands) -> None:
    parser = command(
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
    json_flag(parser)


def _codegen(commands) -> None:
    parser = command(commands, "codegen", "write a typed wrapper around a model, for an app", home="delivery_commands")
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
    parser = command(
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
    parser = command(
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
    parser.add_argument("--quantize", metavar="KIND", default=quantize, help=f"{KINDS} (default: {quantize})")
    parser.add_argument("--io", metavar="TYPE", default=io, help=f"uint8 or float32 (default: {io})")
    json_flag(parser)


def _benchmark(commands) -> None:
    from model_maker.benchmark import command_line as benchmark

    parser = command(
        commands,
        "benchmark",
        "measure a model's latency here or on a phone",
        epilog=benchmark.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    benchmark.add_arguments(parser)


def _demo(commands) -> None:
    parser = command(
        commands,
        "demo",
        "try a model in the browser: photos, camera, video; nothing leaves this machine",
        home="delivery_commands",
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite, or a folder that train made")
    parser.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    parser.add_argument("--export", metavar="DIR", help="write the page as a static site instead, for any host")
    parser.add_argument("--overwrite", action="store_true", help="replace a site that stands there")


def _doctor(commands) -> None:
    parser = command(commands, "doctor", "tell what is wrong with a data set, and mend it", home="data_commands")
    parser.add_argument("data", metavar="DATA", nargs="?", help="photos, as for train")
    part_folders(parser)
    parser.add_argument("--html", metavar="FILE", help="also write a page with thumbnails")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if it exists")
    parser.add_argument(
        "--fix",
        metavar="KIND[,KIND]",
        nargs="?",
        const="",
        help="list photos with these findings, ask, and move them into the quarantine; nothing is deleted"
        " (default: broken,duplicates)",
    )
    parser.add_argument("--yes", action="store_true", help="move them without asking")
    parser.add_argument("--undo", action="store_true", help="put everything back from the quarantine")
    parser.add_argument("--quarantine", metavar="DIR", help="where photos go (default: DATA_quarantine beside DATA)")
    parser.add_argument("--model", metavar="NAME", help="backbone that compares photos (default: efficientnet_lite0)")
    parser.add_argument("--threads", type=int, metavar="N", help="photos at a time (default: all cores)")
    json_flag(parser)


def _augment(commands) -> None:
    parser = command(
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
    json_flag(parser)


def _sample_data(commands) -> None:
    parser = command(commands, "sample-data", "draw a practice data set of five kinds of flowers", home="data_commands")
    parser.add_argument("directory", metavar="DIR", help="folder to make")
    parser.add_argument("--per-class", type=int, default=60, metavar="N", help="pictures of each kind (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws others (default: 0)")
    json_flag(parser)


def _completion(commands) -> None:
    parser = command(
        commands,
        "completion",
        "print what lets a shell complete model_maker and benchmark",
        home="data_commands",
        epilog=_COMPLETION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", metavar="SHELL", choices=completion.SHELLS, help=", ".join(completion.SHELLS))


# In the order of the help.
PARSERS = (
    _evaluate,
    _predict,
    _reproduce,
    _verify,
    _inspect,
    _metadata,
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
    _completion,
)
