"""Renders HTML pages and Markdown cards from the templates beside this file; all values are escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_maker.report import figures, markdown

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).with_name("templates")
# Formatted numbers and ranges, which are never markup.
_NUMBERS = re.compile(r"[-+\d.,e %]+(?: to [-+\d.,e %]+)?")
# Colors of figures, and the variables of style.css with these values in light mode; dark mode has others.
COLOURS = {
    figures.INK: "--text",
    figures.DIM: "--dim",
    figures.LINE: "--line",
    figures.RED: "--red",
    **{colour: f"--c{index}" for index, colour in enumerate(figures.SERIES)},
}


def render(template: str, **values: Any) -> str:
    """Renders a template.

    Args:
      template: a file in `templates`; its suffix decides how values are escaped.

    Raises:
      KeyError: a variable is missing.
    """
    import jinja2

    try:
        return _environment(Path(template).suffix).get_template(template).render(values)
    except jinja2.UndefinedError as error:
        raise KeyError(str(error)) from error


def chart(svg: bytes, name: str) -> str:
    """Returns a figure as inline SVG in the colors of the page.

    Args:
      svg: from `drawing.draw`.
      name: text for screen readers.
    """
    text = svg.decode()
    [box] = re.findall(r'viewBox="[^"]*"', text)
    text = text[text.index("</defs>") + len("</defs>") :]  # the style of all SVGs, which is in style.css
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # every figure has an element figure_1
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
    environment.filters |= {"percent": _percent, "ends": _ends, "is_words": _is_words, "code": _code}
    script = (_TEMPLATES / "slider.js").read_text(encoding="utf-8")
    environment.globals |= {"chart": chart, "policy": _policy(script), "slider_script": script}
    return environment


def _policy(script: str) -> str:
    """Returns the content security policy of all pages: they fetch nothing, and run our script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {"default-src": "'none'", "img-src": "data:", "style-src": "'unsafe-inline'", "base-uri": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in (parts | {"script-src": f"'sha256-{digest}'"}).items())


def as_markdown(value: Any) -> Any:
    """Escapes text for a line of Markdown, except what the template marks as safe."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return value if _NUMBERS.fullmatch(value) else markdown.text(value)


def _is_words(cell: Any) -> bool:
    """Whether a cell holds words, not a figure."""
    return str(cell)[:1].isalpha()


def _code(text: str) -> str:
    """Returns a message as HTML, with code where it has backquotes."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(interval: Sequence[float]) -> str:
    return f"{_percent(interval[0])} to {_percent(interval[1])}"
