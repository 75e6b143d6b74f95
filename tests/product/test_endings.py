"""Commands that are stopped, whose streams are closed, or that are given what has no end: all of them end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from model_maker import Classifier, load_dataset
from model_maker.backbones import embedder as backbones
from model_maker.cli import main, parse
from model_maker.data import images, sources
from model_maker.errors import BackboneError, DataError, ModelError, OutputError
from model_maker.inference import runtimes
from model_maker.system import files
from model_maker.tflite import interpreter

COMMAND = [sys.executable, "-m", "model_maker"]


@pytest.fixture
def model(tmp_path, make_tiny_model):
    (tmp_path / "model.tflite").write_bytes(make_tiny_model())
    return tmp_path / "model.tflite"


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*arguments, shell=None, **more):
    words = [*COMMAND, *map(str, arguments)]
    words = ["sh", "-c", f'exec "$@" {shell}', "sh", *words] if shell else words
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **more)


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path / "pipe.png"


def test_a_picture_that_has_no_end_is_refused(model, photo, pipe):
    done = run("predict", model, photo, pipe, "/dev/zero", pipe.parent, "--csv")
    assert done.returncode == 1
    assert "photo.png" in done.stdout
    assert done.stderr.splitlines() == [
        f"model_maker: {pipe}: no regular file",
        "model_maker: /dev/zero: no regular file",
        f"model_maker: {pipe}: no regular file",  # of the folder
    ]


@pytest.mark.parametrize("open_it", [images.decode, lambda path: images.load(path, 8), files.read_regular])
def test_nobody_waits_for_a_pipe(pipe, open_it):
    with pytest.raises((DataError, OSError), match="no regular file"):
        open_it(pipe)


def test_a_model_or_a_file_beside_it_that_has_no_end_is_refused(tmp_path, pipe, photo, model):
    for path in (*(pipe.with_suffix(suffix) for suffix in (".tflite", ".onnx", ".keras", ".xml")), "/dev/zero"):
        if path != "/dev/zero":
            os.mkfifo(path)
        with pytest.raises(ModelError, match="no regular file"):
            Classifier(path)
        with pytest.raises(BackboneError, match="neither a file nor a folder|cannot be imported|needs"):
            backbones.choose(str(path))
    (tmp_path / "saved/variables").mkdir(parents=True)
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    os.mkfifo(tmp_path / "saved/variables/variables.index")
    with pytest.raises(ModelError, match="variables.index: no regular file"):
        Classifier(tmp_path / "saved")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder/labels.txt")
    assert runtimes.labels_beside(tmp_path / "folder/model.onnx") == ()
    os.mkfifo(tmp_path / "folder/run.json")
    (tmp_path / "folder/model.tflite").write_bytes(model.read_bytes())
    done = run("evaluate", tmp_path / "folder")
    assert done.returncode == 1 and "no regular file" in done.stderr


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.zip", "a.tar.gz", "a.parquet", "a.tfrecord", "a", "/dev/zero"])
def test_a_data_set_that_has_no_end_is_refused(tmp_path, name):
    if not name.startswith("/"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is neither a file nor a folder"):
        load_dataset(tmp_path / name)


def test_pipes_among_photos_are_no_photos(tmp_path, make_photos):
    make_photos(tmp_path, {"a": 3, "b": 3})
    for name in ("a.parquet", "metadata.csv", "labels.txt", "a.tfrecord", "run.json", "a/p.png", "a/none"):
        os.mkfifo(tmp_path / name)
    assert len(load_dataset(tmp_path).samples) == 6


def sparse(path, size=1 << 40):
    """A terabyte that takes no room."""
    with open(path, "wb") as file:
        file.write(b"\xff\xd8\xff\xe0" if path.suffix == ".jpg" else b"\x1c\0\0\0TFL3")
        file.truncate(size)
    return path


def test_files_without_measure_are_refused_before_they_are_read(tmp_path):
    with pytest.raises(DataError, match="larger than 1024 MB"):
        images.load(sparse(tmp_path / "a.jpg"), 8)
    assert sources.hash_photo(tmp_path / "a.jpg") == ("", "larger than 1024 MB")
    with pytest.raises(ModelError, match="larger than 2047 MB"):
        interpreter.read(sparse(tmp_path / "a.tflite"))
    with pytest.raises(DataError, match="larger than 1024 MB"):
        load_dataset(sparse(tmp_path / "a.csv"))


@pytest.mark.parametrize("path", ["a\\u0000b.jpg", "\\u0000", "\\ud800.jpg"])
def test_a_path_that_no_file_can_have_is_named_with_its_line(tmp_path, path):
    (tmp_path / "list.jsonl").write_text(f'{{"path": "a.jpg", "label": "a"}}\n{{"path": "{path}", "label": "b"}}\n')
    with pytest.raises(DataError, match="line 2: .* is not a valid path") as caught:
        load_dataset(tmp_path / "list.jsonl")
    assert str(caught.value).isprintable()


def test_a_nul_in_a_table_is_named_with_its_line(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\na.jpg,a\nb\0.jpg,b\n")
    with pytest.raises(DataError, match="list.csv"):
        load_dataset(tmp_path / "list.csv")


def test_names_that_no_file_can_have_are_refused():
    for name in ("a\0b", "\ud800"):
        with pytest.raises(DataError, match="is not a valid path"):
            load_dataset(name)
        with pytest.raises(ModelError, match="is not a valid path"):
            Classifier(name)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("output", ["--csv", "--json", "--top-k=1"])
def test_closed_streams_are_no_failure(model, photo, closed, output):
    done = run("predict", model, photo, output, shell=closed)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_a_closed_input_is_named(model):
    done = run("predict", model, "-", shell="<&-")
    assert (done.returncode, done.stderr) == (1, "model_maker: -: standard input is closed; pipe a photo to it\n")


def test_an_error_with_closed_streams_is_still_an_error(model):
    assert run("predict", model, "nothing.png", shell=">&- 2>&-").returncode == 1


WAIT = """
import sys, time
from pathlib import Path
from model_maker.system import files
from model_maker.terminal import exit_codes
def work():
    with files.new_directory(Path(sys.argv[1])) as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(600)
