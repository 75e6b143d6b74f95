"""Text in CSV, which people open in spreadsheets and terminals: there it stays text."""

from __future__ import annotations

from model_maker.terminal import safe_text

# What makes a spreadsheet take a cell for a formula, which may call programs; also in the width of East Asian letters.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def cell(text: str) -> str:
    """Returns a name, a label or a note as a cell: an apostrophe stands before what would be a formula."""
    # A sign alone, such as - for standard input, is none.
    formula = len(text.strip()) > 1 and (text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA))
    return ("'" if formula else "") + safe_text.one_line(text)
