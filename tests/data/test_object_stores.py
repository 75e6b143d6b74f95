import pickle
import shutil

import fsspec
import numpy as np
import pytest
from fsspec.registry import known_implementations

import model_maker
from model_maker import run_record
from model_maker.data import images, object_stores, sources
from model_maker.data.object_stores import StoredFolder, StoredPhoto
from model_maker.errors import DataError

BUCKET = "memory://bucket/flowers"


@pytest.fixture
def store():
    """A folder of fsspec's store in memory, removed afterwards; called with a local folder, it takes its files."""
    memory = fsspec.filesystem("memory")

    def put(folder):
        for path in folder.rglob("*"):
            if path.is_file():
                memory.pipe_file(f"/bucket/flowers/{path.relative_to(folder)}", path.read_bytes())
        return BUCKET

    yield put
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)


def listed(dataset, home):
    """Everything that a data set says, with names below its home."""
    photos = [(str(s.path).removeprefix(f"{home}/"), s.label, s.digest, s.part) for s in dataset.samples]
    skipped = [(str(s.path).removeprefix(f"{home}/"), s.reason, s.part) for s in dataset.skipped]
    return photos, skipped, dataset.classes, [note.replace(str(home), "HOME") for note in dataset.notes]


@pytest.fixture
def classes(make_photos, tmp_path):
    """Two classes with what a folder may hold besides: deeper folders, hidden ones, loose photos, other files."""
    home = tmp_path / "flowers"
    make_photos(home, {"tulip": 3, "rose/deep": 2, "rose.wild": 1, "rose": 1, "tulip/.hidden": 1, "__MACOSX": 1})
    make_photos(home, {".thumbs": 2})
    shutil.copy(home / "rose/000.png", home / "loose.png")
    (home / "tulip/empty.jpg").touch()
    (home / "tulip/notes.TXT").write_text("x")
    (home / "rose/README").write_text("x")
    return home


@pytest.fixture
def parts(make_photos, tmp_path):
    home = tmp_path / "flowers"
    make_photos(home, {f"{part}/{name}": 2 for part in ("train", "val", "Test") for name in ("rose", "tulip")})
    return home


@pytest.mark.parametrize("layout", ["classes", "parts"])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_store_is_read_as_the_folder_of_the_same_files(layout, kind, store, request):
    home = request.getfixturevalue(layout)
    url = store(home) if kind == "memory" else f"file://{home}"
    expected, found = sources.read(home), sources.read(url)
    assert listed(found, url) == listed(expected, home)
    assert found.fingerprint == expected.fingerprint
    assert len(expected) == (7 if layout == "classes" else 12)


def test_one_part_beside_other_folders_makes_all_of_them_classes(make_photos, tmp_path, store):
    make_photos(tmp_path / "x", {"train": 1, "val": 1, "rose": 1})
    assert listed(sources.read(store(tmp_path / "x")), BUCKET) == listed(sources.read(tmp_path / "x"), tmp_path / "x")


def test_a_photo_travels_and_gives_the_pixels_of_its_file(classes, store):
    photo = pickle.loads(pickle.dumps(StoredPhoto(f"{store(classes)}/tulip/001.png")))
    assert (photo.name, photo.suffix, str(photo)) == ("001.png", ".png", f"{BUCKET}/tulip/001.png")
    np.testing.assert_array_equal(images.load(photo, 8), images.load(classes / "tulip/001.png", 8))


def test_a_photo_that_is_gone_says_so(store, classes):
    url = f"{store(classes)}/tulip/gone.png"
    with pytest.raises(DataError, match=f"^{url}: no such file$"):
        images.load(StoredPhoto(url), 8)


def test_what_a_store_refuses_is_one_line_for_the_photo(monkeypatch, store, classes):
    url = f"{store(classes)}/tulip/001.png"

    def refuse(*_, **__):
        raise RuntimeError("no credentials\nfor this bucket")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", refuse)
    with pytest.raises(DataError) as caught:
        StoredPhoto(url).read_bytes()
    assert str(caught.value) == f"{url}: cannot be read (no credentials)"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nobody", "^memory://nobody does not exist. Give a folder"),
        ("nonsense://x", r"^nonsense://x cannot be opened \(Protocol not known: nonsense\). Check the address"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(url, message):
    with pytest.raises(DataError, match=message):
        sources.read(url)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(known_implementations, "kelp", {"class": "kelpfs.Kelp", "err": "Install kelpfs"})
    with pytest.raises(DataError, match=r"^kelp://x: Install kelpfs. Install that package here, and on every machine"):
        sources.read("kelp://x")


def test_one_class_is_too_few_in_a_store_too(make_photos, tmp_path, store):
    make_photos(tmp_path / "x", {"rose": 2})
    with pytest.raises(DataError, match="holds one class only, 'rose'"):
        sources.read(store(tmp_path / "x"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("s3://b/x", True), ("file:///x", True), ("http://x/y", False), ("/a/b", False), ("a", False), ("C:/x", False)],
)
def test_addresses_of_stores_are_told_from_paths(name, kind):
    assert object_stores.is_url(name) == kind
    assert isinstance(object_stores.place(name), StoredFolder) == kind


def test_training_from_a_store_makes_the_same_model_and_finds_its_photos_again(trained, drawn_flowers, tmp_path):
    url = f"file://{drawn_flowers}/"
    made = model_maker.train(url, tmp_path / "model").directory
    assert (made / "model.tflite").read_bytes() == (trained["uint8"] / "model.tflite").read_bytes()
    assert run_record.load(made)["data"] == url.rstrip("/")
    again, notes = run_record.test_part(made)
    expected, _ = run_record.test_part(trained["uint8"])
    assert notes == [] and [s.digest for s in again.samples] == [s.digest for s in expected.samples]
