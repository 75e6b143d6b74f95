"""Learning from photos as a whole: frozen, fine-tuned, by folds, killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pytest
from heard import Heard
from sklearn.linear_model import LogisticRegression
from tiny_network import FUSED, TinyNetwork

import model_maker
from model_maker.backbones.int8_backbone import QuantizedEmbedder
from model_maker.data.sources import read
from model_maker.embeddings import store
from model_maker.embeddings.computing import compute
from model_maker.embeddings.store import EmbeddingStore, names_in
from model_maker.errors import DataError
from model_maker.learning import features
from model_maker.learning.checkpoint import path_for
from model_maker.normalization import Normalization
from model_maker.options import Options
from model_maker.progress import Progress
from model_maker.tflite import integer_heads
from model_maker.training import folds, learn, training_data

PIXELS = Normalization(127.5, 127.5)
TUNED = {"fine_tune": "tail", "epochs": 3, "batch_size": 8, "views": 2, "augment": "light"}


def network():
    random = np.random.default_rng(0)
    made = TinyNetwork(32).conv(0.3 * random.normal(size=(8, 3, 3, 3)), stride=2, fused=FUSED.RELU6)
    made.depthwise(0.5 * random.normal(size=(1, 3, 3, 8)), stride=2)
    return made.conv(0.3 * random.normal(size=(12, 1, 1, 8)), fused=FUSED.RELU6).mean().content()


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.tflite"
    path.write_bytes(network())
    return path


@pytest.fixture(scope="module")
def base():
    """A backbone that has no int8 form: its float one computes."""
    return QuantizedEmbedder("tiny", network(), PIXELS, 32, "", None)


@pytest.fixture(scope="module")
def colours(make_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitting") / "colours"
    make_photos(folder, {"red": 15, "green": 14, "blue": 13}, side=32)
    return folder


def options(tiny_file, **more):
    return {"model": str(tiny_file), "normalization": "127.5,127.5", **more}


def embedded(photos, base, options=None, **parts):
    """Photos and their embeddings, divided by shares or for folds."""
    made, chosen = read(photos), options or Options()
    embeddings, _ = training_data.embed(made, base, chosen)
    return training_data.TrainingData(made, made.split(**parts) if parts else None, base, embeddings, embeddings)


def test_a_frozen_head_learns_from_both_parts(base, colours):
    given = embedded(colours, base, validation=0.2, test=0.2)
    learned = learn.learn(given, Options(), Progress())
    both = training_data.join(given.split.train, given.split.validation)
    vectors, labels = compute(both, base.content, PIXELS)[0].astype(float), np.array(both.labels)
    centred = (vectors - vectors.mean(axis=0)) / np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).mean())
    strength = learned.fit.regularization
    second = LogisticRegression(C=1 / (strength * len(labels)), tol=1e-8, max_iter=5000).fit(centred, labels)
    expected = second.predict_proba(centred) ** (1 / learned.fit.temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    # Ours ends where an iteration gains less than 1e-5 of the loss.
    np.testing.assert_allclose(learned.network.head.scores(vectors), expected, atol=0.02)


def test_folds_score_each_photo_by_a_head_that_has_not_seen_it(base, colours, monkeypatch):
    given, seen, judged = embedded(colours, base), [], []
    dataset, plain, score = given.photos, folds.learn, folds.score

    def spy_on_learning(fold, *arguments, **keywords):
        seen.append({sample.digest for sample in (*fold.split.train.samples, *fold.split.validation.samples)})
        return plain(fold, *arguments, **keywords)

    def spy_on_scores(network, photos, *arguments):
        judged.append({sample.digest for sample in photos.samples})
        return score(network, photos, *arguments)

    monkeypatch.setattr(folds, "learn", spy_on_learning)
    monkeypatch.setattr(folds, "score", spy_on_scores)
    found = folds.estimate(given, Options(folds=4), Progress())
    assert found.metrics.photos == len(dataset) and found.folds == 4
    assert len(seen) == 4
    for learned, held in zip(seen, judged, strict=True):
        assert not learned & held
        assert len(learned | held) == len({sample.digest for sample in dataset.samples})


def test_folds_find_nothing_where_labels_are_dice(base, make_photos, tmp_path):
    paths = make_photos(tmp_path / "grey", {"grey": 120}, side=32)
    for number, path in enumerate(paths):
        folder = tmp_path / "dice" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    found = folds.estimate(embedded(tmp_path / "dice", base), Options(folds=4), Progress())
    # Guessing: 1/3, standard deviation sqrt(2/9/120) = 0.043; three of them.
    assert abs(found.metrics.top1 - 1 / 3) < 0.13


@pytest.mark.tensorflow
def test_training_states_what_fine_tuning_brought(tiny_file, colours, tmp_path):
    made = model_maker.train(colours, tmp_path / "out", **options(tiny_file, **TUNED, folds=2))
    tuning = made.report["fine_tuning"]
    change = tuning["against_frozen"]["accuracy_change"]
    assert made.report["float"]["top1"] == pytest.approx(tuning["frozen_top1"] + change)
    assert [entry["phase"] for entry in tuning["history"]] == ["frozen", "tail", "tail", "tail"]
    assert "seconds" not in str(tuning)
    by_folds = made.report["folds"]
    difference = by_folds["against_frozen"]["accuracy_change"]
    assert by_folds["top1"] == pytest.approx(by_folds["frozen_top1"] + difference)
    # The same run again gives the same files.
    again = model_maker.train(colours, tmp_path / "again", **options(tiny_file, **TUNED, folds=2))
    for name in ("model.tflite", "float.tflite", "metrics.json"):
        assert (again.directory / name).read_bytes() == (made.directory / name).read_bytes()


@pytest.mark.tensorflow
def test_an_earlier_run_is_gone_on_from_with_more_classes(tiny_file, colours, make_photos, tmp_path, capfd):
    first = model_maker.train(colours, tmp_path / "first", **options(tiny_file, **TUNED)).directory
    make_photos(tmp_path / "more", {"red": 9, "green": 9, "blue": 9, "grey": 9}, side=32)
    second = model_maker.train(tmp_path / "more", tmp_path / "second", model=str(first))
    assert model_maker.Classifier(second.directory).labels == ("blue", "green", "grey", "red")
    record = json.loads((second.directory / "run.json").read_text())
    assert any("cut before its classifier of 3 classes, 12 features" in note for note in record["notes"])


def test_options_may_be_given_whole(tiny_file, colours, tmp_path):
    stated = model_maker.Options(**options(tiny_file), quantize="float16", seed=3)
    made = model_maker.train(colours, tmp_path / "out", options=stated, quantize="none")
    told = json.loads((made.directory / "run.json").read_text())["options"]
    assert (told["quantize"], told["seed"], told["model"]) == ("none", 3, str(tiny_file))


def test_resume_without_fine_tuning_is_refused(colours, tmp_path):
    with pytest.raises(DataError, match="nothing to resume"):
        model_maker.train(colours, tmp_path / "out", resume=True)


@pytest.mark.tensorflow
def test_killed_in_an_epoch_it_goes_on_to_the_same_file(tiny_file, colours, tmp_path):
    wanted = {**TUNED, "epochs": 60, "learning_rate": 0.001}
    expected = model_maker.train(colours, tmp_path / "whole", **options(tiny_file, **wanted)).directory
    output = tmp_path / "killed"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options(tiny_file, **wanted).items()]
    command = [sys.executable, "-m", "model_maker", "train", f"--data={colours}", f"--output={output}", *flags]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    checkpoint = path_for(output)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and child.poll() is None:
        assert time.monotonic() < deadline, "no epoch was saved"
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it was over before it could be killed"
    assert not output.exists()
    with pytest.raises(DataError, match="epochs was 60, is 5"):
        model_maker.train(colours, output, resume=True, **options(tiny_file, **{**wanted, "epochs": 5}))
    resumed = model_maker.train(colours, output, resume=True, **options(tiny_file, **wanted)).directory
    for name in ("model.tflite", "float.tflite", "metrics.json"):
        assert (resumed / name).read_bytes() == (expected / name).read_bytes()
    assert not checkpoint.exists()


def test_killed_while_embedding_it_goes_on_with_the_rest(tiny_file, make_photos, tmp_path, empty_cache, monkeypatch):
    photos, output = tmp_path / "many", tmp_path / "out"
    make_photos(photos, {"red": 60, "green": 60}, side=32)
    # Photos that take 20 ms each, so that the kill comes in between.
    program = f"""
