import dataclasses
import hashlib
import io
import shutil
import tracemalloc
from importlib import metadata

import numpy as np
import pytest
from embedding_arrays import embed, expected_means, stored
from heard import Heard

from model_maker.data import images
from model_maker.data.augment import PRESETS
from model_maker.data.dataset import Dataset, Sample, Skipped
from model_maker.data.sources import read
from model_maker.embeddings.computing import cache_path, feature_maps, look_up
from model_maker.errors import OutputError
from model_maker.normalization import Normalization
from model_maker.tflite import graph
from model_maker.tflite.interpreter import LiteRTRunner

PIXELS = Normalization(mean=127.0, std=128.0)
STANDARD = PRESETS["standard"]


def test_a_store_is_named_by_all_that_its_embeddings_depend_on(empty_cache, tiny_embedder, conv_embedder, monkeypatch):
    names = {cache_path(tiny_embedder, PIXELS), cache_path(conv_embedder, PIXELS)}
    names.add(cache_path(tiny_embedder, Normalization(mean=0.0, std=255.0)))
    with monkeypatch.context() as patch:
        patch.setattr(images, "PREPROCESSING", "another way to shrink")
        names.add(cache_path(tiny_embedder, PIXELS))
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", lambda name: "9.9")
        names.add(cache_path(tiny_embedder, PIXELS))
    assert len(names) == 5 and cache_path(tiny_embedder, PIXELS) in names
    assert all(path.parent == empty_cache / "embeddings" for path in names)
    assert not empty_cache.exists()


@pytest.fixture
def loaded(monkeypatch):
    """The names of the photos whose pixels were made."""
    names, picture = [], images.picture

    def noting(photo):
        names.append(f"{photo.parent.name}/{photo.name}")
        return picture(photo)

    monkeypatch.setattr(images, "picture", noting)
    return names


def test_embeddings_are_what_the_network_gives_for_each_photo_in_order(data, tiny_embedder):
    dataset = read(data)
    vectors, skipped = embed(dataset, tiny_embedder, PIXELS)
    assert skipped == [] and vectors.dtype == np.float16 and vectors.shape == (12, 3)
    # float16 keeps 11 bits: half a step at 1 is 2 ** -12; the rest is float32 summing.
    np.testing.assert_allclose(vectors, expected_means(dataset), atol=2**-11)


def test_what_the_input_was_taken_to_expect_is_part_of_an_embedding(data, tiny_embedder):
    dataset = read(data)
    first, _ = embed(dataset, tiny_embedder, PIXELS)
    second, _ = embed(dataset, tiny_embedder, Normalization(mean=0.0, std=255.0))
    # (pixel - 127) / 128 and pixel / 255 of the same mean pixel; float16 keeps 11 bits.
    np.testing.assert_allclose(second.astype(float) * 255, first.astype(float) * 128 + 127, atol=255 * 2**-11)


def test_a_second_time_nothing_is_computed(data, tiny_embedder, loaded):
    dataset = read(data)
    first, _ = embed(dataset, tiny_embedder, PIXELS)
    assert len(loaded) == 12
    loaded.clear()
    second, skipped = embed(dataset, tiny_embedder, PIXELS)
    assert loaded == [] and skipped == []
    np.testing.assert_array_equal(first, second)


def test_adding_ten_photos_embeds_ten_photos(data, tiny_embedder, loaded, make_photos):
    embed(read(data), tiny_embedder, PIXELS)
    known = stored(tiny_embedder)
    loaded.clear()
    make_photos(data, {"a": 8, "b": 12, "c": 2}, side=8)  # 5 -> 8, 7 -> 12, 0 -> 2
    dataset = read(data)
    vectors, _ = embed(dataset, tiny_embedder, PIXELS)
    added = [f"a/{n:03}.png" for n in (5, 6, 7)] + [f"b/{n:03}.png" for n in range(7, 12)] + ["c/000.png", "c/001.png"]
    assert sorted(loaded) == added and len(added) == 10
    assert stored(tiny_embedder) == known + 10
    np.testing.assert_allclose(vectors, expected_means(dataset), atol=2**-11)


def test_renamed_and_moved_photos_are_known(data, tiny_embedder, loaded):
    before, _ = embed(read(data), tiny_embedder, PIXELS)
    loaded.clear()
    shutil.move(data, data.parent / "elsewhere")
    (data.parent / "elsewhere" / "a" / "000.png").rename(data.parent / "elsewhere" / "a" / "999.png")
    after, _ = embed(read(data.parent / "elsewhere"), tiny_embedder, PIXELS)
    assert loaded == []
    np.testing.assert_array_equal(after[:5], before[[1, 2, 3, 4, 0]])


def test_another_embedder_starts_afresh(data, tiny_embedder, conv_embedder, loaded):
    embed(read(data), tiny_embedder, PIXELS)
    vectors, _ = embed(read(data), conv_embedder, PIXELS)
    assert len(loaded) == 24 and vectors.shape == (12, 16)


