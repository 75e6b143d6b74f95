"""The page of a certificate, from results that were made up."""

import dataclasses
from pathlib import Path

import pytest
from page_reader import NOTHING, Page, look_at

from model_maker.packaging.self_test import Trial
from model_maker.tflite.client_rules import RULES, RuleCheck
from model_maker.verification import certificate_page
from model_maker.verification.certificate import NOT_HERE, OWN, REFUSED, SAME, Certificate, Run

[BINDING, *_] = [rule for rule in RULES if rule.binding]
[SPARE, *_] = [rule for rule in RULES if not rule.binding]


def run(name, **more):
    facts = {"photos": 10, "right": 7, "same_answer": 9, "unknown": 2, "largest_difference": 0.0125}
    return Run(name, **({"pixels": OWN} | facts | more))


def without(name, state):
    return Run(name, OWN, state=state, why=f"{name} has an <operator>. Pass `io='float32'`.")


PASSING = Certificate(
    model=Path("a model/model.tflite"),
    size_bytes=3_957_394,
    sha256="12ab",
    photos=10,
    runs=(run("LiteRT", pixels=SAME, unknown=0), run("Task Library"), without("Other", NOT_HERE), Run("Bare", OWN)),
    apps=(run("Sample", pixels="nearest"),),
    findings=(RuleCheck(BINDING, ""), RuleCheck(SPARE, "none")),
    notes=("one photo is <damaged>",),
    self_test=(Trial("xnnpack", passed=True, deviation=0.25),),
    created="2026-01-02T03:04:05+00:00",
    name="insects",
    provenance={"model_maker": "1.2.3", "options": {"model": "lite9", "quantize": "int8", "io": "uint8"}},
)
FAILING = dataclasses.replace(
    PASSING,
    runs=(*PASSING.runs, without("Engine", REFUSED)),
    findings=(RuleCheck(BINDING, "three"),),
)


def test_the_verdict_stands_on_top_with_its_date():
    page = Page(certificate_page.render(PASSING))
    assert (
        page.text.index("It passes") < page.text.index("certified 2026-01-02 03:04 UTC") < page.text.index("Task Lib")
    )
    assert "backbone lite9" in page.text and "model.tflite, 3.96 MB, run on 10 photos" in page.text
    assert "12ab" in page.text and "It does not pass" not in page.text


def test_words_stand_to_the_left_and_figures_to_the_right():
    text = certificate_page.render(PASSING)
    assert '<th scope="col" class="words">pixels</th><th scope="col">correct</th>' in text
    assert '<td class="words">ours</td><td>7 of 10</td>' in text


def test_what_a_remark_has_in_backquotes_is_shown_as_code():
    text = certificate_page.render(dataclasses.replace(PASSING, notes=("Pass `--io <TYPE>` to it.",)))
    assert "Pass <code>--io &lt;TYPE&gt;</code> to it." in text


def test_the_verdict_of_a_file_that_fails_has_its_reasons():
    page = Page(certificate_page.render(FAILING))
    assert page.text.index("It does not pass") < page.text.index("certified")
    # The parameter of the library is the flag of the command here.
    assert "Engine rejects it: Engine has an <operator>. Pass --io float32." in page.text
    assert f"{BINDING.demand}: three. " in page.text and "It passes" not in page.text


def test_every_runtime_app_and_requirement_has_a_row():
    page = Page(certificate_page.render(PASSING))
    counts = ["7 of 10", "2", "9 of 10", "0.013"]
    assert page.tables["Runtimes"] == [
        ["runtime", "pixels", "correct", "unknown", "same answer", "scores differ by"],
        ["LiteRT", "ours", "7 of 10", "", "9 of 10", "0.013"],
        ["Task Library", "its own", *counts],
        ["Other", "its own", "not here", "", "", ""],
        ["Bare", "its own", "runs", "", "", ""],
    ]
    assert page.tables["Apps"][1:] == [["Sample", "nearest", *counts]]
    assert page.tables["Self-test"][1:] == [["xnnpack", "passed", "0.250"]]
    assert [row[2] for row in page.tables["Rules"][1:]] == ["kept", "missed"]
    assert [row[2] for row in Page(certificate_page.render(FAILING)).tables["Rules"][1:]] == ["broken"]
    assert "one photo is <damaged>" in page.text


def test_it_leaves_the_report_to_another_page():
    text = certificate_page.render(PASSING)
    assert "Confusion matrix" not in text and "<img" not in text
    assert "model_maker evaluate &#39;a model/model.tflite&#39; --report evaluation.html" in text


@pytest.mark.slow
@pytest.mark.parametrize("found", [PASSING, FAILING], ids=["passing", "failing"])
def test_it_passes_axe_and_fits_a_phone(found, tmp_path):
    assert look_at(certificate_page.render(found), tmp_path)["pages"] == NOTHING
