"""What train() refuses, before any work where it can, and that it leaves nothing partial."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from heard import Heard

import model_maker
from model_maker.errors import BackboneError, DataError, ModelError, OutputError
from model_maker.progress import Progress
from model_maker.tflite import graph, metadata


def test_bad_files_are_skipped_counted_and_listed(flowers, tmp_path, lite0):
    data = shutil.copytree(flowers, tmp_path / "data")
    (data / "rose/cut.jpg").write_bytes((data / "rose/rose_000.jpg").read_bytes()[:2000])
    (data / "tulip/empty.jpg").write_bytes(b"")
    (data / "daisy/text.png").write_text("not a picture")
    (data / "daisy/notes.txt").write_text("not meant to be one")
    heard = Heard()
    result = model_maker.train(data, tmp_path / "model", quantize="float16", progress=heard)
    record = json.loads((result.directory / "run.json").read_text(encoding="utf-8"))
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in record["skipped"]}
    assert set(reasons) == {"cut.jpg", "empty.jpg", "text.png"}
    assert "empty" in reasons["empty.jpg"] and "truncated" in reasons["cut.jpg"]
    assert any("cannot be read as photos: 3" in note for note in heard.notes)
    assert any("1 other file" in note for note in record["notes"])
    assert sum(record["photos"].values()) == 5 * 14


def test_more_bad_files_than_good_stop_the_run(flowers, tmp_path, lite0):
    data = tmp_path / "data"
    for name in ("daisy", "rose"):
        (data / name).mkdir(parents=True)
        for number in range(3):
            shutil.copy(flowers / name / f"{name}_{number:03}.jpg", data / name)
            (data / name / f"bad{number}.jpg").write_bytes(b"\xff\xd8\xff not a jpeg")
            (data / name / f"worse{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="12 of 18 files cannot be read"):
        model_maker.train(data, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "efficientnet_light0"}, BackboneError, "Did you mean efficientnet_lite0"),
        (
            {"quantize": "int7"},
            DataError,
            "`quantize='int7'`: choose one of int8, int16x8, int4, dynamic, float16, none",
        ),
        ({"max_drop": -1.0}, DataError, "`max_drop=-1.*`: pass percentage points, 0 or more and below 100"),
        ({"max_drop": float("nan")}, DataError, "`max_drop=nan`"),
        ({"max_drop": 0.5, "quantize": "none"}, DataError, "`max_drop` limits .* `quantize='none'` does not quantize"),
        ({"io": "int8"}, DataError, "`io='int8'`: choose one of uint8, float32"),
        ({"folds": 1}, DataError, "`folds=1`"),
        ({"folds": 40}, DataError, "`folds=40` needs 40"),
        ({"test": 1.5}, DataError, "`test=1.5`"),
        ({"image_size": 7}, BackboneError, "32 to 1024"),
        ({"threads": 0}, DataError, "`threads=0`"),
    ],
)
def test_bad_options_are_one_clear_line(flowers, tmp_path, lite0, options, error, text):
    with pytest.raises(error, match=text) as caught:
        model_maker.train(flowers, tmp_path / "model", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_unknown_option_is_refused(flowers, tmp_path):
    with pytest.raises(TypeError, match="epoch_count"):
        model_maker.train(flowers, tmp_path / "model", epoch_count=3)


def test_an_existing_output_is_kept(flowers, tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    (output / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        model_maker.train(flowers, output)
    assert [path.name for path in output.iterdir()] == ["precious.txt"]


def test_overwrite_replaces_the_whole_folder(run, flowers, tmp_path):
    output = tmp_path / "model"
    output.mkdir()
    for name in ("old.txt", "run.json"):
        (output / name).write_text("old")
    model_maker.train(flowers, output, overwrite=True)
    assert "old.txt" not in {path.name for path in output.iterdir()}
    assert (output / "model.tflite").exists()


@pytest.mark.parametrize("output", ["photos", "photos/rose", "."])
def test_photos_are_never_overwritten(flowers, tmp_path, lite0, output):
    home = tmp_path / "home"
    photos = shutil.copytree(flowers, home / "photos")
    (home / output / "run.json").write_text("as in a folder that train made")
    before = sorted(home.rglob("*"))
    # A folder with a run.json is none of photos, so there the place itself is refused.
    reason = "is inside the dataset" if output == "photos/rose" else "contains photos of the dataset"
    with pytest.raises(OutputError, match=reason):
        model_maker.train(photos, home / output, overwrite=True)
    assert sorted(home.rglob("*")) == before


def test_an_output_inside_the_data_is_refused(flowers, tmp_path, lite0, monkeypatch):
    """The next run would learn its plots; by default the output of `--data .` would lie there."""
    photos = shutil.copytree(flowers, tmp_path / "photos")
    monkeypatch.chdir(photos)
    for data, output in ((".", None), (photos, "model"), ("../photos", photos / "rose/model")):
        with pytest.raises(OutputError, match="is inside the dataset, .* Choose a folder outside of it with `output`"):
            model_maker.train(data, output)
    assert sorted(path.name for path in photos.iterdir()) == sorted(path.name for path in flowers.iterdir())


def test_overwrite_spares_what_train_did_not_make(flowers, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.txt").write_text("years of work")
    with pytest.raises(OutputError, match="was not made here"):
        model_maker.train(flowers, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis/chapter1.txt").read_text() == "years of work"


@pytest.mark.parametrize("stage", ["Embed photos", "Quantize (float16)", "Evaluate the file", "Write"])
def test_ctrl_c_leaves_nothing_half_made(flowers, tmp_path, lite0, stage):
    class Impatient(Progress):
        def begin(self, name):
            if name == stage:
                raise KeyboardInterrupt

    output = tmp_path / "model"
    output.mkdir()
    for name in ("old.txt", "run.json"):
        (output / name).write_text("old")
    with pytest.raises(KeyboardInterrupt):
        model_maker.train(flowers, output, overwrite=True, quantize="float16", progress=Impatient())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in output.iterdir()) == ["old.txt", "run.json"]


def test_a_full_disk_leaves_nothing_half_made(flowers, tmp_path, lite0, monkeypatch):
    real = Path.write_bytes

    def full(path, content):
        if path.name == "model.tflite":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="The disk is full"):
        model_maker.train(flowers, tmp_path / "model", quantize="float16")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_scores_otherwise_does_not_ship(flowers, tmp_path, lite0, monkeypatch):
    # A slip between measuring and writing: the last file written has its classes turned round.
    real = metadata.write

    def slip(content, info):
        return real(_with_turned_head(content) if "metrics" in info.provenance else content, info)

    monkeypatch.setattr(metadata, "write", slip)
    with pytest.raises(ModelError, match="scores of the written model differ"):
        model_maker.train(flowers, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def _with_turned_head(content):
    model = graph.parse(content)
    kernel = next(tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"head/kernel")
    buffer = model.buffers[kernel.buffer]
    rows = np.asarray(buffer.data, np.uint8).reshape(tuple(kernel.shape))
    buffer.data = np.ascontiguousarray(rows[::-1]).ravel()
    return graph.pack(model)


def test_an_unknown_augmentation_is_refused_before_any_work(flowers, tmp_path):
    with pytest.raises(DataError, match="`augment='wild'`: choose one of none, light, standard, strong"):
        model_maker.train(flowers, tmp_path / "model", augment="wild")
    with pytest.raises(DataError, match="`views=1`: pass 2 or more"):
        model_maker.train(flowers, tmp_path / "model", augment="light", views=1)


@pytest.mark.parametrize("precision", [0, 1, 1.5, float("nan")])
@pytest.mark.parametrize("option", ["precision", "label_precision"])
def test_a_precision_that_means_nothing_is_refused(drawn_flowers, tmp_path, option, precision):
    with pytest.raises(DataError, match=f"^`{option}=.*`: pass a share above 0 and below 1"):
        model_maker.train(drawn_flowers, tmp_path / "model", **{option: precision})


def test_what_was_passed_over_is_told_where_too_few_photos_are_left(tmp_path):
    heard = Heard()
    (tmp_path / "list.csv").write_text("path,label\nnowhere.jpg,a\n")
    with pytest.raises(DataError, match="holds one class only"):
        model_maker.train(tmp_path / "list.csv", tmp_path / "model", progress=heard)
    (tmp_path / "list.csv").write_text("path,label\nnowhere.jpg,a\nlist.csv,b\n")
    with pytest.raises(DataError, match="a has 0 different photos"):
        model_maker.train(tmp_path / "list.csv", tmp_path / "model", progress=heard)
    missing = f"{tmp_path / 'nowhere.jpg'} (No such file or directory)"
    assert heard.notes == [f"Files that cannot be read as photos: 1, the first {missing}."]
