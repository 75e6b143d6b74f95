import json

import pytest
from photo_files import fill
from PIL import Image

from model_maker.data import sources
from model_maker.data.sources import read
from model_maker.data.web import Address
from model_maker.errors import DataError

PHOTOS = {f"photos/{n}.jpg": n for n in range(5)}


def manifest(root, text, name="list.csv"):
    fill(root, PHOTOS)
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def listed(dataset, root):
    return [(str(s.path.relative_to(root)), dataset.classes[s.label], s.part) for s in dataset.samples]


EXPECTED = [
    ("photos/3.jpg", "tulip", "train"),
    ("photos/0.jpg", "rose", "train"),
    ("photos/1.jpg", "rose", "validation"),
    ("photos/2.jpg", "tulip", "test"),
]
ROWS = [("photos/3.jpg", "tulip", "train"), ("photos/0.jpg", "rose", "Training"), ("photos/1.jpg", "rose", "val")]
ROWS.append(("photos/2.jpg", "tulip", "TEST"))


@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.jsonl", "LIST.CSV"])
def test_a_manifest_names_path_label_and_part_in_its_own_order(tmp_path, name):
    if name.endswith("jsonl"):
        text = "\n".join(json.dumps(dict(zip(("path", "label", "split"), row, strict=True))) for row in ROWS)
    else:
        mark = "\t" if name.endswith("tsv") else ","
        text = "\n".join(mark.join(row) for row in [("path", "label", "split"), *ROWS])
    assert listed(read(manifest(tmp_path, text, name)), tmp_path) == EXPECTED


def test_a_manifest_may_do_without_names_of_columns_and_without_parts(tmp_path):
    data = read(manifest(tmp_path, "photos/0.jpg,rose\n\nphotos/1.jpg,tulip\n"))
    assert listed(data, tmp_path) == [("photos/0.jpg", "rose", ""), ("photos/1.jpg", "tulip", "")]


def test_columns_are_found_by_name_wherever_they_stand(tmp_path):
    text = '\ufeffid,class,"file_name",note\n1,rose,photos/0.jpg,x\n2,"tulip, wild",photos/1.jpg,"a\nb"\n'
    data = read(manifest(tmp_path, text))
    assert listed(data, tmp_path) == [("photos/0.jpg", "rose", ""), ("photos/1.jpg", "tulip, wild", "")]


def test_a_separator_alone_makes_no_second_label(tmp_path):
    data = read(manifest(tmp_path, "photos/0.jpg,salt|pepper\nphotos/1.jpg,sugar\n"))
    assert data.classes == ("salt|pepper", "sugar")


def test_absolute_paths_are_taken_as_they_are(tmp_path):
    fill(tmp_path / "elsewhere", {"x.jpg": 1, "y.jpg": 2})
    text = f"{tmp_path}/elsewhere/x.jpg,a\n{tmp_path}/elsewhere/y.jpg,b\n"
    (tmp_path / "here").mkdir()
    assert len(read(manifest(tmp_path / "here", text))) == 2


def test_missing_photos_are_skipped_with_a_reason(tmp_path):
    data = read(manifest(tmp_path, "photos/0.jpg,a\nphotos/nowhere.jpg,a\nphotos/1.jpg,b"))
    assert [(bad.path.name, bad.reason) for bad in data.skipped] == [("nowhere.jpg", "No such file or directory")]


def test_addresses_are_no_paths(tmp_path, monkeypatch, empty_cache):
    monkeypatch.setattr(Address, "read_bytes", lambda self: self.address.encode())
    data = read(manifest(tmp_path, "path,label\nhttp://127.0.0.1:9/1.jpg,a\nHTTPS://127.0.0.1/2,b"))
    assert [sample.path.address for sample in data.samples] == ["http://127.0.0.1:9/1.jpg", "HTTPS://127.0.0.1/2"]
    assert data.notes == ("2 photos are at http(s) addresses; 2 of them had to be downloaded.",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "path,colour\nphotos/0.jpg,red\n", "begins with 'path, colour': there is no column label. Name"),
        ("l.csv", "label,size\nrose,3\n", "there is no column path"),
        ("l.csv", "photos/0.jpg,a\nphotos/1.jpg\n", "line 2: no label. Each line names"),
        ("l.csv", "path,label\n,rose\n", "line 2: no path"),
        ("l.csv", "path,label,split\nphotos/0.jpg,a,holdout\n", "line 2: the split 'holdout' is not train"),
        ("l.csv", "path,label\nphotos/0.jpg,a\nphotos/1.jpg,a\n", "holds one class only, 'a'"),
        ("l.csv", "", "holds no labeled photos. Expected a line with path and label for each photo"),
        ("l.csv", "photos/0.jpg\n", "there is no column label"),
        ("l.csv", "path,label\n" + "x" * 200_000 + ",a\n", "cannot be read as text .*field larger"),
        ("l.csv", 'path,label\nphotos/0.jpg,"a\nb"\n', "line 3'?: a class name cannot hold line breaks"),
        ("l.jsonl", '{"path": "photos/0.jpg", "label": "a"}\nphotos/1.jpg,b', "line 2: not JSON"),
        ("l.jsonl", '["photos/0.jpg", "a"]', "line 1: .* is not an object with path and label"),
        ("l.jsonl", '{"path": "photos/0.jpg", "label": ["a", "b"]}', r"line 1: \['a', 'b'\] looks like several labels"),
        ("l.jsonl", '{"path": null, "label": "b"}', "line 1: path is None; it must be a single text"),
        ("l.csv", "photos/0.jpg,cat\nphotos/1.jpg,dog\nphotos/2.jpg,cat|dog\n", "line 3: 'cat|dog' looks like several"),
        ("l.csv", "photos/0.jpg,cat; dog\nphotos/1.jpg,bird;dog\n", "line 1: 'cat; dog' looks like several labels"),
        ("l.jsonl", "[" * 100_000, "line 1: not JSON"),
    ],
)
def test_lines_that_mean_nothing_are_named(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(manifest(tmp_path, text, name))
    assert "\n" not in str(caught.value).replace("a\nb", "") and str(tmp_path / name) in str(caught.value)


def test_other_encodings_are_said(tmp_path):
    path = manifest(tmp_path, "")
    path.write_bytes("path,label\nphotos/0.jpg,Äpfel\n".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read as text in UTF-8 .* Save it as UTF-8"):
        read(path)


def test_the_image_folder_of_hugging_face_names_its_photos_in_metadata(tmp_path):
    fill(tmp_path, {f"{part}/{n}.jpg": f"{part}{n}" for part in ("train", "test") for n in range(2)})
    for part in ("train", "test"):
        (tmp_path / part / "metadata.csv").write_text("file_name,label\n0.jpg,a\n1.jpg,b\n")
    data = read(tmp_path)
    assert listed(data, tmp_path) == [
        ("test/0.jpg", "a", "test"),
        ("test/1.jpg", "b", "test"),
        ("train/0.jpg", "a", "train"),
        ("train/1.jpg", "b", "train"),
    ]
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "train/0.jpg", "label": 7}\n{"file_name": "test/1.jpg", "label": 8}'
    )
    assert listed(read(tmp_path), tmp_path) == [("train/0.jpg", "7", ""), ("test/1.jpg", "8", "")]


