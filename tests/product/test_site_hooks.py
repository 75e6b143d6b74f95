"""The hooks of mkdocs in docs/: tabs of blocks that say so, and links to the glossary."""

import importlib.util
import re
import textwrap

import pytest
from checkout import ROOT

pytest.importorskip("mkdocs", reason="mkdocs is missing: pip install 'model-maker[docs]'")

GLOSSARY = """# Glossary

Score
:   From 0 to 1.

Score threshold
:   The score below which an app answers `unknown`. [More](how-to/quantization.md).

int8, `.tflite`
:   See <this> & [that](x.md).
"""


def hook(name):
    found = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_neighboring_blocks_become_one_group_of_tabs():
    page = textwrap.dedent("""\
        Before.

        ```console tab="Command line"
        $ one

        $ two
        ```

        ```python tab="Python"
        one()
        ```

        ```text title="T" tab="Python"
        1
        ```

        Between.

        ```console
        $ alone
        ```
        """)
    expected = textwrap.dedent("""\
        Before.

        === "Command line"

            ```console
            $ one

            $ two
            ```

        === "Python"

            ```python
            one()
            ```

            ```text title="T"
            1
            ```

        Between.

        ```console
        $ alone
        ```
        """)
    assert hook("content_tabs").on_page_markdown(page) == expected


def test_text_between_blocks_parts_groups():
    page = '```sh tab="A"\na\n```\n\nText.\n\n```sh tab="B"\nb\n```\n'
    assert hook("content_tabs").on_page_markdown(page) == (
        '=== "A"\n\n    ```sh\n    a\n    ```\n\nText.\n\n=== "B"\n\n    ```sh\n    b\n    ```\n'
    )


@pytest.fixture
def link():
    """link(html): with links to GLOSSARY, each as [word](anchor)."""
    module = hook("glossary_links")

    def marked(content):
        found = module.linked(content, module.entries(GLOSSARY), "g.html")
        return re.sub(r'<a class="term" href="g.html#(.*?)" title=".*?">(.*?)</a>', r"[\2](\1)", found)

    return marked


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<p>Scores and a score.</p>", "<p>[Scores](score) and a score.</p>"),
        ("<p>A score threshold, a score</p>", "<p>A [score threshold](score-threshold), a [score](score)</p>"),
        ("<p>a <code>score</code> &lt; the score</p>", "<p>a <code>score</code> &lt; the [score](score)</p>"),
        ('<h2 id="a">Score</h2><p>x</p>', '<h2 id="a">Score</h2><p>x</p>'),
        ('<a href="x"><em>Score</em></a>', '<a href="x"><em>Score</em></a>'),
        ("<pre><span>score</span></pre>", "<pre><span>score</span></pre>"),
        ("<p>underscore, int8x, model.tflite</p>", "<p>underscore, int8x, model.tflite</p>"),
        ("<p>A .tflite in int8</p>", "<p>A [.tflite](int8-tflite) in int8</p>"),
        ('<p>a<br />b<img alt="score" src="s.png"></p>', '<p>a<br />b<img alt="score" src="s.png"></p>'),
        ("<!-- score --><p>&#960; x</p>", "<!-- score --><p>&#960; x</p>"),
    ],
)
def test_the_first_use_of_a_term_leads_to_the_glossary(link, content, expected):
    assert link(content) == expected


def test_a_link_states_the_meaning_in_words():
    entries = hook("glossary_links").entries(GLOSSARY)
    assert entries["score threshold"] == ("score-threshold", "The score below which an app answers unknown.")
    assert entries["int8"] == entries[".tflite"] == ("int8-tflite", "See <this> & that.")
