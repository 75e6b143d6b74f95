import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from needs import marks

from model_maker import Classifier
from model_maker.errors import ModelError
from model_maker.inference import runtimes
from model_maker.system import extras


@pytest.fixture
def tiny(make_tiny_model, tmp_path):
    (tmp_path / "model.tflite").write_bytes(make_tiny_model())
    return tmp_path / "model.tflite"


def test_bytes_and_files_open_alike(tiny):
    picture = np.full((8, 8, 3), 90, np.uint8)
    assert Classifier(tiny).predict(picture) == Classifier(tiny.read_bytes()).predict(picture)


def test_the_only_model_in_a_folder_is_found(tmp_path, tiny):
    home = tmp_path / "home"
    home.mkdir()
    (home / "notes.txt").write_text("no model")
    with pytest.raises(ModelError, match="holds no model.tflite and no other model"):
        runtimes.find(home)
    (home / "flowers.onnx").write_bytes(b"")
    (home / "labels.txt").write_text("a")
    assert runtimes.find(home) == home / "flowers.onnx"
    (home / "other.keras").write_bytes(b"")
    with pytest.raises(ModelError, match="several models: flowers.onnx, other.keras. Name one"):
        runtimes.find(home)
    (home / "model.tflite").write_bytes(tiny.read_bytes())  # what `train` makes comes first
    assert runtimes.find(home) == home / "model.tflite"


def test_folders_that_are_models_are_themselves(tmp_path):
    saved, web = tmp_path / "saved", tmp_path / "web"
    saved.mkdir()
    web.mkdir()
    (saved / "saved_model.pb").write_bytes(b"")
    (web / "model.json").write_text('{"format": "graph-model"}')
    assert runtimes.find(saved) == saved
    assert runtimes.find(web) == web
    with pytest.raises(ModelError, match="several models: saved, web"):
        runtimes.find(tmp_path)


def test_other_json_files_are_no_models(tmp_path):
    (tmp_path / "model.json").write_text('{"format": "layers-model"}')
    with pytest.raises(ModelError, match="no other model"):
        runtimes.find(tmp_path)


def test_c_arrays_are_read_by_their_bytes(tmp_path):
    text = "// char comment[]\nalignas(16) const char data[4] = {\n  0x1c, 0x00,\n  0xFF,0x7f,\n};\nint n = 4;"
    (tmp_path / "model.cc").write_text(text)
    assert runtimes.c_bytes(tmp_path / "model.cc") == bytes([0x1C, 0, 0xFF, 0x7F])
    assert runtimes.c_bytes(tmp_path / "model.h") == bytes([0x1C, 0, 0xFF, 0x7F])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.tflite", b"no", "not a .tflite file"),
        pytest.param("model.onnx", b"no", "ONNX Runtime cannot open it", marks=marks("onnxruntime")),
        pytest.param("model.xml", b"<no/>", "OpenVINO cannot open it", marks=pytest.mark.openvino),
        pytest.param("model.keras", b"no", "cannot be opened as a TensorFlow model", marks=pytest.mark.tensorflow),
        pytest.param(
            "model.json", b'{"format": "graph-model"}', "TensorFlow cannot open it", marks=pytest.mark.tensorflow
        ),
        pytest.param("saved_model.pb", b"no", "TensorFlow cannot open it", marks=pytest.mark.tensorflow),
        ("model.cc", b"int main() {}", "not a .tflite file"),
        ("model.cc", b"char a[] = {0x0};", "no array of bytes"),
        ("model.mlmodel", b"no", "only Apple's systems have"),
    ],
)
def test_what_is_damaged_is_one_clear_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "labels.txt").write_text("a\nb")
    with pytest.raises(ModelError, match=message) as caught:
        Classifier(tmp_path if name == "saved_model.pb" else tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("file", "module", "name", "extra"),
    [
        ("m.onnx", "onnxruntime", "ONNX Runtime", "onnx"),
        ("m.xml", "openvino", "OpenVINO", "openvino"),
        ("m.keras", "tensorflow", "TensorFlow", "tensorflow"),
    ],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, file, module, name, extra):
    (tmp_path / file).write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(extras, "PYTHON", (3, 13))  # for which all of them have a release
    with pytest.raises(ModelError, match=rf"{file} needs {name}, .*pip install 'model-maker\[{extra}\]'"):
        Classifier(tmp_path / file)


def test_kernels_belong_to_litert(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"")
    with pytest.raises(ModelError, match="no kernels named reference"):
        Classifier(tmp_path / "m.keras", kernels="reference")


def test_labels_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8"):
        runtimes.labels_beside(tmp_path / "m.onnx")


def test_a_windows_or_unix_end_of_labels_does_not_count(tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    assert runtimes.labels_beside(tmp_path / "m.onnx") == ("a", "b")


def _onnx(path, *, labels):
    """A model that takes [1, 8, 8, 3] and looks each pixel up in a table of 100 rows: larger ones end its run."""
    import onnx

    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["row"]),
        helper.make_node("Cast", ["row"], ["indices"], to=kind.INT64),
        helper.make_node("Gather", ["table", "indices"], ["found"]),
        helper.make_node("ReduceMean", ["found"], ["scores"], axes=[1], keepdims=0),
    ]
    weights = [
        helper.make_tensor("shape", kind.INT64, [2], [1, -1]),
        helper.make_tensor("table", kind.FLOAT, [100, 2], [0.25, 0.75] * 100),
    ]
    image = helper.make_tensor_value_info("image", kind.FLOAT, [1, 8, 8, 3])
    scores = helper.make_tensor_value_info("scores", kind.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [image], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": labels})
    onnx.save(model, path)


@pytest.mark.onnx("onnx", "onnxruntime")
def test_an_onnx_model_that_states_labels_is_run(tmp_path):
    _onnx(tmp_path / "fits.onnx", labels='["a", "b"]')
    found = Classifier(tmp_path / "fits.onnx")
    assert found.labels == ("a", "b")
    [row] = found.scores([np.zeros((8, 8, 3), np.uint8)])
    assert row.tolist() == [0.25, 0.75]


@pytest.mark.onnx("onnx", "onnxruntime")
@pytest.mark.parametrize("labels", ["cat,dog", '{"a": 1}', "[1, 2]"])
def test_labels_that_are_no_list_are_refused(tmp_path, labels):
    _onnx(tmp_path / "m.onnx", labels=labels)
    with pytest.raises(ModelError, match="labels that are not a JSON list of texts"):
        Classifier(tmp_path / "m.onnx")


@pytest.mark.onnx("onnx", "onnxruntime")
def test_an_onnx_model_that_opens_and_cannot_run_is_one_line(tmp_path):
    _onnx(tmp_path / "m.onnx", labels='["a", "b"]')
    classifier = Classifier(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model") as caught:
        list(classifier.scores([np.full((8, 8, 3), 255, np.uint8)]))
    assert "\n" not in str(caught.value)


@pytest.mark.tensorflow
def test_threads_take_turns_in_tensorflow():
    from model_maker.inference import tensorflow_runtime

    inside, most = [], []

    def function(batch):
        inside.append(threading.current_thread())
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()
        return batch

    runner = tensorflow_runtime.LockedRunner(function, (1, 2), np.float32)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(runner.run, [np.full((1, 2), number) for number in range(40)]))
    assert [row[0, 0] for row in found] == list(range(40)) and max(most) == 1