@pytest.mark.heif
def test_heic_in_a_manifest_is_read_with_the_extra(tmp_path):
    import pillow_heif

    from model_maker.data import images

    picture = Image.new("RGB", (16, 16), (200, 30, 40))
    pillow_heif.from_pillow(picture).save(tmp_path / "a.heic", quality=90)
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    (tmp_path / "l.csv").write_text("a.heic,red\nb.png,black\n")
    data = read(tmp_path / "l.csv")
    assert data.skipped == ()
    # HEIC is lossy; one colour comes back within a few levels of 255.
    assert abs(images.load(data.samples[0].path, 8).astype(int) - (200, 30, 40)).max() <= 6


@pytest.mark.parametrize(
    ("name", "title"),
    [("f.tar.gz", "f"), ("my.photos.zip", "my.photos"), ("list.CSV", "list"), ("folder.d", "folder.d")],
)
def test_a_data_set_is_called_as_its_file_without_the_suffix(tmp_path, name, title):
    (tmp_path / name).mkdir() if name == "folder.d" else (tmp_path / name).touch()
    assert sources.title(tmp_path / name) == title


TABLE = "path,label\nphotos/0.jpg,rose\nphotos/1.jpg,tulip\n"
FOUND = [("photos/0.jpg", "rose", ""), ("photos/1.jpg", "tulip", "")]


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.split("\n", 1)[1].replace(",", ";"),
        TABLE.replace("/", "\\"),
        TABLE.replace("photos", "C:\\Users\\me\\flowers\\photos"),
        TABLE.replace("photos", "/content/drive/MyDrive/photos"),
        TABLE.replace("path,label", "picture_of_it,species"),
        "filename, rose, tulip\nphotos/0.jpg, 1, 0\nphotos/1.jpg, 0, 1\n",
        "rose,photos/0.jpg\ntulip,photos/1.jpg\n",
        "UNASSIGNED,photos/0.jpg,rose\nUNASSIGNED,photos/1.jpg,tulip\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_other_programs_are_read(tmp_path, text, encoding):
    path = manifest(tmp_path, "")
    path.write_bytes(text.encode(encoding))
    assert listed(read(path), tmp_path) == FOUND


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo_no,kind\n1,rose\n2,tulip\n", "begins with 'photo_no, kind': neither known column names"),
        ("filename,rose,tulip\nphotos/0.jpg,1,1\nphotos/1.jpg,0,1\n", "line 2: is 1 in rose, tulip. .* one label"),
        ("filename,rose,tulip\nphotos/0.jpg,1,0\nphotos/1.jpg,0,0\n", "line 3: has no class that is 1"),
    ],
)
def test_tables_that_are_not_clear_are_said_to_be(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(manifest(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_addresses_in_a_store_are_read_from_it(tmp_path):
    data = read(manifest(tmp_path, f"path,label\nfile://{tmp_path}/photos/0.jpg,a\nfile://{tmp_path}/photos/1.jpg,b\n"))
    assert [sample.path.read_bytes() for sample in data.samples] == [b"0", b"1"]


def test_the_tables_of_roboflow_stand_in_each_part(tmp_path):
    for part, count in (("train", 4), ("valid", 2)):
        fill(tmp_path, {f"{part}/{n}.jpg": f"{part}{n}" for n in range(count)})
        lines = [f"{n}.jpg, {int(n % 2 == 0)}, {int(n % 2)}" for n in range(count)]
        (tmp_path / part / "_classes.csv").write_text("\n".join(["filename, cat, dog", *lines]))
    assert listed(read(tmp_path), tmp_path) == [
        *((f"train/{n}.jpg", ("cat", "dog")[n % 2], "train") for n in range(4)),
        *((f"valid/{n}.jpg", ("cat", "dog")[n % 2], "validation") for n in range(2)),
    ]


def test_metadata_of_another_purpose_leaves_class_folders_alone(tmp_path):
    fill(tmp_path, {f"{name}/{n}.jpg": f"{name}{n}" for name in "ab" for n in range(2)})
    (tmp_path / "metadata.csv").write_text("camera,iso\nx100,200\n")
    assert read(tmp_path).classes == ("a", "b")
