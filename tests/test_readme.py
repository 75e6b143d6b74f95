"""Every command and every line of Python in the README runs, and prints what the README shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from model_maker.backbones import BACKBONES
from model_maker.deploy import demo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Console script to the module that runs it.
MODULES = {"model_maker": "model_maker", "benchmark": "benchmarks"}
# What depends on the machine or on its history: times, and the note of a first run.
VARIES = re.compile(r"^\s*(note |time )|\d s$")


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def _session():
    """(command, shown lines) of every `$` line, in order."""
    commands = []
    for line in "\n".join(_blocks("console")).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and line.strip():
            commands[-1][1].append(line)
    return [(command, shown) for command, shown in commands if command.split()[0] in MODULES]


@pytest.fixture(scope="module")
def session(tmp_path_factory, lite0):
    """Runs the README from top to bottom in one folder; command to what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    printed = {}
    for command, _ in _session():
        program, *rest = shlex.split(command)
        if rest[0] == "demo" and not demo.has_runtime():
            continue  # `make runtime`, which stands before it, needs npm
        words = [sys.executable, "-m", MODULES[program], *rest]
        env = os.environ | {"COLUMNS": "100"}
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        printed[command] = done.stdout
    for code in _blocks("python"):
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed["python"] = done.stdout
    return printed


def test_every_command_runs(session):
    assert len(session) >= 11


def test_shown_output_is_real(session):
    for command, shown in _session():
        real = [_tokens(line) for line in session[command].splitlines()]
        for line in shown:
            if not VARIES.search(line):
                assert any(_alike(_tokens(line), other) for other in real), f"{command}: {line}"


def _tokens(line):
    return [float(word) if re.fullmatch(r"-?[\d.]*\d", word) else word for word in line.replace("━", "").split()]


def _alike(shown, real):
    """Words are equal; figures may differ a little, for LiteRT's kernels differ between processors in the last bits."""
    return len(shown) == len(real) and all(
        ours == theirs or (isinstance(ours, float) and isinstance(theirs, float) and abs(ours - theirs) <= 0.05 * ours)
        for ours, theirs in zip(shown, real, strict=True)
    )


def test_python_example_prints_accuracy_and_label(session):
    accuracy, best = session["python"].splitlines()
    assert 0.8 <= float(accuracy.split()[0]) <= 1
    assert best.startswith("rose ")


def test_backbone_table_is_what_the_command_prints():
    command = [sys.executable, "-m", "model_maker", "models", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed in README.split("<!-- models -->")[1]
    assert all(f"| {name} " in printed for name in BACKBONES)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_both_make_targets_exist(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
