"""Training that starts from the names of classes."""

import pytest

from model_maker.errors import DataError
from model_maker.tflite import metadata
from model_maker.training.train import train


def test_train_starts_from_names(lite0, tmp_path, shared_data):
    names = ("broccoli", "minibus")
    for name, photo in zip(names, ("0937_n07714990_broccoli", "0654_n03769881_minibus"), strict=True):
        content = (shared_data / "imagenet_samples" / f"{photo}.jpg").read_bytes()
        for part, count in (("train", 1), ("test", 2)):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(count):  # other files of the same picture
                other = content + bytes(number + (part == "test"))
                (tmp_path / "photos" / part / name / f"{number}.jpg").write_bytes(other)
    with pytest.raises(DataError, match="has 1 photo"):
        train(tmp_path / "photos", tmp_path / "plain")
    result = train(tmp_path / "photos", tmp_path / "model", labels_from_text="known")
    assert result.metrics.top1 == 1.0
    stated = result.report["labels_from_text"]
    assert (stated["tier"], stated["source"], set(stated["labels"])) == ("known", "WordNet 3.0", set(names))
    assert stated["scale"] > 0 and result.report["photos"] == {"train": 2, "validation": 0, "test": 4}
    info = metadata.read((tmp_path / "model" / "model.tflite").read_bytes())
    assert info.provenance["labels_from_text"]["tier"] == "known"
    assert "names of classes, tier known (WordNet 3.0)" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels_from_text": "known"}, "knows 1 of the 5 classes"),
        ({"labels_from_text": "nowhere"}, "holds no text vectors"),
        ({"labels_from_text": "known", "fine_tune": "tail"}, "for a head on frozen features"),
    ],
)
def test_names_that_say_nothing_are_refused(lite0, drawn_flowers, tmp_path, more, said):
    with pytest.raises(DataError, match=said):
        train(drawn_flowers, tmp_path / "model", **more)
    assert not (tmp_path / "model").exists()
