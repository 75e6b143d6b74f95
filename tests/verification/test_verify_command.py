"""`model_maker verify`: what it shows, its JSON, its exit codes."""

import json
import zipfile

import pytest

from model_maker import cli
from model_maker.apps import put_in_app
from model_maker.errors import ModelError
from model_maker.tflite import metadata, zip_files
from model_maker.verification import clients
from model_maker.verification.certificate import RAN

pytestmark = pytest.mark.slow


def run_cli(*arguments):
    return cli.main(cli.parse(["model_maker", "verify", *map(str, arguments)]))


def test_the_report_shows_the_certificate(model, photos, tmp_path, nowhere_else, capsys):
    page = tmp_path / "page.html"
    assert run_cli(model, "--data", photos, "--report", page, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    text = page.read_text()
    assert (
        found["sha256"] in text and "LiteRT, reference" in text and "run on 11 photos" in text and "It passes" in text
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]  # no plots
    page.write_text("mine")
    assert run_cli(model, "--data", photos, "--report", page) == 1
    assert "page.html" in capsys.readouterr().err and page.read_text() == "mine"
    content = model.read_bytes()
    assert run_cli(model, "--data", photos, "--report", model, "--overwrite") == 1
    assert "is no page (.html)" in capsys.readouterr().err and model.read_bytes() == content


def test_a_damaged_file_is_refused_in_a_line(model, photos, tmp_path, capsys):
    path = tmp_path / "half.tflite"
    path.write_bytes(model.read_bytes()[:3000])
    assert run_cli(path, "--data", photos) == 1
    said = capsys.readouterr().err.splitlines()
    assert "half.tflite" in said[-1]
    assert "damaged" in said[-1]


def test_json_is_one_document_and_says_all(model, photos, nowhere_else, capsys):
    assert run_cli(model, "--data", photos, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["failures"], found["photos"]) == (True, [], 11)
    assert [run["state"] for run in found["runtimes"]] == [RAN] * 3
    assert all(rule["passed"] and not rule["advice"] for rule in found["rules"])
    assert [run["name"] for run in found["apps"]][0] == put_in_app.APPS[0].name
    assert found["apps"][0]["pixels"] == "stretched, bilinear"


def test_exit_code_is_1_where_a_rule_is_broken(make_tiny_model, photos, tmp_path, nowhere_else, capsys):
    path = tmp_path / "crlf.tflite"
    content = make_tiny_model()
    lines = zip_files.read(content, metadata.LABELS)
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        archive.writestr(metadata.LABELS, lines.replace(b"\n", b"\r\n"))
    bare = content[: content.index(b"PK\x03\x04")]
    path.write_bytes(bare + (tmp_path / "files.zip").read_bytes())
    assert run_cli(path, "--data", photos, "--report", tmp_path / "page.html") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "It does not pass" in (tmp_path / "page.html").read_text()
    assert "failed labels in lines that end in LF: lines that end in CR LF." in shown
    assert "LiteRT's samples look for labels_without_background.txt in the zip: " in shown


def test_exit_code_is_0_where_runtimes_are_not_here(model, photos, elsewhere, capsys):
    def absent(*_):
        raise clients.NotHere("MediaPipe Tasks is not here. Run: pip install it")

    elsewhere(mediapipe=absent)
    assert run_cli(model, "--data", photos) == 0
    shown = capsys.readouterr().out
    assert "not here" in shown
    assert "pip install it" in shown
    assert "passed" in shown


def test_exit_code_is_1_where_a_runtime_that_is_here_refuses(model, photos, elsewhere, capsys):
    def refusing(*_):
        raise ModelError("it will not")

    elsewhere(Engine=refusing)
    assert run_cli(model, "--data", photos) == 1
    shown = capsys.readouterr().out
    assert "failed Engine rejects it: it will not" in shown and "passed" not in shown


def test_a_model_without_photos_asks_for_them(model, capsys):
    assert run_cli(model) == 1
    assert "Pass --data DIR" in capsys.readouterr().err
