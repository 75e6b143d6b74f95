"""Model Maker on Windows and macOS, as far as Linux can play them: see `other_system/sitecustomize.py`."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import other_systems
import pytest
from loopback_files import serve
from other_systems import PEAK_MB, SYSTEMS, run, start
from tiny_network import FUSED, TinyNetwork

from benchmarks import host, probe
from model_maker import child, files, progress, terminal
from model_maker.data import object_stores
from model_maker.data.images import Normalization
from model_maker.deploy import browser
from model_maker.errors import ModelError, OutputError
from model_maker.tflite import metadata

OTHERS = SYSTEMS[1:]
ROOT = other_systems.TESTS.parent
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
        "fix": ["doctor", "flowers", *model, "--fix", "broken,duplicates", "--json"],
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
def test_the_memory_of_stages_is_what_the_system_tells(sessions, system):
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


HOLD = """
import sys
from pathlib import Path
from model_maker import files
with files.locked(Path(sys.argv[1])) as file:
    print("held", flush=True)
    file.write(sys.stdin.readline().encode())
"""
TRY = """
import sys
from pathlib import Path
from model_maker import files
try:
    with files.locked(Path(sys.argv[1]), wait=sys.argv[2] == "wait") as file:
        file.seek(0)
        print("read", file.read().decode().strip())
except BlockingIOError:
    print("taken")
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_locked_file_is_one_process_s_alone(system, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first ")
    with start(system, HOLD, path) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert run(system, TRY, path, "no").strip() == "taken"
        assert path.read_bytes() == b"first "  # anyone may read
        with start(system, TRY, path, "wait") as waiting:
            holder.communicate(b"second\n")
            assert waiting.communicate()[0] == b"read first second\n"
    assert run(system, TRY, path, "no").strip() == "read first second"


KEEP = """
import sys, threading, time
from pathlib import Path
from model_maker import files
path, inside, most = Path(sys.argv[1]), [], []
def work():
    with files.locked(path) as file:
        inside.append(file)
        time.sleep(0.01)
        most.append(len(inside))
        inside.remove(file)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(most, path.exists())
with files.locked(path) as file:
    file.write(b"kept")
try:
    with files.locked(path.with_name("other")):
        raise KeyError
except KeyError:
    print(path.exists(), path.with_name("other").exists())
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_threads_wait_for_each_other_and_what_stays_empty_goes(system, tmp_path):
    assert run(system, KEEP, tmp_path / "lock").splitlines() == ["[1, 1, 1, 1, 1, 1, 1, 1] False", "True False"]


def test_a_file_that_was_removed_while_one_waited_is_opened_anew(tmp_path, monkeypatch):
    path, lock = tmp_path / "file", files._lock

    def removed(file, *, wait):
        lock(file, wait=wait)
        monkeypatch.undo()
        path.unlink()  # as whoever had it does at the end

    monkeypatch.setattr(files, "_lock", removed)
    with files.locked(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


REPLACE = """
import sys
from pathlib import Path
from model_maker import files
from model_maker.errors import OutputError
out = Path(sys.argv[1])
with files.new_directory(out) as folder:
    (folder / "a").write_text("old", encoding="utf-8")
held = open(out / "a", encoding="utf-8")
try:
    with files.new_directory(out, overwrite=True) as folder:
        (folder / "a").write_text("new", encoding="utf-8")
except OutputError as error:
    print(error)
print(sorted(path.name for path in out.parent.iterdir()), (out / "a").read_text(encoding="utf-8"))
held.close()
with files.new_directory(out, overwrite=True) as folder:
    (folder / "b").write_text("newer", encoding="utf-8")
print(sorted(path.name for path in out.parent.iterdir()), sorted(path.name for path in out.iterdir()))
"""


def test_a_folder_is_replaced_whole_or_not_at_all_where_open_files_stay(tmp_path):
    refused, kept, replaced = run("win32", REPLACE, tmp_path / "out").splitlines()
    assert refused.startswith(f"Cannot write {tmp_path / 'out'}: The process cannot access the file.")
    assert "another program has it open: close that" in refused
    assert kept == "['out'] old" and replaced == "['out'] ['b']"
    assert run("", REPLACE, tmp_path / "here").splitlines()[0].endswith("new")


def test_what_is_open_for_a_moment_is_renamed_at_last(tmp_path, monkeypatch):
    (tmp_path / "new").write_bytes(b"new")
    replace, tries = os.replace, []

    def refuse_twice(source, target):
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_twice)
    monkeypatch.setattr(files, "_PAUSES_S", (0, 0))
    files.rename(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new" and len(tries) == 3
    monkeypatch.setattr(files, "_PAUSES_S", ())
    tries.clear()
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "old", tmp_path / "new")


def test_a_drive_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "exists", lambda path: False)
    with pytest.raises(OutputError, match="there is no folder above it"):
        files.check_new(tmp_path / "out")


FETCH = """
import sys
from pathlib import Path
from model_maker.backbones import downloads
from model_maker.errors import BackboneError
target, sha256 = Path(sys.argv[2]), sys.argv[3]
for expected in ("0" * 64, sha256, sha256):
    try:
        downloads.fetch(sys.argv[1], target, sha256=expected, progress=lambda *_: None)
    except BackboneError as error:
        print("refused", "not the published file" in str(error))
    print(sorted(path.name for path in target.parent.iterdir()))
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_download_is_checked_and_takes_its_place(system, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as server:
        server.files["/w.h5"] = b"weights"
        digest = hashlib.sha256(b"weights").hexdigest()
        said = run(system, FETCH, f"{server.address}/w.h5", tmp_path / "w.h5", digest).splitlines()
        assert [path for path, _ in server.requests] == ["GET /w.h5"] * 2
    assert said == ["refused True", "[]", "['w.h5']", "['w.h5']"]
    assert (tmp_path / "w.h5").read_bytes() == b"weights"


CHILD = """
import sys
from model_maker import child
from model_maker.errors import ModelError
if len(sys.argv) == 3:
    def work(how):
        while how == "spin": pass
        return b"42"
    child.answer(work, memory_bytes=1 << 30, cpu_s=1)
"""
PARENT = """
import sys
from model_maker import child
from model_maker.errors import ModelMakerError
for how in ("answer", "spin"):
    try:
        print(child.run("the_child", how, what="It", limit_s=60))
    except ModelMakerError as error:
        print(str(error).splitlines())
"""


@pytest.mark.parametrize(("system", "end"), [("", "SIGKILL"), ("darwin", "SIGKILL"), ("win32", "Timeout (0:00:01)!")])
def test_a_child_answers_and_ends_by_itself(system, end, tmp_path):
    # Without a limit of memory, where the system has none; the limit of time holds on all.
    (tmp_path / "the_child.py").write_text(CHILD)
    path = other_systems.surroundings(system)["PYTHONPATH"]
    answered, ended = run(system, PARENT, PYTHONPATH=f"{path}{os.pathsep}{tmp_path}").splitlines()
    assert answered == "b'42'" and end in ended


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0, ""),
        (1, ""),
        (255, ""),
        (-11, "SIGSEGV"),
        (-40, "signal 40"),  # a real-time signal, which has no name
        # Microsoft's [MS-ERREF], NTSTATUS values.
        (0xC0000005, "access violation"),
        (0xC00000FD, "stack overflow"),
        (0xC0000142, "0xC0000142"),
    ],
)
def test_a_crash_is_named(code, name):
    assert child.crash(code) == name


