"""Makes untrusted text safe to print and to open: removes control characters, and formulas in cells of CSV."""

# C0 and C1 controls without tab and newline, bidirectional controls and other line separators.
_TURNS = {0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)}
_COMMANDS = {*range(9), *range(11, 32), *range(127, 160), *_TURNS}
_HARMLESS = dict.fromkeys(_COMMANDS, "\ufffd")
_ONE_LINE = _HARMLESS | dict.fromkeys(map(ord, "\t\n"), "\ufffd")
# Those of them that JSON may contain unescaped.
_ESCAPED = {code: f"\\u{code:04x}" for code in _COMMANDS if code >= 32}
# First characters of a formula, which may run programs; also in their East Asian full-width forms.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def printable(text: str) -> str:
    """Removes control characters, which text from an untrusted file may contain."""
    return text.translate(_HARMLESS)


def set_in(text: str) -> str:
    """The same, with lines after the first indented, so that no line of a name looks like a message of ours."""
    return printable(text).replace("\n", "\n  ")


def one_line(text: str) -> str:
    """The same for a name or a label, which has a single line."""
    return text.translate(_ONE_LINE)


def printable_json(text: str) -> str:
    """The same for JSON; the parsed value stays the same."""
    return text.translate(_ESCAPED)


def cell(text: str) -> str:
    """Returns a name, a label or a note as a cell of CSV, after an apostrophe if it would be a formula."""
    # A sign alone, such as - for standard input, is not a formula.
    formula = len(text.strip()) > 1 and (text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA))
    return ("'" if formula else "") + one_line(text)
