"""Published datasets by name: fetched from a server on 127.0.0.1, interrupted, resumed, and refused when changed."""

import hashlib
import io
import json
import tarfile
import zipfile

import pytest
from loopback_files import serve

from model_maker import run_record
from model_maker.data import named_datasets, object_stores, sources
from model_maker.data.named_datasets import Archive, NamedDataset
from model_maker.errors import DataError
from model_maker.system import downloads


@pytest.fixture
def server():
    with serve() as server:
        yield server


@pytest.fixture
def offer(server, make_photos, tmp_path, empty_cache, monkeypatch):
    """offer(parts): a dataset "drawn" on the server, of one archive or, where parts are named, of one for each."""

    def make(*parts):
        made = []
        for part in parts or ("",):
            folder = tmp_path / f"of_{part}"
            paths = make_photos(folder, {"red": 4, "blue": 5}, seed=len(made))
            buffer = io.BytesIO()
            if part:
                with zipfile.ZipFile(buffer, "w") as archive:
                    for path in paths:
                        archive.write(path, f"{part}/{path.relative_to(folder)}")
            else:
                with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
                    archive.add(folder, "photos")
            content, name = buffer.getvalue(), f"/{part or 'all'}.{'zip' if part else 'tgz'}"
            server.files[name] = content
            made.append(Archive(server.address + name, len(content), hashlib.sha256(content).hexdigest(), part))
        data = NamedDataset("drawn", tuple(made), "CC0", "http://127.0.0.1/page", "noise")
        monkeypatch.setitem(named_datasets.NAMED, "drawn", data)
        return data

    return make


def test_a_name_fetches_once_and_says_what(offer, server):
    offer()
    steps = []
    dataset = sources.read("drawn", progress=lambda done, total: steps.append((done, total)))
    assert dataset.classes == ("blue", "red") and len(dataset) == 9
    assert "Downloaded drawn: 0 MB from http://127.0.0.1/page, licence CC0, to " in dataset.notes[0] and steps
    again = sources.read("drawn")
    assert again.fingerprint == dataset.fingerprint and not any("Downloaded" in note for note in again.notes)
    assert [request for request, _ in server.requests] == ["GET /all.tgz"]
    assert sources.title("drawn") == "drawn" and str(object_stores.place("drawn").resolve()) == "drawn"


def test_files_of_parts_keep_their_parts(offer):
    offer("train", "validation", "test")
    dataset = sources.read("drawn")
    assert [len(dataset.stated(part)) for part in ("train", "validation", "test")] == [9, 9, 9]


def test_an_interrupted_download_goes_on(offer, server):
    data = offer()
    size = data.files[0].size_bytes
    server.stop_after = size // 2
    with pytest.raises(DataError, match="drawn: The download of .* broke off"):
        sources.read("drawn")
    assert not data.place(data.files[0]).exists()
    assert len(sources.read("drawn")) == 9
    assert [begin for _, begin in server.requests] == [None, f"bytes={size // 2}-"]


def test_another_file_than_the_published_one_is_refused(offer, server):
    data = offer()
    server.files["/all.tgz"] = server.files["/all.tgz"][:-1] + b"?"
    with pytest.raises(DataError, match="is not the published file \\(sha256 .*It was deleted"):
        sources.read("drawn")
    assert [path for path in data.place(data.files[0]).parent.iterdir() if path.suffix != ".lock"] == []


def test_without_a_network_the_place_is_named(offer, monkeypatch):
    data = offer()
    monkeypatch.setattr(downloads, "reachable", lambda url: False)
    with pytest.raises(DataError, match="cannot be reached. Fetch it elsewhere, and put it at ") as caught:
        sources.read("drawn")
    assert str(data.place(data.files[0])) in str(caught.value)


def test_a_folder_of_that_name_comes_first(offer, make_photos, tmp_path, monkeypatch, server):
    offer()
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "drawn", {"green": 3, "grey": 3})
    assert sources.read("drawn").classes == ("green", "grey") and server.requests == []


def test_a_name_that_is_nearly_one_is_asked_about():
    with pytest.raises(DataError, match="tf_flower does not exist. .* is it the published dataset tf_flowers?"):
        sources.read("tf_flower")


def test_the_record_of_a_run_finds_them_again(offer, tmp_path):
    offer()
    record = {"options": {"validation": 0.1, "test": 0.3, "seed": 0}, "data": "drawn", "skipped": []}
    dataset = sources.read("drawn")
    (tmp_path / "run.json").write_text(json.dumps(record | {"fingerprint": dataset.fingerprint}))
    (tmp_path / "model.tflite").touch()
    split, notes = run_record.parts(tmp_path)
    assert len(split.test) + len(split.train) + len(split.validation) == 9 and notes == []


def test_records_are_complete():
    for name, data in named_datasets.NAMED.items():
        assert data.name == name and data.licence and data.home.startswith("https://")
        for file in data.files:
            assert file.url.startswith("https://") and len(file.sha256) == 64 and file.size_bytes > 1 << 20
            assert file.part in ("", "train", "validation", "test")
