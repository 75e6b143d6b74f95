"""`push` against a Hub on 127.0.0.1: what arrives there, what does not, and what happens when it breaks off."""

import io
import json
import os
import subprocess
import sys

import loopback_hub
import pytest
import yaml
from checkout import ROOT
from huggingface_hub import ModelCard
from PIL import Image

from model_maker import Classifier
from model_maker.demo import static_site
from model_maker.errors import DataError, ModelError
from model_maker.exporters.hub_upload import model_files, push
from model_maker.tflite import metadata


@pytest.fixture
def hub():
    with loopback_hub.serve() as hub:
        yield hub


@pytest.fixture
def run(hub, tmp_path):
    """run(*words): the command in a process, for huggingface_hub reads where the Hub is when it is imported."""

    def call(*words, token="secret"):
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HUB_DISABLE_XET": "1",  # the Hub's own storage, of which there is none here
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": token,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "model_maker", "push", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


def front_matter(card):
    _, head, rest = card.decode().split("---\n", 2)
    return yaml.safe_load(head), rest


def test_the_model_arrives_with_its_card_and_nothing_private(run, hub, trained, tmp_path):
    done = run(trained["uint8"], "ada/flowers", "--private", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    files = hub.files["models/ada/flowers"]
    assert told["url"] == f"{hub.address}/ada/flowers" and set(told["files"]) == set(files)
    made = hub.repositories["models/ada/flowers"]
    assert made.get("private") is True or made.get("visibility") == "private", made
    assert files["model.tflite"] == (trained["uint8"] / "model.tflite").read_bytes()
    assert not {"run.json", "split.json", "report.html", "float.tflite"} & set(files)
    head, rest = front_matter(files["README.md"])
    assert (head["pipeline_tag"], head["library_name"]) == ("image-classification", "litert")
    [result] = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == json.loads(files["metrics.json"])["test"]["top1"]
    assert files["README.md"] == (trained["uint8"] / "README.md").read_bytes() and rest.strip().startswith("# ")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert Classifier(tmp_path).labels == Classifier(trained["uint8"]).labels


def test_examples_arrive_in_small_with_their_answers_and_without_exif(run, hub, trained, tmp_path):
    photo = Image.new("RGB", (2000, 1000), "red")
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"  # where it was
    photo.save(tmp_path / "secret name.jpg", exif=exif)
    words = ("--examples", tmp_path / "secret name.jpg", "--dataset", "ada/photos", "--message", "With an example")
    done = run(trained["uint8"], "ada/flowers", *words)
    assert done.returncode == 0, done.stderr
    files = hub.files["models/ada/flowers"]
    [name] = [name for name in files if name.endswith(".jpg")]
    with Image.open(io.BytesIO(files[name])) as published:
        assert published.size == (512, 256) and not published.getexif()
    card = ModelCard(files["README.md"].decode())
    assert card.data.datasets == ["ada/photos"] and card.data.license == "apache-2.0"
    [example] = card.data.widget
    answers = Classifier(trained["uint8"]).predict(files[name])[0]
    assert example["src"] == name
    assert example["output"] == [{"label": a.label, "score": round(a.score, 4)} for a in answers]
    assert b"secret" not in files["README.md"] and b"A camera" not in files[name]
    assert card.text.strip() == ModelCard((trained["uint8"] / "README.md").read_text()).text.strip()


def test_a_card_without_front_matter_gets_one(trained, tmp_path):
    """As those of edited models are."""
    (tmp_path / "README.md").write_text("# Edited\n")
    content = (trained["uint8"] / "model.tflite").read_bytes()
    found = model_files(tmp_path, content, metadata.read(content))
    card = ModelCard(found["README.md"].decode())
    assert (card.data.pipeline_tag, card.text.strip()) == ("image-classification", "# Edited")


def test_what_broke_off_is_not_sent_again(run, hub, trained):
    hub.break_commits = 1
    done = run(trained["uint8"], "ada/flowers")
    assert done.returncode == 1 and "answers 400 for ada/flowers. Run the same command again" in done.stderr
    before = list(hub.sent)
    assert before and "models/ada/flowers" not in hub.files
    done = run(trained["uint8"], "ada/flowers")
    assert done.returncode == 0, done.stderr
    assert hub.sent == before and "model.tflite" in hub.files["models/ada/flowers"]


@pytest.mark.skipif(not static_site.has_runtime(), reason="no LiteRT.js: make runtime")
def test_the_page_becomes_a_static_space(run, hub, trained):
    done = run(trained["uint8"], "ada/flowers", "--space", "ada/flowers-demo")
    assert done.returncode == 0, done.stderr
    files = hub.files["spaces/ada/flowers-demo"]
    head, _ = front_matter(files["README.md"])
    assert (head["sdk"], head["app_file"], head["models"]) == ("static", "index.html", ["ada/flowers"])
    assert {"index.html", "model.tflite"} <= set(files)
    assert head["custom_headers"]["cross-origin-embedder-policy"] == "require-corp"


def test_who_is_not_known_is_told_how(run, trained):
    done = run(trained["uint8"], "ada/flowers", token="other")
    assert done.returncode == 1 and "answers 401 for ada/flowers. Log in with `hf auth login`" in done.stderr
    assert done.stderr.count("\n") <= 3 and "Traceback" not in done.stderr


def test_what_cannot_be_pushed_is_refused_before_anything_is_sent(trained, tmp_path):
    with pytest.raises(DataError, match="'flowers' is not a repository name. Pass OWNER/NAME"):
        push(trained["uint8"], "flowers")
    (tmp_path / "model.tflite").write_bytes((trained["uint8"] / "model.tflite").read_bytes())
    with pytest.raises(DataError, match="'photos' is not a repository name"):
        push(trained["uint8"], "ada/flowers", datasets=["photos"])
    with pytest.raises(DataError, match="nowhere.jpg"):
        push(trained["uint8"], "ada/flowers", examples=["nowhere.jpg"])
    with pytest.raises(ModelError, match="holds no classifier with a README.md"):
        push(tmp_path, "ada/flowers")
