"""metrics.json: read back as it was written, also by an older version, and what is damaged named in one line."""

import json

import pytest
from card_values import CONTENT

from model_maker.errors import DataError
from model_maker.inference import training_report
from model_maker.inference.training_report import MultiLabelReport, TrainingReport

CHANGE = {
    "photos": 125,
    "same_top1": 1.0,
    "largest_difference": 0.5,
    "accuracy_change": 0.1,
    "accuracy_change_interval": [0.0, 0.2],
}
KEPT = {"photos": 9, "top1_alone": 0.5, "top1": 0.625, "turned_wrong_alone": 2, "turned_wrong": 1}
PROVEN = {"precision": 0.9, "score": 0.5, "bound": 0.95, "photos": 9, "answered": 8, "right": 8, "kept": True}
HELD = {"photos": 9, "coverage": 1.0, "coverage_interval": [0.7, 1.0], "size": 1.5}
# Every part that options add, in the order of the file.
WHOLE = {
    **{key: CONTENT[key] for key in ("test", "float", "agreement", "cross_validation", "photos")},
    "trade_off": [
        {
            "score": 0.5,
            "photos": 10,
            "answered": 9,
            "coverage": 0.9,
            "precision": 0.75,
            "precision_interval": [0.5, 1.0],
        }
    ],
    "fingerprint": "0123",
    "labels_from_text": {"tier": "known", "source": "WordNet", "labels": {"rose": "a flower"}, "scale": 2.0},
    "thresholds": {
        "score": 0.5,
        "all": PROVEN,
        "labels": {"rose": PROVEN, "a|b": PROVEN | {"bound": 0.5, "kept": False}},
        "test": {"photos": 4, "answered": 3, "coverage": 0.75, "precision": 1.0, "precision_interval": [0.4, 1.0]},
    },
    "kernels": {"none": {"photos": 16, "same_top1": 1.0, "largest_difference": 0.25}},
    "folds": {"folds": 3, **CONTENT["test"], "frozen_top1": 0.5, "against_frozen": CHANGE},
    "budget": {"max_drop": 1.0, "photos": 9, "float_top1": 0.5, "within": True, "chosen": "int8", "steps": []},
    "kept_answers": {"old": "old_model", "weight": 0.5, "held_out": KEPT, "test": KEPT},
    "label_sets": {
        "coverage": 0.9,
        "labels": {"rose": {"limit": 0.25, "photos": 9, "by_class": True}},
        "test": {"promised": 0.9, **HELD, "single": 0.5, "per_class": {"rose": HELD}},
    },
    "advice": {
        "photos": 20,
        "per_class": 10.0,
        "test": {"photos": 4, "top1": 0.5},
        "curve": [{"per_class": 2.5, "top1": 0.25}],
        "forecasts": [{"factor": 1.5, "top1": 0.625, "interval": [0.5, 0.75]}],
        "classes": [{"label": "rose", "photos": 10, "more": 5, "top1": 0.625, "interval": [0.5, 0.75]}],
        "kinds": [
            {"text": "dark photos", "label": "", "photos": 9, "wrong": 4, "others": 20, "others_wrong": 1},
        ],
    },
    "sizes": {"model_bytes": 3, "float_model_bytes": 12},
}
TUNED = {
    "improved": True,
    "frozen_top1": 0.5,
    "against_frozen": CHANGE,
    "blends": {"tail": {"share": 0.5}},
    "history": [
        {"phase": "frozen", "epoch": 0, "validation_loss": 0.5, "validation_top1": 0.5},
        {
            "phase": "tail",
            "epoch": 1,
            "loss": 0.75,
            "validation_loss": 0.25,
            "validation_top1": 1.0,
            "learning_rate": 1e-3,
        },
    ],
}
MEASURED = {
    "photos": 9,
    "mean_average_precision": 0.5,
    "mean_average_precision_interval": [0.25, 0.75],
    "macro_f1": 0.5,
    "micro_f1": 0.5,
    "exact_match": 0.25,
    "exact_match_interval": [0.0, 0.5],
    "per_class": {
        "rose": {"average_precision": 0.5, "precision": 1.0, "recall": 0.5, "f1": 0.7, "photos": 3, "threshold": 0.4},
        "rare": {"average_precision": None, "precision": 0.0, "recall": 0.0, "f1": 0.0, "photos": 0, "threshold": 0.5},
    },
}
SEVERAL = {
    "test": MEASURED,
    "float": MEASURED,
    "agreement": {"photos": 9, "same_labels": 0.5, "largest_difference": 0.5, "exact_match_change": -0.25},
    "cross_validation": {
        "mean_average_precision": 0.5,
        "regularization": 0.1,
        "temperature": 2.0,
        "layers": "all",
        "candidates": {
            "all": {"loss": 0.5, "behind": 0.0, "behind_error": 0.0, "exact_match": 0.25, "features": 1280},
        },
        "path": [{"regularization": 0.1, "loss": 0.5}],
    },
    "photos": {"train": 40, "validation": 5, "test": 9},
    "thresholds": {
        "score": 0.25,
        "labels": {"rose": {"score": 0.25, "f1": 0.5, "precision": 0.5, "recall": 0.5, "photos": 3}, "rare": PROVEN},
    },
    "fingerprint": "4567",
    "kernels": {"none": {"photos": 9, "same_labels": 0.5, "largest_difference": 0.25}},
    "folds": {"folds": 2, **MEASURED},
    "budget": None,
    "sizes": {"model_bytes": 3, "float_model_bytes": 12},
}


