import dataclasses
import hashlib
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from model_maker import backbones
from model_maker.backbones import Backbone, embedder
from model_maker.backbones.weights import PackagedWeights
from model_maker.errors import BackboneError, OutputError
from model_maker.tflite import graph, inspection
from model_maker.tflite.interpreter import LiteRTRunner

LITE0 = backbones.get("efficientnet_lite0")


@pytest.fixture
def builds(empty_cache, monkeypatch, tiny_embedder):
    """An empty cache, and a network that is written at once; the list of weights files it was written with."""
    asked = []

    def build(backbone, weights):
        asked.append(weights.name)
        return tiny_embedder

    monkeypatch.setattr(Backbone, "build", build)
    return asked


def test_a_backbone_is_written_once(builds, tiny_embedder):
    assert not embedder.is_cached(LITE0)
    assert embedder.embedder(LITE0).content == tiny_embedder
    assert embedder.is_cached(LITE0)
    assert embedder.embedder(LITE0).content == tiny_embedder
    assert builds == [Path(LITE0.weights.file).name]


def test_the_cache_holds_the_file_and_its_hash_and_nothing_else(builds, empty_cache, tiny_embedder):
    embedder.embedder(LITE0)
    path = embedder.cache_path(LITE0)
    assert path.read_bytes() == tiny_embedder
    assert path.with_suffix(".sha256").read_text() == hashlib.sha256(tiny_embedder).hexdigest()
    assert sorted(empty_cache.rglob("*.*")) == sorted([path, path.with_suffix(".sha256")])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": flip,
    "a cut end": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "an empty file": lambda path: path.write_bytes(b""),
    "a missing file": lambda path: path.unlink(),
    "binary rubbish": lambda path: path.write_bytes(b"\xff\xfe\x00" * 30),
}


@pytest.mark.parametrize("suffix", [".tflite", ".sha256"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cache_entry_is_made_again(builds, tiny_embedder, kind, suffix):
    embedder.embedder(LITE0)
    DAMAGE[kind](embedder.cache_path(LITE0).with_suffix(suffix))
    assert not embedder.is_cached(LITE0)
    assert embedder.embedder(LITE0).content == tiny_embedder
    assert len(builds) == 2
    assert embedder.is_cached(LITE0) and embedder.cache_path(LITE0).read_bytes() == tiny_embedder


def test_the_cache_entry_is_named_by_all_it_depends_on(empty_cache, monkeypatch):
    weights = dataclasses.replace(LITE0.weights, sha256="0" * 64)
    names = {
        embedder.cache_path(backbone)
        for backbone in (
            LITE0,
            backbones.get("efficientnet_lite1"),
            backbones.get("efficientnet_lite0", image_size=192),
            dataclasses.replace(LITE0, weights=weights),
            dataclasses.replace(LITE0, variant=(("width", 1.0), ("depth", 1.2))),
        )
    }
    version = metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", lambda name: "9.9" if name == "ai-edge-litert" else version(name))
        names.add(embedder.cache_path(LITE0))
    with monkeypatch.context() as patch:
        patch.setattr(embedder, "code_digest", lambda file: "changed")
        names.add(embedder.cache_path(LITE0))
    assert len(names) == 7
    assert all(path.parent == empty_cache / "backbones" for path in names)
    assert embedder.cache_path(LITE0) in names  # and it is the same each time
    assert not empty_cache.exists()  # asking makes nothing


def test_missing_weights_are_an_error_before_anything_is_written(builds):
    absent = PackagedWeights("no_such_weights_package", "x", "0" * 64, "no-such-weights")
    with pytest.raises(BackboneError, match="no-such-weights is not installed"):
        embedder.embedder(dataclasses.replace(LITE0, weights=absent))
    assert builds == []


def test_weights_of_another_network_are_refused_and_leave_nothing(empty_cache):
    other = dataclasses.replace(LITE0, weights=backbones.get("efficientnet_lite2").weights)
    # Up to there they are alike; Lite2 has a third block of 3 x 3 where Lite0's first of 5 x 5 stands.
    with pytest.raises(BackboneError, match="does not hold the weights of this network: _blocks.3._depthwise_conv is"):
        embedder.embedder(other)
    assert not empty_cache.exists()


def test_a_cache_that_cannot_be_written_is_an_output_error(builds, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="Cannot write"):
        embedder.embedder(LITE0)


def test_two_at_once_both_get_the_whole_file(builds, tiny_embedder):
    gate, found = threading.Barrier(4), []

    def ask():
        gate.wait(30)
        found.append(embedder.embedder(LITE0))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.content for one in found] == [tiny_embedder] * 4 and embedder.is_cached(LITE0)


def test_the_real_embedder_is_float(lite0):
    facts = inspection.inspect(lite0)
    [photo], [embedding] = facts.inputs, facts.outputs
    assert (photo.shape, photo.dtype) == ((1, 224, 224, 3), "float32")
    assert (embedding.shape, embedding.dtype) == ((1, 1280), "float32")
    assert facts.quantization == "none"


def test_the_real_embedder_has_the_operators_of_its_stage_table(lite0):
    # Lite0: stem, 15 expansions (the first block has none), 16 projections, head; 16 depthwise; 9 shortcuts; one mean.
    # Batch normalization and ReLU6 are folded in, and nothing reads variables.
    assert inspection.inspect(lite0).operators == {"CONV_2D": 33, "DEPTHWISE_CONV_2D": 16, "ADD": 9, "MEAN": 1}


def test_the_real_embedder_has_no_orphan_tensors(lite0):
    # A tensor that no operator touches has no data and makes calibrators fail.
    [main] = graph.parse(lite0).subgraphs
    touched = {int(index) for operator in main.operators for index in (*operator.inputs, *operator.outputs)}
    assert touched >= set(range(len(main.tensors)))


@pytest.mark.parametrize("kernels", ["none", "reference"])
def test_the_real_embedder_gives_the_same_on_other_kernels(lite0, kernels):
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    # Float32 sums in another order, through 50 layers; features lie between 0 and 6.
    np.testing.assert_allclose(
        LiteRTRunner(lite0, kernels=kernels).run(photo), LiteRTRunner(lite0).run(photo), atol=1e-3
    )


@pytest.mark.parametrize("word", ["none", "random", "scratch"])
def test_training_from_scratch_is_refused_with_the_reason(word):
    with pytest.raises(
        BackboneError, match="training from scratch is not offered. It takes a million photos"
    ) as caught:
        embedder.choose("efficientnet_lite0", weights_file=word)
    assert "\n" not in str(caught.value)
