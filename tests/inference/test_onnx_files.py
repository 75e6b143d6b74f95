"""External data of `.onnx` files: read from the model's own folder, and from nowhere else."""

import numpy as np
import pytest

from model_maker import Classifier
from model_maker.errors import ModelError

onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install 'model-maker[onnx]'")
pytest.importorskip("onnxruntime")


def with_data(path, place, *, where="initializer"):
    """A model whose scores are the two floats in another file."""
    helper, kind = onnx.helper, onnx.TensorProto
    weight = onnx.TensorProto(name="weight", data_type=kind.FLOAT, dims=[1, 2], data_location=kind.EXTERNAL)
    weight.external_data.add(key="location", value=place)
    weight.external_data.add(key="length", value="8")
    image = helper.make_tensor_value_info("image", kind.FLOAT, [1, 8, 8, 3])
    scores = helper.make_tensor_value_info("scores", kind.FLOAT, [1, 2])
    nodes = [helper.make_node("ReduceMin", ["image"], ["level"], keepdims=0)]
    if where == "attribute":
        nodes.append(helper.make_node("Constant", [], ["weight"], value=weight))
    nodes.append(helper.make_node("Add", ["level", "weight"], ["scores"]))
    graph = helper.make_graph(nodes, "g", [image], [scores], [weight] if where == "initializer" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": '["a", "b"]'})
    path.write_bytes(model.SerializeToString())


def test_weights_beside_the_model_are_read(tmp_path):
    (tmp_path / "weights.bin").write_bytes(np.float32([0.25, 0.75]).tobytes())
    with_data(tmp_path / "m.onnx", "weights.bin")
    [row] = Classifier(tmp_path / "m.onnx").scores([np.zeros((8, 8, 3), np.uint8)])
    assert row.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("where", ["initializer", "attribute"])
@pytest.mark.parametrize("way", ["above", "absolute", "link", "missing", "folder"])
def test_weights_elsewhere_are_refused(tmp_path, way, where):
    secret, home = tmp_path / "secret.bin", tmp_path / "home"
    home.mkdir()
    secret.write_bytes(np.float32([0.25, 0.75]).tobytes())
    if way == "link":
        (home / "link").symlink_to(secret)
    names = {"above": "../secret.bin", "absolute": str(secret), "link": "link", "missing": "none", "folder": "."}
    with_data(home / "m.onnx", names[way], where=where)
    with pytest.raises(ModelError, match="its weights are said to be in .* no file of that folder") as caught:
        Classifier(home / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x3a\x7f", b"\x0b", bytes([0x3A, 2, 0x0A, 0])])
def test_damaged_files_are_one_line(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="ONNX Runtime cannot open it") as caught:
        Classifier(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


def test_texts_that_are_no_utf8_are_one_line(tmp_path):
    with_data(tmp_path / "m.onnx", "weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(8))
    content = (tmp_path / "m.onnx").read_bytes()
    for old, new in ((b'["a", "b"]', b'["\xff", "b"]'), (b"image", b"\xff\xfeage"), (b"labels", b"l\xffbels")):
        (tmp_path / "m.onnx").write_bytes(content.replace(old, new))
        with pytest.raises(ModelError) as caught:
            Classifier(tmp_path / "m.onnx")
        assert "\n" not in str(caught.value)
