"""What tests of the compatible API share: a small network, loaders of drawn flowers, a model trained on them."""

import pytest
from compat_models import tiny

from model_maker.compat import image_classifier, notices
from model_maker.compat.image_classifier import DataLoader, ModelSpec


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """A network of 8 pixels as a file from elsewhere: what these tests train on instead of EfficientNet-Lite0."""
    file = tmp_path_factory.mktemp("foreign") / "tiny.tflite"
    file.write_bytes(tiny(8))
    spec = ModelSpec(uri=str(file))
    spec.mean_rgb, spec.stddev_rgb = [127.0], [128.0]
    return spec


@pytest.fixture(autouse=True)
def said(monkeypatch, caplog):
    """said(): what was logged so far in this test, which begins as a process does."""
    monkeypatch.setattr(notices, "said", set())
    caplog.set_level("WARNING", "absl")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "absl"]


@pytest.fixture(scope="module")
def loaders(drawn_flowers):
    """48 photos to learn from, 6 to choose by, 6 to test on."""
    train, rest = DataLoader.from_folder(drawn_flowers).split(0.8)
    return train, *rest.split(0.5)


@pytest.fixture(scope="module")
def model(loaders, spec):
    train, validation, _ = loaders
    return image_classifier.create(train, spec, validation)