def test_copies_are_computed_once(data, tiny_embedder, loaded):
    for number in range(4):
        shutil.copy(data / "a" / "000.png", data / "b" / f"copy{number}.png")
    dataset = read(data)
    vectors, _ = embed(dataset, tiny_embedder, PIXELS)
    assert len(loaded) == 12 and len(vectors) == 16
    copies = [index for index, s in enumerate(dataset.samples) if s.path.name.startswith("copy")]
    assert len(copies) == 4 and all((vectors[index] == vectors[0]).all() for index in copies)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_changes_no_bit(data, conv_embedder, threads):
    vectors, _ = embed(read(data), conv_embedder, PIXELS, threads=threads)
    cache_path(conv_embedder, PIXELS).unlink()
    again, _ = embed(read(data), conv_embedder, PIXELS, threads=2)
    np.testing.assert_array_equal(vectors, again)


def test_an_interrupted_run_goes_on_where_it_stopped(data, tiny_embedder, loaded):
    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(read(data), tiny_embedder, PIXELS, progress=Heard(interrupt), threads=1)
    assert stored(tiny_embedder) == 5
    loaded.clear()
    dataset = read(data)
    vectors, _ = embed(dataset, tiny_embedder, PIXELS)
    assert len(loaded) == 7
    np.testing.assert_allclose(vectors, expected_means(dataset), atol=2**-11)


def test_a_torn_or_damaged_record_is_computed_again_alone(data, tiny_embedder, loaded):
    dataset = read(data)
    first, _ = embed(dataset, tiny_embedder, PIXELS, threads=1)
    path = cache_path(tiny_embedder, PIXELS)
    content = bytearray(path.read_bytes())
    content[3 * 2 * 3] ^= 1  # a value of the fourth photo, of three values each
    path.write_bytes(content[:-1])  # and the last record is torn
    loaded.clear()
    second, _ = embed(dataset, tiny_embedder, PIXELS)
    assert sorted(loaded) == ["a/003.png", "b/006.png"]
    np.testing.assert_array_equal(first, second)


def test_unreadable_photos_are_reported_with_their_reasons(data, tiny_embedder, loaded):
    (data / "a" / "001.jpg").write_bytes(b"no photo at all")
    shutil.copy(data / "a" / "001.jpg", data / "b" / "copy.jpg")
    (data / "b" / "half.png").write_bytes((data / "b" / "000.png").read_bytes()[:-60])
    dataset = read(data)
    vectors, skipped = embed(dataset, tiny_embedder, PIXELS)
    foreign = "not a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture"
    assert skipped[:2] == [Skipped(data / "a" / "001.jpg", foreign), Skipped(data / "b" / "copy.jpg", foreign)]
    assert skipped[2].path == data / "b" / "half.png" and skipped[2].reason.startswith("damaged (")
    assert len(skipped) == 3 and len(loaded) == 14  # the copy was not tried again
    rest = dataset.without(skipped)
    np.testing.assert_allclose(vectors, expected_means(rest), atol=2**-11)
    loaded.clear()
    embed(dataset, tiny_embedder, PIXELS)
    assert len(loaded) == 2  # what could not be read is tried anew


def test_no_readable_photo_gives_no_vectors(tmp_path, empty_cache, tiny_embedder):
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"no photo")
    dataset = Dataset((Sample(path, 0, hashlib.sha256(b"no photo").hexdigest()),), ("a", "b"))
    vectors, skipped = embed(dataset, tiny_embedder, PIXELS)
    assert vectors.shape == (0, 3) and len(skipped) == 1


def test_progress_counts_known_photos_as_done(data, tiny_embedder, make_photos):
    calls = []
    embed(read(data), tiny_embedder, PIXELS, progress=Heard(lambda *call: calls.append(call)))
    assert calls == [(done, 12) for done in range(1, 13)]
    calls.clear()
    make_photos(data, {"a": 7}, side=8)
    embed(read(data), tiny_embedder, PIXELS, progress=Heard(lambda *call: calls.append(call)))
    assert calls == [(12, 14), (13, 14), (14, 14)]  # it begins where the last run ended


def test_each_photo_is_kept_as_soon_as_it_is_embedded(data, tiny_embedder):
    counts = []
    embed(read(data), tiny_embedder, PIXELS, progress=Heard(lambda *_: counts.append(stored(tiny_embedder))))
    assert counts == list(range(1, 13))


def test_how_many_were_embedded_before_is_reported(data, tiny_embedder, make_photos):
    shutil.copy(data / "a" / "000.png", data / "b" / "copy.png")
    heard = Heard()
    embed(read(data), tiny_embedder, PIXELS, progress=heard)
    embed(read(data), tiny_embedder, PIXELS, progress=heard)
    assert heard.notes == []  # none and all are no news
    make_photos(data, {"a": 7}, side=8)
    embed(read(data), tiny_embedder, PIXELS, progress=heard)
    assert heard.notes == ["13 of 15 photos were embedded before."]


def test_a_cache_that_cannot_be_written_is_an_output_error(data, tiny_embedder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="Cannot write"):
        embed(read(data), tiny_embedder, PIXELS)


# --- integers ---


