import io
import zipfile

import fsspec
import numpy as np
import pytest

from model_maker.embeddings import shards
from model_maker.embeddings.shards import Shards, Unreadable
from model_maker.errors import OutputError

KEYS = [f"{number:064x}" for number in range(4)]
FAILURES = Unreadable("damaged (it ends too early)", True), Unreadable("no such file", False)
RESULTS = [
    np.array([[1, -0.0, np.inf]], np.float16),
    FAILURES[0],
    np.arange(6, dtype=np.float16).reshape(2, 3),
    FAILURES[1],
]
INTEGERS = [np.array([[-128, 0, 127]], np.int8), FAILURES[0], np.arange(6, dtype=np.int8).reshape(2, 3), FAILURES[1]]


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    if request.param == "disk":
        yield Shards(str(tmp_path / "deep/shards"))
        return
    yield Shards("memory://bucket/shards")
    memory = fsspec.filesystem("memory")
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(("results", "dtype"), [(RESULTS, np.float16), (INTEGERS, np.int8)])
def test_what_is_written_is_read_to_the_bit(folder, results, dtype):
    name = folder.name(KEYS)
    shards.write(name, KEYS, results)
    found = shards.read(name)
    assert list(found) == KEYS
    for key, expected in zip(KEYS, results, strict=True):
        if isinstance(expected, Unreadable):
            assert found[key] == expected
        else:
            assert found[key].dtype == dtype and found[key].shape == expected.shape
            assert found[key].tobytes() == expected.tobytes()


def test_a_shard_may_hold_nothing_but_failures(folder):
    name = folder.name(KEYS[:1])
    shards.write(name, KEYS[:1], RESULTS[1:2])
    assert shards.read(name) == {KEYS[0]: RESULTS[1]}


def test_the_index_knows_what_can_be_used(folder):
    assert folder.index() == {}
    one, other = folder.name(KEYS[:2]), folder.name(KEYS[2:])
    shards.write(one, KEYS[:2], RESULTS[:2])
    shards.write(other, KEYS[2:], RESULTS[2:])
    assert folder.index() == {KEYS[0]: one, KEYS[2]: other}  # failures may have been mended
    shards.remove([one, other, one])
    assert folder.index() == {}


def test_a_batch_has_one_name_and_another_batch_another(folder):
    assert folder.name(KEYS) == Shards(folder.url).name(KEYS)
    assert len({folder.name(KEYS[:count]) for count in range(1, 5)}) == 4


@pytest.mark.parametrize("damage", [lambda c: c[:-40], lambda c: b"", lambda c: c[:200] + b"\0" * 64 + c[264:]])
def test_a_damaged_shard_is_as_good_as_missing(folder, damage):
    name = folder.name(KEYS)
    shards.write(name, KEYS, RESULTS)
    store, path = fsspec.core.url_to_fs(name)
    store.pipe_file(path, damage(store.cat_file(path)))
    with pytest.raises(OutputError, match="was removed or damaged while in use. Run the command again"):
        shards.read(name)
    assert folder.index() == {} and not store.exists(path)


def test_a_pickle_in_a_shard_is_never_opened(folder):
    name, content = folder.name(KEYS), io.BytesIO()
    np.savez(content, keys=np.array([print], object), reasons=np.array([""]))
    assert zipfile.is_zipfile(content)
    shards.write_bytes(name, content.getvalue())
    assert folder.index() == {}


def test_a_store_that_refuses_is_one_line(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", refuse)
    with pytest.raises(OutputError, match=r"^Cannot write memory://x/y \(Access Denied\). Choose another .* `shards`"):
        shards.write_bytes("memory://x/y", b"")
