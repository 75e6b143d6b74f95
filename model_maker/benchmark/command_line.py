"""The command line of `benchmark` and `model_maker benchmark`.

It parses flags; `actions` runs them. Flags that are not passed stay None, so that a flag without effect on the action
is an error and is not ignored.
"""

import argparse
import os
from collections.abc import Callable, Sequence

from absl import app, logging

from model_maker.benchmark.delegates import DELEGATES
from model_maker.system import suppressed_output
from model_maker.terminal import completion, exit_codes, flags
from model_maker.terminal.argument_parser import Parser
from model_maker.version import __version__

DESCRIPTION = "Measures the latency of .tflite models on this machine or on an Android device, and compares results."
EXAMPLES = """examples:
  benchmark --threads 4       the newest model that train made below this folder
  benchmark flowers_model --threads 1,2 --delegate xnnpack,none --data flowers
  benchmark a.tflite b.tflite --json base.json --html base.html
  benchmark flowers_model --device android --benchmark-binary benchmark_model
  benchmark compare base.json new.json --fail-over 5%    exit code 1 if slower
  benchmark import console.txt --device-name "iPhone 12"    or what --json wrote
"""
# A larger number of threads is a typing error, and crashes some kernels.
_MOST_THREADS = 256

# The same as in `android`, which is slow to import; a test keeps them equal.
ANDROID_DELEGATES = ("xnnpack", "none", "nnapi", "gpu")
COMPLETIONS = {"delegate": tuple(dict.fromkeys((*DELEGATES, *ANDROID_DELEGATES)))}

# Flags by action.
FLAGS = {
    "host": "threads delegate device data labels json csv html runs timeout rounds",
    "android": "threads delegate device data labels json csv html runs timeout "
    "benchmark_binary fetch_binary keep_binary cpu_mask op_profile cooldown",
    "compare": "json fail_over force",
    "import": "threads delegate json csv html device_name",
}
ALL_FLAGS = sorted(set(" ".join(FLAGS.values()).split()))


def run() -> None:
    """The `benchmark` command."""
    app.run(main, flags_parser=parse)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; usage errors exit with 2."""
    parser = Parser(
        prog="benchmark", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"benchmark {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the library's log")
    add_arguments(parser)
    completion.answer(parser, **COMPLETIONS)
    return parser.read(arguments[1:])


def main(arguments: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    suppressed_output.own_process()
    suppressed_output.hush_pillow()
    logging.set_verbosity(logging.INFO if arguments.debug else logging.ERROR)
    return exit_codes.exit_code(
        lambda: run_command(arguments),
        program="benchmark",
        debug=arguments.debug,
        interrupted="interrupted before the first measurement.",
        worded=lambda message: flags.in_flags(message, arguments.benchmark_usage),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser, its own or that of a sub-command."""
    parser.set_defaults(benchmark_usage=parser)
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        help="a .tflite, or a folder that train made (default: the newest such folder below this one); "
        "or: compare BASE.json NEW.json; or: import FILE",
    )
    _measuring(parser.add_argument_group("what to measure"))
    _results(parser.add_argument_group("results"))
    _android(parser.add_argument_group("on an Android device"))
    other = parser.add_argument_group("compare and import")
    other.add_argument("--fail-over", type=_percent, metavar="PERCENT", help="allowed slowdown (default: 5%%)")
    other.add_argument("--force", action="store_true", default=None, help="compare even if the machines differ")
    other.add_argument("--device-name", metavar="NAME", help="device of an imported result, for example 'iPhone 12'")


def run_command(arguments: argparse.Namespace) -> int:
    """Runs the action; returns the exit code."""
    verb = arguments.models[0] if arguments.models and arguments.models[0] in ("compare", "import") else ""
    mode = verb or ("host" if arguments.device in (None, "host") else "android")
    _check(arguments, mode)
    from model_maker.benchmark import actions

    return getattr(actions, f"{mode}_")(arguments)


