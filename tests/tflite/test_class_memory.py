"""A memory is what numpy says of the embeddings, survives the file, and is refused where it belongs to another one."""

import dataclasses

import numpy as np
import pytest
from tiny_network import TinyNetwork

from model_maker.errors import ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import class_memory, graph, metadata, zip_files

STEP = 0.5


@pytest.fixture(scope="module")
def embeddings():
    """Int8 embeddings of 3 classes, 30 features, that vary in two directions and a little everywhere."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 30, 50])
    centers, directions = random.normal(size=(3, 30)) * 20, random.normal(size=(2, 30)) * 6
    values = centers[labels] + random.normal(size=(120, 2)) @ directions + random.normal(size=(120, 30))
    return np.clip(np.rint(values), -128, 127).astype(np.int8), labels


def test_means_counts_and_covariance_are_those_of_the_embeddings(embeddings):
    features, labels = embeddings
    memory = class_memory.summarize(features, labels, classes=3, step=STEP)
    real = features.astype(float) * STEP
    means = np.stack([real[labels == label].mean(axis=0) for label in range(3)])
    rest = real - means[labels]
    covariance = rest.T @ rest / (len(rest) - 3)
    np.testing.assert_array_equal(memory.counts, [40, 30, 50])
    np.testing.assert_allclose(memory.means, means, rtol=1e-5, atol=1e-5)
    told = memory.basis.T @ memory.basis + np.diag(memory.spread**2)
    # All directions are kept here: 30 features have no more.
    np.testing.assert_allclose(np.diag(told), np.diag(covariance), rtol=1e-3)
    np.testing.assert_allclose(memory.basis.T @ memory.basis, covariance, atol=1e-2)


def test_draws_have_the_stated_mean_and_covariance(embeddings):
    memory = class_memory.summarize(*embeddings, classes=3, step=STEP)
    drawn = memory.draw(np.repeat(memory.means[:1], 20_000, axis=0), np.random.default_rng(0))
    deviation = np.sqrt(np.diag(memory.basis.T @ memory.basis) + memory.spread**2)
    # Five standard errors of a mean, and 3 % of a standard deviation (its standard error is 0.5 %).
    assert (np.abs(drawn.mean(axis=0) - memory.means[0]) < 5 * deviation / np.sqrt(20_000)).all()
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.03)


def test_a_large_set_is_summarized_from_a_part_of_its_photos():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 5000)
    features = (random.normal(size=(5000, 8)) * 10 + 30 * labels[:, None]).astype(np.int8)
    memory = class_memory.summarize(features, labels, classes=2, step=1.0)
    np.testing.assert_array_equal(memory.counts, np.bincount(labels))
    means = [features[labels == label].astype(float).mean(axis=0) for label in (0, 1)]
    np.testing.assert_allclose(memory.means, means, atol=1e-4)


@pytest.fixture(scope="module")
def trained_file(trained):
    return (trained["uint8"] / "model.tflite").read_bytes()


def test_a_trained_file_remembers_its_classes_and_stays_small(trained_file):
    memory = class_memory.get(trained_file)
    assert len(memory.counts) == len(metadata.read(trained_file).labels) == len(memory.means)
    plain = metadata.write(trained_file, metadata.read(trained_file))
    assert class_memory.get(plain) is None
    assert len(trained_file) - len(plain) <= 60_000


def test_what_was_put_comes_back_but_for_rounding(trained_file):
    plain = metadata.write(trained_file, metadata.read(trained_file))
    memory = class_memory.get(trained_file)
    again = class_memory.get(class_memory.put(plain, memory))
    np.testing.assert_array_equal(again.counts, memory.counts)
    # Half a step of 1/127 of the largest deviation of a class, and of the two bytes of the center.
    limit = np.abs(memory.means - memory.means.mean(axis=0)).max() / 254 + np.abs(memory.means).max() / 2048
    np.testing.assert_allclose(again.means, memory.means, atol=limit)
    np.testing.assert_allclose(again.basis, memory.basis, atol=np.abs(memory.basis).max() / 254)


def test_a_memory_of_other_labels_is_refused(trained_file):
    info = metadata.read(trained_file)
    other = metadata.write(trained_file, dataclasses.replace(info, labels=info.labels[::-1]))
    names = [f"class_memory_{name}.npy" for name in ("counts", "center", "means", "mean_steps", "basis", "basis_steps")]
    names += [f"class_memory_{name}.npy" for name in ("spread", "spread_step", "fits")]
    moved = zip_files.append(other, {name: zip_files.read(trained_file, name) for name in names})
    with pytest.raises(ModelError, match="belongs to another network, another head or other labels"):
        class_memory.get(moved)


@pytest.mark.parametrize(
    "damage",
    [
        {"class_memory_means.npy": b"no array"},
        {"class_memory_counts.npy": b""},
        {"class_memory_spread.npy": None},
    ],
)
def test_a_damaged_memory_is_refused(trained_file, damage):
    plain = metadata.write(trained_file, metadata.read(trained_file))
    names = ("counts", "center", "means", "mean_steps", "basis", "basis_steps", "spread", "spread_step", "fits")
    files = {f"class_memory_{name}.npy": zip_files.read(trained_file, f"class_memory_{name}.npy") for name in names}
    files |= damage
    with pytest.raises(ModelError, match="memory does not fit it"):
        class_memory.get(zip_files.append(plain, {name: body for name, body in files.items() if body is not None}))


def test_an_array_that_claims_more_than_is_there_takes_no_memory(trained_file):
    plain = metadata.write(trained_file, metadata.read(trained_file))
    packed = zip_files.read(trained_file, "class_memory_means.npy")
    start = packed.index(b"'shape': (")
    huge = (
        packed[:start]
        + b"'shape': (9999999999, 99999), }".ljust(packed.index(b"\n") - start)
        + packed[packed.index(b"\n") :]
    )
    counts = zip_files.read(trained_file, "class_memory_counts.npy")
    with pytest.raises(ModelError, match="memory does not fit it"):
        class_memory.get(zip_files.append(plain, {"class_memory_counts.npy": counts, "class_memory_means.npy": huge}))


@pytest.mark.parametrize(("classes", "features", "limit"), [(5, 3088, 60_000), (5, 1280, 60_000), (100, 3088, 400_000)])
def test_the_memory_keeps_its_limit_whatever_the_head_sees(classes, features, limit):
    random = np.random.default_rng(0)
    labels = np.arange(4 * classes) % classes
    values = random.integers(-128, 128, (len(labels), features)).astype(np.int8)
    memory = class_memory.summarize(values, labels, classes=classes, step=1.0)
    embedder = TinyNetwork(8).conv(random.normal(size=(features, 1, 1, 3)), np.zeros(features)).mean().content()
    bare = graph.attach_head(embedder, np.zeros((classes, features)), np.zeros(classes))
    info = metadata.ModelInfo(tuple(f"c{index}" for index in range(classes)), Normalization(127, 128))
    plain = metadata.write(bare, info)
    assert len(class_memory.put(plain, memory)) - len(plain) <= limit
