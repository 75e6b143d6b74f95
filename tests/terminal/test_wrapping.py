"""Lines end between words; a figure keeps its unit, and what has to be copied stays whole."""

import pytest
from rich.cells import cell_len

from model_maker.terminal import wrapping


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("of 61 photos", 12, "of 61 photos"),
        ("a share of 88.8 % here", 17, "a share of 88.8 %\n  here"),
        ("a share is 88.8 % here", 15, "a share\n  is 88.8 %\n  here"),
        ("what is right: 48 of 50", 20, "what is right:\n  48 of 50"),
        ("pixels: 224 x 224 pixels", 20, "pixels:\n  224 x 224 pixels"),
        ("33 CONV_2D, 6 MEAN", 14, "33 CONV_2D,\n  6 MEAN"),
        ("(95 % interval 1 %)", 13, "(95 %\n  interval\n  1 %)"),
        ("scale 0.5, zero point 127", 24, "scale 0.5, zero\n  point 127"),
        ("size 1,234 bytes, 1.5 MB", 20, "size 1,234 bytes,\n  1.5 MB"),
        ("between, or 21 to 31 %", 20, "between,\n  or 21 to 31 %"),
        ("takes 3 min", 9, "takes\n  3 min"),
        ("takes 3 min", 7, "takes\n  3 min"),
    ],
)
def test_a_figure_is_not_parted_from_its_unit(text, width, expected):
    assert wrapping.wrapped(text, width, hang=2) == expected


def test_a_word_without_room_on_any_line_sticks_out_and_stays_whole():
    path = "/a/path/that/is/longer/than/a/line"
    assert wrapping.wrapped(f"in {path} is it", 12, hang=2) == f"in {path}\n  is it"


def test_one_with_room_on_a_line_of_its_own_gets_it():
    assert wrapping.wrapped("sha256 0123456789abcdef", 18, hang=2) == "sha256\n  0123456789abcdef"


def test_the_indent_of_a_line_is_kept():
    assert wrapping.wrapped("    a/long/name/of/a/photo.jpg", 12) == "    a/long/name/of/a/photo.jpg"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("flowers/rose/rose_000.jpg", 14, ["flowers/rose/", "rose_000.jpg"]),
        ("C:\\flowers\\rose_000.jpg", 14, ["C:\\flowers\\", "rose_000.jpg"]),
        ("of flowers/rose/rose_000.jpg", 12, ["of flowers/", "rose/", "rose_000.jpg"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("花花花花花", 4, ["花花", "花花", "花"]),
    ],
)
def test_a_cell_breaks_a_path_between_its_parts(text, width, expected):
    starts = [0, *wrapping.breaks(text, width, fold=True), len(text)]
    assert [text[a:b].rstrip() for a, b in zip(starts, starts[1:], strict=False)] == expected


@pytest.mark.parametrize("width", range(4, 60))
def test_no_text_is_lost_and_no_line_is_too_wide(width):
    text = "top-1 96.7 % on 61 test photos (95 % interval 88.8 % to 99.1 %); 48 of 50, a/path/of/some/length, 花 花花"
    starts = [0, *wrapping.breaks(text, width, fold=True), len(text)]
    lines = [text[a:b].rstrip() for a, b in zip(starts, starts[1:], strict=False)]
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(cell_len, lines)) <= width
    assert all(lines)
