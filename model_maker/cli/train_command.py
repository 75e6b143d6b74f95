"""`train`: trains a classifier and writes a folder with a `.tflite`."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_maker import options
from model_maker.cli.arguments import command, data_of, part_folders
from model_maker.cli.printing import print_json
from model_maker.errors import DataError
from model_maker.learning.recipe import Recipe
from model_maker.terminal.flags import in_flags, of_option


def add(commands) -> None:
    """Adds the sub-command."""
    # Flags that are not given stay absent, so that --config and the defaults of Options can fill them.
    parser = command(
        commands, run, "train", "train on a folder of photos and write a .tflite", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--data", metavar="DIR", help="DIR/<class>/photos, or DIR/{train,val,test}/<class>/photos")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="output folder (default: <data name>_model)")
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace the output folder")
    parser.add_argument("--config", metavar="RUN.JSON", help="repeat a recorded run; other flags take precedence")
    parser.add_argument("--json", action="store_true", default=False, help="print metrics as one JSON document")
    groups = {title: parser.add_argument_group(title, text or None) for title, text in options.GROUPS.items()}
    for name, declared in options.declarations().items():
        _add(groups[declared.group], name, declared)
    learning, tuning = groups[options.LEARNING], groups[options.FINE_TUNING]
    learning.add_argument(
        "--init-from", metavar="DIR", help="start from the network of an earlier run; its classes may differ"
    )
    learning.add_argument(
        "--max-size", type=float, metavar="MB", help="with several models, recommend one up to this size"
    )
    learning.add_argument(
        "--max-latency",
        type=float,
        metavar="MS",
        help="with several models, recommend one up to this latency on 1 thread",
    )
    tuning.add_argument("--resume", action="store_true", default=False, help="continue an interrupted run")
    tuning.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard")


def _add(group: argparse._ArgumentGroup, name: str, declared: options.Declaration) -> None:
    if options.kinds()[name] is bool:
        action = "store_false" if getattr(options.Options, name) else "store_true"
        group.add_argument(of_option(name), dest=name, action=action, help=in_flags(help_of(name, declared)))
        return
    more: dict[str, Any] = {"nargs": "?", "const": declared.const} if declared.const else {}
    group.add_argument(
        of_option(name),
        type=_number(options.kinds()[name]),
        metavar=declared.metavar,
        help=in_flags(help_of(name, declared)),
        **more,
    )


def help_of(name: str, declared: options.Declaration) -> str:
    """Returns the help of an option with its default: its own, or else that of fine-tuning."""
    default = getattr(options.Options, name)
    shown = declared.shown or str(getattr(Recipe, name, default) if default is None else default)
    return declared.help if shown == "-" else f"{declared.help} (default: {shown})"


def _number(kind: Any) -> Callable[[str], Any]:
    """Returns the parser for a type, which may include None."""
    return next((number for number in (float, int) if isinstance(number(1), kind)), str)


def run(arguments: argparse.Namespace) -> None:
    from model_maker import run_record
    from model_maker.cli import training_views
    from model_maker.cli.bars import Bars
    from model_maker.options import Options, from_record
    from model_maker.training.train import train

    given = vars(arguments)
    names = {field.name for field in dataclasses.fields(Options)}
    chosen = {name: value for name, value in given.items() if name in names}
    data = data_of(arguments)
    if "config" in given:
        record = run_record.load(given["config"])
        try:
            from_record(record["options"])
        except DataError as error:
            raise DataError(f"{given['config']}: {error} Correct it in that file.") from error
        chosen, data = record["options"] | chosen, data or record["data"]
    if "init_from" in given:
        chosen["model"] = _earlier_run(given)
    if not data:
        raise DataError("train needs photos: pass --data DIR with one folder of photos for each class.")
    if "views" in given and Options(**chosen).augmentation == "none":
        raise DataError("--views needs augmentation: add --augment, for example --augment standard.")
    limits = {"max_size_mb": given.get("max_size"), "max_latency_ms": given.get("max_latency")}
    if "," in chosen.get("model", "") and not Path(chosen["model"]).exists():
        _compare(data, chosen, limits, arguments)
        return
    if any(limit is not None for limit in limits.values()):
        raise DataError("--max-size and --max-latency choose between models: pass several, for example --model A,B,C.")
    with Bars(arguments) as bars:
        result = train(
            data,
            given.get("output"),
            overwrite=arguments.overwrite,
            resume=arguments.resume,
            tensorboard=given.get("tensorboard"),
            progress=bars,
            **chosen,
        )
        if "init_from" in given and (note := _edit_instead(Path(given["init_from"]), result.directory)):
            bars.note(note)
    if arguments.json:
        print_json({"output": str(result.directory), "seconds": round(result.seconds, 2), **result.report})
    else:
        training_views.show_training(result)


def _earlier_run(given: dict) -> str:
    from model_maker.output_folder import FLOAT_MODEL

    folder = given["init_from"]
    if "model" in given:
        raise DataError("--init-from already selects a network: leave --model out.")
    if not (Path(folder) / FLOAT_MODEL).is_file():
        raise DataError(f"--init-from {folder}: there is no {FLOAT_MODEL}. Pass a folder that `train` made.")
    return folder


def _edit_instead(before: Path, after: Path) -> str:
    """Says that an edit would have done, where a run only adds classes to the earlier one, or leaves some out."""
    from model_maker.output_folder import LABELS

    if not (before / LABELS).is_file():
        return ""
    old, new = ((folder / LABELS).read_text(encoding="utf-8").split("\n") for folder in (before, after))
    added, removed = [name for name in new if name not in old], [name for name in old if name not in new]
    if bool(added) == bool(removed):
        return ""
    edits = [f"--add {name} PHOTOS" for name in added] + [f"--remove {name}" for name in removed]
    shown = " ".join(edits[:3]) + (" ..." if len(edits) > 3 else "")
    return f"Where nothing but classes changes, `model_maker classes {before} {shown}` does it without training."


def _compare(data: str, chosen: dict, limits: dict, arguments: argparse.Namespace) -> None:
    from model_maker.cli import comparison_views
    from model_maker.cli.bars import Bars
    from model_maker.training import comparison

    for flag, stated in (("--resume", arguments.resume), ("--tensorboard", getattr(arguments, "tensorboard", None))):
        if stated:
            raise DataError(f"{flag} applies to fine-tuning of a single model: leave it out, or pass one --model.")
    models = [name.strip() for name in chosen.pop("model").split(",") if name.strip()]
    with Bars(arguments) as bars:
        found = comparison.compare(
            data,
            models,
            getattr(arguments, "output", None),
            overwrite=arguments.overwrite,
            progress=bars,
            **limits,
            **chosen,
        )
    if arguments.json:
        print_json({"output": str(found.directory), **comparison.as_dict(found)})
    else:
        comparison_views.show_comparison(found)
