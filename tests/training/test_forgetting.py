"""forget(): byte-identical to a training that never saw the photos, and nothing of them in the cache."""

import hashlib
import json
import shutil

import numpy as np
import pytest

import model_maker
from model_maker import cli, run_record
from model_maker.embeddings import store
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.tflite import metadata

pytestmark = pytest.mark.usefixtures("own_cache")

# What a training leaves behind that does not depend on clock and place.
SAME = ("model.tflite", "float.tflite", "labels.txt", "metrics.json", "split.json", "README.md", "confusion.png")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", "forget", *map(str, arguments)]))


@pytest.fixture(scope="module")
def gone(drawn_flowers):
    """Photos of two classes."""
    return [drawn_flowers / "rose" / "rose_001.jpg", drawn_flowers / "tulip" / "tulip_004.jpg"]


@pytest.fixture(scope="module")
def never_seen(drawn_flowers, gone, lite0, tmp_path_factory):
    """A training on a folder that never had them."""
    home = tmp_path_factory.mktemp("never_seen")
    fewer = shutil.copytree(drawn_flowers, home / "flowers")
    for path in gone:
        (fewer / path.relative_to(drawn_flowers)).unlink()
    return model_maker.train(fewer, home / "model").directory


def test_the_files_are_those_of_a_training_that_never_saw_them(trained, drawn_flowers, gone, never_seen, tmp_path):
    receipt = model_maker.forget(trained["uint8"], gone, drawn_flowers, tmp_path / "new")
    for name in SAME:
        assert (tmp_path / "new" / name).read_bytes() == (never_seen / name).read_bytes(), name
    assert receipt.forgotten == tuple(map(sha256, gone)) and not receipt.changed
    assert receipt.before.sha256 == sha256(trained["uint8"] / "model.tflite")
    assert receipt.after.sha256 == sha256(never_seen / "model.tflite") != receipt.before.sha256
    assert (
        receipt.after.fingerprint == metadata.read((never_seen / "model.tflite").read_bytes()).provenance["fingerprint"]
    )
    assert (receipt.before.photos, receipt.after.photos) == (60, 58)
    written = json.loads((tmp_path / "new" / "receipt.json").read_text(encoding="utf-8"))
    assert written == receipt.as_dict() and len(written["remains"]) == 3
    listed = json.loads((trained["uint8"] / "split.json").read_text(encoding="utf-8"))
    assert all(digest[:16] in listed[part] for digest, part in zip(receipt.forgotten, receipt.parts, strict=True))


def test_what_is_done_with_the_new_model_leaves_them_out(trained, drawn_flowers, gone, tmp_path):
    model_maker.forget(trained["uint8"], gone, drawn_flowers, tmp_path / "new")
    split, notes = run_record.parts(tmp_path / "new")
    everything = [sample for part in (split.train, split.validation, split.test) for sample in part.samples]
    assert notes == [] and len(everything) == 58
    assert not {sample.digest for sample in everything} & set(map(sha256, gone))


def test_their_embeddings_are_overwritten_in_the_cache(trained, drawn_flowers, gone, own_cache, tmp_path):
    model_maker.train(drawn_flowers, tmp_path / "again")
    names = store.pack(map(sha256, gone))
    stores = [found for found in store.stores(own_cache / "embeddings") if (found.find(names) >= 0).any()]
    [first, *_] = stores
    rows = first.find(names)
    kept = store.pack([sha256(drawn_flowers / "rose" / "rose_002.jpg")])
    other = first.read(first.find(kept))
    assert other.any() and first.read(rows).any(axis=1).all()
    receipt = model_maker.forget(trained["uint8"], gone, drawn_flowers, tmp_path / "new")
    assert receipt.cached >= len(gone)
    assert not first.read(rows).any()
    assert all((found.find(names) < 0).all() for found in stores)
    np.testing.assert_array_equal(first.read(first.find(kept)), other)


def test_photos_that_are_deleted_are_named_by_their_hash(trained, drawn_flowers, gone, never_seen, tmp_path):
    fewer = shutil.copytree(drawn_flowers, tmp_path / "fewer")
    for path in gone:
        (fewer / path.relative_to(drawn_flowers)).unlink()
    receipt = model_maker.forget(trained["uint8"], list(map(sha256, gone)), fewer, tmp_path / "new")
    assert not receipt.changed and receipt.after.sha256 == sha256(never_seen / "model.tflite")


def test_a_dataset_that_has_changed_otherwise_is_noted(trained, drawn_flowers, gone, tmp_path):
    fewer = shutil.copytree(drawn_flowers, tmp_path / "fewer")
    (fewer / "rose" / "rose_003.jpg").unlink()
    assert model_maker.forget(trained["uint8"], gone, fewer, tmp_path / "new").changed


def test_the_command_prints_a_receipt(trained, drawn_flowers, gone, never_seen, tmp_path, capsys):
    output = ("--data", drawn_flowers, "--output", tmp_path / "new")
    assert run_cli(trained["uint8"], *gone, *output) in (0, None)
    said = capsys.readouterr().out
    assert "2 photos forgotten" in said and sha256(never_seen / "model.tflite")[:16] in said and "remains  " in said
    assert run_cli(trained["uint8"], *gone, *output) == 1 and "already exists" in capsys.readouterr().err
    run_cli(trained["uint8"], *gone, *output, "--overwrite", "--json")
    assert json.loads(capsys.readouterr().out)["after"]["photos"] == 58


def test_what_cannot_be_forgotten_is_one_clear_line(trained, drawn_flowers, gone, tmp_path):
    (tmp_path / "other.jpg").write_bytes(b"another photo")
    for photo, message in (
        (tmp_path / "other.jpg", "other.jpg: not among the photos of the model"),
        (tmp_path / "none.jpg", "none.jpg: No such file"),
        ("0" * 64, "0000: not among the photos"),
    ):
        with pytest.raises(DataError, match=message):
            model_maker.forget(trained["uint8"], [photo], drawn_flowers, tmp_path / "new")
    with pytest.raises(DataError, match="nothing to forget"):
        model_maker.forget(trained["uint8"], [], drawn_flowers, tmp_path / "new")
    with pytest.raises(OutputError, match="contains the model that is to forget"):
        model_maker.forget(trained["uint8"], gone, drawn_flowers, trained["uint8"], overwrite=True)
    assert not (tmp_path / "new").exists()


def test_a_fine_tuned_model_is_refused_with_the_reason(trained, drawn_flowers, gone, tmp_path):
    content = (trained["uint8"] / "model.tflite").read_bytes()
    info = metadata.read(content)
    info.provenance["options"] |= {"fine_tune": "tail"}
    (tmp_path / "tuned.tflite").write_bytes(metadata.write(content, info))
    with pytest.raises(ModelError, match="it was fine-tuned: .* no retraining can be proven equal"):
        model_maker.forget(tmp_path / "tuned.tflite", gone, drawn_flowers, tmp_path / "new")
