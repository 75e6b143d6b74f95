import contextlib
import os
import pickle
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_maker.backbones.torch_files import read_torch
from model_maker.errors import BackboneError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # as torch.serialization states them
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage"}


def piece(value):
    """The opcodes that build a plain value, without the frame of a pickle."""
    return pickle.dumps(value, 2)[2:-1]


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def tensor(storage, dtype, offset, shape, strides, *, size=0, view=None):
    """The opcodes torch writes for one tensor: _rebuild_tensor_v2(storage, offset, shape, strides, grad, hooks)."""
    parts = [piece("storage"), named("torch", STORAGES[dtype]), piece(storage), piece("cpu"), piece(size), piece(view)]
    storage_id = b"(" + b"".join(parts) + b"tQ"
    arguments = storage_id + piece(offset) + piece(tuple(shape)) + piece(tuple(strides)) + piece(False)
    return (
        named("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + named("collections", "OrderedDict") + b")RtR"
    )


def legacy(tensors, storages, *, header=(MAGIC, PROTOCOL)):
    """A file as torch.save wrote it before 1.6, by hand.

    Args:
      tensors: name to opcodes.
      storages: key to flat array.
      header: the first two pickles.
    """
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    state = b"\x80\x02" + named("collections", "OrderedDict") + b")R"
    for name, opcodes in tensors.items():
        state += piece(name) + opcodes + b"s"
    pickles = [pickle.dumps(value, 2) for value in (*header, system)] + [state + b".", pickle.dumps(list(storages), 2)]
    raw = [struct.pack("<q", flat.size) + flat.tobytes() for flat in storages.values()]
    return b"".join(pickles + raw)


def small_file():
    first, second = np.arange(12, dtype=np.float32), np.array([7], np.int64)
    tensors = {
        "conv.weight": tensor("100", "float32", 0, (3, 4), (4, 1)),
        "bn.num_batches_tracked": tensor("200", "int64", 0, (), ()),
    }
    return legacy(tensors, {"100": first, "200": second})


def test_tensors_come_back_with_names_order_and_types():
    found = read_torch(small_file())
    assert list(found) == ["conv.weight", "bn.num_batches_tracked"]
    assert found["conv.weight"].dtype == np.float32 and found["conv.weight"].tolist() == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    assert found["bn.num_batches_tracked"].dtype == np.int64 and found["bn.num_batches_tracked"].shape == ()
    assert found["bn.num_batches_tracked"] == 7


def test_windows_on_a_shared_storage_come_back():
    # A transposed matrix, every other element from the third on, one number repeated, and nothing.
    tensors = {
        "transposed": tensor("0", "float32", 0, (4, 3), (1, 4)),
        "strided": tensor("0", "float32", 2, (5,), (2,)),
        "expanded": tensor("0", "float32", 11, (2, 3), (0, 0)),
        "empty": tensor("0", "float32", 0, (0, 4), (4, 1)),
    }
    found = read_torch(legacy(tensors, {"0": np.arange(12, dtype=np.float32)}))
    assert found["transposed"].tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert found["strided"].tolist() == [2, 4, 6, 8, 10]
    assert found["expanded"].tolist() == [[11, 11, 11], [11, 11, 11]]
    assert found["empty"].shape == (0, 4)
    assert all(array.flags.c_contiguous for array in found.values())


