"""How commands end."""

import subprocess
import sys

import pytest

from model_maker.terminal import exit_codes, safe_text


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b1m", "\x07", "\r", "\x08", "\u202e", "\u2066", "\x7f"])
def test_a_terminal_gets_no_commands_from_a_file(capsys, text):
    exit_codes.say("model_maker", f"the label {text}rose")
    found = capsys.readouterr().err
    assert found.startswith("model_maker: the label \ufffd") and found.endswith("rose\n")
    assert text not in found


def test_other_text_stays_as_it_is():
    text = "Gänseblümchen\t玫瑰 🌹\n[/red]"
    assert safe_text.printable(text) == text


MODELS = [sys.executable, "-m", "model_maker", "models"]


def test_a_reader_that_leaves_is_no_failure():
    with subprocess.Popen(MODELS, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert (child.wait(timeout=60), child.stderr.read()) == (0, b"")


def test_a_stdout_that_is_closed_is_no_failure():
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *MODELS], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
