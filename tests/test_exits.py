"""How commands end."""

import pytest

from model_maker import exits


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b1m", "\x07", "\r", "\x08", "\u202e", "\u2066", "\x7f"])
def test_a_terminal_gets_no_commands_from_a_file(capsys, text):
    exits.say("model_maker", f"the label {text}rose")
    found = capsys.readouterr().err
    assert found.startswith("model_maker: the label \ufffd") and found.endswith("rose\n")
    assert text not in found


def test_other_text_stays_as_it_is():
    text = "Gänseblümchen\t玫瑰 🌹\n[/red]"
    assert exits.printable(text) == text
