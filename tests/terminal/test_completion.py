"""Real shells, told by the script that `model_maker completion` prints, and TAB pressed in them."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from checkout import ROOT

from model_maker.backbones import BACKBONES
from model_maker.benchmark.command_line import COMPLETIONS
from model_maker.exporters.export import EXPORTERS
from model_maker.terminal import completion
from model_maker.tflite.quantize import FORMATS

TAB, LIMIT_S = "\t", 60  # of a shared machine that stalls; an answer takes a quarter of a second
# How each shell starts without anybody's settings, and what it needs before the script.
INTERACTIVE = {"bash": (["--norc", "--noprofile"], ""), "zsh": (["-f"], "autoload -Uz compinit; compinit -u -D\n")}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a model, photos and our two programs in `bin`."""
    desk = tmp_path_factory.mktemp("desk")
    for program, module in zip(completion.PROGRAMS, ("model_maker", "model_maker.benchmark"), strict=True):
        path = desk / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        path.chmod(0o755)
    for name in ("photos/rose", "flowers model", ".hidden"):
        (desk / name).mkdir(parents=True)
    for name in ("flowers model/model.tflite", "notes.txt"):
        (desk / name).touch()
    return desk


def _environment(desk):
    path = os.pathsep.join((str(desk / "bin"), os.environ["PATH"]))
    python = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    return os.environ | {"PATH": path, "PYTHONPATH": python, "TERM": "dumb", "HOME": str(desk), "PS1": "> "}


def _offered(desk, line):
    """What the program itself answers to a line, as argcomplete's protocol has it: on descriptor 8, one a line."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SHELL": "fish"}
    command = ["bash", "-c", f"{line.split()[0]} 8>&1 >/dev/null 2>&1"]
    environment = _environment(desk) | asked
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("model_maker train --quantize ", FORMATS),
        ("model_maker train --model efficientnet_lite4", ["efficientnet_lite4"]),
        (
            "model_maker train --model mobilenet_v1_0.5,eff",
            [f"mobilenet_v1_0.5,efficientnet_lite{n}" for n in range(5)],
        ),
        ("model_maker export m --format onnx,", [f"onnx,{name}" for name in EXPORTERS if name != "onnx"]),
        ("model_maker completion ", completion.SHELLS),
        ("model_maker evaluate f", ["flowers model/"]),
        ("model_maker compare f", ["flowers model/"]),
        ("model_maker robustness m --augment st", ["standard", "strong"]),
        ("model_maker evaluate flowers\\ model/", ["flowers model/model.tflite"]),
        ("model_maker train --data ", ["bin/", "flowers model/", "notes.txt", "photos/"]),
        ("model_maker train --data .h", [".hidden/"]),
        ("model_maker train --output ", ["bin/", "flowers model/", "photos/"]),
        ("model_maker train --data nowhere/", []),
        ("model_maker train --seed ", []),
        ("benchmark --delegate ", COMPLETIONS["delegate"]),
        ("model_maker benchmark --delegate xnnpack,g", ["xnnpack,gpu"]),
    ],
)
def test_values_are_offered(desk, line, offered):
    values = [answer for answer in _offered(desk, line) if not answer.startswith("-")]
    assert values == list(offered)


def test_every_backbone_is_offered(desk):
    assert set(BACKBONES) <= set(_offered(desk, "model_maker starter "))


def test_sub_commands_and_flags_are_offered(desk):
    shown = subprocess.run(
        [sys.executable, "-m", "model_maker", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = re.findall(r"^    ([a-z-]+)  ", shown, re.M)
    assert len(commands) > 12
    assert set(commands) <= set(_offered(desk, "model_maker "))
    assert _offered(desk, "model_maker train --fine") == ["--fine-tune"]


def _script(desk, shell):
    words = ["model_maker", "completion", shell]
    return subprocess.run(words, env=_environment(desk), capture_output=True, text=True, check=True).stdout


class _Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, words, desk):
        self.pid, self._end = pty.fork()
        if not self.pid:  # the child
            os.chdir(desk)
            os.execvpe(words[0], words, _environment(desk))
        self._seen = ""

    def type(self, keys):
        os.write(self._end, keys.encode())

    def wait_for(self, text):
        """Reads on until a text has come, and forgets what came before; anything else fails with what was seen."""
        until = time.monotonic() + LIMIT_S
        while text not in self._seen:
            ready, _, _ = select.select([self._end], [], [], max(0, until - time.monotonic()))
            assert ready, f"no {text!r} in {self._seen!r}"
            self._seen += os.read(self._end, 4096).decode(errors="replace")
        self._seen = self._seen.partition(text)[2]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._end)


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tab_completes_in(shell, desk):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    flags, before = INTERACTIVE[shell]
    (desk / f"completion.{shell}").write_text(before + _script(desk, shell))
    terminal = _Terminal([shell, *flags, "-i"], desk)
    try:
        terminal.type(f". ./completion.{shell}; echo rea''dy\n")
        terminal.wait_for("ready")
        # The command, a flag, a name, a path with a blank in it: each typed in part.
        terminal.type(f"model_maker sam{TAB}")
        terminal.wait_for("sample-data ")
        terminal.type(f"\x15model_maker train --quan{TAB}")
        terminal.wait_for("--quantize ")
        terminal.type(f"dy{TAB}")
        terminal.wait_for("dynamic ")
        terminal.type(f"\x15benchmark fl{TAB}")
        terminal.wait_for("flowers\\ model/")
        terminal.type(f"m{TAB}")
        terminal.wait_for("model.tflite ")
    finally:
        terminal.close()


def test_fish_completes(desk):
    if not shutil.which("fish"):
        pytest.skip("no fish")
    (desk / "completion.fish").write_text(_script(desk, "fish"))

    def complete(line):
        words = ["fish", "--no-config", "--command", f"source completion.fish; complete --do-complete '{line}'"]
        done = subprocess.run(words, cwd=desk, env=_environment(desk), capture_output=True, text=True, check=True)
        return [shown.split("\t")[0] for shown in done.stdout.splitlines()]

    assert complete("model_maker sam") == ["sample-data"]
    assert complete("model_maker train --quantize dy") == ["dynamic"]
    assert complete("benchmark fl") == ["flowers model/"]


def test_a_shell_that_is_not_known_is_a_usage_error():
    words = [sys.executable, "-m", "model_maker", "completion", "ksh"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'ksh'" in done.stderr and "bash" in done.stderr


@pytest.mark.parametrize(
    ("module", "words"), [("model_maker.cli", ["x", "models"]), ("model_maker.benchmark.command_line", ["x"])]
)
def test_a_start_without_a_shell_asking_loads_no_argcomplete(module, words):
    check = f"import sys; from {module} import parse; parse({words}); print('argcomplete' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
