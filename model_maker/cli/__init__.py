"""The command line: one sub-command is one call of the Python API, plus printing.

The only place that prints or exits. Results go to stdout; progress bars and notes go to stderr.
"""

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence

from absl import app, logging

from model_maker.system import suppressed_output
from model_maker.terminal import completion, exit_codes, flags
from model_maker.terminal.argument_parser import CommandsFormatter, Parser
from model_maker.version import __version__

_EXAMPLES = """examples:
  model_maker sample-data flowers              draw a practice dataset
  model_maker train --data flowers             write flowers_model/model.tflite
  model_maker evaluate flowers_model           accuracy on the test split
  model_maker predict flowers_model rose.jpg   classify photos

exit codes: 0 done; 1 failed, the message says why; 2 wrong arguments;
130 after ctrl-C.
NO_COLOR=1 in the environment switches colors off.
"""
# Modules and object trees of models, which stay, cause most of Python's collections; with its default of 700 these take
# 2 % of a short training.
_GC_THRESHOLD = 50_000
# In the order of the help; each is a module of this folder, `train_command` and so on.
COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "compare",
    "robustness",
    "advise",
    "reproduce",
    "forget",
    "verify",
    "inspect",
    "metadata",
    "classes",
    "combine",
    "models",
    "export",
    "codegen",
    "push",
    "starter",
    "embedder",
    "zero_shot",
    "search",
    "organize",
    "benchmark",
    "studio",
    "demo",
    "doctor",
    "label",
    "augment",
    "sample_data",
    "completion",
)


def run() -> None:
    """The `model_maker` command."""
    gc.set_threshold(_GC_THRESHOLD)
    try:
        app.run(main, flags_parser=parse)
    except KeyboardInterrupt:  # while parsing the command line
        sys.exit(exit_codes.INTERRUPTED)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; usage errors exit with 2."""
    from model_maker.benchmark.command_line import COMPLETIONS

    whole = parser()
    completion.answer(whole, **COMPLETIONS)
    found = whole.read(arguments[1:])
    if found.command is None:
        whole.print_help(sys.stderr)
        sys.exit(exit_codes.USAGE)
    named = found.command == "predict" and (found.model is not None or found.candidate_labels is not None)
    if found.command == "predict" and not named and len(found.photos) < 2:
        whole.error(
            "predict needs a model and photos: MODEL PHOTO ..., --model NAME PHOTO ..., or "
            "--candidate-labels A,B PHOTO ..."
        )
    return found


def parser() -> Parser:
    """Returns the parser of all commands, which also writes their reference."""
    parser = Parser(
        prog="model_maker",
        description="Turns a folder of photos into an image classifier that runs on a phone.",
        epilog=_EXAMPLES,
        formatter_class=CommandsFormatter,
    )
    parser.add_argument("--version", action="version", version=f"model_maker {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the library's log")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}_command").add(commands)
    return parser


def main(arguments: argparse.Namespace) -> int:
    """Runs a command; returns the exit code."""
    suppressed_output.own_process()
    suppressed_output.hush_pillow()
    logging.set_verbosity(logging.INFO if arguments.debug else logging.ERROR)
    return exit_codes.exit_code(
        lambda: arguments.run(arguments),
        program="model_maker",
        debug=arguments.debug,
        worded=lambda message: flags.in_flags(message, arguments.parser),
        interrupted="interrupted. No partial output was written; finished work is cached and not repeated.",
    )
