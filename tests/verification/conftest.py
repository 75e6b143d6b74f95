"""What several tests of `verify` need: a small model, its photos, and runtimes in place of the real ones."""

import pytest

from model_maker.verification import verify


@pytest.fixture(scope="module")
def photos(make_photos, tmp_path_factory):
    """Eleven PNGs of three classes, larger than the model's input."""
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, {"a": 4, "b": 4, "ü": 3}, side=20)
    return folder


@pytest.fixture(scope="module")
def model(make_tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    path.write_bytes(make_tiny_model("int8", "uint8"))
    return path


@pytest.fixture
def nowhere_else(monkeypatch):
    """Only LiteRT: the other runtimes start slowly, and have tests of their own."""
    monkeypatch.setattr(verify, "ELSEWHERE", {})


@pytest.fixture
def elsewhere(monkeypatch):
    """elsewhere(Engine=run): these runtimes alone beside LiteRT."""

    def instead(**runtimes):
        engines = {name: verify.OtherRuntime(lambda: "", run) for name, run in runtimes.items()}
        monkeypatch.setattr(verify, "ELSEWHERE", engines)

    return instead
