"""What commands print fits terminals of 60, 80 and 120 columns: no line is wider, no figure apart from its unit."""

import re

import pytest

from model_maker import cli

# What a line must not begin with, if the one before ends in a figure; the fullest words of units that we print.
UNIT = r"(%|ms|s|MB|kB|bytes|points|pixels|photos?|classes|labels|files?|features|million)\b|%"
FAST = [
    ("models",),
    ("inspect", "flowers_model"),
    ("evaluate", "flowers_model"),
    ("predict", "flowers_model", "flowers/rose/rose_000.jpg", "flowers/tulip/tulip_001.jpg"),
    ("search", "flowers", "flowers/rose/rose_000.jpg", "--top-k", "3"),
    ("label", "flowers", "--unlabelled", "flowers/rose", "--top", "3"),
    ("advise", "flowers_model"),
    ("doctor", "flowers"),
]
SLOW = [
    ("train", "--data", "flowers", "--output", "again", "--coverage", "0.9", "--precision", "0.9", "--overwrite"),
    ("train", "--data", "flowers", "--output", "kept", "--max-drop", "2", "--overwrite"),
    ("forget", "flowers_model", "flowers/rose/rose_000.jpg", "--data", "flowers", "--output", "less", "--overwrite"),
    ("compare", "flowers_model", "flowers_model"),
    ("robustness", "flowers_model"),
    ("verify", "flowers_model"),
    ("organize", "flowers", "--groups", "3", "--output", "groups", "--overwrite"),
    ("classes", "flowers_model", "--rename", "rose=Rosa", "--output", "renamed", "--overwrite"),
    ("zero-shot", "--labels", "daisy,sunglasses,dog", "--output", "named", "--overwrite"),
    ("export", "flowers_model", "--format", "tflite-float16,c_header", "--output", "exported", "--overwrite"),
    ("benchmark", "flowers_model", "--rounds", "2", "--threads", "1,2"),
]


def printed(capsys, monkeypatch, command, width):
    """The lines on stdout, as a terminal of that width gets them."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    capsys.readouterr()
    assert cli.main(cli.parse(["model_maker", *command])) == 0
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capsys.readouterr().out).splitlines()


def check(lines, width):
    assert lines
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        # Only one word, such as a path or a hash, may be wider than the terminal, beside its name.
        assert len(line) <= width or len(line.split()) <= 2, line
        assert line == line.rstrip(), f"{line!r} ends in blanks"
        assert not (re.search(r"\d$", line) and re.match(rf"\s*{UNIT}", following)), f"{line}\n{following}"
    assert "\n\n\n" not in "\n".join(lines)


@pytest.mark.parametrize("command", FAST, ids=lambda command: command[0])
def test_what_a_command_prints_fits(desk, command, capsys, monkeypatch):
    monkeypatch.chdir(desk)
    for width in (60, 80, 120):
        check(printed(capsys, monkeypatch, command, width), width)


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW, ids=lambda command: " ".join(command[:2]))
def test_what_a_longer_command_prints_fits(desk, command, capsys, monkeypatch, tmp_path):
    for name in ("flowers", "flowers_model"):
        (tmp_path / name).symlink_to(desk / name)
    monkeypatch.chdir(tmp_path)
    check(printed(capsys, monkeypatch, command, 60), 60)
