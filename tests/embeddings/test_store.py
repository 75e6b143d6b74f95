import fcntl
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_maker.embeddings.store import EmbeddingStore, FeatureMaps, pack
from model_maker.errors import OutputError

SIZE = 5
VECTOR, ROW = 2 * SIZE, 32 + 4  # bytes: float16 values; digest and checksum


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def vector(number):
    return np.random.default_rng(number).normal(size=SIZE).astype(np.float16)


def append(store, *numbers):
    store.append(pack(digest(n) for n in numbers), np.stack([vector(n) for n in numbers]))


def held(store, numbers):
    """The photos a store knows; what it returns for them is checked on the way."""
    numbers = list(numbers)
    rows = store.find(pack(digest(n) for n in numbers))
    for number, row in zip(numbers, rows, strict=True):
        if row >= 0:
            np.testing.assert_array_equal(store.read(np.array([row]))[0], vector(number))
    return {number for number, row in zip(numbers, rows, strict=True) if row >= 0}


def sizes(path):
    """Rows of the vectors and of the index."""
    return path.stat().st_size / VECTOR, path.with_suffix(".index").stat().st_size / ROW


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "store.f16"


@pytest.fixture(params=["vectors", "index"])
def file(request, path):
    """One of the two files and the bytes that a row has in it."""
    return (path, VECTOR) if request.param == "vectors" else (path.with_suffix(".index"), ROW)


def test_names_are_packed_as_their_bytes():
    names = [digest(number) for number in range(5000)]  # more than go in one go
    packed = pack(name for name in names)
    assert packed.shape == (5000,) and [name.tobytes().hex() for name in packed] == names
    assert pack([]).shape == (0,)


def test_a_store_returns_what_was_appended(path):
    store = EmbeddingStore(path, SIZE)
    append(store, 1, 2, 3)
    append(store, 4)
    assert held(store, range(6)) == {1, 2, 3, 4}
    rows = store.find(pack([digest(4), digest(1), digest(4)]))
    read = store.read(rows)
    assert read.dtype == np.float16 and read.shape == (3, SIZE)
    np.testing.assert_array_equal(read, [vector(4), vector(1), vector(4)])
    assert held(EmbeddingStore(path, SIZE), range(6)) == {1, 2, 3, 4}  # and so does another one later
    assert sizes(path) == (4, 4)


def test_names_and_rows_may_have_any_shape(path):
    store = EmbeddingStore(path, SIZE)
    append(store, 1, 2, 3)
    rows = store.find(pack(digest(n) for n in (3, 9, 1, 2)).reshape(2, 2))
    assert rows.tolist() == [[2, -1], [0, 1]]
    assert store.read(rows[1:]).shape == (1, 2, SIZE)
    assert store.read(np.empty((0, 4), int)).shape == (0, 4, SIZE)


def test_an_empty_store_knows_nothing_and_makes_no_file(path):
    store = EmbeddingStore(path, SIZE)
    assert store.find(pack([digest(1)])).tolist() == [-1]
    assert store.find(pack([])).tolist() == []
    assert not path.parent.exists()
    append(store, 1)
    assert store.find(pack([])).tolist() == []


def test_values_are_kept_to_the_bit(path):
    # Zeros of both signs, the least and the greatest number, infinity: the checksum must hold for all.
    special = np.array([[0.0, -0.0, 6e-8, 65504, np.inf]], np.float16)
    store = EmbeddingStore(path, SIZE)
    store.append(pack([digest("special")]), special)
    assert store.read(store.find(pack([digest("special")]))).tobytes() == special.tobytes()


def test_digests_with_zero_bytes_and_equal_beginnings_are_told_apart(path):
    digests = ["00" * 32, "00" * 31 + "01", "ab" * 8 + "00" * 24, "ab" * 8 + "00" * 23 + "ff"]
    store = EmbeddingStore(path, SIZE)
    for number, name in enumerate(digests):
        store.append(pack([name]), vector(number)[None])
    rows = store.find(pack(digests))
    # Equal beginnings (never by chance: 64 bits) may hide an older record, but never give another photo's.
    assert rows[1] == 1 and rows[3] == 3 and rows[0] in (0, -1) and rows[2] in (2, -1)


