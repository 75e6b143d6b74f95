import gzip
import hashlib
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from photo_files import fill, photos

from model_maker.data import archives
from model_maker.data.sources import read
from model_maker.errors import DataError

FILES = photos({"roses": 3, "tulips": 2}) | {"roses/deep/9.png": "deep"}


def contents(files):
    return {name: content if isinstance(content, bytes) else str(content).encode() for name, content in files.items()}


def make_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents(files).items():
            archive.writestr(name, content)
    return path


def make_tar(path, files):
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        for name, content in contents(files).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def make(path, files):
    return make_zip(path, files) if path.suffix == ".zip" else make_tar(path, files)


NAMES = ["flowers.zip", "flowers.tar", "flowers.tar.gz", "flowers.tgz", "flowers.tar.bz2", "flowers.tar.xz", "F.ZIP"]


def below(dataset, root):
    return [(str(s.path).removeprefix(f"{root}/"), s.label, s.digest, s.part) for s in dataset.samples]


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_is_read_as_the_folder_in_it(tmp_path, empty_cache, name):
    make(tmp_path / name.lower(), FILES).rename(tmp_path / name)
    folder = read(fill(tmp_path / "folder", FILES))
    found = read(tmp_path / name)
    assert below(found, tmp_path / name) == below(folder, tmp_path / "folder")
    assert found.classes == folder.classes and found.fingerprint == folder.fingerprint
    assert [sample.path.read_bytes() for sample in found.samples] == [s.path.read_bytes() for s in folder.samples]


@pytest.mark.parametrize("top", ["flower_photos", "a/b"])
def test_folders_that_hold_everything_are_passed_through(tmp_path, top):
    files = {f"{top}/{name}": content for name, content in FILES.items()} | {f"{top}/LICENSE.txt": "free"}
    found = read(make_zip(tmp_path / "f.zip", files))
    assert found.classes == ("roses", "tulips") and len(found) == 6
    assert found.notes == ("1 other file not used because they are not photos (1 .txt).",)


def test_parts_are_taken_from_the_folders(tmp_path):
    files = {f"top/{part}/{name}/1.jpg": part + name for part in ("train", "val", "test") for name in "ab"}
    found = read(make_tar(tmp_path / "f.tar", files))
    assert found.classes == ("a", "b")
    assert sorted({(s.part, str(s.path).split("/")[-3]) for s in found.samples}) == [
        ("test", "test"),
        ("train", "train"),
        ("validation", "val"),
    ]


def test_a_photo_that_lies_in_a_part_but_in_no_class_changes_no_layout(tmp_path):
    files = {f"{part}/{name}/1.jpg": part + name for part in ("train", "test") for name in "ab"}
    stray = files | {"train/cover.jpg": "stray"}
    found, folder = read(make_zip(tmp_path / "f.zip", stray)), read(fill(tmp_path / "folder", stray))
    assert found.classes == ("a", "b") and below(found, tmp_path / "f.zip") == below(folder, tmp_path / "folder")


def test_hidden_and_loose_photos_are_passed_over(tmp_path):
    files = photos({"a": 1, "b": 1}) | {"a/._0.jpg": "x", "__MACOSX/a/0.jpg": "y", "cover.jpg": "z"}
    found = read(make_zip(tmp_path / "f.zip", files))
    assert len(found) == 2
    assert found.notes == (
        f"1 photo directly in {tmp_path / 'f.zip'}, outside any class folder: not used.",
        "1 photo in __MACOSX (hidden, or created by other programs): not used.",
    )


def test_a_compressed_tar_is_unpacked_once(tmp_path, empty_cache, monkeypatch):
    path = make_tar(tmp_path / "f.tgz", FILES)
    first = read(path)
    assert "read from a copy in the cache" in first.notes[0]
    monkeypatch.setattr(archives, "unpack", lambda *_: pytest.fail("unpacked again"))
    assert read(path).fingerprint == first.fingerprint
    assert len(list((empty_cache / "archives").iterdir())) == 1


def test_a_changed_archive_is_another_one(tmp_path, empty_cache):
    for name in ("f.zip", "f.tgz"):
        path = make(tmp_path / name, photos({"a": 2, "b": 2}))
        before = read(path)
        stamp = path.stat().st_mtime_ns
        make(path, photos({"a": 2, "b": 3}))
        os.utime(path, ns=(stamp + 10**9, stamp + 10**9))
        assert (len(before), len(read(path))) == (4, 5)


def add_link(archive, name, target, kind=tarfile.SYMTYPE):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    archive.addfile(entry)


@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "a\\..\\..\\evil.jpg", "C:/evil.jpg", "a/..", "\\x.jpg"],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_elsewhere_refuse_the_archive(tmp_path, kind, name):
    home = tmp_path / "home"
    home.mkdir()
    path = make(home / f"f.{kind}", FILES | {name: "evil"})
    with pytest.raises(DataError, match=r"f\.(zip|tar) is rejected: the name .* points outside of it") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["home"] and [p.name for p in home.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    path = make_tar(tmp_path / "f.tar", FILES)
    with tarfile.open(path, "a") as archive:
        add_link(archive, "roses/link.jpg", "/etc/passwd", kind)
    with pytest.raises(DataError, match=r"is rejected: 'roses/link.jpg' is a link or not a regular file"):
        read(path)


def test_links_in_a_zip_are_refused(tmp_path):
    path = make_zip(tmp_path / "f.zip", FILES)
    entry = zipfile.ZipInfo("roses/link.jpg")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="is rejected: 'roses/link.jpg' is a link"):
        read(path)


