"""Escapes names and labels for Markdown, because they may come from untrusted files."""

import html
import re

from model_maker.terminal import safe_text

# Characters that begin or end a span, a link, a heading or a cell. An underscore inside of a word does not.
_SPECIAL = re.compile(r"[\\`*\[\]|#~!$]|(?<![^\W_])_|_(?![^\W_])")
# Text that GitHub turns into links.
_LINK = re.compile(r"(?<=\w):(?=//)|(?<=\bwww)\.", re.IGNORECASE)
# Markers of a list, an underline or a definition at the beginning of a line.
_FIRST = re.compile(r"^(\d*)([-+=:.)])")


def text(value: str) -> str:
    """Returns one line of Markdown that shows a text unchanged: no markup, no HTML, no table cell."""
    line = " ".join(safe_text.one_line(value).split())
    line = _LINK.sub(lambda found: "\\" + found[0], _SPECIAL.sub(lambda found: "\\" + found[0], line))
    return html.escape(_FIRST.sub(r"\1\\\2", line), quote=False)
