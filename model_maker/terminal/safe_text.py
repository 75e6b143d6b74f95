"""Text from outside, made safe to show: no terminal obeys what is left of it."""

from __future__ import annotations

# Terminals obey these: C0 and C1 without tab and newline, what turns the direction of writing, and other ends of lines.
_TURNS = {0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)}
_COMMANDS = {*range(9), *range(11, 32), *range(127, 160), *_TURNS}
_HARMLESS = dict.fromkeys(_COMMANDS, "\ufffd")
_ONE_LINE = _HARMLESS | dict.fromkeys(map(ord, "\t\n"), "\ufffd")
# Those of them that JSON may hold as they are.
_ESCAPED = {code: f"\\u{code:04x}" for code in _COMMANDS if code >= 32}


def printable(text: str) -> str:
    """Takes out of a text what a terminal would obey: it may come from a file that nobody has looked into."""
    return text.translate(_HARMLESS)


def set_in(text: str) -> str:
    """The same, lines after the first set in: where a name holds some, none passes for a message of its own."""
    return printable(text).replace("\n", "\n  ")


def one_line(text: str) -> str:
    """The same of a name or a label, which has no lines."""
    return text.translate(_ONE_LINE)


def printable_json(text: str) -> str:
    """The same of JSON, which holds the same afterwards."""
    return text.translate(_ESCAPED)
