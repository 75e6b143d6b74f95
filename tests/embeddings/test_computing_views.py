"""Embeddings of augmented views: each is made once, and the first is the plain photo."""

import numpy as np
import pytest
from embedding_arrays import embed, expected_means, stored
from heard import Heard

from model_maker.data import augment
from model_maker.data.augment import PRESETS
from model_maker.data.sources import read
from model_maker.embeddings.computing import cache_path
from model_maker.normalization import Normalization

PIXELS = Normalization(mean=127.0, std=128.0)


STANDARD = PRESETS["standard"]


@pytest.fixture
def made(monkeypatch):
    """(photo, number) of every view that was made."""
    calls, views = [], augment.views

    def noting(photo, *arguments, numbers, **options):
        calls.extend((f"{photo.parent.name}/{photo.name}", number) for number in numbers)
        return views(photo, *arguments, numbers=numbers, **options)

    monkeypatch.setattr(augment, "views", noting)
    return calls


def views_of(data, embedder, count, *, augmentation=STANDARD, seed=0, **options):
    return embed(read(data), embedder, PIXELS, views=count, augmentation=augmentation, seed=seed, **options)


def expected_views(dataset, count, seed=0):
    """By arithmetic: mean colours of the views themselves."""
    pixels = [
        augment.views(s.path, 8, STANDARD, digest=s.digest, seed=seed, numbers=range(count)) for s in dataset.samples
    ]
    return ((np.array(pixels).astype(float) - 127) / 128).mean(axis=(2, 3))


def test_views_are_embedded_each_and_the_first_is_plain(data, tiny_embedder):
    dataset = read(data)
    vectors, skipped = views_of(data, tiny_embedder, 4)
    assert skipped == [] and vectors.dtype == np.float16 and vectors.shape == (12, 4, 3)
    np.testing.assert_allclose(vectors, expected_views(dataset, 4), atol=2**-11)  # half a step of float16
    np.testing.assert_allclose(vectors[:, 0], expected_means(dataset), atol=2**-11)


def test_views_are_cached_each(data, tiny_embedder, made):
    views_of(data, tiny_embedder, 3)
    assert len(made) == len(set(made)) == 36
    made.clear()
    first, _ = views_of(data, tiny_embedder, 3)
    assert made == []
    more, _ = views_of(data, tiny_embedder, 5)
    assert sorted({number for _, number in made}) == [3, 4] and len(made) == 24
    np.testing.assert_array_equal(more[:, :3], first)


def test_plain_photos_are_shared_with_plain_training(data, tiny_embedder, made):
    plain, _ = embed(read(data), tiny_embedder, PIXELS)
    made.clear()
    vectors, _ = views_of(data, tiny_embedder, 2)
    assert {number for _, number in made} == {1}
    np.testing.assert_array_equal(vectors[:, 0], plain)
    made.clear()
    views_of(data, tiny_embedder, 2, seed=1)
    views_of(data, tiny_embedder, 2, augmentation=PRESETS["strong"])
    assert {number for _, number in made} == {1} and len(made) == 24  # others, but none of them plain
    made.clear()
    embed(read(data), tiny_embedder, PIXELS)
    assert made == []


def test_adding_photos_embeds_the_views_of_those_alone(data, tiny_embedder, made, make_photos):
    views_of(data, tiny_embedder, 3)
    made.clear()
    make_photos(data, {"a": 6}, side=8)  # 5 -> 6
    vectors, _ = views_of(data, tiny_embedder, 3)
    assert made == [("a/005.png", 0), ("a/005.png", 1), ("a/005.png", 2)] and vectors.shape == (13, 3, 3)


def test_an_interrupted_run_keeps_the_views_that_were_done(data, tiny_embedder, made):
    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        views_of(data, tiny_embedder, 3, progress=Heard(interrupt), threads=1)
    assert stored(tiny_embedder) == 5 * 3
    made.clear()
    views_of(data, tiny_embedder, 3)
    assert len({photo for photo, _ in made}) == 7


def test_a_damaged_view_is_computed_again_alone(data, tiny_embedder, made):
    first, _ = views_of(data, tiny_embedder, 3, threads=1)
    path = cache_path(tiny_embedder, PIXELS)
    content = bytearray(path.read_bytes())
    content[4 * 2 * 3] ^= 1  # a value of the second view of the second photo, of three values each
    path.write_bytes(content)
    made.clear()
    second, _ = views_of(data, tiny_embedder, 3)
    assert made == [("a/001.png", 1)]
    np.testing.assert_array_equal(first, second)


def test_a_photo_that_cannot_be_read_has_no_views(data, tiny_embedder):
    (data / "a" / "001.jpg").write_bytes(b"no photo at all")
    vectors, [skipped] = views_of(data, tiny_embedder, 3)
    assert vectors.shape == (12, 3, 3) and skipped.path == data / "a" / "001.jpg"