def written(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (TrainingReport, WHOLE),
        (TrainingReport, WHOLE | {"folds": None, "budget": None, "advice": None}),
        (MultiLabelReport, SEVERAL),
    ],
)
def test_what_is_read_is_written_to_the_same_text(tmp_path, kind, content):
    report = training_report.read(written(tmp_path, content), kind)
    assert json.dumps(report.as_dict()) == json.dumps(content)


def test_a_fine_tuned_model_has_no_advice(tmp_path):
    keys = list(WHOLE)
    after = keys.index("budget") + 1
    content = {key: (WHOLE | {"fine_tuning": TUNED})[key] for key in (*keys[:after], "fine_tuning", *keys[after:])}
    del content["advice"]
    report = training_report.read(written(tmp_path, content), TrainingReport)
    assert json.dumps(report.as_dict()) == json.dumps(content)
    assert report.fine_tuning.history[0].loss is None and report.advice is None


def test_the_file_of_a_training_is_read_and_written_to_the_same_bytes(trained):
    content = (trained["uint8"] / "metrics.json").read_bytes()
    report = training_report.read(trained["uint8"], TrainingReport)
    stated = json.loads(content)
    assert json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n" == content.decode()
    assert report.test.top1 == stated["test"]["top1"]
    layers = stated["cross_validation"]
    assert report.cross_validation.features == layers["candidates"][layers["layers"]]["features"]


def test_an_older_file_may_lack_parts_and_a_later_one_have_more(tmp_path):
    content = {key: CONTENT[key] for key in CONTENT if key not in ("thresholds", "trade_off")}
    report = training_report.read(written(tmp_path, content | {"weather": "fine"}), TrainingReport)
    assert (report.thresholds, report.trade_off, report.folds, report.advice) == (None, (), None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "recursion"),
        ("[]", r"the content is \[\]"),
        ({}, "test is missing"),
        (WHOLE | {"test": WHOLE["test"] | {"top1": "<b>"}}, "test.top1 is '<b>'"),
        (WHOLE | {"test": WHOLE["test"] | {"per_class": {"rose": {"f1": 1.0}}}}, r"test.per_class\[0\].precision is"),
        (WHOLE | {"test": WHOLE["test"] | {"confusion": [[1], [1, 2]]}}, "test.confusion is"),
        (WHOLE | {"test": WHOLE["test"] | {"confusion": [["1"]]}}, "test.confusion is"),
        (WHOLE | {"kernels": {"none": 3}}, "kernels.none is 3"),
        (WHOLE | {"advice": {"photos": 20}}, "advice is damaged"),
        (WHOLE | {"sizes": None}, "sizes is None"),
        (SEVERAL, "test.top1 is missing"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"metrics.json is not as `train` wrote it: .*{message}.* Pass a") as caught:
        training_report.read(written(tmp_path, content), TrainingReport)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_missing_file_is_one_clear_line_with_the_advice_of_who_asks(tmp_path):
    with pytest.raises(DataError, match=r"metrics.json: No such file or directory. Pass `data=DIR`."):
        training_report.read(tmp_path, TrainingReport, advice="Pass `data=DIR`.")
