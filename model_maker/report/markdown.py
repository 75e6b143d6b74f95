"""Names and labels in Markdown: they may come from files, and stay text."""

from __future__ import annotations

import html
import re

from model_maker.terminal import safe_text

# What begins or ends a span, a link, a heading or a cell. An underscore inside of a word does none of that.
_SPECIAL = re.compile(r"[\\`*\[\]|#~!$]|(?<![^\W_])_|_(?![^\W_])")
# What GitHub makes links of.
_LINK = re.compile(r"(?<=\w):(?=//)|(?<=\bwww)\.", re.IGNORECASE)
# What begins a list, an underline or a definition at the beginning of a line.
_FIRST = re.compile(r"^(\d*)([-+=:.)])")


def text(value: str) -> str:
    """Returns one line of Markdown that shows a text as it is: no markup, no HTML, no other cell of a table."""
    line = " ".join(safe_text.one_line(value).split())
    line = _LINK.sub(lambda found: "\\" + found[0], _SPECIAL.sub(lambda found: "\\" + found[0], line))
    return html.escape(_FIRST.sub(r"\1\\\2", line), quote=False)
