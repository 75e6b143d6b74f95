"""The whole story on drawn flowers: what train() makes, repeats, refuses and leaves behind."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from card_values import REPORT
from heard import Heard

import model_maker
from model_maker import run_record
from model_maker.data import augment
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.training_report import KernelAgreement
from model_maker.system import files
from model_maker.tflite import inspection, metadata
from model_maker.training import metrics_record

PER_CLASS = 14
PLOTS = ("confusion.png", "calibration.png", "per_class.png", "head.png")
KEPT = ("model.tflite", "float.tflite", "labels.txt", "metrics.json", "README.md", *PLOTS)


def _read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_writes_the_promised_files(run):
    result, _ = run
    assert sorted(path.name for path in result.directory.iterdir()) == sorted(
        (*KEPT, "run.json", "report.html", "split.json")
    )
    assert [path for path in result.directory.parent.iterdir() if path != result.directory] == []


def test_report_states_the_metrics_and_the_times(run):
    result, _ = run
    page = (result.directory / "report.html").read_text(encoding="utf-8")
    assert f"<b>{100 * result.metrics.top1:.1f} %</b> correct on {result.metrics.photos} test photos" in page
    assert page.count('<span class="bad">') == min(24, round(result.metrics.photos * (1 - result.metrics.top1)))
    # Two correct answers of each of five classes.
    assert page.count('<span class="good">') == sum(min(2, count) for count in result.metrics.confusion.diagonal())
    assert all(stage["name"] in page for stage in _read(result.directory, "run.json")["stages"])


def test_metrics_are_those_of_the_file(run, flowers):
    # Counted here by hand from the file's own predictions on the photos that its run.json leaves for the test.
    result, _ = run
    classifier = FileClassifier(result.directory)
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


def test_run_record_states_options_versions_stages(run, flowers):
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


def test_test_photos_are_not_augmented_in_vain(flowers, tmp_path, empty_cache, monkeypatch):
    made, views = [], augment.views

    def noting(photo, *arguments, numbers, **options):
        made.extend((photo, number) for number in numbers)
        return views(photo, *arguments, numbers=numbers, **options)

    monkeypatch.setattr(augment, "views", noting)
    result = model_maker.train(flowers, tmp_path / "model", augment="light", views=2, seed=9)
    photos = result.report["photos"]
    # View 0 is the photo as it is.
    augmented = {photo for photo, number in made if number == 1}
    assert len(augmented) == photos["train"] + photos["validation"]
    test, _ = run_record.test_part(result.directory)
    assert not augmented & {sample.path for sample in test.samples}


def test_another_seed_divides_the_photos_otherwise(run, flowers, tmp_path):
    first, _ = run
    other = model_maker.train(flowers, tmp_path / "other", seed=1)
    assert other.report["fingerprint"] == first.report["fingerprint"]
    assert other.report["test"]["confusion"] != first.report["test"]["confusion"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["none", "dynamic", "float16"])
@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_other_formats_keep_accuracy(run, flowers, tmp_path, kind, io):
    result = model_maker.train(flowers, tmp_path / "model", quantize=kind, io=io)
    facts = inspection.inspect((result.directory / "model.tflite").read_bytes())
    assert facts.quantization == kind
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == (io, io)
    # Less is lost than by int8: at most one photo of the test part may change its label.
    assert result.report["agreement"]["same_top1"] >= 1 - 1 / result.metrics.photos


def test_a_budget_is_judged_on_validation_and_reported(flowers, tmp_path, lite0):
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
    assert FileClassifier(result.directory).labels == tuple(labels)


def test_evaluation_passes_over_what_training_skipped(flowers, tmp_path, lite0, monkeypatch):
    """Also from another folder, and where bad files are more than the test part has photos."""
    shutil.copytree(flowers, tmp_path / "photos")
    for number in range(20):
        (tmp_path / f"photos/rose/empty{number}.jpg").touch()
    # The name is not valid text; messages have to support that.
    (tmp_path / "photos/rose" / os.fsdecode(b"cut\xff.jpg")).write_bytes(b"\xff\xd8\xff\xe0 broken")
    monkeypatch.chdir(tmp_path)
    result = model_maker.train("photos", "model", quantize="float16")
    monkeypatch.chdir("/")
    test, notes = run_record.test_part(tmp_path / "model")
    assert notes == []
    assert FileClassifier(tmp_path / "model").evaluate(test).photos == result.metrics.photos


def test_a_file_that_answers_otherwise_is_noted():
    heard = Heard()
    kernels = {
        name: KernelAgreement(photos=photos, same_top1=same, largest_difference=0.1)
        for name, photos, same in (("none", 64, 63 / 64), ("reference", 3, 1 / 3))
    }
    agreement = dataclasses.replace(REPORT.agreement, photos=100, same_top1=0.9)
    metrics_record.warn(dataclasses.replace(REPORT, agreement=agreement, kernels=kernels), heard)
    assert [("float" in note, "10 of 100" in note) for note in heard.notes[:1]] == [(True, True)]
    assert "2 of 3" in heard.notes[1] and len(heard.notes) == 2


def test_config_names_no_machine_path_in_the_model(run):
    result, _ = run
    content = (result.directory / "model.tflite").read_bytes()
    assert str(result.directory.parent).encode() not in content
    assert files.cache_directory().as_posix().encode() not in content


def test_precisions_write_thresholds_and_measure_them(drawn_flowers, lite0, tmp_path):
    result = model_maker.train(drawn_flowers, tmp_path / "careful", precision=0.6, label_precision=0.7)
    found = result.report["thresholds"]
    classifier = FileClassifier(result.directory)
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
    assert "thresholds" not in report and not FileClassifier(trained["uint8"]).thresholds.any()
    scores, labels = scored_test_part(trained["uint8"])
    for entry in report["trade_off"]:
        said = scores.max(1) >= entry["score"]
        assert entry["answered"] == said.sum()
        assert entry["precision"] == pytest.approx((scores.argmax(1) == labels)[said].mean() if said.any() else 0)


def scored_test_part(folder):
    test, _ = run_record.test_part(folder)
    return FileClassifier(folder).score(test), np.array(test.labels)


def test_an_archive_gives_the_model_of_its_folder(flowers, run, tmp_path):
    archive = shutil.make_archive(str(tmp_path / flowers.name), "zip", flowers.parent, flowers.name)
    result = model_maker.train(archive, tmp_path / "model", folds=3)
    for name in KEPT:
        assert (result.directory / name).read_bytes() == (run[0].directory / name).read_bytes(), name
    test, notes = run_record.test_part(result.directory)
    assert notes == [] and len(test) == result.metrics.photos


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mobilenet_v2_035_96_embedder_with_metadata", "mobilenet_v1_0.25_128_quant", "tf2_mobilenet_v2_1.0_224_ptq"],
)
def test_published_models_serve_as_backbones(shared_weights, drawn_flowers, tmp_path, name):
    result = model_maker.train(
        drawn_flowers, tmp_path / "made", model=str(shared_weights / "tflite" / f"{name}.tflite")
    )
    assert result.metrics.top1 > 0.5  # five classes
    assert (tmp_path / "made" / "model.tflite").stat().st_size > 100_000
