"""Models in a process of their own, watched while they answer."""

import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from model_maker import Classifier
from model_maker.errors import ModelError
from model_maker.inference import isolated_runtime

onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install 'model-maker[onnx]'")
pytest.importorskip("onnxruntime")
DARK, BRIGHT = (np.full((8, 8, 3), level, np.uint8) for level in (0, 255))


def picky(path, nodes, weights=()):
    """A model that behaves on black pictures; `nodes` make of [1, 1, 1, 1], "level", a number that is added."""
    helper, kind = onnx.helper, onnx.TensorProto
    image = helper.make_tensor_value_info("image", kind.FLOAT, [1, 8, 8, 3])
    scores = helper.make_tensor_value_info("scores", kind.FLOAT, [1, 2])
    first = helper.make_node("ReduceMax", ["image"], ["level"], keepdims=0)
    last = helper.make_node("Add", ["base", "extra"], ["scores"])
    base = helper.make_tensor("base", kind.FLOAT, [1, 2], [0.25, 0.75])
    graph = helper.make_graph([first, *nodes, last], "g", [image], [scores], [base, *weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": '["a", "b"]'})
    onnx.save(model, path)


def endless(path):
    """Counts to the power of the brightest pixel."""
    helper, kind = onnx.helper, onnx.TensorProto
    ends = [helper.make_tensor_value_info(name, kind_, []) for name, kind_ in (("i", kind.INT64), ("c", kind.BOOL))]
    state = helper.make_tensor_value_info("s", kind.FLOAT, [])
    out = [helper.make_tensor_value_info("go", kind.BOOL, []), helper.make_tensor_value_info("t", kind.FLOAT, [])]
    steps = [helper.make_node("Identity", ["c"], ["go"]), helper.make_node("Sin", ["s"], ["t"])]
    body = helper.make_graph(steps, "body", [*ends, state], out)
    times = helper.make_node("Mul", ["level", "many"], ["product"])
    count = helper.make_node("Cast", ["product"], ["count"], to=kind.INT64)
    loop = helper.make_node("Loop", ["count", "true", "zero"], ["extra"], body=body)
    weights = [
        helper.make_tensor("many", kind.FLOAT, [], [1e15]),
        helper.make_tensor("true", kind.BOOL, [], [True]),
        helper.make_tensor("zero", kind.FLOAT, [], [0.0]),
    ]
    picky(path, [times, count, loop], weights)


def greedy(path):
    """Needs 4 bytes times the brightest pixel times 100 million."""
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Mul", ["level", "many"], ["product"]),
        helper.make_node("Add", ["product", "one"], ["size"]),
        helper.make_node("Cast", ["size"], ["count"], to=kind.INT64),
        helper.make_node("Expand", ["one", "count"], ["wide"]),
        helper.make_node("ReduceMin", ["wide"], ["extra"], keepdims=0),
    ]
    picky(
        path,
        nodes,
        [helper.make_tensor("many", kind.FLOAT, [], [1e8]), helper.make_tensor("one", kind.FLOAT, [1], [1.0])],
    )


def test_a_model_that_hangs_on_some_pictures_is_given_up(tmp_path, monkeypatch):
    endless(tmp_path / "m.onnx")
    classifier = Classifier(tmp_path / "m.onnx")
    [row] = classifier.scores([DARK])
    assert row.tolist() == [0.25, 0.75]
    monkeypatch.setattr(isolated_runtime, "RUN_LIMIT_S", 2.0)
    with pytest.raises(ModelError, match="gave no answer within 2 seconds"):
        list(classifier.scores([BRIGHT]))
    with pytest.raises(ModelError):  # and it stays so
        list(classifier.scores([DARK]))


def test_a_model_that_takes_all_memory_on_some_pictures_is_stopped(tmp_path):
    greedy(tmp_path / "m.onnx")
    classifier = Classifier(tmp_path / "m.onnx")
    [row] = classifier.scores([DARK])
    assert row.tolist() == [1.25, 1.75]
    with pytest.raises(ModelError) as caught:
        list(classifier.scores([BRIGHT]))
    assert "\n" not in str(caught.value)


PARENT = """
import subprocess, sys
started = []

class Noted(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        started.append(self)

subprocess.Popen = Noted
from model_maker import Classifier
model = Classifier(sys.argv[1])
[process] = [process for process in started if process.poll() is None]
print(process.pid, flush=True)
sys.stdin.read()
"""


def test_the_process_ends_with_its_parent(tmp_path):
    picky(tmp_path / "m.onnx", [onnx.helper.make_node("Identity", ["level"], ["extra"])])
    command = [sys.executable, "-c", PARENT, str(tmp_path / "m.onnx")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if _zombie(pid):
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


def _zombie(pid):
    """In a container nobody may collect what has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_what_is_no_message_ends_the_talk():
    for stream in (b"", b"\1\0\0\0\0\0\0\0[", b"\xff" * 8 + b"{}", b"\2\0\0\0\4\0\0\0{}ab", b"\2\0\0\0\0\0\0\0[]"):
        assert isolated_runtime.receive(io.BytesIO(stream)) is None
    sent = io.BytesIO()
    isolated_runtime.send(sent, {"id": 1}, b"abc")
    sent.seek(0)
    assert isolated_runtime.receive(sent) == ({"id": 1}, b"abc")
