"""Text and image towers against the same networks written out plainly."""

import io
import subprocess
import sys

import numpy as np
import plain_towers
import pytest
import tiny_fastvit
import tiny_towers
from heard import Heard
from PIL import Image

from model_maker.clip import records
from model_maker.clip.image import ImageTower
from model_maker.clip.text import TextTower
from model_maker.errors import DataError

LAYOUTS = ("clip", "open_clip", "siglip")


@pytest.fixture
def place(empty_cache, monkeypatch):
    """Puts the files of a tiny model where users put them by hand; returns its record and tensors."""

    def put(layout, **changes):
        tower = tiny_towers.record(layout, **changes)
        monkeypatch.setitem(records.TOWERS, tower.name, tower)
        return tower, tiny_towers.write(empty_cache / "weights" / f"tiny_{layout}", tower)

    return put


def unit(vector):
    return vector / np.linalg.norm(vector)


def rounded(tensors):
    """The weights as a tower keeps them, in float16."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in tensors.items()}


@pytest.mark.parametrize("layout", ["clip", "open_clip"])
@pytest.mark.parametrize("activation", plain_towers.ACTIVATIONS)
def test_texts_are_embedded_as_written_out_plainly(place, layout, activation):
    tower, tensors = place(layout, activation=activation)
    words = tiny_towers.vocabulary()
    # "cat" merges to one token, "do" is cut into two letters, for no merge ends a word with it.
    begin, end = words["<|startoftext|>"], words["<|endoftext|>"]
    tokens = [
        [begin, words["cat</w>"], end],
        [begin, words["d"], words["o</w>"], words["!</w>"], end],
        [begin, end],
        [begin, *5 * [words["dog</w>"]], end],  # the end of a long text is cut, its mark stays
    ]
    found = TextTower(tower.name).embed(["Cat", " do! ", "", "dog " * 9])
    expected = [unit(plain_towers.text(ids, rounded(tensors), tower)) for ids in tokens]
    assert found.dtype == np.float32 and found.shape == (4, tiny_towers.SHARED)
    # Float32 against float64.
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert TextTower(tower.name).embed([]).shape == (0, tiny_towers.SHARED)


def test_siglips_texts_are_embedded_as_written_out_plainly(place):
    tower, tensors = place("siglip", activation="gelu_tanh")
    end, unknown, cat, dog, s = 1, 2, 4, 9, 10
    # Lower case, no punctuation; behind a text stand as many ends as fit.
    tokens = {
        "Cat, dogs!": [cat, dog, s, end, end, end, end],
        "  cat  Ω": [3, cat, 3, unknown, end, end, end],  # a space before the first word is not lost
        "": [end, end, end, end, end, end, end],
        "dogs " * 9: [dog, s, dog, s, dog, s, end],
    }
    texts = TextTower(tower.name)
    expected = [unit(plain_towers.text(ids, rounded(tensors), tower)) for ids in tokens.values()]
    np.testing.assert_allclose(texts.embed(list(tokens)), expected, atol=2e-6)
    assert (texts.logit_scale, texts.logit_bias) == (pytest.approx(110, rel=1e-5), -12.5)


def test_mobileclips_texts_are_embedded_as_written_out_plainly(place):
    tower, tensors = place("mobileclip", activation="gelu")
    words = tiny_towers.vocabulary()
    begin, end, cat, dog = (words[name] for name in ("<|startoftext|>", "<|endoftext|>", "cat</w>", "dog</w>"))
    tokens = {"cat": [begin, cat, end], "": [begin, end], "dog " * 9: [begin, *5 * [dog], end]}
    found = TextTower(tower.name, accept_licence="some-licence").embed(list(tokens))
    # Every token sees every other one, and the zeros behind the end.
    expected = [
        unit(plain_towers.text(ids + [0] * (tiny_towers.CONTEXT - len(ids)), rounded(tensors), tower, len(ids) - 1))
        for ids in tokens.values()
    ]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_mobileclips_photos_are_embedded_as_written_out_plainly(place):
    tower, tensors = place("mobileclip", activation="gelu")
    photos = list(np.random.default_rng(1).integers(0, 256, (2, tower.image_size, tower.image_size, 3), np.uint8))
    expected = [unit(tiny_fastvit.image(photo, tensors, tower.image_mean, tower.image_std)) for photo in photos]
    assert np.abs(expected[0] - expected[1]).max() > 0.05
    for kind, tolerance in (("none", 3e-6), ("float16", 5e-3), ("dynamic", 0.1)):
        found = ImageTower(tower.name, quantization=kind, accept_licence="some-licence").embed(photos)
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", plain_towers.ACTIVATIONS)
def test_photos_are_embedded_as_written_out_plainly(place, layout, activation, tmp_path):
    tower, tensors = place(layout, activation=activation)
    photos = list(np.random.default_rng(1).integers(0, 256, (3, tiny_towers.SIZE, tiny_towers.SIZE, 3), np.uint8))
    Image.fromarray(photos[0]).save(tmp_path / "photo.png")
    file = io.BytesIO()
    Image.fromarray(photos[1]).save(file, "PNG")
    given = [tmp_path / "photo.png", file.getvalue(), Image.fromarray(photos[2]), photos[0]]
    expected = [unit(plain_towers.image(photo, tensors, tower)) for photo in [*photos, photos[0]]]
    found = ImageTower(tower.name, quantization="none").embed(given)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=3e-6)  # float32 against float64
    # Weights in float16 are off by 2 ** -11 of their size.
    np.testing.assert_allclose(ImageTower(tower.name).embed(given), expected, atol=5e-3)
    np.testing.assert_allclose(ImageTower(tower.name, quantization="dynamic").embed(given), expected, atol=0.1)


def test_scores_come_of_the_files_own_scale(place):
    assert TextTower(place("clip")[0].name).logit_scale == pytest.approx(100, rel=1e-5)
    assert TextTower("tiny_clip").logit_bias == 0


def test_texts_and_photos_are_counted(place):
    tower, _ = place("clip")
    heard = Heard()
    texts = TextTower(tower.name)
    texts.embed(["cat"] * 70, progress=heard)
    assert heard.steps[0] == (0, 70) and heard.steps[-1] == (70, 70)
    photo, heard = np.zeros((9, 9, 3), np.uint8), Heard()
    ImageTower(tower.name).embed([photo, photo], progress=heard)
    assert heard.steps == [(0, 2), (1, 2), (2, 2)]
    assert ImageTower(tower.name).embed([]).shape == (0, tiny_towers.SHARED)


def test_order_and_company_change_nothing(place):
    tower, _ = place("clip")
    texts = TextTower(tower.name)
    some = ["cat", "dog dog dog", "", "a cat!"] * 20
    together = texts.embed(some)
    for text, row in zip(some[:4], together, strict=False):
        np.testing.assert_allclose(texts.embed([text])[0], row, atol=1e-6)  # BLAS sums in another order
    np.testing.assert_array_equal(together[:4], together[4:8])


def test_a_photo_that_cannot_be_read_is_named(place, tmp_path):
    tower, _ = place("clip")
    (tmp_path / "notes.jpg").write_text("no photo")
    with pytest.raises(DataError, match=r"notes\.jpg"):
        ImageTower(tower.name).embed([np.zeros((9, 9, 3), np.uint8), tmp_path / "notes.jpg"])


def test_towers_need_no_torch():
    program = (
        "import sys; sys.modules.update(torch=None, transformers=None, tensorflow=None)\n"
        "import model_maker.clip.text, model_maker.clip.image"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
