"""`compare`: its exit code, its document and its page."""

import dataclasses
import json

import pytest
from command import model_maker, said

from model_maker.tflite import metadata


@pytest.fixture(scope="module")
def mistaken(desk, tmp_path_factory):
    """The same file with two labels exchanged: all photos of both turn wrong."""
    content = (desk / "flowers_model/model.tflite").read_bytes()
    info = metadata.read(content)
    swapped = {"daisy": "rose", "rose": "daisy"}
    labels = tuple(swapped.get(label, label) for label in info.labels)
    path = tmp_path_factory.mktemp("mistaken") / "model.tflite"
    path.write_bytes(metadata.write(content, dataclasses.replace(info, labels=labels)))
    return path


@pytest.mark.slow
def test_more_wrong_photos_than_allowed_fail(desk, mistaken, tmp_path):
    arguments = ["compare", "flowers_model", mistaken]
    done = model_maker(*arguments, "--json", cwd=desk)
    assert done.returncode == 0, said(done)
    turned = len(json.loads(done.stdout)["turned_wrong"])
    assert turned > 0
    assert model_maker(*arguments, "--allow", turned, cwd=desk).returncode == 0
    failed = model_maker(*arguments, "--allow", turned - 1, "--page", tmp_path / "c.html", cwd=desk)
    assert failed.returncode == 1 and f"turned wrong: {turned} of" in said(failed)[0]
    assert "Turned wrong" in (tmp_path / "c.html").read_text()


def test_a_number_below_zero_and_a_page_that_exists_are_refused(desk, tmp_path):
    (tmp_path / "c.html").write_text("mine")
    for more in (["--allow", "-1"], ["--page", tmp_path / "c.html"]):
        done = model_maker("compare", "flowers_model", "flowers_model", *more, cwd=desk)
        assert done.returncode == 1 and len(said(done)[1].splitlines()) == 1
    assert (tmp_path / "c.html").read_text() == "mine"
