"""The accuracy budget on a network that int8 hurts: one channel a thousand times as wide as all others."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_network import FUSED, TinyNetwork

from model_maker.backbones.embedder import Embedder
from model_maker.data import images
from model_maker.data.sources import read
from model_maker.errors import DataError, ModelError
from model_maker.learning import heads
from model_maker.normalization import Normalization
from model_maker.packaging import accuracy_budget, file_checks, quantized_file
from model_maker.packaging.accuracy_budget import FormTrial
from model_maker.packaging.quantized_file import Form
from model_maker.progress import Progress
from model_maker.tflite import graph, inspection, metadata
from model_maker.tflite.interpreter import KERNELS, LiteRTRunner

PIXELS = Normalization(127.0, 128.0)
CLASSES = ("cyan", "green", "magenta", "orange", "violet")


@pytest.fixture(scope="module")
def parts(make_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, dict.fromkeys(CLASSES, 40), side=8)
    return read(folder).split(validation=0.3, test=0.1)


def network(factor):
    """Two convolutions, the first channel between them made wider by a factor, which the second takes back."""
    random = np.random.default_rng(3)
    first, second = random.normal(size=(8, 3, 3, 3)) / 3, random.normal(size=(12, 1, 1, 8)) / 2
    bias = random.uniform(0, 1, 8)
    first[0] *= factor
    bias[0] *= factor
    second[..., 0] /= factor
    return TinyNetwork(8).conv(first, bias, fused=FUSED.RELU).conv(second, fused=FUSED.RELU).mean().content()


def make_trial(parts, factor, *, by_class=False):
    content = network(factor)
    runner = LiteRTRunner(content)
    vectors = [runner.run(PIXELS(images.load(sample.path, 8)[None])) for sample in parts.train.samples]
    head = heads.fit(np.concatenate(vectors), np.array(parts.train.labels), classes=len(CLASSES)).head
    samples = sorted(parts.train.samples, key=lambda sample: sample.label if by_class else sample.digest)
    return FormTrial(
        graph.attach_head(content, head.kernel, head.bias),
        Embedder("tiny", content, PIXELS, 8, ""),
        metadata.ModelInfo(parts.train.classes, PIXELS, name="tiny"),
        validation=parts.validation,
        training=[sample.path for sample in samples],
        progress=Progress(),
        threads=1,
    )


@pytest.fixture(scope="module")
def planted(parts):
    return make_trial(parts, 1000.0)


@pytest.fixture(scope="module")
def convolutions(planted):
    """The names of what the two convolutions give, in their order."""
    main = graph.parse(planted.model).subgraphs[0]
    return [main.tensors[operator.outputs[0]].name.decode() for operator in main.operators[:2]]


@pytest.fixture(scope="module")
def found(planted):
    heard = Progress()
    return accuracy_budget.search(planted, Form("int8"), 0.5, progress=heard), heard.notes


def accuracy(content, photos, kernels="xnnpack"):
    """Top-1 of a file with uint8 input and output, counted here."""
    runner = LiteRTRunner(content, kernels=kernels)
    best = [int(runner.run(images.load(sample.path, 8)[None]).argmax()) for sample in photos.samples]
    return np.mean(np.array(best) == photos.labels)


def test_the_wide_channel_changes_nothing_in_float():
    plain, wide = network(1.0), network(1000.0)
    picture = PIXELS(np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8))
    # float32 rounds at another place.
    np.testing.assert_allclose(LiteRTRunner(wide).run(picture), LiteRTRunner(plain).run(picture), rtol=1e-4, atol=1e-5)


def test_a_mix_keeps_a_budget_that_int8_breaks(found, planted, convolutions, parts):
    result, _ = found
    first, *_, last = result.steps
    assert first.name == "int8" and first.drop > 0.2
    assert result.within and result.choice is last and 100 * last.drop <= 0.5
    # The wide tensor lies between the two: it is int8 unless both of them are spared.
    assert set(convolutions) <= set(last.form.kept)
    content = quantized_file.convert_calibrated(planted.model, planted.base, last.form, planted.calibrations)
    real = quantized_file.convert_calibrated(planted.model, planted.base, Form("none"), planted.calibrations)
    assert accuracy(content, parts.validation) == last.top1
    assert accuracy(real, parts.validation) == result.float_top1 > 0.9
    assert last.size_bytes == len(content)


def test_better_ranges_are_tried_before_operators_are_spared(found, parts):
    result, _ = found
    ranges = [f"int8, {rule}, {len(parts.train)} photos" for rule in ("extremes", "percentile", "mean")]
    assert [step.name for step in result.steps][:5] == ["int8", *ranges, "int8, 1 kept float"]


def test_more_photos_mend_what_too_few_broke(parts):
    # The first fifty photos are of two or three classes, whose colours leave out what the others give.
    trial = make_trial(parts, 1.0, by_class=True)
    result = accuracy_budget.search(trial, Form("int8"), 0.5, progress=Progress())
    assert [step.name for step in result.steps] == ["int8", f"int8, extremes, {len(parts.train)} photos"]
    assert result.steps[0].drop > 0.1 and result.within


def test_every_step_is_told_with_loss_interval_size_and_latency(found):
    result, notes = found
    for step in result.steps:
        low, high = (100 * end for end in step.drop_interval)
        [note] = [note for note in notes if note.startswith(f"{step.name}: loses {100 * step.drop:.1f} points")]
        assert f"(95 % interval {low:.1f} to {high:.1f})" in note and low <= 100 * step.drop <= high
        assert f"{step.size_bytes / 1e6:.2f} MB" in note and " ms." in note


@pytest.mark.parametrize("spared", ["float", "int16x8"])
@pytest.mark.parametrize("io", graph.IO_TYPES)
def test_mixed_models_run_on_all_kernels(planted, convolutions, parts, spared, io):
    form = Form("int8", io, output_io="uint8", kept=dict.fromkeys(convolutions, spared))
    content = quantized_file.convert_calibrated(planted.model, planted.base, form, planted.calibrations)
    facts = inspection.inspect(content)
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype, facts.quantization) == (io, "uint8", "int8")
    if io == "uint8":
        # 60 photos; int16 leaves a channel that is a thousandth of another with 32 steps, float with all.
        assert all(accuracy(content, parts.validation, kernels) > 0.9 for kernels in KERNELS)


def test_the_promise_of_int8_names_exactly_what_was_kept(planted, convolutions):
    form = Form("int8", kept=dict.fromkeys(convolutions, "float"))
    content = quantized_file.convert_calibrated(planted.model, planted.base, form, planted.calibrations)
    file_checks.check_integers(content, kept=form.kept)
    with pytest.raises(ModelError, match="still has [1-5] float operators: .*CONV_2D") as caught:
        file_checks.check_integers(content, kept={convolutions[0]: "float"})
    assert convolutions[1] in str(caught.value) and f"({convolutions[0]})" not in str(caught.value)
    with pytest.raises(ModelError, match=r"still has \d+ float operators"):
        file_checks.check_integers(content, kept=dict.fromkeys(convolutions, "int16x8"))
    wide = replace(form, kept=dict.fromkeys(convolutions, "int16x8"))
    content = quantized_file.convert_calibrated(planted.model, planted.base, wide, planted.calibrations)
    with pytest.raises(ModelError, match=r"still has \d+ int16 operators"):
        file_checks.check_integers(content)


def test_the_planted_operators_are_the_most_sensitive(planted, convolutions):
    ranked = accuracy_budget.sensitivities(planted, Form("int8"))
    assert len(ranked) == 5  # two convolutions, mean, head, softmax
    assert set(list(ranked)[:2]) == set(convolutions)
    values = list(ranked.values())
    assert values == sorted(values, reverse=True) and values[1] > 5 * values[2]


def test_the_first_form_within_the_budget_ends_the_search(parts, monkeypatch):
    trial = make_trial(parts, 1.0)
    monkeypatch.setattr(accuracy_budget, "sensitivities", None)
    result = accuracy_budget.search(trial, Form("int8"), 5, progress=Progress())
    assert [step.name for step in result.steps] == ["int8"] and result.within
    assert trial.calibrations.further == []  # no further photo was looked at


def test_when_nothing_holds_the_best_is_kept_and_that_is_said(planted, monkeypatch):
    monkeypatch.setattr(accuracy_budget, "LAST", ())
    monkeypatch.setattr(accuracy_budget, "sensitivities", lambda trial, form: {"probabilities": 1.0})
    heard = Progress()
    result = accuracy_budget.search(planted, Form("int8"), 0.5, progress=heard)
    assert not result.within and len(result.steps) == 5
    assert result.choice.drop == min(step.drop for step in result.steps)
    assert result.choice.risk > 0.005
    [line] = [note for note in heard.notes if note.startswith("Nothing loses 0.5 points or less; ")]
    assert f"{result.choice.name} loses least and is used" in line and "Allow more" in line


def test_risk_is_what_the_first_scores_lose_where_answers_differ():
    real = np.array([[0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    # The first photo goes from 0.5 to 0.4, the last from 0.4 to 0.3, the second keeps its answer.
    scores = np.array([[0.1, 0.9, 0.0], [0.4, 0.5, 0.1], [0.8, 0.1, 0.1]])
    assert accuracy_budget.risk(real, scores) == pytest.approx((0.1 + 0 + 0.1) / 3)
    assert accuracy_budget.risk(real, real) == 0


def test_answers_won_by_luck_do_not_hide_those_at_risk(planted, monkeypatch):
    # A form that loses nothing on balance and yet answers otherwise is not taken; float16, which does not, is.
    honest = planted.try_form("float16", Form("float16"))
    lucky = replace(honest, name="lucky", drop=-0.02, risk=0.03)
    tried = {"dynamic": lucky, "float16": honest}
    monkeypatch.setattr(FormTrial, "try_form", lambda self, name, form: replace(tried[form.quantize], form=form))
    monkeypatch.setattr(accuracy_budget, "sensitivities", lambda trial, form: {"probabilities": 1.0})
    result = accuracy_budget.search(planted, Form("dynamic"), 0.5, progress=Progress())
    assert result.within and [step.name for step in result.steps] == ["lucky", "lucky", "float16"]


def test_a_budget_finer_than_a_photo_is_reported(found):
    result, notes = found
    assert result.photos == 60
    assert "One of 60 validation photos is 1.7 points, more than the budget of 0.5" in notes[-1]


@pytest.mark.parametrize("kind", ["int16x8", "int4", "dynamic", "float16"])
def test_any_quantized_form_may_begin(planted, kind):
    result = accuracy_budget.search(planted, Form(kind), 0.5, progress=Progress())
    assert result.steps[0].form.quantize == kind
    assert result.within  # float16 keeps every number to three digits
    later = [step.form.quantize for step in result.steps if step.form.quantize != kind]
    assert later == [other for other in ("dynamic", "float16") if other in later]


def test_numbers_of_another_run_are_the_same_but_for_latency(found, planted):
    again = accuracy_budget.search(planted, Form("int8"), 0.5, progress=Progress())
    assert again.as_dict(latency=False) == found[0].as_dict(latency=False)
    assert "latency" not in str(again.as_dict(latency=False))
    assert all(step["latency_ms"] > 0 for step in again.as_dict()["steps"])


def test_without_validation_photos_there_is_no_budget(planted, parts):
    with pytest.raises(DataError, match="needs validation photos, but there are none") as caught:
        FormTrial(
            planted.model,
            planted.base,
            planted.info,
            validation=replace(parts.validation, samples=()),
            training=[],
            progress=Progress(),
        )
    assert "\n" not in str(caught.value)
