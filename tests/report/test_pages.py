"""Pages and cards: whatever is filled in stays text, in every template, and a page needs nothing else."""

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from page_values import NASTY, PARTS, TEMPLATES, VALUES

from model_maker.report import figures, pages


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.attributes, self.scripts, self.data = set(), [], []
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.attributes |= {name for name, _ in attributes}
        if tag == "script":
            self._inside = self.data if ("type", "application/json") in attributes else self.scripts
            self._inside.append("")

    def handle_endtag(self, tag):
        if tag == "script":
            self._inside = None

    def handle_data(self, text):
        if self._inside is not None:
            self._inside[-1] += text


def slider_script():
    return (TEMPLATES / "slider.js").read_text(encoding="utf-8")


def test_every_template_is_tried():
    assert {path.name for path in TEMPLATES.iterdir()} - PARTS - {"style.css", "slider.js"} == set(VALUES)


@pytest.mark.parametrize("template", [name for name in VALUES if name.endswith(".html")])
def test_hostile_text_stays_text_on_a_page(template):
    text = pages.render(template, **VALUES[template])
    found = Tags(text)
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.scripts in ([], [slider_script()]) and len(found.data) == len(found.scripts)
    assert all(NASTY in json.loads(data)[0] for data in found.data)
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text and "{{ 7 + 7 }}" in text
    assert text.count("<img") == text.count('<img src="&lt;script')  # those of our own photos


@pytest.mark.parametrize("template", [name for name in VALUES if name.endswith(".md")])
def test_hostile_text_stays_text_on_a_card(template):
    text = pages.render(template, **VALUES[template])
    assert "&lt;script&gt;alert(1)" in text and "{{ 7 + 7 }}" in text
    assert not re.search(r"(?<!\\)[<>]|(?<!\\)\[a|\n# d", text)
    for row in (line for line in text.splitlines() if line.startswith("| ") and "script" in line):
        cells = re.split(r"(?<!\\)\|", row)[1:-1]
        assert len(cells) in (2, 5, 7)


@pytest.mark.parametrize("template", [name for name in VALUES if name.endswith(".html")])
def test_a_page_has_the_one_base_and_stylesheet_and_fetches_nothing(template):
    text = pages.render(template, **VALUES[template])
    assert text.startswith('<!doctype html>\n<html lang="en">') and text.count("<style>") == 1
    assert (TEMPLATES / "style.css").read_text(encoding="utf-8").strip() in text
    assert not re.search(r"@import|https?:|url\((?!#)|<link|srcset", text)
    assert text.count("<h1>") == 1 and text.endswith("</main></body></html>\n")


@pytest.mark.parametrize("template", [name for name in VALUES if name.endswith(".html")])
def test_a_page_lets_no_script_run_but_ours(template):
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', pages.render(template, **VALUES[template]))
    parts = dict(part.strip().split(" ", 1) for part in unescape(policy).split(";"))
    digest = base64.b64encode(hashlib.sha256(slider_script().encode()).digest()).decode()
    assert parts["default-src"] == "'none'" and parts["script-src"] == f"'sha256-{digest}'"


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match="machine"):
        pages.render("benchmark.html", models=[], created="", best=None)


def test_shares_and_intervals_are_written_in_per_cent():
    text = pages.render("model_card.md", **VALUES["model_card.md"])
    assert "| 50.0 % (95 % interval 50.0 to 90.0) |" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("a\n# b", "a\ufffd\\# b"),
        ("- 1.5 cats", "\\- 1.5 cats"),
        ("1.2e-07", "1.2e-07"),
        ("95.0 to 99.5", "95.0 to 99.5"),
        ("C:\\x", r"C:\\x"),
        (7, 7),
    ],
)
def test_markdown_is_escaped(text, written):
    assert pages.as_markdown(text) == written


def test_the_colours_of_figures_are_those_of_the_page():
    svg = f'<svg viewBox="0 0 1 1"><defs></defs><g id="a" style="stroke: {figures.RED}; fill: #123456"/></svg>'
    assert pages.chart(svg.encode(), "<b>") == (
        '<svg class="chart" role="img" aria-label="&lt;b&gt;" viewBox="0 0 1 1">'
        '<g style="stroke: var(--red); fill: #123456"/></svg>'
    )