@settings(max_examples=60)
@given(st.data())
def test_any_window_that_numpy_can_make_comes_back(data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    dtype = data.draw(st.sampled_from(sorted(STORAGES)))
    flat = np.arange(np.prod(shape)).astype(dtype)
    view = flat.reshape(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    view = view[
        tuple(slice(data.draw(st.integers(0, side - 1)), None, data.draw(st.integers(1, 3))) for side in view.shape)
    ]
    offset = (view.__array_interface__["data"][0] - flat.__array_interface__["data"][0]) // flat.itemsize
    strides = [stride // flat.itemsize for stride in view.strides]
    content = legacy({"w": tensor("k", dtype, offset, view.shape, strides)}, {"k": flat})
    np.testing.assert_array_equal(read_torch(content)["w"], view)


def test_a_tensor_outside_its_storage_is_refused():
    flat = {"0": np.arange(6, dtype=np.float32)}
    for offset, shape, strides in [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (5, (3,), (-1,)),
        (0, (3, 3), (2, 1)),
        (0, (2**40,), (0,)),  # one number, repeated until memory is full
        (0, (1,), (2**70,)),
        (2**70, (1,), (1,)),
        (0, (2,), (1, 1)),
    ]:
        with pytest.raises(BackboneError, match="damaged"):
            read_torch(legacy({"w": tensor("0", "float32", offset, shape, strides)}, flat))


def test_a_view_on_a_storage_is_refused_rather_than_read_wrong():
    # Files of the oldest torch could point into another storage; no weights here do.
    content = legacy(
        {"w": tensor("0", "float32", 0, (2,), (1,), view=("1", 4, 2))}, {"0": np.arange(6, dtype=np.float32)}
    )
    with pytest.raises(BackboneError):
        read_torch(content)


def test_a_file_that_ends_early_is_refused_wherever_it_ends():
    content = small_file()
    for length in range(len(content)):
        with pytest.raises(BackboneError):
            read_torch(content[:length])


@pytest.mark.parametrize("header", [(MAGIC + 1, PROTOCOL), (MAGIC, 1000), ("PK", PROTOCOL)])
def test_another_magic_number_is_refused(header):
    with pytest.raises(BackboneError, match="not in torch's legacy format"):
        read_torch(legacy({}, {}, header=header))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(200), b"<html>", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_other_formats_are_refused(content):
    with pytest.raises(BackboneError):
        read_torch(content)


def test_a_storage_that_is_missing_or_has_a_senseless_length_is_refused():
    declared = {"w": tensor("0", "float32", 0, (2,), (1,))}
    with pytest.raises(BackboneError, match="damaged"):
        read_torch(legacy(declared, {}))
    content = legacy(declared, {"0": np.zeros(2, np.float32)})
    for length in (-1, 3, 2**62):
        with pytest.raises(BackboneError, match="ends before its last tensor"):
            read_torch(content[:-16] + struct.pack("<q", length) + content[-8:])


class Hostile:
    """Pickles as a call; unpickled by `pickle` it would leave a mark."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


HOSTILE = {
    "os.system": lambda mark: Hostile(os.system, f"touch {mark}"),
    "builtins.open": lambda mark: Hostile(open, str(mark), "w"),
    "builtins.exec": lambda mark: Hostile(exec, f"open({str(mark)!r}, 'w')"),
    "builtins.getattr": lambda mark: Hostile(getattr, Hostile(open, str(mark), "w"), "close"),
    "pathlib.Path.touch": lambda mark: Hostile(type(mark).touch, mark),
}


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_is_refused_without_running(tmp_path, kind, place):
    mark = tmp_path / "executed"
    bomb = pickle.dumps(HOSTILE[kind](mark), 4)
    pickle.loads(bomb)  # it does go off where it is let to
    assert mark.exists()
    mark.unlink()

    good = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {}, {}, [])]
    good[place] = bomb
    with pytest.raises(BackboneError, match="The weights file asks for .* It was not executed") as caught:
        read_torch(b"".join(good))
    assert not mark.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "namedtuple"),
        ("numpy", "load"),
        ("model_maker.backbones.torch_files", "read_torch"),
    ],
)
def test_only_the_names_a_state_dict_needs_are_admitted(module, name):
    # STACK_GLOBAL of protocol 4 also admits dotted names.
    lookup = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93."
    start = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2)
    with pytest.raises(BackboneError, match=f"asks for {module}.{name}, which weights do not need"):
        read_torch(start + lookup)


def test_a_table_of_objects_that_the_file_cannot_fill_is_refused():
    # LONG_BINPUT numbers an object; the unpickler would make room for two billion of them, 34 GB.
    table = pickle.dumps(MAGIC, 2)[:-1] + b"r" + (2**31 - 1).to_bytes(4, "little") + b"."
    with at_most(1 << 30), pytest.raises(BackboneError, match="a pickle numbers an object 2147483647"):
        read_torch(table)


@contextlib.contextmanager
def at_most(more_bytes):
    """Lets this process grow by so much: damaged pickles may ask for tables of 64 GB."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_a_backbone_error_or_other_numbers_and_nothing_else(changes):
    content = bytearray(small_file())
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    try:
        with at_most(1 << 30):
            found = read_torch(bytes(content))
    except BackboneError as error:
        assert "weights" in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in found.values())
