"""Everything that comes of a training is there for download, or made when asked."""

import io
import shutil
import zipfile

import pytest

import model_maker
from model_maker.errors import DataError
from model_maker.exporters.export import EXPORTERS
from model_maker.progress import SILENT
from model_maker.studio import shipping
from model_maker.tflite import metadata


@pytest.fixture
def trained_workspace(workspace, trained):
    shutil.copytree(trained["uint8"], workspace.model)
    return workspace


def rows(workspace):
    return {row["name"]: row for group in shipping.shipped(workspace) for row in group["rows"]}


def content(workspace, name, **more):
    found = shipping.content(workspace, name, **more)
    return found if isinstance(found, bytes) else found.read_bytes()


def test_without_a_model_there_is_nothing(workspace):
    assert shipping.shipped(workspace) == []
    with pytest.raises(DataError, match="train first"):
        shipping.content(workspace, "model.tflite")


def test_every_format_has_a_row_with_a_purpose(trained_workspace):
    found = rows(trained_workspace)
    for name, exporter in EXPORTERS.items():
        row = found[f"{name}.zip"]
        assert not row["ready"]
        assert row["what"] and row["what"] != exporter.contract
        assert row["title"] != name


def test_the_model_is_the_file_of_the_folder(trained_workspace):
    expected = (trained_workspace.model / "model.tflite").read_bytes()
    assert content(trained_workspace, "model.tflite") == expected


def test_a_threshold_goes_into_the_model_and_changes_nothing_else(trained_workspace):
    plain, shipped = (content(trained_workspace, "model.tflite", threshold=value) for value in (0, 0.7))
    assert metadata.read(shipped).threshold == pytest.approx(0.7)
    assert metadata.read(shipped).labels == metadata.read(plain).labels
    assert metadata.read(plain).threshold == 0


@pytest.mark.parametrize("suffix", [".kt", ".swift", ".mjs", ".py"])
def test_code_is_that_of_codegen(trained_workspace, suffix):
    language = {".kt": "kotlin", ".swift": "swift", ".mjs": "js", ".py": "python"}[suffix]
    expected = model_maker.codegen(trained_workspace.model, language, threshold=0.5)
    assert content(trained_workspace, f"classifier{suffix}", threshold=0.5).decode() == expected


@pytest.mark.parametrize(
    ("name", "member"),
    [("tflite-float16.zip", "tflite-float16/model.tflite"), ("android.zip", "android/settings.gradle.kts")],
)
def test_what_is_made_is_packed(trained_workspace, name, member):
    assert not rows(trained_workspace)[name]["ready"]
    shipping.make(trained_workspace, name, SILENT)
    assert rows(trained_workspace)[name]["ready"]
    with zipfile.ZipFile(io.BytesIO(content(trained_workspace, name))) as packed:
        assert member in packed.namelist()
        assert packed.testzip() is None


def test_what_was_made_of_another_model_is_gone(trained_workspace):
    shipping.make(trained_workspace, "tflite-float16.zip", SILENT)
    run = trained_workspace.model / "run.json"
    run.write_text(run.read_text() + "\n")
    assert not rows(trained_workspace)["tflite-float16.zip"]["ready"]


@pytest.mark.parametrize("name", ["../../setup.cfg", "..", "", None, 3, "other.zip", "tflite-int8.zip/../x"])
def test_other_names_are_refused(trained_workspace, name):
    with pytest.raises(DataError):
        shipping.content(trained_workspace, name)
    if name != "tflite-int8.zip/../x":
        with pytest.raises(DataError, match="no such format"):
            shipping.make(trained_workspace, name, SILENT)
