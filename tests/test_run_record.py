"""Records that somebody else has written."""

import json
import platform
from importlib import metadata

import numpy as np
import pytest

import model_maker
from model_maker import run_record
from model_maker.errors import DataError


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", '{"options": 3}', "\ud7ff"])
def test_what_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="is not the run.json of a training run"):
        run_record.load(tmp_path)


@pytest.mark.parametrize("skipped", [5, [5], [{}], {"a": 1}])
def test_a_list_of_skipped_photos_that_is_none_is_refused(tmp_path, make_photos, skipped):
    make_photos(tmp_path / "data", {"a": 4, "b": 4})
    options = {"validation": 0.25, "test": 0.25, "seed": 0}
    record = {"data": str(tmp_path / "data"), "fingerprint": "", "options": options, "skipped": skipped}
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="Pass `data=DIR`"):
        run_record.parts(tmp_path)


def test_versions_are_those_of_what_is_installed(make_photos, tiny_embedder, tmp_path, monkeypatch):
    """TensorFlow and Keras need not be, so a record does without them."""
    version = metadata.version

    def absent(name):
        if name in ("tensorflow", "keras"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", absent)
    make_photos(tmp_path / "data", {"a": 12, "b": 12})
    (tmp_path / "net.tflite").write_bytes(tiny_embedder)
    options = {"model": str(tmp_path / "net.tflite"), "normalization": "127,128", "quantize": "float16"}
    folder = model_maker.train(tmp_path / "data", tmp_path / "model", **options).directory
    found = json.loads((folder / "run.json").read_text())["versions"]
    assert not {"tensorflow", "keras"} & set(found)
    assert (found["numpy"], found["python"]) == (np.__version__, platform.python_version())


def test_photos_that_could_not_be_used_are_known_again_from_anywhere(make_photos, tiny_embedder, tmp_path, monkeypatch):
    make_photos(tmp_path / "data", {"a": 12, "b": 12})
    (tmp_path / "data/a/broken.png").write_bytes(b"no photo")
    (tmp_path / "net.tflite").write_bytes(tiny_embedder)
    monkeypatch.chdir(tmp_path / "data")
    result = model_maker.train(
        ".", tmp_path / "model", model="../net.tflite", normalization="127,128", quantize="float16"
    )
    record = json.loads((result.directory / "run.json").read_text())
    assert [entry["path"] for entry in record["skipped"]] == [str(tmp_path / "data/a/broken.png")]
    monkeypatch.chdir(tmp_path)
    split, notes = run_record.parts(result.directory)
    assert notes == [] and len(split.test) == result.metrics.photos
    assert len(split.train) + len(split.validation) + len(split.test) == 24