import sys, time
from model_maker.data import images
plain = images.picture
images.picture = lambda photo: (time.sleep(0.02), plain(photo))[1]
import model_maker
model_maker.train({str(photos)!r}, {str(output)!r}, threads=2, **{options(tiny_file)!r})
"""
    child = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(stored(empty_cache)) < 50 and child.poll() is None:
        assert time.monotonic() < deadline, "it embeds nothing"
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it was over before it could be killed"
    kept = stored(empty_cache)
    assert 50 <= len(kept) < 120
    found, plain = defaultdict(list), EmbeddingStore.append

    def noting(store, names, vectors):
        found[store.path].extend(name.tobytes() for name in names)
        plain(store, names, vectors)

    monkeypatch.setattr(EmbeddingStore, "append", noting)
    notes = Heard()
    model_maker.train(photos, output, progress=notes, **options(tiny_file))
    embedded = max(found.values(), key=len)
    assert len(embedded) == 120 - len(kept) and not set(embedded) & kept
    assert set(embedded) | kept == {bytes.fromhex(sample.digest) for sample in read(photos).samples}
    assert f"{len(kept)} of 120 photos were embedded before." in notes.notes
    assert notes.first["Embed photos"] == (len(kept), 120)  # the bar begins where the last run ended
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "fresh"))
    whole = model_maker.train(photos, tmp_path / "whole", **options(tiny_file)).directory
    for name in ("model.tflite", "float.tflite", "metrics.json"):
        assert (output / name).read_bytes() == (whole / name).read_bytes()


def stored(cache):
    """The names in the largest store of a cache; others hold the few photos on which models are compared."""
    stores = [{name.tobytes() for name in names_in(path)} for path in cache.glob("embeddings/*.index")]
    return max(stores, key=len, default=set())


def test_what_is_too_large_for_memory_is_streamed_through_training(tiny_file, colours, tmp_path, monkeypatch):
    wanted = options(tiny_file, augment="light", views=3)
    here = model_maker.train(colours, tmp_path / "here", **wanted)
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(store, "BLOCK", 4)
    monkeypatch.setattr(integer_heads, "BLOCK", 4)
    there = model_maker.train(colours, tmp_path / "there", **wanted)
    again = model_maker.train(colours, tmp_path / "again", **wanted)
    for name in ("model.tflite", "float.tflite", "metrics.json"):
        assert (there.directory / name).read_bytes() == (again.directory / name).read_bytes()
    # Noise around three colours is easy either way.
    assert here.metrics.top1 == there.metrics.top1 == 1.0
    assert there.report["cross_validation"] != here.report["cross_validation"]  # one held-out part, not five
