import dataclasses
import json

import pytest
from card_values import INFO, REPORT
from huggingface_hub import ModelCard

from model_maker.fitting import Fit
from model_maker.inference.training_report import FineTuning
from model_maker.multi_label_metrics import MultiLabelMetrics
from model_maker.report import front_matter, model_card


@pytest.fixture(params=["uint8", "float32"])
def card(request):
    return request.param, model_card.render(
        INFO, REPORT, backbone="efficientnet_lite0", quantize="int8", io=request.param, fit=Fit(224, 224)
    )


def rows(text):
    """The cells of every table row; an escaped bar does not part cells."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0").split("|")[1:-1]] for line in lines]


def test_card_states_the_measured_figures(card):
    _, text = card
    assert ModelCard(text).text.lstrip().startswith("# flowers\n") and text.endswith(".\n")
    found = {row[0]: row[1:] for row in rows(text)}
    assert found["top-1 on 125 test photos"] == ["92.8 % (95 % interval 86.9 to 96.2)"]
    assert found["top-1 of the float model on the same photos"] == ["93.6 %, same answer on 99.2 %"]
    assert found["calibration error (ECE)"] == ["0.050"]
    assert found["quantization"] == ["int8"]
    assert found["size"] == ["3.96 MB"]
    assert found["trained on"] == ["475 photos"]
    assert found["data fingerprint"] == ["`0123456789abcdef`"]
    assert found["licence"] == ["Apache-2.0"]
    assert "frozen efficientnet_lite0 features" in text


def test_card_begins_with_what_the_hub_reads(card):
    data = ModelCard(card[1]).data
    assert (data.license, data.pipeline_tag, data.library_name) == ("apache-2.0", "image-classification", "litert")
    assert data.metrics == ["accuracy"] and "tflite" in data.tags
    [result] = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("accuracy", 0.9284, "test")
    assert result.dataset_name == "125 test photos, fingerprint 0123456789abcdef"


@pytest.mark.parametrize(
    ("licence", "expected"),
    [("MIT", ("mit", None)), ("ImageNet's terms\n---\n", ("other", "imagenet-s-terms")), ("", ("other", None))],
)
def test_licences_that_the_hub_does_not_know_are_named(licence, expected):
    info = dataclasses.replace(INFO, licence=licence, name="---\n[x](y): <b>")
    found = ModelCard(front_matter.compose(info, REPORT.test)).data
    assert (found.license, found.license_name, found.model_name) == (*expected, "x-y-b")


def test_front_matter_of_several_labels_a_photo_names_its_metrics():
    interval = (0.0, 1.0)
    test = MultiLabelMetrics(9, 0.5, interval, 0.25, 0.3, 0.4, interval, ())
    found = ModelCard(front_matter.compose(INFO, test)).data
    assert {result.metric_type: result.metric_value for result in found.eval_results} == {
        "mean_average_precision": 0.5,
        "f1": 0.25,
    }


@pytest.mark.parametrize("improved", [True, False])
def test_card_says_whether_the_network_was_fine_tuned(improved):
    tuned = FineTuning(improved, 0.5, REPORT.agreement, {}, ())
    report = dataclasses.replace(REPORT, fine_tuning=tuned)
    text = model_card.render(INFO, report, backbone="net", quantize="int8", io="uint8", fit=Fit(224, 224))
    assert ("net, fine-tuned on your photos" in text) == improved
    assert ("a head on frozen net features" in text) != improved


def test_card_states_the_contract_of_the_edges(card):
    io, text = card
    assert f"`[1, 224, 224, 3]` {io}" in text and f"`[1, 2]` {io}" in text
    assert ("raw pixels, 0 to 255" in text) == (io == "uint8")
    assert ("(value - 127) / 128" in text) == (io == "float32")


def test_card_has_one_row_a_class_whatever_its_name(card):
    found = {row[0]: row[1:] for row in rows(card[1])}
    assert found["rose"] == ["20", "0.875", "0.900", "0.887"]
    assert found["a|b"] == ["2", "1.000", "0.500", "0.667"]
    assert all(len(row) in (2, 3, 5) for row in rows(card[1]))


@pytest.mark.parametrize(
    ("thresholds", "own"),
    [
        ({}, None),
        ({"threshold": 0.75}, "0.75, the model's"),
        ({"threshold": 0.5, "label_thresholds": (0.5, 0.9)}, "the label's own"),
    ],
)
def test_card_states_what_thresholds_bring(thresholds, own):
    info = dataclasses.replace(INFO, **thresholds)
    text = model_card.render(info, REPORT, backbone="b", quantize="int8", io="uint8", fit=Fit(224, 224))
    found = {row[0]: row[1:] for row in rows(text) if len(row) == 3}
    expected = {"0.5": ["95.0 %", "96.0 %"], "0.9": ["70.0 %", "100.0 %"]} | (
        {own: ["51.2 %", "98.8 %"]} if own else {}
    )
    assert {key: cells for key, cells in found.items() if "%" in cells[0]} == expected
    assert ("assigns one of them or none" in text) == bool(own)


def test_card_of_a_trained_model_repeats_its_metrics(trained):
    folder = trained["uint8"]
    text, report = (folder / "README.md").read_text(), json.loads((folder / "metrics.json").read_text())
    found = {row[0]: row[1:] for row in rows(text)}
    top1 = f"{100 * report['test']['top1']:.1f} %"
    assert found[f"top-1 on {report['test']['photos']} test photos"][0].startswith(top1)
    assert found["size"] == [f"{(folder / 'model.tflite').stat().st_size / 1e6:.2f} MB"]