def test_the_files_are_what_their_description_says(path):
    append(EmbeddingStore(path, SIZE), 7, 8)
    assert path.read_bytes() == vector(7).tobytes() + vector(8).tobytes()
    index = b"".join(bytes.fromhex(digest(n)) + zlib.crc32(vector(n).tobytes()).to_bytes(4, "little") for n in (7, 8))
    assert path.with_suffix(".index").read_bytes() == index


@settings(max_examples=60)
@given(
    batches=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), min_size=1, max_size=8),
    torn=st.lists(st.tuples(st.integers(0, 3 * VECTOR), st.integers(0, ROW - 1)), min_size=8, max_size=8),
)
def test_a_kill_in_the_middle_of_a_write_loses_only_what_was_being_written(batches, torn):
    with tempfile.TemporaryDirectory() as folder:
        path, expected = Path(folder) / "store", set()
        for numbers, rest in zip(batches, torn, strict=False):
            append(EmbeddingStore(path, SIZE), *numbers)
            expected |= set(numbers)
            # A writer is killed behind a part of its vectors, or behind all three and a part of the first one's row.
            vectors, row = rest
            with open(path, "ab") as file:
                file.write(b"\x55" * (3 * VECTOR if row else vectors))
            with open(path.with_suffix(".index"), "ab") as file:
                file.write(b"\x55" * row)
            assert held(EmbeddingStore(path, SIZE), range(31)) == expected
        append(EmbeddingStore(path, SIZE), 31)
        assert len(set(sizes(path))) == 1
        assert held(EmbeddingStore(path, SIZE), range(32)) == expected | {31}


@pytest.mark.parametrize("cut", [1, 9])
def test_a_cut_off_last_record_is_lost_and_no_other(path, file, cut):
    append(EmbeddingStore(path, SIZE), 1, 2, 3)
    with open(file[0], "r+b") as opened:
        opened.truncate(3 * file[1] - cut)
    store = EmbeddingStore(path, SIZE)
    assert held(store, range(5)) == {1, 2}
    append(store, 3, 4)
    assert held(store, range(5)) == {1, 2, 3, 4}
    assert sizes(path) == (4, 4)


@pytest.mark.parametrize("place", [0, 3, 7, 9])
def test_a_damaged_record_is_not_returned_and_can_be_replaced(path, file, place):
    append(EmbeddingStore(path, SIZE), 1, 2, 3)
    content = bytearray(file[0].read_bytes())
    content[file[1] + place] ^= 0x10
    file[0].write_bytes(content)
    store = EmbeddingStore(path, SIZE)
    assert held(store, range(5)) == {1, 3}
    append(store, 2)
    assert held(store, range(5)) == {1, 2, 3}


def test_a_damaged_checksum_costs_its_vector(path):
    append(EmbeddingStore(path, SIZE), 1, 2, 3)
    index = path.with_suffix(".index")
    content = bytearray(index.read_bytes())
    content[ROW + 33] ^= 0x10
    index.write_bytes(content)
    assert held(EmbeddingStore(path, SIZE), range(5)) == {1, 3}


def test_without_a_check_the_index_alone_is_read(path):
    store = EmbeddingStore(path, SIZE)
    append(store, 1, 2)
    path.write_bytes(bytes(2 * VECTOR))
    assert store.find(pack([digest(1), digest(3)]), check=False).tolist() == [0, -1]
    assert store.find(pack([digest(1), digest(3)])).tolist() == [-1, -1]


@pytest.mark.parametrize("lost", [".f16", ".index"])
def test_without_one_of_its_files_a_store_begins_anew(path, lost):
    append(EmbeddingStore(path, SIZE), 1, 2)
    path.with_suffix(lost).unlink()
    store = EmbeddingStore(path, SIZE)
    assert held(store, range(4)) == set()
    append(store, 3)
    assert held(store, range(4)) == {3} and sizes(path) == (1, 1)