def test_a_crash_on_windows_is_a_reason(tmp_path, monkeypatch):
    done = subprocess.CompletedProcess([], 0xC0000005, b"", b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(ModelError, match=r"crashed the process that opened it \(access violation\)"):
        child.run("any", what="It", error=ModelError)
    request = {"delegate": "xnnpack"}
    assert probe._read(b"", 0xC0000005, "", request) == {
        "reason": "LiteRT crashed (access violation) on this model with xnnpack."
    }


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from model_maker import child
sys.argv = ["child", sys.argv[1]]
child.answer(lambda: b"42", memory_bytes=64 << 30, cpu_s=60)
print(*resource.getrlimit(resource.RLIMIT_AS), *resource.getrlimit(resource.RLIMIT_CPU))
"""


def test_a_lower_limit_from_outside_is_kept(tmp_path):
    assert run("", LIMITED, tmp_path / "answer").split() == [str(6 << 30)] * 2 + ["60"] * 2
    assert (tmp_path / "answer").read_bytes() == b"42"


PEAK = "from model_maker import progress; print(progress.peak_memory_mb())"


def test_peak_memory_is_what_the_system_tells():
    assert run("win32", PEAK, PLAYED_PEAK_BYTES="157286400").strip() == "150.0"
    assert run("win32", PEAK, PLAYED_PEAK_BYTES="0").strip() == "None"
    assert run("darwin", PEAK).strip() == "300.0"


def test_the_memory_of_a_parent_is_not_its_child_s():
    held = np.ones(400 << 17)  # 400 MB (2**20 bytes)
    assert progress.peak_memory_mb() > 400
    assert float(run("", PEAK)) < 200
    assert held[-1] == 1


def test_memory_that_nobody_measured_is_none(monkeypatch):
    monkeypatch.setattr(progress, "peak_memory_mb", lambda: None)
    clock = progress.Stages(progress.Reporter())
    with clock.stage("Fit"):
        pass
    assert clock.records[0]["peak_memory_mb"] is None

    class Silent:
        def probe(self, *_, **__):
            return {"init_ms": 1.0, "first_ms": 2.0, "memory_mb": None, "complete": None}

    row = host._try_out(host._Cell(host.Row("a.tflite", "none", 1), None), Silent(), host.Options())
    assert (row.init_ms, row.first_ms, row.memory_mb) == (1.0, 2.0, None)


def test_one_thread_forks(tmp_path):
    # Others would not be in the fork, and what they had locked would stay locked in it.
    with probe.Helper() as running:
        running.probe(tmp_path / "none.tflite", "none", threads=1, timeout_s=60)
        threads = os.listdir(f"/proc/{running._process.pid}/task")
    assert len(threads) == 1


WINDOWS = {"PROGRAMFILES": "C", "PROGRAMFILES(X86)": "X", "LOCALAPPDATA": "L"}


def test_chrome_is_found_where_its_installer_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert browser.chromium() is None
    monkeypatch.setattr(sys, "platform", "win32")
    for name, value in WINDOWS.items():
        monkeypatch.setenv(name, value)
    assert r"X\Google\Chrome\Application\chrome.exe" in browser._places() and len(browser._places()) == 6
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
    assert terminal.quoted(argument) == here
    monkeypatch.setattr(sys, "platform", "win32")
    assert terminal.quoted(argument) == windows


def test_a_port_that_is_taken_is_not_taken_again():
    program = "from model_maker.deploy.demo_server import Server; print(Server.allow_reuse_address)"
    assert [run(system, program).strip() for system in ("", "win32")] == ["True", "False"]


def test_what_reads_proc_says_so(tmp_path):
    program = "import sys\nfrom benchmarks import scale\nsys.argv = ['scale', '--folder', 'x']\nscale.main()"
    for system in OTHERS:
        done = subprocess.run(
            [sys.executable, "-c", program], env=other_systems.surroundings(system), capture_output=True, cwd=tmp_path
        )
        assert done.returncode == 1 and b"which only Linux has" in done.stderr and b"Traceback" not in done.stderr
