import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from heard import Heard
from loopback_files import serve

from model_maker import backbones
from model_maker.backbones import embedder
from model_maker.backbones.downloaded_weights import HubWeights, KerasWeights
from model_maker.errors import BackboneError
from model_maker.system import downloads

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 100
SHA256 = hashlib.sha256(HDF5).hexdigest()
URL = "https://example.invalid/keras-applications/w.h5"


@pytest.fixture
def keras_home(tmp_path, monkeypatch, empty_cache):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture
def server(monkeypatch):
    with serve() as server:
        server.files["/keras-applications/w.h5"] = HDF5
        monkeypatch.setenv("MODEL_MAKER_MIRROR", server.address)
        yield server


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.delenv("MODEL_MAKER_MIRROR", raising=False)
    monkeypatch.setattr(downloads, "reachable", lambda url: False)


def test_keras_weights_are_downloaded_once_and_announced(server, keras_home):
    heard, weights = Heard(), KerasWeights(URL, 26_000, SHA256)
    assert not weights.is_here()
    path = weights.path(progress=heard)
    assert path == keras_home / "models" / "w.h5" and path.read_bytes() == HDF5
    assert heard.notes == [f"Downloading {server.address}/keras-applications/w.h5 (about 0 MB) to {path}."]
    assert weights.is_here() and weights.path(progress=heard) == path
    assert len(heard.notes) == len(server.requests) == 1


def test_what_keras_downloaded_is_found(offline, keras_home):
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "w.h5").write_bytes(HDF5)
    assert KerasWeights(URL, 26_000, SHA256).path().read_bytes() == HDF5


def test_a_wrong_hash_is_refused_and_named(offline, keras_home):
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "w.h5").write_bytes(HDF5 + b"!")
    with pytest.raises(BackboneError, match="w.h5 is not the file that it should be") as caught:
        KerasWeights(URL, 26_000, SHA256).path()
    assert SHA256[:16] in str(caught.value)


def test_a_file_without_a_published_hash_must_stay_what_it_was(server, keras_home):
    weights = KerasWeights(URL, 26_000)
    path = weights.path()
    path.write_bytes(HDF5 + b"!")
    with pytest.raises(BackboneError, match="not the file that it should be"):
        weights.path()
    path.unlink()
    server.files["/keras-applications/w.h5"] = HDF5 + b"?"  # a new one may be another
    assert weights.path().read_bytes() == HDF5 + b"?"


def test_a_web_page_is_no_weights_file(offline, keras_home):
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "w.h5").write_text("<html>log in first</html>")
    with pytest.raises(BackboneError, match="not an HDF5 file"):
        KerasWeights(URL, 26_000).path()


def test_offline_says_everything_in_one_line(offline, keras_home):
    backbone = replace(backbones.get("efficientnet_lite0"), weights=KerasWeights(URL, 14_400_000))
    with pytest.raises(BackboneError) as caught:
        embedder.weights_of(backbone)
    said = str(caught.value)
    assert "\n" not in said
    for part in ("w.h5", URL, "14 MB", str(keras_home / "models" / "w.h5"), "`weights=FILE`", "example.invalid"):
        assert part in said
    assert "Models that work offline: efficientnet_lite0, efficientnet_lite1, efficientnet_lite2" in said


REPOSITORY = "timm/some_network.in1k"


def hub_server(server, *, etag=None):
    """Plays the Hub: the file's address tells commit, size and sha256 before it is fetched."""
    path = f"/{REPOSITORY}/resolve/main/model.safetensors"
    server.files[path] = HDF5
    server.headers[path] = {"X-Repo-Commit": "a" * 40, "ETag": f'"{etag or SHA256}"', "X-Linked-Size": str(len(HDF5))}


SCRIPT = f"""
import sys
from model_maker.backbones.downloaded_weights import HubWeights
from model_maker.errors import BackboneError
from model_maker.progress import Progress
seen = []
class Heard(Progress):
    def step(self, *numbers):
        seen.append(numbers)
weights, heard = HubWeights({REPOSITORY!r}, 26_000), Heard()
try:
    path = weights.path(progress=heard)
    print(path.read_bytes()[:8].hex(), heard.notes, seen[-1:], weights.is_here())
except BackboneError as error:
    print("refused:", error)
"""


def run(tmp_path, endpoint, settings=None):
    # In a process of its own, for the Hub's library reads its settings when it is imported.
    settings = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "MODEL_MAKER_CACHE": str(tmp_path / "cache"),
        **(settings or {}),
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=settings, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.strip()


