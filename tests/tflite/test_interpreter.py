import os
import subprocess
import sys

import numpy as np
import pytest

from model_maker.errors import ModelError
from model_maker.system import suppressed_output
from model_maker.tflite import graph, interpreter
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner


def one_line(caught):
    assert str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def classifier(tiny_embedder):
    """Mean colour of 8 x 8 pixels to two classes: red against blue, raw pixels in, uint8 out."""
    model = graph.attach_head(tiny_embedder, np.array([[4, 0, 0], [0, 0, 4]], np.float32), np.zeros(2, np.float32))
    return graph.set_io(model, "uint8", mean=127, std=128)


@pytest.mark.parametrize("kernels", KERNELS)
def test_mean_colour_is_the_mean_on_every_kernel(tiny_embedder, kernels):
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    runner = LiteRTRunner(tiny_embedder, kernels=kernels)
    assert (runner.input_shape, runner.input_dtype, runner.output_shape) == ((1, 8, 8, 3), np.float32, (1, 3))
    np.testing.assert_allclose(runner.run(image)[0], image.mean(axis=(0, 1, 2)), atol=1e-6)


def test_quantized_output_is_told_in_real_values(classifier):
    photo = np.zeros((1, 8, 8, 3), np.uint8)
    photo[..., 0] = 255  # normalized: red 1, green and blue -127 / 128; logits 4 and -3.96875
    runner = LiteRTRunner(classifier)
    assert runner.input_dtype == np.uint8
    red = 1 / (1 + np.exp(-7.96875))
    [raw] = runner.run_all(photo)
    assert (raw.dtype, raw.shape) == (np.uint8, (1, 2))
    assert raw[0].tolist() == [255, 0]  # 0.99965 is beyond the last of 256 steps
    np.testing.assert_allclose(runner.run(photo)[0], [255 / 256, 0], atol=1e-7)
    np.testing.assert_allclose(runner.run(photo)[0], [red, 1 - red], atol=1 / 256)


def test_zero_point_is_subtracted_and_float_outputs_stay():
    detail = {"quantization": (0.5, 3)}
    found = interpreter.dequantize(np.array([0, 3, 255], np.uint8), detail)
    assert (found.tolist(), found.dtype) == ([-1.5, 0, 126], np.float32)
    assert interpreter.dequantize(np.array([-128, 127], np.int8), detail).tolist() == [-65.5, 62]
    # Integers that carry no scale are themselves.
    assert interpreter.dequantize(np.array([7], np.int32), {"quantization": (0.0, 0)}).tolist() == [7]
    values = np.array([1.25], np.float32)
    assert interpreter.dequantize(values, detail) is values


def test_results_do_not_change_under_later_runs(tiny_embedder):
    runner = LiteRTRunner(tiny_embedder)
    first = runner.run(np.ones((1, 8, 8, 3), np.float32))
    runner.run(np.zeros((1, 8, 8, 3), np.float32))
    np.testing.assert_allclose(first, 1)


def test_takes_paths_and_bytes(tiny_embedder, tmp_path):
    (tmp_path / "model.tflite").write_bytes(tiny_embedder)
    image = np.full((1, 8, 8, 3), 0.5, np.float32)
    for model in (tiny_embedder, tmp_path / "model.tflite", str(tmp_path / "model.tflite")):
        np.testing.assert_allclose(LiteRTRunner(model, threads=2).run(image), [[0.5] * 3])


def test_read_returns_the_bytes(tiny_embedder, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_embedder)
    assert interpreter.read(tmp_path / "m.tflite") == tiny_embedder


@pytest.mark.parametrize("content", [b"", b"TFL3", b"hello world, not a model", bytes(range(256)) * 40])
def test_a_file_that_is_no_model_is_named_and_refused(content, tmp_path):
    (tmp_path / "photo.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=f"photo.tflite is not a .tflite file .*{len(content):,} bytes") as caught:
        interpreter.read(tmp_path / "photo.tflite")
    one_line(caught)
    with pytest.raises(ModelError) as caught:
        LiteRTRunner(content)
    one_line(caught)


@pytest.mark.parametrize(("name", "reason"), [("none.tflite", "No such file"), ("folder", "Is a directory")])
def test_a_path_that_cannot_be_read_is_named(name, reason, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=reason) as caught:
        LiteRTRunner(tmp_path / name)
    assert str(tmp_path / name) in one_line(caught)


def test_a_model_with_two_inputs_is_refused(tiny_embedder):
    model = graph.parse(tiny_embedder)
    main = model.subgraphs[0]
    main.inputs = [*main.inputs, graph.add_tensor(model, "second", (1, 3))]
    model.signatureDefs = []
    with pytest.raises(ModelError, match="2 inputs; an image model has one"):
        LiteRTRunner(graph.pack(model))


def test_a_model_that_cannot_be_prepared_is_refused_with_the_kernels_name(tiny_embedder):
    model = graph.parse(tiny_embedder)
    model.operatorCodes[0].builtinCode = 32
    model.operatorCodes[0].deprecatedBuiltinCode = 32  # a custom operator that no runtime knows
    model.operatorCodes[0].customCode = b"Mystery"
    with pytest.raises(ModelError, match=r"cannot run this model \(none\).*Mystery") as caught:
        LiteRTRunner(graph.pack(model), kernels="none")
    one_line(caught)


def test_names_that_are_no_text_are_refused(tiny_embedder):
    model = graph.parse(tiny_embedder)
    model.subgraphs[0].tensors[-1].name = b"\xff\xfe"
    with pytest.raises(ModelError, match="cannot run this model") as caught:
        LiteRTRunner(graph.pack(model))
    one_line(caught)


def test_a_model_without_outputs_is_refused(tiny_embedder):
    model = graph.parse(tiny_embedder)
    model.subgraphs[0].outputs, model.signatureDefs = [], []
    with pytest.raises(ModelError, match="no output"):
        LiteRTRunner(graph.pack(model))


def test_a_batch_that_does_not_fit_is_refused(tiny_embedder):
    with pytest.raises(ModelError, match="cannot run this model"):
        LiteRTRunner(tiny_embedder).run(np.zeros((1, 9, 9, 3), np.float32))


GREETING = """
import os, sys
from model_maker.tflite.interpreter import LiteRTRunner
for kernels in sys.argv[2:]:
    os.write(2, b"before ")
    LiteRTRunner(sys.argv[1], kernels=kernels)
"""


@pytest.mark.parametrize("order", [["xnnpack"], ["xnnpack", "xnnpack"], ["reference", "none", "xnnpack", "xnnpack"]])
def test_the_terminal_stays_clean(tiny_embedder, tmp_path, order):
    (tmp_path / "m.tflite").write_bytes(tiny_embedder)
    child = subprocess.run(
        [sys.executable, "-c", GREETING, tmp_path / "m.tflite", *order], capture_output=True, text=True, check=True
    )
    assert child.stderr == "before " * len(order)
    assert child.stdout == ""


def test_what_others_write_to_stderr_is_not_lost(monkeypatch, capfd):
    monkeypatch.setattr(interpreter, "greeted", False)
    monkeypatch.setattr(suppressed_output, "may_redirect", lambda: True)
    with interpreter.without_greeting():
        os.write(2, b"one\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\ntwo\n")
    assert capfd.readouterr().err == "one\ntwo\n"


def test_works_without_a_stderr(tiny_embedder, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_embedder)
    opened = "interpreter.LiteRTRunner(sys.argv[1])"
    code = f"import sys; from model_maker.tflite import interpreter; print({opened}.output_shape)"
    child = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, code, tmp_path / "m.tflite"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stdout) == (0, "(1, 3)\n")
