"""CSV cells that spreadsheets do not interpret as formulas."""

from __future__ import annotations

from model_maker.terminal import safe_text

# First characters of a formula, which may run programs; also in their East Asian full-width forms.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def cell(text: str) -> str:
    """Returns a name, a label or a note as a cell, prefixed with an apostrophe if it would be a formula."""
    # A sign alone, such as - for standard input, is not a formula.
    formula = len(text.strip()) > 1 and (text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA))
    return ("'" if formula else "") + safe_text.one_line(text)
