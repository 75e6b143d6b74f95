"""Every page and card, HTML and Markdown, from the templates beside this file; whatever is filled in is escaped."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_maker.report import figures, markdown

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).with_name("templates")
# Formatted numbers and ranges of them, which are no markup wherever they stand.
_NUMBERS = re.compile(r"[-+\d.,e %]+(?: to [-+\d.,e %]+)?")
# Colours of figures, and the variables of style.css that have them in the light; in the dark they have others.
COLOURS = {
    figures.INK: "--text",
    figures.DIM: "--dim",
    figures.LINE: "--line",
    figures.RED: "--red",
    **{colour: f"--c{index}" for index, colour in enumerate(figures.SERIES)},
}


def render(template: str, **values: Any) -> str:
    """Fills in a template.

    Args:
      template: a file in `templates`; its suffix decides how values are escaped.
      values: what it names.

    Raises:
      KeyError: it names something that is not there.
    """
    import jinja2

    try:
        return _environment(Path(template).suffix).get_template(template).render(values)
    except jinja2.UndefinedError as error:
        raise KeyError(str(error)) from error


def chart(svg: bytes, name: str) -> str:
    """Returns a figure as HTML, in the colours of the page that it is for.

    Args:
      svg: from `drawing.draw`.
      name: for those who do not see it.
    """
    text = svg.decode()
    [box] = re.findall(r'viewBox="[^"]*"', text)
    text = text[text.index("</defs>") + len("</defs>") :]  # the style of all SVGs in a page, which style.css has
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # each figure has a figure_1
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text).replace(' transform="rotate(-0', ' transform="rotate(0')
    text = re.sub(
        r"#[0-9a-f]{6}\b", lambda found: f"var({COLOURS[found[0]]})" if found[0] in COLOURS else found[0], text
    )
    text = " ".join(text.replace("xlink:href", "href").split())
    return f'<svg class="chart" role="img" aria-label="{escape(name)}" {box}>{text}'


@functools.cache
def _environment(suffix: str) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=suffix == ".html",
        finalize=None if suffix == ".html" else as_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent, "ends": _ends}
    environment.globals["chart"] = chart
    return environment


def as_markdown(value: Any) -> Any:
    """Escapes text for a line of Markdown, but for what the template calls safe."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return value if _NUMBERS.fullmatch(value) else markdown.text(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(interval: Sequence[float]) -> str:
    return f"{_percent(interval[0])} to {_percent(interval[1])}"