def _measuring(group) -> None:
    group.add_argument("--threads", type=_threads, metavar="N,N", help="thread counts (default: 1,2,4 up to the cores)")
    group.add_argument(
        "--delegate",
        type=_names,
        metavar="NAME,NAME",
        help=f"this machine: {', '.join(DELEGATES)}; Android: {', '.join(ANDROID_DELEGATES)} (default: xnnpack)",
    )
    group.add_argument("--device", metavar="WHERE", help="host (default), android (the only one attached), or a serial")
    group.add_argument(
        "--data", metavar="DIR", help="photos in class folders: adds top-1, and feeds them to the models"
    )
    group.add_argument("--labels", metavar="FILE", help="with --data: one label per line, for models without labels")
    group.add_argument("--rounds", type=_count, metavar="N", help="rounds per cell, on this machine (default: 20)")
    group.add_argument("--runs", type=_count, metavar="N", help="minimum inferences per cell (Android: 50)")
    group.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="limit for one cell (default: 60; Android: 300)"
    )


def _results(group) -> None:
    group.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write the record; to stdout without FILE")
    group.add_argument("--csv", nargs="?", const="-", metavar="FILE", help="write the rows; to stdout without FILE")
    group.add_argument("--html", metavar="FILE", help="write an HTML report with a chart")


def _android(group) -> None:
    group.add_argument("--benchmark-binary", metavar="FILE", help="benchmark_model for the device")
    group.add_argument("--fetch-binary", action="store_true", default=None, help="download the published binary")
    group.add_argument("--keep-binary", action="store_true", default=None, help="leave it on the device")
    group.add_argument("--cpu-mask", metavar="HEX", help="cores to run on, as for taskset: f0 is cores 4 to 7")
    group.add_argument("--op-profile", action="store_true", default=None, help="also profile operators")
    group.add_argument("--cooldown", type=_pause, metavar="SECONDS", help="pause between cells (default: 5)")


def _check(arguments: argparse.Namespace, mode: str) -> None:
    """Exits with a usage error if flags and arguments are incompatible."""
    error: Callable = arguments.benchmark_usage.error
    for flag in ALL_FLAGS:
        if getattr(arguments, flag) is not None and flag not in FLAGS[mode].split():
            where = {"host": "on this machine", "android": "on Android"}.get(mode, f"for {mode}")
            error(f"--{flag.replace('_', '-')} has no effect {where}")
    if mode == "compare" and len(arguments.models) != 3:
        error("compare takes two files: benchmark compare BASE.json NEW.json")
    if mode == "import" and len(arguments.models) != 2:
        error("import takes one file: benchmark import FILE")
    if mode in ("host", "android"):
        _check_delegates(arguments, mode, error)
    outputs = {flag: getattr(arguments, flag) for flag in ("json", "csv", "html")}
    if outputs["json"] == outputs["csv"] == "-":
        error("--json and --csv cannot both write to stdout; pass a file to one of them")
    for flag, path in outputs.items():
        # `--json model.tflite` would overwrite the model.
        if path and (path.endswith(".tflite") or os.path.isdir(path)):
            error(f"--{flag} {path}: not an output file; put models before the flags")


def _check_delegates(arguments: argparse.Namespace, mode: str, error: Callable) -> None:
    known = tuple(DELEGATES) if mode == "host" else ANDROID_DELEGATES
    for name in arguments.delegate or ():
        if name not in known:
            error(f"argument --delegate: there is no {name!r} here; choose from {', '.join(known)}")


def _threads(text: str) -> list[int]:
    counts = list(dict.fromkeys(int(part) for part in text.split(",")))
    if not all(1 <= count <= _MOST_THREADS for count in counts):
        raise argparse.ArgumentTypeError(f"{text!r}: pass counts from 1 to {_MOST_THREADS}, for example 1,2,4")
    return counts


_threads.__name__ = "threads"  # argparse says "invalid threads value"


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",")))


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: pass 1 or more")
    return value


def _seconds(text: str) -> float:
    if not 0 < (value := float(text)) < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: pass seconds above 0")
    return value


def _pause(text: str) -> float:
    if not 0 <= (value := float(text)) < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: pass seconds, 0 or more")
    return value


def _percent(text: str) -> float:
    if not 0 <= (value := float(text.removesuffix("%"))) < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: pass a percentage, 0 or more, for example 5%")
    return value / 100
