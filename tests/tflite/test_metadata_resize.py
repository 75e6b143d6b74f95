import dataclasses
import zlib

import command
import fitted_models
import pytest

from model_maker import Classifier
from model_maker.errors import DataError, ModelError
from model_maker.fitting import CROP, LETTERBOX, STRETCH, Fit
from model_maker.tflite import client_rules, graph, metadata, zip_files
from model_maker.verification import metadata_writing

EACH = pytest.mark.parametrize("name", fitted_models.NAMES)


def image_metadata(content):
    return metadata.tables(graph.parse(content)).subgraph_metadata[0].input_tensor_metadata[0]


@EACH
def test_the_file_says_how_photos_are_fitted(name):
    shape, _, resize = name.partition("_")
    content = fitted_models.make(name)
    assert metadata.read(content).resize == resize
    assert Classifier(content).fit == Fit(*fitted_models.SHAPES[shape], resize)


@EACH
def test_phone_clients_accept_the_file(name):
    assert [entry for entry in client_rules.check(fitted_models.make(name)) if not entry.passed] == []


def test_a_file_that_stretches_has_nothing_more_than_before():
    image = image_metadata(fitted_models.make("square_stretch"))
    assert (image.description, image.associated_files) == (b"An RGB photo, stretched to 8 x 8 pixels.", None)
    assert b"resize" not in fitted_models.make("square_stretch")


def test_the_description_says_it_to_people():
    letterboxed, cropped = (image_metadata(fitted_models.make(f"oblong_{way}")) for way in (LETTERBOX, CROP))
    text = b"An RGB photo, letterboxed to 10 x 6 pixels: scaled as a whole, centered on black."
    assert letterboxed.description == text
    assert cropped.description.startswith(b"An RGB photo, cropped in the center to the shape of 10 x 6 pixels")
    assert [
        (file.name, zip_files.read(fitted_models.make("oblong_crop"), "resize.txt"))
        for file in cropped.associated_files
    ] == [(b"resize.txt", b"crop")]


def test_it_is_kept_and_can_be_taken_back():
    content = fitted_models.make("square_crop")
    info = dataclasses.replace(metadata.read(content), name="other")
    again = metadata.write(content, info)
    assert metadata.read(again).resize == CROP
    plain = metadata.write(again, dataclasses.replace(info, resize=STRETCH))
    assert metadata.read(plain).resize == STRETCH and not image_metadata(plain).associated_files


def test_a_way_that_is_unknown_here_is_an_error():
    content = fitted_models.make("square_crop").replace(b"crop", b"fold")
    old, new = (zlib.crc32(word).to_bytes(4, "little") for word in (b"crop", b"fold"))
    with pytest.raises(ModelError, match="its resize.txt says 'fold'; known are stretch, letterbox, crop"):
        metadata.read(content.replace(old, new))


def test_a_way_that_is_named_and_missing_is_an_error():
    content = zip_files.append(graph.pack(graph.parse(fitted_models.make("square_crop"))), {"labels.txt": b"a\nb\nc"})
    with pytest.raises(ModelError, match="its resize.txt says ''"):
        metadata.read(content)


def test_the_commands_write_and_show_it(tmp_path):
    model, made = str(tmp_path / "m.tflite"), str(tmp_path / "new.tflite")
    (tmp_path / "m.tflite").write_bytes(fitted_models.make("square_stretch"))
    assert (
        command.model_maker("metadata", model, "--resize", "letterbox", "--output", made, cwd=tmp_path).returncode == 0
    )
    assert Classifier(made).fit == Fit(8, 8, LETTERBOX)
    out, _ = command.said(command.model_maker("inspect", made, cwd=tmp_path))
    assert "letterboxed to 8 x 8 pixels" in out
    with pytest.raises(DataError, match="`resize='fold'`: choose one of stretch"):
        metadata_writing.describe(model, tmp_path / "x.tflite", resize="fold")
