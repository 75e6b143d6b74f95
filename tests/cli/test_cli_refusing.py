"""What commands say of bad input, how they end when they are stopped, and what they leave behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import model_maker, said

from model_maker.data import sample_data

_NEW = ("train", "--data", "flowers", "--output", "new")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("train",), "pass --data DIR"),
        (("train", "--data", "nowhere"), "nowhere does not exist"),
        (("train", "--data", "empty"), "holds no photos"),
        (("train", "--data", "single"), "one class only"),
        (("train", "--data", "few"), "tulip has 1 photo; each class needs at least 3"),
        (("train", "--data", "flowers", "--model", "mobilenet_v9"), "Unknown model 'mobilenet_v9'"),
        (("train", "--data", "flowers"), "flowers_model already exists"),
        (("train", "--config", "flowers/rose/rose_000.jpg"), "is not the run.json"),
        (("train", "--config", "none.json"), "none.json"),
        (("train", "--config", "foreign.json"), "foreign.json is not the run.json"),
        (("train", "--config", "edited.json"), "edited.json: image_size = '224'"),
        (("train", "--config", "other_version.json"), "other_version.json: optimizer = 'sgd'"),
        (("evaluate", "flowers"), "holds no model.tflite"),
        (("evaluate", "loose.tflite"), "Pass --data DIR"),
        (("evaluate", "orphan"), "are no longer in /nowhere. Pass --data DIR"),
        (("evaluate", "flowers_model", "--data", "other"), "does not know: cat, dog"),
        (("predict", "nothing.tflite", "x.jpg"), "does not exist"),
        (("predict", "train.json", "x.jpg"), "is not a .tflite file"),
        (("predict", "plain.tflite", "x.jpg"), "no labels"),
        (("predict", "flowers_model", "empty"), "holds no photos"),
        (("predict", "flowers_model", "x.jpg", "--top-k", "0"), "--top-k 0"),
        (("predict", "flowers_model", "x.jpg", "--threshold", "50"), "--threshold 50: pass a score from 0 to 1"),
        (("predict", "flowers_model", "x.jpg", "--threshold", "nan"), "--threshold nan"),
        (("predict", "x" * 300, "x.jpg"), "cannot be opened (File name too long)"),
        (("inspect", "cut.tflite"), "cut.tflite"),
        (("train", "--data", "flowers", "--augment", "wild"), "--augment wild: choose one of none, light, standard"),
        (("train", "--data", "flowers", "--augment", "light", "--views", "1"), "--views 1: pass 2 or more"),
        (("train", "--data", "flowers", "--views", "8"), "--views needs augmentation: add --augment"),
        ((*_NEW, "--fine-tune", "head"), "--fine-tune head: choose one of tail, all"),
        ((*_NEW, "--epochs", "3"), "--epochs applies to fine-tuning: add --fine-tune tail"),
        ((*_NEW, "--fine-tune", "--batch-size", "0"), "--batch-size 0: pass 1 or more"),
        ((*_NEW, "--fine-tune", "--budget", "5"), "--budget 5: pass a time such as 90s, 5m or 1h"),
        ((*_NEW, "--resume"), "nothing to resume"),
        (
            (*_NEW, "--model", "efficientnet_lite0,mobilenet_v2", "--resume"),
            "--resume applies to fine-tuning of a single",
        ),
        ((*_NEW, "--max-size", "0"), "--max-size and --max-latency choose between models"),
        (("demo", "flowers_model", "--export", "site", "--port", "80"), "--port 80 has no effect with --export"),
        pytest.param(
            (*_NEW, "--fine-tune", "--resume"),
            "There is no unfinished fine-tuning of new to resume",
            marks=pytest.mark.tensorflow,
        ),
        ((*_NEW, "--init-from", "flowers"), "--init-from flowers: there is no float.tflite"),
        ((*_NEW, "--init-from", "flowers_model", "--model", "mobilenet_v2"), "leave --model out"),
        (("augment", "flowers", "--preview", "sheet.gif"), "sheet.gif: the suffix selects the format"),
        (("augment", "flowers", "--preview", "flowers/rose/rose_000.jpg"), "rose_000.jpg already exists"),
        (("augment", "flowers", "--preview", "s.png", "--preset", "wild"), "--preset wild: choose one of none, light"),
        (("augment", "flowers", "--preview", "s.png", "--views", "0"), "--views 0"),
        (("augment", "empty", "--preview", "s.png"), "holds no photos"),
        (("augment", "flowers", "--preview", "/proc/s.png"), "Cannot write /proc/s.png"),
        (("sample-data", "new", "--per-class", "0"), "per_class is 0"),
    ],
)
def test_bad_input_is_one_clear_line(desk, arguments, text):
    _prepare_bad_inputs(desk)
    before = sorted(desk.rglob("*"))
    done = model_maker(*arguments, cwd=desk)
    out, err = said(done)
    assert done.returncode == 1
    assert out == "" and text in err
    message = [line for line in err.splitlines() if line.startswith("model_maker: ")]
    assert len(message) == 1 and "Traceback" not in err
    assert sorted(desk.rglob("*")) == before


def _prepare_bad_inputs(desk):
    if (desk / "few").exists():
        return
    from model_maker.tflite import graph

    (desk / "empty").mkdir()
    shutil.copytree(desk / "flowers/rose", desk / "single/rose")
    shutil.copytree(desk / "flowers/rose", desk / "few/rose")
    (desk / "few/tulip").mkdir()
    shutil.copy(desk / "flowers/tulip/tulip_000.jpg", desk / "few/tulip")
    for name in ("cat", "dog"):
        shutil.copytree(desk / "flowers/rose", desk / "other" / name)
    record = json.loads((desk / "flowers_model/run.json").read_text())
    (desk / "foreign.json").write_text('{"options": {}, "data": "flowers"}')
    (desk / "edited.json").write_text(json.dumps(record | {"options": {"image_size": "224"}}))
    (desk / "other_version.json").write_text(json.dumps(record | {"options": {"optimizer": "sgd"}}))
    shutil.copytree(desk / "flowers_model", desk / "orphan")
    (desk / "orphan/run.json").write_text(json.dumps(record | {"data": "/nowhere"}))
    content = (desk / "flowers_model/model.tflite").read_bytes()
    (desk / "loose.tflite").write_bytes(content)
    (desk / "cut.tflite").write_bytes(content[:5000])
    model = graph.parse(content)
    model.metadata = []
    (desk / "plain.tflite").write_bytes(graph.pack(model))


@pytest.mark.parametrize("arguments", [(), ("bogus",), ("train", "--folds", "many"), ("predict", "model")])
def test_usage_errors_exit_with_2(tmp_path, arguments):
    done = model_maker(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said(done)[1].startswith("usage: model_maker")


def test_debug_shows_the_traceback(tmp_path):
    done = model_maker("--debug", "train", "--data", "nowhere", cwd=tmp_path)
    assert "Traceback" in said(done)[1] and "DataError" in said(done)[1]


def test_no_permission_is_said_before_any_work(desk, tmp_path):
    if os.geteuid() == 0:
        target = Path("/proc/flowers_model")  # nobody, not even root, can make a folder there
    else:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        target = locked / "flowers_model"
    done = model_maker("train", "--data", "flowers", "--output", target, cwd=desk)
    assert done.returncode == 1
    assert "Choose another folder" in said(done)[1] or "choose another folder" in said(done)[1]


def test_ctrl_c_ends_quietly_and_keeps_finished_work(desk, own_cache, tmp_path):
    data = tmp_path / "many"
    sample_data.draw(data, per_class=80, seed=5)
    command = [sys.executable, "-m", "model_maker", "train", "--data", data, "--output", tmp_path / "model"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (stores := _stores(own_cache)) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"interrupted" in err and b"Traceback" not in err and out == b""
    assert not list(tmp_path.glob("*model*"))
    assert stores
    for store in _stores(own_cache):
        # 3,088 features of 17 layers, int8; the few photos that are compared with the float model, float16.
        rows = store.with_suffix(".index").stat().st_size / (32 + 4)  # digest, checksum
        assert rows > 0 and store.stat().st_size / rows in (3088, 2 * 3088)


def _stores(cache):
    return [path for path in cache.glob("embeddings/*.vectors") if path.stat().st_size]


def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "model_maker", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr == "model_maker: cannot write the output: no space left on the device. "
        "Free some space, or redirect the output.\n"
    )
