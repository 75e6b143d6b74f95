"""Names of labels in other languages: written, read back, and where MediaPipe's schema says."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from model_maker import Classifier
from model_maker.errors import DataError, ModelError
from model_maker.tflite import graph, metadata, zip_files
from model_maker.tflite import metadata_schema as schema
from model_maker.verification.metadata_writing import describe

GERMAN = ("Rot", "Grün", "Blau")


@pytest.fixture
def model(make_tiny_model, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_tiny_model("none", "float32", ("red", "green", "blue")))
    (tmp_path / "de.txt").write_text("\n".join(GERMAN), encoding="utf-8")
    return path


def test_names_are_written_beside_the_labels_and_read_back(model, tmp_path):
    found = describe(model, tmp_path / "new.tflite", display_names={"de": tmp_path / "de.txt"})
    content = (tmp_path / "new.tflite").read_bytes()
    assert not found.broken and Classifier(content).labels == ("red", "green", "blue")
    assert metadata.read(content).display_names == {"de": GERMAN}
    assert metadata.read(model.read_bytes()).display_names == {}
    [scores] = metadata.tables(graph.parse(content)).subgraph_metadata[0].output_tensor_metadata
    files = [(file.name, file.locale, file.type) for file in scores.associated_files]
    kind = schema.AssociatedFileType.TENSOR_AXIS_LABELS
    assert files == [(b"labels.txt", None, kind), (b"labels_de.txt", b"de", kind)]
    assert zip_files.read(content, "labels_de.txt").decode().split("\n") == list(GERMAN)
    # What is written again keeps them.
    assert metadata.read(metadata.write(model.read_bytes(), found.info)).display_names == {"de": GERMAN}


def test_commands_write_and_show_them(model, tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")

    def run(*words):
        command = [sys.executable, "-m", "model_maker", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("metadata", model, "--output", "new.tflite", "--display-names", "de=de.txt", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metadata"]["display_names"] == {"de": list(GERMAN)}
    [row] = json.loads(run("predict", "new.tflite", "red.png", "--locale", "de", "--json").stdout)
    names = dict(zip(("red", "green", "blue"), GERMAN, strict=True))
    assert [entry["display_name"] for entry in row["predictions"]] == [names[e["label"]] for e in row["predictions"]]
    assert "Rot" in run("predict", "new.tflite", "red.png", "--locale", "de").stdout
    done = run("predict", "new.tflite", "red.png", "--locale", "fr")
    assert done.returncode == 1 and "--locale fr: the model has no names of its labels in it; it has de." in done.stderr
    done = run("metadata", model, "--output", "x.tflite", "--display-names", "de.txt")
    assert done.returncode == 1 and "give LOCALE=FILE" in done.stderr


def test_what_cannot_be_is_refused(model, tmp_path):
    (tmp_path / "two.txt").write_text("Rot\nBlau\n")
    with pytest.raises(DataError):
        describe(model, tmp_path / "x.tflite", display_names={"de": tmp_path / "two.txt"})
    with pytest.raises(ModelError, match="'../de' is not a locale"):
        describe(model, tmp_path / "x.tflite", display_names={"../de": tmp_path / "de.txt"})
    assert not (tmp_path / "x.tflite").exists()
