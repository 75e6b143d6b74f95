"""Model Maker on Windows and macOS, as far as Linux can play them: see `other_system/sitecustomize.py`."""

import json
import os
import subprocess
import sys

import numpy as np
import other_systems
import pytest
from checkout import ROOT
from other_systems import PEAK_MB, SYSTEMS, run
from tiny_network import FUSED, TinyNetwork

from model_maker.data import object_stores
from model_maker.demo import browser
from model_maker.normalization import Normalization
from model_maker.terminal import rendering
from model_maker.tflite import metadata

pytestmark = pytest.mark.slow

OTHERS = SYSTEMS[1:]
IMPORT_ALL = """
import importlib, importlib.util, sys
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.startswith(("model_maker", "benchmarks")) or importlib.util.find_spec(error.name):
            raise  # no package of an extra, but what the system lacks
    print(name)
"""


def all_modules():
    for package in ("model_maker", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__")


@pytest.mark.parametrize("system", OTHERS)
def test_every_module_can_be_imported(system):
    names = list(all_modules())
    assert len(names) > 150
    assert run(system, IMPORT_ALL, " ".join(names)).split() == names


@pytest.mark.parametrize(
    ("system", "lacks"),
    [
        ("win32", ["import fcntl", "import resource", "os.fork", "os.killpg", "os.O_NONBLOCK", "signal.SIGALRM"]),
        ("darwin", ["os.sched_getaffinity", "import msvcrt"]),
    ],
)
def test_what_a_system_lacks_is_lacking_to_our_modules(system, lacks):
    # Of the player itself: the other tests would say nothing if it did not play.
    for what in lacks:
        program = (
            f"import os, signal, sys\ntry:\n    {what}\nexcept (ImportError, AttributeError):\n    print(sys.platform)"
        )
        assert run(system, program).split() == [system]
        assert run("", program).split() == ([] if "msvcrt" not in what else ["linux"])


COMMANDS = """
import json, sys
from model_maker import cli
for words in json.loads(sys.argv[1]):
    sys.stdout.write("\\n> ")
    sys.stdout.flush()
    code = cli.main(cli.parse(["model_maker", *words]))
    if code:
        sys.exit(f"{words} ended with {code}")
"""


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    """An embedder of a few colours and edges, which says itself what its input expects."""
    random = np.random.default_rng(0)
    network = TinyNetwork(32).conv(random.normal(size=(12, 3, 3, 3)) / 3, stride=2, fused=FUSED.RELU)
    content = network.conv(random.normal(size=(16, 3, 3, 12)) / 6, stride=2, fused=FUSED.RELU).mean().content()
    info = metadata.ModelInfo(normalization=Normalization(127.5, 127.5), name="tiny")
    path = tmp_path_factory.mktemp("tiny") / "tiny.tflite"
    path.write_bytes(metadata.write(content, info, embedder=True))
    return path


@pytest.fixture(scope="module")
def sessions(tiny_file, tmp_path_factory):
    """Everything that a newcomer does, in one process a system: {system: (folder, what each command printed)}."""
    model = ["--model", str(tiny_file)]
    commands = {
        "train": ["train", "--data", "flowers", *model, "--output", "model"],
        "train again": ["train", "--data", "flowers", *model, "--output", "model", "--overwrite", "--json"],
        "evaluate": ["evaluate", "model", "--json"],
        "predict": ["predict", "model", "flowers/rose/rose_000.jpg", "--json"],
        "inspect": ["inspect", "model/model.tflite", "--json"],
        "export": ["export", "model", "--output", "exported", "--format", "tflite-dynamic,c_header"],
        "benchmark": ["benchmark", "model", "--rounds", "5", "--threads", "1", "--json", "speed.json"],
        "doctor": ["doctor", "flowers", *model, "--html", "flowers.html", "--json"],
        "fix": ["doctor", "flowers", *model, "--fix", "broken,duplicates", "--yes", "--json"],
        "undo": ["doctor", "flowers", "--undo", "--json"],
    }
    found = {}
    for system in SYSTEMS:
        home = tmp_path_factory.mktemp(system or "here")
        cache = {"MODEL_MAKER_CACHE": str(home / "cache")}
        run(system, COMMANDS, json.dumps([["sample-data", "flowers", "--per-class", "8"]]), cwd=home, **cache)
        rose = (home / "flowers/rose/rose_001.jpg").read_bytes()
        (home / "flowers/rose/copy of rose_001.jpg").write_bytes(rose)
        (home / "flowers/tulip/broken.jpg").write_bytes(rose[: len(rose) // 2])
        said = run(system, COMMANDS, json.dumps(list(commands.values())), cwd=home, **cache)
        found[system] = home, dict(zip(commands, said.split("\n> ")[1:], strict=True))
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_model_is_made_and_used(sessions, system):
    home, said = sessions[system]
    labels = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
    assert (home / "model/labels.txt").read_bytes() == "\n".join(labels).encode()
    report = json.loads(said["train again"])
    # 40 drawings and a copy; the broken one does not count.
    assert sum(report["photos"].values()) == 41
    evaluated, [predicted] = json.loads(said["evaluate"]), json.loads(said["predict"])
    assert evaluated["top1"] == report["test"]["top1"] and evaluated["photos"] == report["photos"]["test"]
    assert {entry["label"] for entry in predicted["predictions"]} <= set(labels)
    assert json.loads(said["inspect"])["metadata"]["labels"] == labels
    exported = json.loads((home / "exported/export.json").read_text())
    assert [entry["path"] for entry in exported["formats"]] == ["tflite-dynamic/model.tflite", "c_header/model.cc"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_memory_of_stages_is_what_the_system_states(sessions, system):
    home, _ = sessions[system]
    peaks = {stage["peak_memory_mb"] for stage in json.loads((home / "model/run.json").read_text())["stages"]}
    assert peaks == {PEAK_MB} if system else max(peaks) < 10_000 and min(peaks) > 20


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_benchmark_measures(sessions, system):
    home, _ = sessions[system]
    record = json.loads((home / "speed.json").read_text())
    [row] = record["rows"]
    assert row["median_ms"] > 0 and row["init_ms"] > 0 and not row["reason"] and len(row["rounds_ms"]) == 5
    # The played systems tell the same peak before and after.
    assert row["memory_mb"] == 0 if system else row["memory_mb"] > 0
    assert (record["load"]["others"] is None) == bool(system)  # it is read from /proc
    assert (record["load"]["average_before"] is None) == (system == "win32")


@pytest.mark.parametrize("system", SYSTEMS)
def test_photos_move_out_and_come_back(sessions, system):
    home, said = sessions[system]
    moved = {os.path.relpath(path, home / "flowers_quarantine") for path in json.loads(said["fix"])["fixed"]["moved"]}
    assert moved == {"duplicates/rose/copy of rose_001.jpg", "broken/tulip/broken.jpg"}
    assert len(json.loads(said["undo"])["moved"]) == 2
    assert (home / "flowers/tulip/broken.jpg").exists() and not (home / "flowers_quarantine").exists()


@pytest.mark.parametrize("system", OTHERS)
def test_the_same_bytes_are_made_as_here(sessions, system):
    kept = ("model.tflite", "float.tflite", "labels.txt", "metrics.json", "README.md", "confusion.png")
    names = [f"model/{name}" for name in kept]
    names += [f"exported/{name}" for name in ("export.json", "c_header/model.cc", "c_header/labels.txt")]
    for name in (*names, "flowers.html"):
        here, there = (sessions[one][0] / name for one in ("", system))
        assert here.read_bytes() == there.read_bytes(), name


WINDOWS = {"PROGRAMFILES": "C", "PROGRAMFILES(X86)": "X", "LOCALAPPDATA": "L"}


def test_chrome_is_found_where_its_installer_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert browser.chromium() is None
    monkeypatch.setattr(sys, "platform", "win32")
    for name, value in WINDOWS.items():
        monkeypatch.setenv(name, value)
    assert r"X\Google\Chrome\Application\chrome.exe" in browser.places() and len(browser.places()) == 6
    monkeypatch.setattr(browser.os.path, "isfile", lambda path: path == r"L\Chromium\Application\chrome.exe")
    assert browser.chromium() == r"L\Chromium\Application\chrome.exe"
    monkeypatch.setattr(sys, "platform", "darwin")
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    monkeypatch.setattr(browser.os.path, "isfile", lambda path: path == mac)
    assert browser.chromium() == mac


def test_a_drive_is_no_store():
    assert not object_stores.is_url("C://photos/flowers")
    assert not object_stores.is_url(r"C:\photos\flowers")
    assert object_stores.is_url("s3://photos/flowers")


@pytest.mark.parametrize(
    ("argument", "here", "windows"),
    [
        ("flowers_model", "flowers_model", "flowers_model"),
        ("my photos", "'my photos'", '"my photos"'),
        (r"C:\photos\rose", r"'C:\photos\rose'", r"C:\photos\rose"),
    ],
)
def test_an_argument_is_quoted_for_the_shell(monkeypatch, argument, here, windows):
    assert rendering.quoted(argument) == here
    monkeypatch.setattr(sys, "platform", "win32")
    assert rendering.quoted(argument) == windows


def test_a_port_that_is_taken_is_not_taken_again():
    program = "from model_maker.demo.page_server import PageServer; print(PageServer.allow_reuse_address)"
    assert [run(system, program).strip() for system in ("", "win32")] == ["True", "False"]


def test_what_reads_proc_says_so(tmp_path):
    program = "import sys\nfrom benchmarks import scale\nsys.argv = ['scale', '--folder', 'x']\nscale.main()"
    for system in OTHERS:
        done = subprocess.run(
            [sys.executable, "-c", program], env=other_systems.surroundings(system), capture_output=True, cwd=tmp_path
        )
        assert done.returncode == 1 and b"which only Linux has" in done.stderr and b"Traceback" not in done.stderr
