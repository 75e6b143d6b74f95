"""Several labels a photo, from pairs of flowers to the file that ships."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score

import model_maker
from benchmarks import several_labels
from model_maker import Classifier, cli, output_folder, run_record
from model_maker.data import images, sources
from model_maker.errors import DataError, ModelError
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.tflite import graph, inspection, metadata
from model_maker.verification import clients

FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")


@pytest.fixture(scope="module")
def lists(flowers, tmp_path_factory):
    return several_labels.make(flowers, tmp_path_factory.mktemp("pairs") / "pairs", side=112)


@pytest.fixture(scope="module")
def several(lists, tmp_path_factory, lite0):
    """A model of several labels, with its cross-validation."""
    home = tmp_path_factory.mktemp("models")
    return model_maker.train(lists[0], home / "several_model", multi_label=True, folds=2)


def command(*words):
    return cli.main(cli.parse(["model_maker", *map(str, words)]))


def truth(dataset, classes):
    """bool [N, C], from the names alone."""
    return np.array([[name in dataset.name(sample).split(", ") for name in classes] for sample in dataset.samples])


def test_metrics_are_those_of_the_file_on_the_test_photos(several):
    test, _ = run_record.test_part(several.directory)
    scores, targets = Classifier(several.directory).score(test), truth(test, FLOWERS)
    report = json.loads((several.directory / output_folder.METRICS).read_bytes())["test"]
    assert report["mean_average_precision"] == pytest.approx(average_precision_score(targets, scores, average="macro"))
    limits = [report["per_class"][name]["threshold"] for name in FLOWERS]
    assert report["macro_f1"] == pytest.approx(f1_score(targets, scores >= np.float32(limits), average="macro"))
    assert report["exact_match"] == pytest.approx(((scores >= np.float32(limits)) == targets).all(axis=1).mean())
    assert isinstance(several.metrics, MultiLabelMetrics) and several.metrics.as_dict() == report
    np.testing.assert_array_equal(several.scored.labels, targets)


def test_drawn_pairs_are_told_apart(several):
    # Two drawings side by side are easy, and chance is about one label in three.
    assert several.metrics.mean_average_precision > 0.8
    assert several.report["folds"]["mean_average_precision"] > 0.6  # half of the photos learn
    assert several.report["agreement"]["same_labels"] > 0.8


def test_the_graph_ends_in_a_sigmoid_of_eight_bits(several):
    content = (several.directory / output_folder.MODEL).read_bytes()
    facts = inspection.inspect(content)
    assert facts.operators["LOGISTIC"] == 1 and "SOFTMAX" not in facts.operators and not facts.float_operators
    assert (facts.outputs[0].dtype, facts.outputs[0].scale, facts.outputs[0].zero_point) == ("uint8", 1 / 256, 0)
    model = graph.parse(content)
    [sigmoid] = [one for one in model.subgraphs[0].operators if graph.operator_name(model, one) == "LOGISTIC"]
    stated = model.subgraphs[0].tensors[sigmoid.outputs[0]].quantization
    assert (stated.scale[0], stated.zeroPoint[0]) == (1 / 256, -128)  # as TFLite's specification wants it


def test_the_metadata_carries_a_threshold_for_each_label(several):
    info = metadata.read((several.directory / output_folder.MODEL).read_bytes())
    chosen = several.report["thresholds"]["labels"]
    assert info.multi_label and info.labels == FLOWERS
    assert info.limits.tolist() == pytest.approx([chosen[name]["score"] for name in FLOWERS])
    assert info.threshold == pytest.approx(min(info.limits))
    assert info.provenance["metrics"]["mean_average_precision"] == several.metrics.mean_average_precision
    assert "multi_label" not in info.provenance  # which is only how it is stored


def test_a_rewritten_file_is_the_same(several):
    content = (several.directory / output_folder.MODEL).read_bytes()
    info = metadata.read(content)
    assert metadata.read(metadata.write(content, info)) == info


def test_predict_gives_every_label_that_reaches_its_threshold(several, lists):
    photos = sorted(lists[0].parent.glob("*.jpg"))[:6]
    classifier = Classifier(several.directory)
    scores = [next(classifier.scores([photo])) for photo in photos]
    for row, found in zip(scores, classifier.predict(photos), strict=True):
        expected = [
            FLOWERS[index] for index in np.argsort(-row, kind="stable") if row[index] >= classifier.thresholds[index]
        ]
        assert [one.label for one in found] == expected
    assert all(len(found) == 5 for found in classifier.predict(photos, threshold=0))
    assert classifier.predict(photos, threshold=1, top_k=None) == [[]] * 6
    assert [len(found) for found in classifier.predict(photos, threshold=0, top_k=2)] == [2] * 6


def test_a_pipeline_gives_the_scores_as_they_are(several, lists):
    photo = lists[0].parent / "0000.jpg"
    classifier = Classifier(several.directory)
    scores = dict(zip(FLOWERS, next(classifier.scores([photo])).tolist(), strict=True))
    for function in (None, "sigmoid", "default"):
        assert {one["label"]: one["score"] for one in classifier(photo, function_to_apply=function)} == scores
    logits = {one["label"]: one["score"] for one in classifier(photo, function_to_apply="none")}
    inside = {name: score for name, score in scores.items() if 0 < score < 255 / 256}
    for name, score in inside.items():
        assert 1 / (1 + np.exp(-logits[name])) == pytest.approx(score)
    shares = [one["score"] for one in classifier(photo, function_to_apply="softmax")]
    assert sum(shares) == pytest.approx(1) and sorted(shares, reverse=True) == shares


def test_the_command_line_shows_labels_and_metrics(several, lists, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blank = tmp_path / "blank.png"
    Image.new("RGB", (50, 50), "white").save(blank)
    photo = lists[0].parent / "0001.jpg"
    assert command("predict", several.directory, photo, blank, "--threshold", "0.999", "--save", "kept") == 0
    assert capsys.readouterr().out.count("no label") >= 1
    assert command("predict", several.directory, photo, "--json", "--threshold", "0") == 0
    assert len(json.loads(capsys.readouterr().out)[0]["predictions"]) == 5
    page = tmp_path / "page.html"
    assert command("evaluate", several.directory, "--report", page) == 0
    shown = capsys.readouterr().out
    assert f"mAP {100 * several.metrics.mean_average_precision:.1f} %" in shown and "exact match" in shown
    assert (tmp_path / "page_precision_recall.png").is_file() and "Labels by average precision" in page.read_text()
    assert command("evaluate", several.directory, "--data", lists[0], "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photos"] == 35 and found["learned_from"]["photos"] == sum(
        several.report["photos"][part] for part in ("train", "validation")
    )


def test_report_and_card_state_the_measured_figures(several):
    page = (several.directory / output_folder.REPORT).read_text()
    card = (several.directory / output_folder.CARD).read_text()
    shown = f"{100 * several.metrics.mean_average_precision:.1f} %"
    assert shown in page and shown in card and "Confusion" not in page
    assert {"per_class.png", "precision_recall.png"} <= {file.name for file in several.directory.glob("*.png")}
    for entry in several.metrics.per_class:
        assert f"| {entry.label} | {entry.threshold:.3f} | {entry.photos} |" in card


@pytest.mark.parametrize(
    "options", [{"io": "float32"}, {"quantize": "float16"}, {"label_precision": 0.6}, {"augment": "light", "views": 2}]
)
def test_other_forms_give_several_labels_too(lists, tmp_path, lite0, several, options):
    found = model_maker.train(lists[0], tmp_path / "model", multi_label=True, **options)
    info = metadata.read((found.directory / output_folder.MODEL).read_bytes())
    assert info.multi_label and found.metrics.mean_average_precision > 0.7
    if "label_precision" in options:
        assert {entry["precision"] for entry in found.report["thresholds"]["labels"].values()} == {0.6}


def test_cross_validation_scores_every_photo_once(several, lists):
    folds = several.report["folds"]
    assert folds["folds"] == 2 and folds["photos"] == 35
    assert {name: entry["photos"] for name, entry in folds["per_class"].items()} == dict(
        zip(FLOWERS, sources.read(lists[0], multi_label=True).counts, strict=True)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": 0.9}, "`precision` does not work with `multi_label=True`. Pass `label_precision`"),
        (
            {"coverage": 0.9},
            "`coverage` does not work with `multi_label=True`. Leave it out: each label has a threshold",
        ),
        ({"max_drop": 0.5}, "`max_drop` does not work with `multi_label=True`. Leave it out"),
        ({"labels_from_text": "known"}, "`labels_from_text` does not work with `multi_label=True`"),
        ({"fine_tune": "tail"}, "`fine_tune` does not work with `multi_label=True`. Leave one of them out"),
    ],
)
def test_what_supposes_one_label_is_refused(lists, tmp_path, options, message):
    with pytest.raises(DataError) as caught:
        model_maker.train(lists[0], tmp_path / "model", multi_label=True, **options)
    assert message in str(caught.value) and not (tmp_path / "model").exists()


def test_comparing_models_is_refused(lists, tmp_path):
    with pytest.raises(DataError, match="`multi_label=True` trains one model at a time"):
        model_maker.compare(lists[0], ["efficientnet_lite0", "mobilenet_v2"], tmp_path / "models", multi_label=True)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda model, out: model_maker.edit_classes(model, out, rename={"rose": "r"}),
            "editing classes needs a model of",
        ),
        (lambda model, out: model_maker.combine([model, model], out), "combining needs a model of one label"),
        (lambda model, out: model_maker.split_model(model, out), "a head that learns classes needs a model of one"),
        (lambda model, out: model_maker.organize(model.parent, out, model=model), "sorting into folders needs a model"),
    ],
)
def test_what_needs_one_label_says_so(several, tmp_path, work, message):
    with pytest.raises(ModelError, match=f"{message}.*and this one gives several"):
        work(several.directory, tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_a_forecast_for_one_label_a_photo_is_refused(several):
    with pytest.raises(ModelError, match="is a multi-label model, but forecasts need one label per photo"):
        model_maker.advise(several.directory)


def test_data_of_one_label_is_measured_as_sets_of_one(several, flowers):
    found = Classifier(several.directory).evaluate(sources.read(flowers))
    assert found.photos == 70 and {entry.photos for entry in found.per_class} == {14}


def test_several_labels_are_not_measured_on_a_model_of_one(run, lists):
    with pytest.raises(DataError, match="needs one label for each photo"):
        Classifier(run[0].directory).evaluate(sources.read(lists[0], multi_label=True))


def test_generated_code_gives_all_labels_by_default(several, run):
    code = model_maker.codegen(several.directory, "python")
    assert "top_k: int = 5" in code and "top_k: int = 3" in model_maker.codegen(run[0].directory, "python")
    limits = metadata.read((several.directory / output_folder.MODEL).read_bytes()).label_thresholds
    assert f"OWN_THRESHOLDS = [{', '.join(map(str, limits))}]" in code and "softmax" not in code


def test_the_file_alone_gives_the_scores_of_the_interpreter(several, lists):
    """The reference runs the file without any of our code: no score is changed on the way."""
    content = (several.directory / output_folder.MODEL).read_bytes()
    pixels = images.load(lists[0].parent / "0002.jpg", 224)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None])
    interpreter.invoke()
    raw = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    np.testing.assert_array_equal(next(Classifier(content).scores([pixels])), raw / np.float32(256))


@pytest.mark.slow
def test_a_run_is_reproduced_to_the_byte(several, lists):
    assert model_maker.reproduce(several.directory, lists[0]).equal


@pytest.mark.slow
def test_a_photo_is_forgotten_to_the_byte(lists, tmp_path, lite0):
    """Also with a self-test in the file, and photos that are letterboxed."""
    options = {"multi_label": True, "resize": "letterbox", "self_test": True}
    model = model_maker.train(lists[0], tmp_path / "model", **options).directory
    forgotten = lists[0].parent / "0000.jpg"
    receipt = model_maker.forget(model, [forgotten], lists[0], tmp_path / "without")
    fewer = shutil.copytree(lists[0].parent, tmp_path / "fewer")
    (fewer / forgotten.name).unlink()
    rows = [line.split(",") for line in lists[0].read_text(encoding="utf-8").splitlines()[1:]]
    several_labels.write(fewer / lists[0].name, [row for row in rows if row[0] != forgotten.name])
    never = model_maker.train(fewer / lists[0].name, tmp_path / "never", **options)
    ours, theirs = ((folder / output_folder.MODEL).read_bytes() for folder in (tmp_path / "without", never.directory))
    assert ours == theirs
    assert receipt.before.photos - receipt.after.photos == 1
    assert receipt.metric == "mean_average_precision"
    assert receipt.values[1] == never.metrics.mean_average_precision


@pytest.mark.slow
@pytest.mark.onnx
@pytest.mark.tensorflow
def test_exports_without_metadata_have_their_thresholds_beside_them(several, lists, tmp_path):
    found = model_maker.export(several.directory, tmp_path / "exported", formats=["onnx", "tflite-float16"])
    assert [entry.failure for entry in found.entries] == ["", ""]
    ours = Classifier(several.directory)
    other = Classifier(tmp_path / "exported" / "onnx")
    assert other.info.multi_label and other.thresholds.tolist() == pytest.approx(ours.thresholds.tolist())
    assert not (tmp_path / "exported" / "tflite-float16" / output_folder.MULTI_LABEL).exists()
    photos = sorted(lists[0].parent.glob("*.jpg"))
    same = [{one.label for one in model} for model in other.predict(photos)]
    # Eight bits move a few scores across their thresholds.
    assert sum(a == {one.label for one in b} for a, b in zip(same, ours.predict(photos), strict=True)) >= 0.8 * len(
        photos
    )


@pytest.mark.slow
def test_real_pairs_are_labeled_better_than_with_one_label(shared_data, tmp_path):
    """The bar: mAP above that of training with one label on the same photos."""
    several, left = several_labels.make(shared_data / "flowers", tmp_path / "pairs")
    both = model_maker.train(several, tmp_path / "both", multi_label=True)
    one = model_maker.train(left, tmp_path / "one")
    test, _ = run_record.test_part(both.directory)
    unseen = {digest[:16] for digest in json.loads((one.directory / output_folder.SPLIT).read_bytes())["test"]}
    test = dataclasses.replace(test, samples=tuple(s for s in test.samples if s.digest[:16] in unseen))
    targets = truth(test, test.classes)
    found = [
        average_precision_score(targets, Classifier(made.directory).score(test), average="macro")
        for made in (both, one)
    ]
    assert len(test) >= 40 and found[0] > 0.8 and found[0] > found[1] + 0.03


@pytest.mark.slow
@pytest.mark.verify
@pytest.mark.parametrize("client", list(clients.CLIENTS))
def test_phone_clients_give_the_same_scores(several, lists, tmp_path, client):
    """Labels that reach their thresholds have our scores to the step, the others are left out."""
    if why := clients.missing(client):
        pytest.skip(why)
    classifier, photos = Classifier(several.directory), []
    for number, photo in enumerate(sorted(lists[0].parent.glob("*.jpg"))[:8]):
        photos.append(tmp_path / f"{number}.png")
        Image.fromarray(images.load(photo, 224)).save(photos[-1])
    [answer] = clients.ask(client, [several.directory / output_folder.MODEL], photos)
    assert answer.refusal == ""
    ours = np.array(list(classifier.scores(photos)))
    expected = np.where(ours >= classifier.thresholds, ours, np.nan)
    np.testing.assert_array_equal(answer.scores(5), expected)
