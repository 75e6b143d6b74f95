import json

import pytest
from needs import load

from model_maker.data.sources import read
from model_maker.errors import DataError

pytestmark = pytest.mark.parquet
pa, pq = load("pyarrow"), load("pyarrow.parquet")

CLASSES = {
    "info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}
}


def write(path, images, labels, *, features=CLASSES, names=("image", "label"), group=2):
    """A file as `datasets` writes it: images are structs of bytes and path, label names stand in the schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": cell, "path": None} if isinstance(cell, bytes) else cell for cell in images]
    table = pa.table({names[0]: cells, names[1]: labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)} if features else None)
    pq.write_table(table, path, row_group_size=group)
    return path


def found(data):
    return [(s.path.read_bytes(), data.classes[s.label], s.part) for s in data.samples]


def test_a_file_is_read_row_by_row_in_its_order(tmp_path):
    path = write(tmp_path / "pets.parquet", [b"0", b"1", b"2", b"3", b"4"], [1, 0, 1, 1, 0])
    data = read(path)
    assert data.classes == ("cat", "dog")
    assert found(data) == [
        (b"0", "dog", ""),
        (b"1", "cat", ""),
        (b"2", "dog", ""),
        (b"3", "dog", ""),
        (b"4", "cat", ""),
    ]
    assert str(data.samples[3].path) == f"{path}[1:1]"


@pytest.mark.parametrize(
    "layout", ["{}-00000-of-00001.parquet", "data/{}-00000-of-00001.parquet", "default/{}/0000.parquet"]
)
def test_parts_are_told_by_names_as_the_hub_lays_them_out(tmp_path, layout):
    for number, part in enumerate(("train", "validation", "test")):
        write(tmp_path / layout.format(part), [b"a%d" % number, b"b%d" % number], [0, 1])
    data = read(tmp_path)
    assert sorted((part, content) for content, _, part in found(data)) == [
        ("test", b"a2"),
        ("test", b"b2"),
        ("train", b"a0"),
        ("train", b"b0"),
        ("validation", b"a1"),
        ("validation", b"b1"),
    ]


def test_texts_are_labels_and_plain_bytes_are_images(tmp_path):
    table = pa.table({"img": [b"0", b"1"], "category": ["rose", "tulip"]})
    pq.write_table(table, tmp_path / "f.parquet")
    assert found(read(tmp_path / "f.parquet")) == [(b"0", "rose", ""), (b"1", "tulip", "")]


def test_a_cell_may_name_a_file_beside(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"beside")
    cells = [{"bytes": None, "path": "x.jpg"}, {"bytes": b"inside", "path": "y.jpg"}, {"bytes": None, "path": "z.jpg"}]
    data = read(write(tmp_path / "f.parquet", cells, [0, 1, 1]))
    assert [content for content, *_ in found(data)] == [b"beside", b"inside"]
    assert [bad.reason for bad in data.skipped] == ["No such file or directory"]


def test_rows_without_a_label_are_noted(tmp_path):
    data = read(write(tmp_path / "f.parquet", [b"0", b"1", b"2", b"3"], [0, 1, -1, None]))
    assert len(data) == 2 and data.notes == ("2 rows have no label and are not used.",)


def test_a_row_group_is_read_once_when_photos_are_taken_in_order(tmp_path, monkeypatch):
    data = read(write(tmp_path / "f.parquet", [bytes([n]) for n in range(20)], [n % 2 for n in range(20)], group=5))
    groups, read_group = [], pq.ParquetFile.read_row_group

    def counting(file, group, **options):
        groups.append(group)
        return read_group(file, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    assert [sample.path.read_bytes() for sample in data.samples] == [bytes([n]) for n in range(20)]
    assert groups == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write(path, [b"0", b"1"], [0, 2]), "has the label 2, but there are names for 2 only"),
        (lambda path: write(path, [b"0"], [[0, 1]], features=None), r"has the label \[0, 1\]; a photo has one label"),
        (
            lambda path: write(path, [b"0"], [0], features=None, names=("image", "boxes")),
            "image, boxes: none is a label",
        ),
        (lambda path: write(path, [b"0"], [0], features=None, names=("x", "label")), "x, label: none is an image"),
        (lambda path: path.write_bytes(b"PAR1 not really PAR1"), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, make, message):
    make(tmp_path / "f.parquet")
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "f.parquet")
    assert "\n" not in str(caught.value)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    path = write(tmp_path / "f.parquet", [b"0"], [0])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'model-maker\[parquet\]'"):
        read(path)
