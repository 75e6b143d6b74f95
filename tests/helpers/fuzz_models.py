"""Models damaged with knowledge of the format: single fields of the object tree, the metadata, the zip behind it."""

import io
import struct
import zipfile

import numpy as np
from hypothesis import strategies as st

from model_maker.tflite import graph, metadata_schema

WHOLE = [0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 255, 1000, 65535, 1 << 20, (1 << 31) - 1, -1, -2, -128, -(1 << 31), 1 << 62]
REAL = [0.0, 1.0, -1.0, 1e-45, 1e38, float("nan"), float("inf"), float("-inf")]
TEXTS = [b"", b"labels.txt", b"\xff\xfe", b"../../x", b"\x1b]0;x\x07\x1b[31m", b"[/red]", b"a\nb", b"x" * 70_000, None]
PLACE = st.floats(0, 1, exclude_max=True)


def edited(content):
    """A strategy: the model with one to three fields of its object tree set to something else."""
    edits = st.lists(st.tuples(PLACE, PLACE, PLACE), min_size=1, max_size=3)
    return edits.map(lambda found: _edited(content, found))


def described(content):
    """A strategy: the model with one to three fields of its metadata set to something else."""
    edits = st.lists(st.tuples(PLACE, PLACE, PLACE), min_size=1, max_size=3)
    return edits.map(lambda found: _described(content, found))


def archived(content):
    """A strategy: the model with another zip behind it."""
    name = st.sampled_from(["labels.txt", "labels.txt", "model_maker.json", "../labels.txt", "/etc/x", "a" * 60_000])
    text = st.sampled_from(
        [
            *(b"a\nb\nc", b"a\nb\nc\n", b"\xff\xfe\n\xfd\n", b"\n\n", b"[/red]\n[bold\n\\", b"\x1b[2J\n\x9b1m\n\x07"),
            *("\u202eb\n\ud7ff\n\x85".encode(), b"[" * 100_000, b'{"metrics": 5}', b'{"metrics": {"[/]": "[/x]"}}'),
            *(b'{"fingerprint": 7}', b'{"a": 1e999}', b"[1]", b"1" * 5000, b'{"metrics": {"top1": NaN}}'),
            bytes(300_000),
        ]
    )
    packing = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    entries = st.lists(st.tuples(name, text, packing), min_size=1, max_size=4)
    # Numbers of the central directory: sizes, method, flags, place.
    lie = st.none() | st.tuples(st.integers(0, 45), st.sampled_from([0, 1, 8, 99, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
    return st.tuples(entries, lie).map(lambda found: _archived(content, *found))


def _archived(content, entries, lie):
    whole = io.BytesIO(content[: _end_of_model(content)])
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "a") as archive:
        for name, text, packing in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = packing
            archive.writestr(entry, text)
    found = bytearray(whole.getvalue())
    if lie:
        at, value = lie
        start = found.index(b"PK\1\2") + at
        found[start : start + 4] = struct.pack("<I", value)
    return bytes(found)


def _end_of_model(content):
    starts = [at for at in (content.find(b"PK\3\4"), content.rfind(b"PK\5\6")) if at > 0]
    return min(starts) if starts else len(content)


def _edited(content, edits):
    model = graph.parse(content)
    for edit in edits:
        _set_field(model, *edit)
    try:
        return graph.pack(model) + content[_end_of_model(content) :]
    except Exception:  # a number that its field cannot hold
        return content


def _described(content, edits):
    model = graph.parse(content)
    [entry] = [entry for entry in model.metadata or [] if entry.name == b"TFLITE_METADATA"] or [None]
    if entry is None:
        return content
    tree = metadata_schema.read(bytes(model.buffers[entry.buffer].data))
    for edit in edits:
        _set_field(tree, *edit)
    try:
        packed = metadata_schema.pack(tree)
    except Exception:
        return content
    model.buffers[entry.buffer].data = np.frombuffer(packed, np.uint8)
    return graph.pack(model) + content[_end_of_model(content) :]


def _set_field(tree, place, choice, where):
    fields = list(_fields(tree))
    owner, name = fields[int(place * len(fields))]
    setattr(owner, name, _other(getattr(owner, name), choice, where))


def _fields(tree):
    """Every attribute of every object in a tree."""
    for name, value in vars(tree).items():
        yield tree, name
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "__dict__") and not isinstance(inner, np.ndarray):
                yield from _fields(inner)


def _pick(values, choice):
    return values[int(choice * len(values))]


def _other(value, choice, where):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | np.integer):
        return _pick(WHOLE, choice)
    if isinstance(value, float):
        return _pick(REAL, choice)
    if isinstance(value, bytes | str):
        return _pick(TEXTS, choice)
    if isinstance(value, np.ndarray | list) and len(value):
        return _other_list(list(value), choice, where)
    return None


def _other_list(values, choice, where):
    at = int(where * len(values))
    first = values[0]
    kind = int(choice * 7)
    if kind == 0:
        return None
    if kind == 1:
        return values[:at]
    if kind == 2:
        return values + values
    if kind == 3 and len(values) < 100:
        return values * 100
    if hasattr(first, "__dict__") or isinstance(first, bytes):
        values[at] = values[int((choice * 7 - kind) * len(values))]
        return values
    whole = isinstance(first, int | np.integer)
    values[at] = _pick(WHOLE if whole else REAL, choice * 7 - kind)
    if whole and isinstance(first, np.uint8):
        values[at] &= 255
    return values


def with_figures(content, metrics):
    """The model with other provenance: JSON in the place of its metrics, and a fingerprint that is a number."""
    provenance = f'{{"metrics": {metrics}, "fingerprint": 7}}'.encode()
    kept = [("labels.txt", "a\nb\nü".encode(), zipfile.ZIP_STORED)]
    return _archived(content, [*kept, ("model_maker.json", provenance, zipfile.ZIP_STORED)], None)
