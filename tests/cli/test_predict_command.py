"""What `predict` shows while it classifies."""

import pytest

from model_maker.cli import main, parse, predict_command


@pytest.mark.parametrize(("patience", "shown"), [(-1, True), (10_000, False)])
def test_progress_appears_only_where_photos_take_a_while(trained, drawn_flowers, capsys, monkeypatch, patience, shown):
    monkeypatch.setattr(predict_command, "MOMENT_SECONDS", patience)
    photos = sorted(map(str, drawn_flowers.glob("rose/*.jpg")))[:3]
    assert main(parse(["model_maker", "predict", str(trained["uint8"]), *photos, "--csv", "--top-k", "1"])) == 0
    found = capsys.readouterr()
    assert ("Classify photos" in found.err) == shown
    assert [line.split(",")[0] for line in found.out.splitlines()] == ["photo", *photos]
