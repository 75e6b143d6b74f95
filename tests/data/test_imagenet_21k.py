"""The backbone that knows 11,221 classes of ImageNet-21K: its names, its network, a starter of it."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.backbones import RandomWeights
from model_maker import backbones
from model_maker.backbones import mobilenet_v3_timm
from model_maker.data import imagenet
from model_maker.errors import BackboneError
from model_maker.exporters import starter
from model_maker.inference.classifier import FileClassifier
from model_maker.packaging.quantized_file import Form
from model_maker.tflite import graph, metadata
from model_maker.tflite.interpreter import LiteRTRunner

NAME = "mobilenetv3_large_100.miil_in21k"
WORDNET = Path("/usr/share/wordnet/data.noun")
# Howard et al. 2019, table 1, by timm's stages: kernel, expansion, outputs, gate (a quarter, in eights).
STAGES = (
    ((3, 16, 16, 0),),
    ((3, 64, 24, 0), (3, 72, 24, 0)),
    ((5, 72, 40, 24), (5, 120, 40, 32), (5, 120, 40, 32)),
    ((3, 240, 80, 0), (3, 200, 80, 0), (3, 184, 80, 0), (3, 184, 80, 0)),
    ((3, 480, 112, 120), (3, 672, 112, 168)),
    ((5, 672, 160, 168), (5, 960, 160, 240), (5, 960, 160, 240)),
)


def timm_tensors():
    """Random weights by timm's names, all of the published shapes."""
    random, found = np.random.default_rng(0), {}

    def convolution(name, norm, *shape):
        inputs = np.prod(shape[1:])
        found[f"{name}.weight"] = random.normal(0, (2 / inputs) ** 0.5, shape).astype(np.float32)
        for part, values in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            found[f"{norm}.{part}"] = np.full(shape[0], values, np.float32)

    def dense(name, *shape):
        found[f"{name}.weight"] = random.normal(0, 0.01, shape).astype(np.float32)
        found[f"{name}.bias"] = np.zeros(shape[0], np.float32)

    convolution("conv_stem", "bn1", 16, 3, 3, 3)
    inputs = 16
    for stage, blocks in enumerate(STAGES):
        for index, (kernel, wide, outputs, gate) in enumerate(blocks):
            name = f"blocks.{stage}.{index}"
            if stage == 0:
                convolution(f"{name}.conv_dw", f"{name}.bn1", wide, 1, kernel, kernel)
                convolution(f"{name}.conv_pw", f"{name}.bn2", outputs, wide, 1, 1)
            else:
                convolution(f"{name}.conv_pw", f"{name}.bn1", wide, inputs, 1, 1)
                convolution(f"{name}.conv_dw", f"{name}.bn2", wide, 1, kernel, kernel)
                convolution(f"{name}.conv_pwl", f"{name}.bn3", outputs, wide, 1, 1)
            if gate:
                dense(f"{name}.se.conv_reduce", gate, wide, 1, 1)
                dense(f"{name}.se.conv_expand", wide, gate, 1, 1)
            inputs = outputs
    convolution("blocks.6.0.conv", "blocks.6.0.bn1", 960, 160, 1, 1)
    dense("conv_head", 1280, 960, 1, 1)
    dense("classifier", 11221, 1280)
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(timm_tensors(), path)
    return path


def synsets():
    return [int(line.split("\t")[0]) for line in imagenet.TABLE_21K.read_text(encoding="utf-8").splitlines()]


def test_names_are_unique_and_in_wordnets_order():
    labels, numbers = imagenet.labels(11221), synsets()
    assert len(labels) == len(set(labels)) == len(numbers) == 11221
    assert all(label and label == label.strip() for label in labels)
    assert numbers == sorted(set(numbers))
    # WordNet 3.0 on the web: wn/02121620-n and so on.
    known = {2121620: "cat", 2084071: "dog", 1503061: "bird", 7747607: "orange", 4468005: "train", 3051540: "clothing"}
    assert {number: labels[numbers.index(number)] for number in known} == known


@pytest.mark.skipif(not WORDNET.is_file(), reason="WordNet 3.0 (wordnet-base) is not installed")
def test_names_are_wordnets():
    lines = [line.split() for line in WORDNET.read_text(encoding="ascii").splitlines() if not line.startswith("  ")]
    first = {int(fields[0]): fields[4].replace("_", " ") for fields in lines}
    for number, label in zip(synsets(), imagenet.labels(11221), strict=True):
        assert re.fullmatch(re.escape(first[number]) + r"( \(.+\))?", label)


def test_parameters_and_macs_are_the_published_ones():
    tensors, backbone = timm_tensors(), backbones.get(NAME)
    count = sum(array.size for name, array in tensors.items() if "running" not in name)
    assert (count, backbone.classes, backbone.licence) == (backbone.parameters, 11221, "Apache-2.0")
    model = graph.parse(mobilenet_v3_timm.build(224, RandomWeights()))
    [main] = model.subgraphs
    macs = 1280 * 11221
    for operator in main.operators:
        if "CONV_2D" in (kind := graph.operator_name(model, operator)):
            _, height, width, channels = main.tensors[operator.outputs[0]].shape
            kernel = main.tensors[operator.inputs[1]].shape
            macs += height * width * channels * np.prod(kernel[1:3] if kind.startswith("DEPTH") else kernel[1:])
    # The paper rounds to millions, and leaves the gates out.
    assert macs == pytest.approx(backbone.macs, rel=0.03)


def test_the_network_takes_weights_by_timms_names(weights, tmp_path):
    content = backbones.get(NAME).build(weights)
    photo = np.random.default_rng(1).random((1, 224, 224, 3), np.float32)
    embedding = LiteRTRunner(content).run(photo)
    assert embedding.shape == (1, 1280) and embedding.std() > 0.01
    tensors = timm_tensors()
    name = "blocks.5.2.se.conv_expand.weight"
    save_file({**tensors, name: tensors[name] + 0.5}, tmp_path / "other.safetensors")
    assert (
        np.abs(LiteRTRunner(backbones.get(NAME).build(tmp_path / "other.safetensors")).run(photo) - embedding).max()
        > 0.01
    )
    del tensors[name]
    save_file(tensors, tmp_path / "lacking.safetensors")
    with pytest.raises(BackboneError, match=r"lacking\.safetensors"):
        backbones.get(NAME).build(tmp_path / "lacking.safetensors")


def test_a_starter_names_all_classes(weights, tmp_path, empty_cache):
    folder = starter.starter(NAME, tmp_path / "made", form=Form("float16", io="float32"), weights=str(weights))
    info = metadata.read((folder / "model.tflite").read_bytes())
    assert info.labels == imagenet.labels(11221)
    assert "11,221 classes of ImageNet-21K" in info.description
    assert "for 11,221 classes of ImageNet-21K" in (folder / "README.md").read_text(encoding="utf-8")
    [answer] = FileClassifier(folder).predict([np.zeros((224, 224, 3), np.uint8)])
    assert answer[0].label in imagenet.labels(11221)
    tensors = timm_tensors()
    tensors["classifier.weight"], tensors["classifier.bias"] = np.zeros((7, 1280), np.float32), np.zeros(7, np.float32)
    save_file(tensors, tmp_path / "seven.safetensors")
    with pytest.raises(BackboneError, match="a classifier of 7 classes, not of 11,221 classes of ImageNet-21K"):
        starter.starter(NAME, tmp_path / "other", weights=str(tmp_path / "seven.safetensors"))