sys.exit(exit_codes.exit_code(work, program="it", debug=False, interrupted="interrupted."))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_that_end_a_process_end_it_as_ctrl_c_does(tmp_path, number, code):
    # These tests may themselves run where one of them is ignored, which is inherited.
    usual = "signal.default_int_handler" if number == signal.SIGINT else "signal.SIG_DFL"
    program = f"import signal\nsignal.signal({int(number)}, {usual})\n{WAIT}"
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, b"", b"\nit: interrupted.\n")
    assert not list(tmp_path.iterdir())


def test_what_ignores_a_hangup_goes_on(tmp_path):
    program = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{WAIT}"
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_signals_keep_their_meaning_afterwards(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert main(parse(["model_maker", "inspect", "nothing.tflite"])) == 1
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing", "/dev/null"])
def test_a_cache_that_cannot_be_used_is_named_with_the_way_out(tmp_path, drawn_flowers, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODEL_MAKER_CACHE", place if place.startswith("/") else str(tmp_path / place))
    done = run("train", "--data", drawn_flowers, "--output", tmp_path / "model")
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("model_maker: ")]
    assert line.startswith("model_maker: Cannot write ") and line.endswith(
        "Set MODEL_MAKER_CACHE to a folder that can be written."
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()


def test_a_user_without_a_home_is_told_the_way_out(monkeypatch):
    for name in ("MODEL_MAKER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(files.Path, "home", homeless)
    with pytest.raises(OutputError, match="MODEL_MAKER_CACHE"):
        files.cache_directory()
    files.collect_leftovers()


def listed(folder, count, there=()):
    """A list of so many photos, of which those with these numbers exist."""
    (folder / "list.csv").write_text("path,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(count)))
    for number in there:
        Image.fromarray(np.full((9, 9, 3), number % 251, np.uint8)).save(folder / f"{number}.png")
    return folder / "list.csv"


def test_a_long_list_of_photos_that_are_not_there_is_refused_at_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(sources, "hash_photo", lambda path: opened.append(path) or ("", "missing"))
    with pytest.raises(DataError, match="lists 20,000 photos, but none of 1000 .*/0[.]png in line 2") as caught:
        load_dataset(listed(tmp_path, 20_000))
    assert "\n" not in str(caught.value) and not opened


def test_a_long_list_of_which_some_are_there_is_read(tmp_path):
    # The sample of 1000 of 10,000 rows takes every tenth.
    found = load_dataset(listed(tmp_path, 10_000, range(5000, 5020)))
    assert (len(found.samples), len(found.skipped)) == (20, 9980)


def test_a_path_that_is_too_long_or_too_deep_is_one_photo_that_is_not_there(tmp_path):
    listed(tmp_path, 8, range(8))
    with open(tmp_path / "list.csv", "a") as file:
        file.write("a" * 5000 + ".png,a\n" + "\\a" * 5000 + ".png,b\n" + "/" + "b/" * 9000 + "x.png,b\n")
    found = load_dataset(tmp_path / "list.csv")
    assert (len(found.samples), len(found.skipped)) == (8, 3)
