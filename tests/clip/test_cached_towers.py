"""Where the files of towers come from: by hand, from the cache, from the Hub, and what is said where they do not."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny_towers
from checkout import HELPERS
from loopback_files import serve
from safetensors.numpy import load_file, save_file

from model_maker.clip import records
from model_maker.clip.image import ImageTower
from model_maker.clip.text import TextTower
from model_maker.errors import BackboneError
from model_maker.system import downloads
from model_maker.tflite.interpreter import LiteRTRunner

FILES = ("model.safetensors", "vocab.json", "merges.txt")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(downloads, "reachable", lambda url: False)


@pytest.fixture
def folder(empty_cache, monkeypatch, offline):
    """The folder of a tiny model's files, put there by hand."""
    tower = tiny_towers.record()
    monkeypatch.setitem(records.TOWERS, tower.name, tower)
    tiny_towers.write(empty_cache / "weights" / "tiny_clip", tower)
    return empty_cache / "weights" / "tiny_clip"


def refusal(make):
    with pytest.raises(BackboneError) as caught:
        make("tiny_clip")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_once_made_towers_need_no_file(folder):
    texts, photo = TextTower("tiny_clip").embed(["cat"]), np.full((24, 24, 3), 200, np.uint8)
    photos = ImageTower("tiny_clip").embed([photo])
    shutil.rmtree(folder)
    np.testing.assert_array_equal(TextTower("tiny_clip").embed(["cat"]), texts)
    np.testing.assert_array_equal(ImageTower("tiny_clip").embed([photo]), photos)


def test_the_image_towers_file_is_small_and_runs_anywhere(folder):
    sizes = {kind: len(ImageTower("tiny_clip", quantization=kind).content) for kind in ("none", "float16", "dynamic")}
    assert sizes["float16"] < sizes["none"] and sizes["dynamic"] < sizes["none"]
    for kind in sizes:
        content = ImageTower("tiny_clip", quantization=kind).content
        found = [
            LiteRTRunner(content, kernels=kernels).run(np.zeros((1, 24, 24, 3))) for kernels in ("xnnpack", "none")
        ]
        np.testing.assert_allclose(*found, atol=0.05)


@pytest.mark.parametrize("missing", FILES)
@pytest.mark.parametrize("make", [TextTower, ImageTower])
def test_a_missing_file_is_said_in_one_line_with_its_address(folder, make, missing):
    (folder / missing).unlink()
    if make is ImageTower and missing != "model.safetensors":
        make("tiny_clip")  # photos need no words
        return
    said = refusal(make)
    address = f"https://huggingface.co/someone/tiny_clip/resolve/main/{missing}"
    for part in (missing, "huggingface.co cannot be reached", address, str(folder / missing)):
        assert part in said


def test_a_wrong_sha256_is_refused_and_named(folder, monkeypatch):
    content = (folder / "model.safetensors").read_bytes()
    right = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(records.TOWERS, "tiny_clip", tiny_towers.record(sha256=right))
    TextTower("tiny_clip")
    monkeypatch.setitem(records.TOWERS, "tiny_clip", tiny_towers.record(sha256="b" * 64))
    for make in (TextTower, ImageTower):
        said = refusal(make)
        assert "is not the file that it should be" in said and right[:16] in said and "b" * 16 in said


def test_files_of_one_name_in_two_repositories_are_told_apart(folder, monkeypatch):
    """Nobody published their hashes, so each is remembered, under its repository."""
    TextTower("tiny_clip")
    other = tiny_towers.record("open_clip")
    monkeypatch.setitem(records.TOWERS, other.name, other)
    tiny_towers.write(folder.parent / "tiny_open_clip", other)
    merges = folder.parent / "tiny_open_clip" / "merges.txt"
    merges.write_text(merges.read_text(encoding="utf-8").replace("do g</w>\n", ""), encoding="utf-8")
    TextTower(other.name)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, *(f"{name}.sha256" for name in FILES)])


@pytest.mark.parametrize("make", [TextTower, ImageTower])
def test_weights_of_another_model_are_refused(folder, make):
    tensors = load_file(folder / "model.safetensors")
    name = {TextTower: "text_model.final_layer_norm.bias", ImageTower: "vision_model.post_layernorm.bias"}[make]
    save_file({**tensors, name: np.zeros(5, np.float32)}, folder / "model.safetensors")
    assert re.search(r"does not hold the weights of tiny_clip .*has the shape \[5\] and not \[", refusal(make))
    shutil.rmtree(folder)
    tiny_towers.write(folder, tiny_towers.record())
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    assert f"({name} is missing)" in refusal(make)
    shutil.rmtree(folder)
    tiny_towers.write(folder, tiny_towers.record())
    (folder / "model.safetensors").write_bytes(b"<html>log in first</html>")
    assert "cannot be read as safetensors" in refusal(make)


@pytest.mark.parametrize("damaged", ["vocab.json", "merges.txt"])
def test_a_damaged_tokenizer_is_named(folder, damaged):
    (folder / damaged).write_text("{}" if damaged == "merges.txt" else "[1, 2")
    assert re.search(r"vocab\.json and \S+merges\.txt cannot be read as a tokenizer", refusal(TextTower))


def test_a_tokenizer_of_another_model_is_refused(folder):
    words = {**tiny_towers.vocabulary(), **{f"more{index}": 200 + index for index in range(9)}}
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    assert "is not the tokenizer of tiny_clip: it knows" in refusal(TextTower)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(BackboneError, match="Unknown CLIP model 'tinyclip'. Did you mean tinyclip_vit_8m_16 or"):
        TextTower("tinyclip")


SCRIPT = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
import tiny_towers
from model_maker.clip import records
from model_maker.clip.text import TextTower
from model_maker.errors import BackboneError
from model_maker.progress import Progress
heard = Progress()
records.TOWERS["tiny_clip"] = tiny_towers.record()
try:
    print(TextTower("tiny_clip", progress=heard).embed(["cat"]).shape, *heard.notes, sep="\\n")
except BackboneError as error:
    print("refused:", error)
"""


def run(tmp_path, endpoint):
    # In a process of its own, for the Hub's library reads its settings when it is imported.
    settings = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "MODEL_MAKER_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=settings, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.strip().splitlines()


def test_files_are_downloaded_once_and_announced(tmp_path):
    tiny_towers.write(tmp_path / "published", tiny_towers.record())
    with serve() as server:
        for name in FILES:
            content, path = (tmp_path / "published" / name).read_bytes(), f"/someone/tiny_clip/resolve/main/{name}"
            server.files[path] = content
            server.headers[path] = {
                "X-Repo-Commit": "a" * 40,
                "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
            }
        shape, *notes = run(tmp_path, server.address)
        assert shape == "(1, 6)"
        for name, note in zip(FILES, notes, strict=True):
            assert note.startswith(f"Downloading {server.address}/someone/tiny_clip/resolve/main/{name} (about ")
        requests = len(server.requests)
        assert run(tmp_path, server.address) == ["(1, 6)"] and len(server.requests) == requests
        # What a repository does not hold is said with its address.
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(tmp_path / "hub")
        del server.files["/someone/tiny_clip/resolve/main/merges.txt"]
        [said] = run(tmp_path, server.address)
        assert said.startswith(f"refused: The download of {server.address}/someone/tiny_clip/resolve/main/merges.txt")