def test_rubbish_instead_of_a_store_holds_nothing(path):
    path.parent.mkdir()
    random = np.random.default_rng(0)
    path.write_bytes(random.bytes(10 * VECTOR + 7))
    path.with_suffix(".index").write_bytes(random.bytes(8 * ROW + 5))
    store = EmbeddingStore(path, SIZE)
    assert held(store, range(5)) == set()
    append(store, 1)
    assert held(store, range(5)) == {1}


@pytest.mark.parametrize("room", [2 * ROW + VECTOR, 3 * ROW])
def test_a_full_disk_is_said_and_loses_nothing_that_was_there(path, room):
    store = EmbeddingStore(path, SIZE)
    append(store, 1, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # the vectors fit, their rows of the index do not
    try:
        with pytest.raises(OutputError, match="Cannot write .*store.f16: File too large"):
            append(store, 3, 4, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert held(EmbeddingStore(path, SIZE), range(6)) >= {1, 2}
    append(store, 4, 5)
    assert held(store, range(6)) >= {1, 2, 4, 5} and len(set(sizes(path))) == 1


def test_processes_append_at_once(path):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import EmbeddingStore, SIZE, append
store = EmbeddingStore(Path({str(path)!r}), SIZE)
first = int(sys.argv[1])
for number in range(first, first + 200, 2):
    append(store, number, number + 1)
"""
    children = [subprocess.Popen([sys.executable, "-c", program, str(1000 * n)]) for n in range(1, 3)]
    assert [child.wait(120) for child in children] == [0, 0]
    numbers = {*range(1000, 1200), *range(2000, 2200)}
    assert held(EmbeddingStore(path, SIZE), range(3000)) == numbers
    assert sizes(path) == (400, 400)


def test_a_writer_waits_for_another(path):
    store = EmbeddingStore(path, SIZE)
    append(store, 1)
    with open(path, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=append, args=(store, 2))
        writer.start()
        writer.join(0.1)
        assert writer.is_alive() and sizes(path) == (1, 1)
    writer.join()  # closing the file has freed it
    assert held(store, range(4)) == {1, 2}


def test_rows_that_are_gone_are_said_to_be(path):
    store = EmbeddingStore(path, SIZE)
    append(store, 1, 2)
    rows = store.find(pack([digest(2)]))
    os.truncate(path, VECTOR)
    with pytest.raises(OutputError, match="removed or damaged while in use"):
        store.read(rows)
    path.unlink()
    with pytest.raises(OutputError, match="removed or damaged while in use"):
        store.read(rows)


def large(path, *, photos, size):
    store = EmbeddingStore(path, size)
    names = pack(digest(number) for number in range(photos))
    vectors = np.arange(photos, dtype=np.float16)[:, None] + np.zeros(size, np.float16)
    store.append(names, vectors)
    return store, names


def test_reading_and_looking_up_hold_little_in_memory(path):
    store, names = large(path, photos=500, size=50_000)  # 50 MB
    tracemalloc.start()
    rows = store.find(names)
    read = store.read(rows[[3, 499]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rows >= 0).all() and read[:, 0].tolist() == [3, 499]
    assert peak < 10 << 20  # a block of 4 MB, a copy of it, and little beside


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/statm tells what is mapped on Linux")
def test_what_was_read_does_not_stay_mapped(path):
    store, names = large(path, photos=500, size=50_000)
    rows = store.find(names)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    for start in range(0, 500, 10):
        store.read(rows[start : start + 10])
    assert resident() - before < 10 << 20  # of 50 MB; one read copies 1 MB


def test_maps_read_slices_batches_and_all(path):
    store, _ = large(path, photos=6, size=4)
    maps = FeatureMaps(store, np.array([[0, 3], [1, 4], [2, 5]]), (2, 2))
    assert (len(maps), maps.views, maps.shape) == (3, 2, (2, 2))
    assert maps[1:].shape == (2, 2, 2) and maps[1:].dtype == np.float16 and maps[1:][:, 0, 0].tolist() == [1, 2]
    assert maps[:0].shape == (0, 2, 2)
    batch = maps.batch(np.array([2, 0]), np.array([1, 0]))
    assert batch.dtype == np.float32 and batch[:, 0, 0].tolist() == [5, 0]
    assert maps.read()[:, :, 0, 0].tolist() == [[0, 3], [1, 4], [2, 5]]


# --- integers ---


@pytest.fixture
def integers(path):
    """Three photos in two views of as many features as Lite0 has in all layers, and their store: rows 0 to 5."""
    store = EmbeddingStore(path, 3088, "i1")
    values = np.random.default_rng(0).integers(-128, 128, (6, 3088), np.int8)
    store.append(pack(digest(number) for number in range(6)), values)
    return store, values


def test_integers_take_a_byte_each(path, integers):
    _, values = integers
    assert path.stat().st_size == 6 * 3088 and path.with_suffix(".index").stat().st_size == 6 * (32 + 4)
    assert path.read_bytes() == values.tobytes()


def test_integers_are_kept_as_they_are(path, integers):
    store, values = integers
    assert {-128, 127} <= set(values.ravel().tolist())
    rows = store.find(pack(digest(number) for number in (4, 0, 9)))
    assert rows.tolist() == [4, 0, -1] and store.dtype == np.int8
    read = EmbeddingStore(path, 3088, np.dtype(np.int8)).read(rows[:2])
    assert read.dtype == np.int8
    np.testing.assert_array_equal(read, values[[4, 0]])
    assert store.read(np.empty((0, 2), int)).dtype == np.int8


def test_a_damaged_integer_costs_its_vector(path, integers):
    content = bytearray(path.read_bytes())
    content[2 * 3088 + 1000] ^= 1
    path.write_bytes(content)
    assert integers[0].find(pack(digest(number) for number in range(6))).tolist() == [0, 1, -1, 3, 4, 5]


@pytest.fixture
def maps(integers):
    store, values = integers
    return FeatureMaps(store, np.arange(6).reshape(3, 2), (3088,), 0.25), values.reshape(3, 2, 3088)


def test_batches_of_integers_are_real_numbers(maps):
    found, values = maps
    assert found.step == 0.25 and found.read().dtype == found[0:2].dtype == np.int8
    batch = found.batch(np.array([2, 0]), np.array([1, 0]))
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, np.stack([values[2, 1], values[0, 0]]) / 4)


def test_columns_are_some_features_of_the_same_photos(maps):
    found, values = maps
    chosen = np.array([3, 4, 900, 3087])
    some = found.columns(chosen)
    assert (len(some), some.views, some.shape, some.step) == (3, 2, (4,), 0.25)
    np.testing.assert_array_equal(some.read(), values[:, :, chosen])
    np.testing.assert_array_equal(some[1:], values[1:, 0, chosen])
    np.testing.assert_array_equal(some[np.array([2, 1]), np.array([0, 1])], values[[2, 1], [0, 1]][:, chosen])
    np.testing.assert_array_equal(some.batch(np.array([1])), values[1:2, 0, chosen] / 4)
    assert some[:0].shape == (0, 4) and found.shape == (3088,)
    # Columns of columns are counted from those.
    np.testing.assert_array_equal(some.columns(np.array([3, 0])).read(), values[:, :, [3087, 3]])


def test_some_columns_are_those_of_the_whole_rows(path):
    store = EmbeddingStore(path, SIZE)
    append(store, *range(6))
    whole = store.read(np.arange(6))
    for rows in (np.arange(2, 5), np.array([4, 0, 4]), np.array([[1], [3]])):
        for columns in (slice(1, SIZE), np.array([SIZE - 1, 0])):
            np.testing.assert_array_equal(store.read(rows, columns), whole[rows][..., columns])
