"""The wording check finds listed phrases with their line, and nothing in the project's own prose."""

import subprocess
import sys

import pytest
import wording


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all cores unless told", [(1, "unless told", "by default")]),
        ("fine\nA data set of\nphotos, and its twins.", [(2, "data set", "dataset"), (3, "twins", "near duplicate")]),
        ("# All cores unless\n# told otherwise.", [(1, "unless told", "by default")]),
        ("UNLESS TOLD", [(1, "UNLESS TOLD", "by default")]),
        ("x is no folder, but there is no folder above it", [(1, "is no folder", "is not a ...")]),
        ("`mend` and `put_back` are names; telltales and unless_told, too", []),
        ("A dataset, by default with a share of 0.5.", []),
    ],
)
def test_phrases_are_found_with_line_and_better_wording(text, expected):
    assert list(wording.find(text)) == expected


def test_a_file_with_a_phrase_fails_with_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nThe highest rate unless told.\n", encoding="utf-8")
    done = subprocess.run([sys.executable, wording.__file__, page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"{page}:3: 'unless told': by default\n")
    page.write_text("# Title\n", encoding="utf-8")
    assert wording.main([page]) == 0


def test_the_project_uses_none_of_them(capsys):
    assert wording.main(wording.files()) == 0, capsys.readouterr().out
