"""The flags of `train`: those of the command itself, and one for each of `options.Options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from model_maker import options
from model_maker.cli.parsers import command, part_folders
from model_maker.learning.recipe import Recipe


def add_train(commands) -> None:
    """Adds the sub-command."""
    # Flags that are not given stay absent, so that --config and the defaults of Options can fill them.
    parser = command(
        commands, "train", "train on a folder of photos and write a .tflite", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--data", metavar="DIR", help="DIR/<class>/photos, or DIR/{train,val,test}/<class>/photos")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="folder to make (default: <data name>_model)")
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace the output folder")
    parser.add_argument("--config", metavar="RUN.JSON", help="repeat a run; other flags take precedence")
    parser.add_argument("--json", action="store_true", default=False, help="print metrics as one JSON document")
    groups = {title: parser.add_argument_group(title, text or None) for title, text in options.GROUPS.items()}
    for name, declared in options.declarations().items():
        _add(groups[declared.group], name, declared)
    learning, tuning = groups[options.LEARNING], groups[options.FINE_TUNING]
    learning.add_argument(
        "--init-from", metavar="DIR", help="start from the network of an earlier run, also with other classes"
    )
    learning.add_argument(
        "--max-size", type=float, metavar="MB", help="of several models, recommend one up to this size"
    )
    learning.add_argument(
        "--max-latency",
        type=float,
        metavar="MS",
        help="of several models, recommend one up to this latency at 1 thread",
    )
    tuning.add_argument("--resume", action="store_true", default=False, help="continue an interrupted run")
    tuning.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard")


def _add(group: argparse._ArgumentGroup, name: str, declared: options.Declaration) -> None:
    more: dict[str, Any] = {"nargs": "?", "const": declared.const} if declared.const else {}
    group.add_argument(
        options.flag(name),
        type=_number(options.kinds()[name]),
        metavar=declared.metavar,
        help=help_of(name, declared),
        **more,
    )


def help_of(name: str, declared: options.Declaration) -> str:
    """Returns what an option means, and its default: its own, or where it has none that of a fine-tuning."""
    default = getattr(options.Options, name)
    shown = declared.shown or str(getattr(Recipe, name, default) if default is None else default)
    return declared.help if shown == "-" else f"{declared.help} (default: {shown})"


def _number(kind: Any) -> Callable[[str], Any]:
    """Returns what reads a value of a type, of which None may be one."""
    return next((number for number in (float, int) if isinstance(number(1), kind)), str)