def test_bombs_are_refused_before_they_unpack(tmp_path, empty_cache):
    zeros = bytes(80 << 20)
    path = make_zip(tmp_path / "bomb.zip", FILES | {"roses/bomb.bmp": zeros})
    with pytest.raises(
        DataError, match=r"bomb.zip is rejected: it would unpack to 84 MB, more than 100 times its size"
    ):
        read(path)
    packed = tmp_path / "bomb.tgz"
    with gzip.open(packed, "wb", compresslevel=9) as file:
        for _ in range(3):
            file.write(zeros)
    with pytest.raises(DataError, match=r"bomb.tgz is rejected: it unpacks to more than 100 times its size"):
        read(packed)
    assert list((empty_cache / "archives").iterdir()) == []


def test_a_member_larger_than_any_photo_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    for name in ("f.zip", "f.tar"):
        found = read(make(tmp_path / name, FILES | {"roses/film.jpg": os.urandom((1 << 20) + 1)}))
        assert len(found) == 6
        assert [(str(bad.path), bad.reason) for bad in found.skipped] == [
            (f"{tmp_path / name}/roses/film.jpg", "more than 1 MB; a photo is smaller")
        ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_hundred_thousand_empty_files_are_refused(tmp_path, kind):
    path = make(tmp_path / f"empty.{kind}", FILES | {f"empty/{n}.jpg": b"" for n in range(100_000)})
    with pytest.raises(DataError, match=r"is rejected: 100000 of its 100006 files are empty"):
        read(path)


def test_a_few_empty_photos_are_skipped_as_in_a_folder(tmp_path):
    found = read(make_zip(tmp_path / "f.zip", FILES | {"roses/empty.jpg": b""}))
    assert [bad.reason for bad in found.skipped] == ["empty file"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_comes_twice_is_refused(tmp_path, kind):
    path = make(tmp_path / f"f.{kind}", FILES)
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("roses/0.jpg", "another")
    else:
        with tarfile.open(path, "a") as archive:
            archive.addfile(tarfile.TarInfo("roses/0.jpg"))
    with pytest.raises(DataError, match="is rejected: it contains 'roses/0.jpg' twice"):
        read(path)


def test_encrypted_members_are_refused(tmp_path):
    content = bytearray(make_zip(tmp_path / "f.zip", FILES).read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 8] |= 1  # general purpose flag, bit 0: encrypted
    (tmp_path / "f.zip").write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        read(tmp_path / "f.zip")


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8])
def test_truncated_archives_are_said_to_be_damaged(tmp_path, empty_cache, name, kept):
    noise = {f"{label}/{n}.jpg": os.urandom(4000) for label in "ab" for n in range(4)}
    path = make(tmp_path / name, noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"is damaged|holds no labeled photos") as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_member_is_skipped_with_its_reason(tmp_path):
    noise = os.urandom(500)
    path = make_zip(tmp_path / "f.zip", FILES | {"roses/noise.jpg": noise}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(noise) + 100] ^= 1
    path.write_bytes(content)
    found = read(path)
    assert len(found) == 6
    [bad] = found.skipped
    assert str(bad.path).endswith("roses/noise.jpg") and bad.reason.startswith("damaged (Bad CRC-32")


def test_a_zip_that_lies_about_sizes_gives_no_more_than_it_states(tmp_path):
    content = bytearray(make_zip(tmp_path / "f.zip", FILES | {"roses/bomb.jpg": bytes(50 << 20)}).read_bytes())
    # The central directory and the local header state 10 bytes instead of 50 MB.
    for place in range(len(content) - 4):
        if content[place : place + 4] == struct.pack("<I", 50 << 20):
            content[place : place + 4] = struct.pack("<I", 10)
    (tmp_path / "f.zip").write_bytes(content)
    found = read(tmp_path / "f.zip")
    assert [Path(str(bad.path)).name for bad in found.skipped] == ["bomb.jpg"]


def test_members_of_an_archive_train_to_the_same_photos(tmp_path, make_photos):
    """What `images.load` makes of a member is what it makes of the file."""
    from model_maker.data import images

    make_photos(tmp_path / "data", {"red": 2, "blue": 2})
    files = {str(p.relative_to(tmp_path / "data")): p.read_bytes() for p in sorted((tmp_path / "data").rglob("*.png"))}
    for path in (make_zip(tmp_path / "f.zip", files), make_tar(tmp_path / "f.tar", files)):
        for sample in read(path).samples:
            name = str(sample.path).removeprefix(f"{path}/")
            assert sample.digest == hashlib.sha256(files[name]).hexdigest()
            assert (images.load(sample.path, 8) == images.load(files[name], 8)).all()
