"""The whole story on drawn flowers: what train() makes, repeats, refuses and leaves behind."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from heard import Heard

import model_maker
from model_maker import run_record
from model_maker.data import augment, sample_data
from model_maker.errors import BackboneError, DataError, ModelError, OutputError
from model_maker.inference.classifier import Classifier
from model_maker.progress import Progress
from model_maker.system import files
from model_maker.tflite import graph, inspection, metadata
from model_maker.training import metrics_record

PER_CLASS = 14
PLOTS = ("confusion.png", "calibration.png", "per_class.png", "head.png")
KEPT = ("model.tflite", "float.tflite", "labels.txt", "metrics.json", "README.md", *PLOTS)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "flowers"
    sample_data.draw(folder, per_class=PER_CLASS)
    return folder


@pytest.fixture(scope="module")
def run(flowers, tmp_path_factory, lite0):
    heard = Heard()
    output = tmp_path_factory.mktemp("models") / "flowers_model"
    return model_maker.train(flowers, output, progress=heard, folds=3), heard


def _read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_writes_the_promised_files(run):
    result, _ = run
    assert sorted(path.name for path in result.directory.iterdir()) == sorted(
        (*KEPT, "run.json", "report.html", "split.json")
    )
    assert [path for path in result.directory.parent.iterdir() if path != result.directory] == []


def test_report_tells_the_metrics_and_the_times(run):
    result, _ = run
    page = (result.directory / "report.html").read_text(encoding="utf-8")
    assert f"<b>{100 * result.metrics.top1:.1f} %</b> correct on {result.metrics.photos} test photos" in page
    assert page.count("<figure>") == min(24, round(result.metrics.photos * (1 - result.metrics.top1)))
    assert all(stage["name"] in page for stage in _read(result.directory, "run.json")["stages"])


def test_metrics_are_those_of_the_file(run, flowers):
    # Counted here by hand from the file's own predictions on the photos that its run.json leaves for the test.
    result, _ = run
    classifier = Classifier(result.directory)
    test, notes = run_record.test_part(result.directory)
    assert notes == []
    right = sum(
        classifier.predict(sample.path, top_k=1)[0][0].label == sample.path.parent.name for sample in test.samples
    )
    metrics = _read(result.directory, "metrics.json")
    assert metrics["test"]["photos"] == len(test)
    assert metrics["test"]["top1"] == pytest.approx(right / len(test))
    assert np.sum(metrics["test"]["confusion"]) == len(test)


def test_learns_to_tell_drawn_flowers_apart(run):
    result, _ = run
    # Chance is 0.2; a frozen Lite0 tells the drawn kinds apart well above 0.8 even from a dozen pictures each.
    assert result.report["folds"]["top1"] >= 0.8
    assert result.report["cross_validation"]["top1"] >= 0.8


def test_int8_file_agrees_with_its_float_model(run):
    result, _ = run
    assert result.report["agreement"]["same_top1"] >= 0.9
    assert result.report["kernels"]["none"]["same_top1"] >= 0.9
    assert inspection.inspect((result.directory / "model.tflite").read_bytes()).float_operators == ()


def test_int8_file_is_small(run):
    result, _ = run
    assert (result.directory / "model.tflite").stat().st_size <= 4.3e6


def test_labels_and_provenance_stand_in_the_file(run, flowers):
    result, _ = run
    info = metadata.read((result.directory / "model.tflite").read_bytes())
    assert info.labels == tuple(sorted(path.name for path in flowers.iterdir()))
    assert info.name == "flowers"
    assert info.provenance["fingerprint"] == result.report["fingerprint"]
    assert (result.directory / "labels.txt").read_text().split() == list(info.labels)


def test_run_record_tells_options_versions_stages(run, flowers):
    result, heard = run
    record = _read(result.directory, "run.json")
    assert record["data"] == str(flowers)
    assert record["options"]["folds"] == 3 and record["options"]["seed"] == 0
    assert [stage["name"] for stage in record["stages"]] == heard.stages[:-1]  # all before the writing itself
    assert all(stage["seconds"] >= 0 and stage["peak_memory_mb"] > 10 for stage in record["stages"])
    assert sum(record["classes"].values()) == 5 * PER_CLASS == sum(record["photos"].values())


def test_progress_counts_to_the_end(run):
    _, heard = run
    assert (5 * PER_CLASS, 5 * PER_CLASS) in heard.steps
    assert all(0 < done <= total for done, total in heard.steps)


def test_same_inputs_give_the_same_bytes(run, flowers, tmp_path):
    first, _ = run
    again = model_maker.train(flowers, tmp_path / "again", folds=3)
    for name in KEPT:
        assert (again.directory / name).read_bytes() == (first.directory / name).read_bytes(), name


def test_augmented_views_are_learned_from(run, flowers, tmp_path):
    plain, _ = run
    heard = Heard()
    result = model_maker.train(flowers, tmp_path / "model", progress=heard, augment="light", views=3, folds=3)
    assert "Embed views (light)" in heard.stages
    assert result.report["photos"] == plain.report["photos"]  # photos are counted, not views
    assert result.report["cross_validation"] != plain.report["cross_validation"]
    assert result.report["folds"]["top1"] >= 0.8  # as without
    record = _read(result.directory, "run.json")
    assert (record["options"]["augment"], record["options"]["views"]) == ("light", 3)
    again = model_maker.train(flowers, tmp_path / "again", augment="light", views=3, folds=3)
    for name in KEPT:
        assert (again.directory / name).read_bytes() == (result.directory / name).read_bytes(), name


def test_test_photos_are_not_augmented_in_vain(flowers, tmp_path, lite0, monkeypatch):
    made, views = [], augment.views

    def noting(photo, *arguments, numbers, **options):
        made.extend((photo, number) for number in numbers)
        return views(photo, *arguments, numbers=numbers, **options)

    monkeypatch.setattr(augment, "views", noting)
    result = model_maker.train(flowers, tmp_path / "model", augment="light", views=2, seed=9)
    photos = result.report["photos"]
    # The plain photos are known from the runs before; of the others, one more view each.
    augmented = {photo for photo, number in made if number == 1}
    assert len(augmented) == photos["train"] + photos["validation"]
    test, _ = run_record.test_part(result.directory)
    assert not augmented & {sample.path for sample in test.samples}


def test_an_unknown_augmentation_is_refused_before_any_work(flowers, tmp_path):
    with pytest.raises(DataError, match="--augment wild: choose one of none, light, standard, strong"):
        model_maker.train(flowers, tmp_path / "model", augment="wild")
    with pytest.raises(DataError, match="--views 1: give 2 or more"):
        model_maker.train(flowers, tmp_path / "model", augment="light", views=1)


def test_another_seed_divides_the_photos_otherwise(run, flowers, tmp_path):
    first, _ = run
    other = model_maker.train(flowers, tmp_path / "other", seed=1)
    assert other.report["fingerprint"] == first.report["fingerprint"]
    assert other.report["test"]["confusion"] != first.report["test"]["confusion"]


@pytest.mark.parametrize("kind", ["none", "dynamic", "float16"])
@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_other_formats_keep_accuracy(run, flowers, tmp_path, kind, io):
    result = model_maker.train(flowers, tmp_path / "model", quantize=kind, io=io)
    facts = inspection.inspect((result.directory / "model.tflite").read_bytes())
    assert facts.quantization == kind
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == (io, io)
    # Less is lost than by int8: at most one photo of the test part may change its label.
    assert result.report["agreement"]["same_top1"] >= 1 - 1 / result.metrics.photos


def test_a_budget_is_judged_on_validation_and_told(flowers, tmp_path, lite0):
    result = model_maker.train(flowers, tmp_path / "model", max_drop=3.0)
    metrics, record = (_read(result.directory, name) for name in ("metrics.json", "run.json"))
    found = metrics["budget"]
    assert (found["max_drop"], found["photos"]) == (3.0, metrics["photos"]["validation"])
    assert found["within"] and found["chosen"] == found["steps"][-1]["name"] == result.budget.choice.name
    # Latency differs from run to run, so it stands in run.json alone.
    assert "latency_ms" not in found["steps"][0] and record["budget"]["steps"][0]["latency_ms"] > 0
    assert metadata.read((result.directory / "model.tflite").read_bytes()).provenance["budget"] == {
        "max_drop": 3.0,
        "within": True,
        "chosen": found["chosen"],
    }


def test_bad_files_are_skipped_counted_and_listed(flowers, tmp_path, lite0):
    data = shutil.copytree(flowers, tmp_path / "data")
    (data / "rose/cut.jpg").write_bytes((data / "rose/rose_000.jpg").read_bytes()[:2000])
    (data / "tulip/empty.jpg").write_bytes(b"")
    (data / "daisy/text.png").write_text("not a picture")
    (data / "daisy/notes.txt").write_text("not meant to be one")
    heard = Heard()
    result = model_maker.train(data, tmp_path / "model", quantize="float16", progress=heard)
    record = _read(result.directory, "run.json")
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in record["skipped"]}
    assert set(reasons) == {"cut.jpg", "empty.jpg", "text.png"}
    assert "empty" in reasons["empty.jpg"] and "truncated" in reasons["cut.jpg"]
    assert any("cannot be read as photos: 3" in note for note in heard.notes)
    assert any("1 other file" in note for note in record["notes"])
    assert sum(record["photos"].values()) == 5 * PER_CLASS


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


def test_odd_class_names_reach_the_labels(flowers, tmp_path, lite0):
    names = {"daisy": "gänse blümchen", "rose": "玫瑰", "tulip": "tulip∕red", "sunflower": "..sun"}
    data = tmp_path / "data"
    for old, new in names.items():
        shutil.copytree(flowers / old, data / new)
    heard = Heard()
    result = model_maker.train(data, tmp_path / "model", quantize="float16", progress=heard)
    labels = (result.directory / "labels.txt").read_text(encoding="utf-8").split("\n")
    # A leading dot hides a folder; it is not used, and that is said.
    assert labels == sorted(["gänse blümchen", "玫瑰", "tulip∕red"])
    assert any("..sun" in note and "hidden" in note for note in heard.notes)
    assert Classifier(result.directory).labels == tuple(labels)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "efficientnet_light0"}, BackboneError, "Did you mean efficientnet_lite0"),
        ({"quantize": "int7"}, DataError, "--quantize int7: choose one of int8, int16x8, int4, dynamic, float16, none"),
        ({"max_drop": -1.0}, DataError, "--max-drop -1: give percentage points, 0 or more and below 100"),
        ({"max_drop": float("nan")}, DataError, "--max-drop nan"),
        ({"max_drop": 0.5, "quantize": "none"}, DataError, "--max-drop limits .* --quantize none loses nothing"),
        ({"io": "int8"}, DataError, "--io int8: choose one of uint8, float32"),
        ({"folds": 1}, DataError, "--folds 1"),
        ({"folds": 40}, DataError, "--folds 40 needs 40"),
        ({"test": 1.5}, DataError, "--test 1.5"),
        ({"image_size": 7}, BackboneError, "32 to 1024"),
        ({"threads": 0}, DataError, "--threads 0"),
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
    reason = "lies in the data" if output == "photos/rose" else "holds photos to learn from"
    with pytest.raises(OutputError, match=reason):
        model_maker.train(photos, home / output, overwrite=True)
    assert sorted(home.rglob("*")) == before


def test_an_output_inside_the_data_is_refused(flowers, tmp_path, lite0, monkeypatch):
    """The next run would learn its plots; by default the output of `--data .` would lie there."""
    photos = shutil.copytree(flowers, tmp_path / "photos")
    monkeypatch.chdir(photos)
    for data, output in ((".", None), (photos, "model"), ("../photos", photos / "rose/model")):
        with pytest.raises(OutputError, match="lies in the data, .* Choose a folder outside of it with --output"):
            model_maker.train(data, output)
    assert sorted(path.name for path in photos.iterdir()) == sorted(path.name for path in flowers.iterdir())


def test_evaluation_passes_over_what_training_skipped(flowers, tmp_path, lite0, monkeypatch):
    """Also from another folder, and where bad files are more than the test part has photos."""
    shutil.copytree(flowers, tmp_path / "photos")
    for number in range(20):
        (tmp_path / f"photos/rose/empty{number}.jpg").touch()
    # The name is no text: what it is told in has to bear that.
    (tmp_path / "photos/rose" / os.fsdecode(b"cut\xff.jpg")).write_bytes(b"\xff\xd8\xff\xe0 broken")
    monkeypatch.chdir(tmp_path)
    result = model_maker.train("photos", "model", quantize="float16")
    monkeypatch.chdir("/")
    test, notes = run_record.test_part(tmp_path / "model")
    assert notes == []
    assert Classifier(tmp_path / "model").evaluate(test).photos == result.metrics.photos


def test_overwrite_spares_what_train_did_not_make(flowers, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.txt").write_text("years of work")
    with pytest.raises(OutputError, match="was not made here"):
        model_maker.train(flowers, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis/chapter1.txt").read_text() == "years of work"


def test_a_file_that_answers_otherwise_is_noted():
    heard = Heard()
    report = {
        "agreement": {"photos": 100, "same_top1": 0.9},
        "kernels": {"none": {"photos": 64, "same_top1": 63 / 64}, "reference": {"photos": 3, "same_top1": 1 / 3}},
    }
    metrics_record.warn(report, heard)
    assert [("float" in note, "10 of 100" in note) for note in heard.notes[:1]] == [(True, True)]
    assert "2 of 3" in heard.notes[1] and len(heard.notes) == 2


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
    with pytest.raises(ModelError, match="other scores"):
        model_maker.train(flowers, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def _with_turned_head(content):
    model = graph.parse(content)
    kernel = next(tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"head/kernel")
    buffer = model.buffers[kernel.buffer]
    rows = np.asarray(buffer.data, np.uint8).reshape(tuple(kernel.shape))
    buffer.data = np.ascontiguousarray(rows[::-1]).ravel()
    return graph.pack(model)


def test_config_names_no_machine_path_in_the_model(run):
    result, _ = run
    content = (result.directory / "model.tflite").read_bytes()
    assert str(result.directory.parent).encode() not in content
    assert files.cache_directory().as_posix().encode() not in content


def test_precisions_write_thresholds_and_measure_them(drawn_flowers, lite0, tmp_path):
    result = model_maker.train(drawn_flowers, tmp_path / "careful", precision=0.6, label_precision=0.7)
    found = result.report["thresholds"]
    classifier = Classifier(result.directory)
    assert found["all"]["kept"] and found["all"]["bound"] >= 0.6
    labels = classifier.labels
    own = np.float32([found["labels"][name]["score"] for name in labels])
    np.testing.assert_array_equal(classifier.thresholds, own)
    assert found["score"] == min(entry["score"] for entry in found["labels"].values()) >= found["all"]["score"]
    # Cross-validated: each photo that was learned from is judged once, and given one label.
    learned = result.report["photos"]["train"] + result.report["photos"]["validation"]
    assert found["all"]["photos"] == learned >= sum(entry["photos"] for entry in found["labels"].values())
    scores = classifier.score(run_record.test_part(result.directory)[0])
    answered = scores.max(1) >= classifier.thresholds[scores.argmax(1)]
    assert found["test"]["answered"] == answered.sum() and found["test"]["photos"] == len(scores)
    card = (result.directory / "README.md").read_text()
    name = "the label's own" if own.min() < own.max() else f"{found['score']:g}, the model's"
    assert f"| {name} | {100 * answered.mean():.1f} % |" in card


def test_without_a_stated_precision_every_photo_is_answered(trained):
    report = json.loads((trained["uint8"] / "metrics.json").read_text())
    assert "thresholds" not in report and not Classifier(trained["uint8"]).thresholds.any()
    scores, labels = scored_test_part(trained["uint8"])
    for entry in report["trade_off"]:
        said = scores.max(1) >= entry["score"]
        assert entry["answered"] == said.sum()
        assert entry["precision"] == pytest.approx((scores.argmax(1) == labels)[said].mean() if said.any() else 0)


def scored_test_part(folder):
    test, _ = run_record.test_part(folder)
    return Classifier(folder).score(test), np.array(test.labels)


@pytest.mark.parametrize("precision", [0, 1, 1.5, float("nan")])
@pytest.mark.parametrize("option", ["precision", "label_precision"])
def test_a_precision_that_means_nothing_is_refused(drawn_flowers, tmp_path, option, precision):
    flag = option.replace("_", "-")
    with pytest.raises(DataError, match=f"^--{flag} .*: give a share above 0 and below 1"):
        model_maker.train(drawn_flowers, tmp_path / "model", **{option: precision})


def test_an_archive_gives_the_model_of_its_folder(flowers, run, tmp_path):
    archive = shutil.make_archive(str(tmp_path / flowers.name), "zip", flowers.parent, flowers.name)
    result = model_maker.train(archive, tmp_path / "model", folds=3)
    for name in KEPT:
        assert (result.directory / name).read_bytes() == (run[0].directory / name).read_bytes(), name
    test, notes = run_record.test_part(result.directory)
    assert notes == [] and len(test) == result.metrics.photos


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
