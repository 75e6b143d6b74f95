"""Every command and every line of Python in the README runs, and prints what the README shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from model_maker.backbones import BACKBONES, DEFAULT

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
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
    return [(command, shown) for command, shown in commands if command.startswith("model_maker ")]


@pytest.fixture(scope="module")
def session(tmp_path_factory, lite0):
    """Runs the README from top to bottom in one folder; command to what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    printed = {}
    for command, _ in _session():
        words = [sys.executable, "-m", *shlex.split(command)]
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
    assert len(session) >= 9


def test_shown_output_is_real(session):
    for command, shown in _session():
        real = {" ".join(line.split()) for line in session[command].splitlines()}
        for line in shown:
            if not VARIES.search(line):
                assert " ".join(line.split()) in real, f"{command}: {line}"


def test_python_example_prints_accuracy_and_label(session):
    accuracy, best = session["python"].splitlines()
    assert 0.8 <= float(accuracy.split()[0]) <= 1
    assert best.startswith("rose ")


def test_backbone_table_is_the_registry():
    table = README.split("<!-- models -->")[1]
    for backbone in BACKBONES.values():
        name = f"{backbone.name} (default)" if backbone.name == DEFAULT else backbone.name
        row = (
            f"| {name} | {backbone.image_size} px | {backbone.parameters / 1e6:.1f} M | {backbone.macs / 1e6:.0f} M "
            f"| {backbone.top1:.1f} % | {backbone.top1_int8:.1f} % | {backbone.licence} |"
        )
        assert row in table


@pytest.mark.parametrize("target", ["demo", "test"])
def test_both_make_targets_exist(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