def test_hub_weights_are_downloaded_through_the_hubs_library(server, tmp_path):
    hub_server(server)
    said = run(tmp_path, server.address)
    assert said.startswith(HDF5[:8].hex()) and said.endswith("[(25, 25)] True")
    assert f"Downloading {server.address}/{REPOSITORY}/resolve/main/model.safetensors" in said
    requests = len(server.requests)
    assert run(tmp_path, server.address) == f"{HDF5[:8].hex()} [] [] True"
    assert len(server.requests) == requests


def in_hubs_cache(tmp_path):
    [link] = (tmp_path / "hub").rglob("snapshots/*/model.safetensors")
    return link


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("stated", ["sha256", "git"])
def test_what_the_hub_sends_is_compared_with_the_hash_that_it_states(server, tmp_path, stated, links):
    git = hashlib.sha1(b"blob %d\0" % len(HDF5) + HDF5).hexdigest()  # as `git hash-object` computes it
    settings = {} if links else {"HF_HUB_DISABLE_SYMLINKS": "1"}  # as on Windows
    hub_server(server, etag={"sha256": SHA256, "git": git}[stated])
    path = f"/{REPOSITORY}/resolve/main/model.safetensors"
    server.files[path] = HDF5[:-1] + b"!"  # of the size that it should be
    said = run(tmp_path, server.address, settings)
    assert said.startswith(f"refused: What {server.address}{path} sent is not the published file (hash ")
    assert {"sha256": SHA256, "git": git}[stated][:16] in said and "thrown away" in said
    server.files[path] = HDF5  # whoever was in between has gone: nothing bad was kept
    assert run(tmp_path, server.address, settings).startswith(HDF5[:8].hex())
    record = tmp_path / "cache" / "weights" / "some_network.in1k.safetensors.sha256"
    assert record.read_text() == SHA256


@pytest.mark.parametrize("tampered", ["file", "record"])
@pytest.mark.parametrize("links", [True, False])
def test_a_tampered_file_or_record_is_refused_and_can_be_fetched_again(server, tmp_path, tampered, links):
    settings = {} if links else {"HF_HUB_DISABLE_SYMLINKS": "1"}
    hub_server(server)
    assert run(tmp_path, server.address, settings).startswith(HDF5[:8].hex())
    kept = in_hubs_cache(tmp_path).resolve()
    record = tmp_path / "cache" / "weights" / "some_network.in1k.safetensors.sha256"
    if tampered == "file":
        kept.write_bytes(HDF5[:-1] + b"!")
    else:
        record.write_text("c" * 64)
    said = run(tmp_path, "http://127.0.0.1:1", settings)
    assert said.startswith(f"refused: {kept} is not the file that it should be (sha256 ") and str(record) in said
    kept.unlink()
    assert run(tmp_path, server.address, settings).startswith(HDF5[:8].hex())


def test_what_others_downloaded_is_compared_with_the_name_in_the_hubs_cache(server, tmp_path):
    hub_server(server)
    run(tmp_path, server.address)
    link = in_hubs_cache(tmp_path)
    blob = link.parent / os.readlink(link)
    record = tmp_path / "cache" / "weights" / "some_network.in1k.safetensors.sha256"
    # The library keeps some files in a store of their own, by another hash than the Hub states.
    store = tmp_path / "hub" / "hub" / "blobs" / "dd" / ("d" * 64)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(store)
    record.unlink()
    assert run(tmp_path, "http://127.0.0.1:1").startswith(HDF5[:8].hex())
    assert record.read_text() == SHA256
    record.unlink()
    store.write_bytes(HDF5 + b"!")
    said = run(tmp_path, "http://127.0.0.1:1")
    assert said.startswith(f"refused: {store} is not the file that it should be (hash ") and SHA256[:16] in said


def test_a_missing_repository_is_said_in_one_line(server, tmp_path):
    said = run(tmp_path, server.address)
    assert said.startswith("refused: The download of") and "\n" not in said and "some_network" in said


def test_hub_weights_offline_say_everything_in_one_line(tmp_path):
    said = run(tmp_path, "http://127.0.0.1:1")
    assert "\n" not in said
    by_hand = tmp_path / "cache" / "weights" / "some_network.in1k.safetensors"
    for part in ("refused: The weights", "model.safetensors", REPOSITORY, str(by_hand), "`weights=FILE`"):
        assert part in said


def test_hub_weights_put_by_hand_are_found(tmp_path, empty_cache):
    place = empty_cache / "weights" / "some_network.in1k.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(HDF5)
    weights = HubWeights(REPOSITORY, 26_000)
    assert weights.is_here() and weights.path() == place
    place.write_bytes(HDF5 + b"!")
    with pytest.raises(BackboneError, match="not the file that it should be"):
        weights.path()