@pytest.fixture
def fields(tiny_photos, tmp_path, empty_cache):
    """The tiny network's photos in a folder, two classes."""
    for number, path in enumerate(tiny_photos[:10]):
        (tmp_path / "fields" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "fields" / "ab"[number % 2])
    return read(tmp_path / "fields")


def test_an_int8_network_gives_the_integers_that_it_computes(fields, tiny_int8):
    found, skipped = feature_maps(fields, tiny_int8.embedder, None)
    runner = LiteRTRunner(tiny_int8.embedder)
    expected = [runner.run_all(images.load(sample.path, 16)[None])[0][0] for sample in fields.samples]
    assert skipped == [] and found.shape == (44,) and found[:].dtype == np.int8
    np.testing.assert_array_equal(found[:], expected)
    assert found.step == pytest.approx(tiny_int8.step) and found.batch(np.arange(2)).dtype == np.float32
    path = cache_path(tiny_int8.embedder, None)
    assert path.stat().st_size == 10 * 44 and path.with_suffix(".index").stat().st_size == 10 * 36


def test_a_photo_of_lite0_takes_3124_bytes(int8_lite0, fields):
    few = dataclasses.replace(fields, samples=fields.samples[:2])
    feature_maps(few, int8_lite0.embedder, None)
    path = cache_path(int8_lite0.embedder, None)
    # A byte for each feature, 16 blocks and the embedding; 32 of a digest and 4 of a checksum.
    assert path.stat().st_size == 2 * 3088 and path.with_suffix(".index").stat().st_size == 2 * 36


@pytest.mark.parametrize("threads", [1, 4])
def test_integers_depend_on_no_number_of_threads(fields, tiny_int8, threads):
    found, _ = feature_maps(fields, tiny_int8.embedder, None, views=3, augmentation=STANDARD, threads=threads)
    first = found.read()
    cache_path(tiny_int8.embedder, None).unlink()
    again, _ = feature_maps(fields, tiny_int8.embedder, None, views=3, augmentation=STANDARD, threads=2)
    assert first.shape == (10, 3, 44)
    np.testing.assert_array_equal(first, again.read())


def test_embeddings_are_looked_up_and_not_kept(fields, tiny_int8, loaded):
    path = cache_path(tiny_int8.embedder, None)
    computed = look_up(fields, tiny_int8.embedder)
    assert computed.dtype == np.int8 and len(loaded) == 10 and not path.exists()
    feature_maps(dataclasses.replace(fields, samples=fields.samples[:9]), tiny_int8.embedder, None)
    loaded.clear()
    np.testing.assert_array_equal(look_up(fields, tiny_int8.embedder), computed)
    assert len(loaded) == 10 and path.stat().st_size == 9 * 44  # one is missing, and all are computed
    feature_maps(fields, tiny_int8.embedder, None)
    loaded.clear()
    np.testing.assert_array_equal(look_up(fields, tiny_int8.embedder), computed)
    assert loaded == []


# --- feature maps ---


def as_map(content):
    """The network up to its convolution: float32 [1, 8, 8, 3] to [1, 8, 8, 16]."""
    model = graph.parse(content)
    [main] = model.subgraphs
    main.outputs = [main.operators[0].outputs[0]]
    main.operators = main.operators[:1]
    main.tensors = main.tensors[: max(*main.operators[0].inputs, *main.outputs) + 1]
    model.signatureDefs = []
    return graph.pack(model)


def test_feature_maps_are_read_as_they_are_asked_for(data, conv_embedder):
    dataset, embedder = read(data), as_map(conv_embedder)
    found, skipped = feature_maps(dataset, embedder, PIXELS, views=3, augmentation=STANDARD)
    assert skipped == [] and (len(found), found.views, found.shape) == (12, 3, (8, 8, 16))
    whole = found.read()
    assert whole.shape == (12, 3, 8, 8, 16) and whole.dtype == np.float16
    batch = found.batch(np.array([7, 0, 7]), np.array([2, 0, 1]))
    assert batch.dtype == np.float32 and batch.shape == (3, 8, 8, 16)
    np.testing.assert_array_equal(batch, np.stack([whole[7, 2], whole[0, 0], whole[7, 1]]))
    np.testing.assert_array_equal(found.batch(np.arange(12)), whole[:, 0])
    # Their means over the picture are what the whole network gives, rounded to float16's 11 bits; the mean of 64 values
    # rounded alike is off by far less than each.
    vectors, _ = embed(dataset, conv_embedder, PIXELS, views=3, augmentation=STANDARD)
    np.testing.assert_allclose(whole.astype(np.float32).mean(axis=(2, 3)), vectors, rtol=2**-11, atol=2**-11)


def test_feature_maps_stay_on_the_disk(data, conv_embedder):
    found, _ = feature_maps(read(data), as_map(conv_embedder), PIXELS)
    tracemalloc.start()
    found.batch(np.array([3]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One map in float16 and in float32, and little beside; not all twelve. NumPy opens the file with a buffer, which is
    # larger than all of them from Python 3.14, so older ones test more.
    assert peak < 4 * 8 * 8 * 16 * (2 + 4) + io.DEFAULT_BUFFER_SIZE
