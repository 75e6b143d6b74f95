"""Names in archives as macOS, Windows and old programs write them."""

import binascii
import io
import struct
import tarfile
import zipfile

import pytest

from model_maker.data.sources import read
from model_maker.errors import DataError


class RawInfo(zipfile.ZipInfo):
    """An entry whose name is written as it is, without the flag of UTF-8."""

    raw = b""

    def _encodeFilenameFlags(self):  # noqa: N802 - as zipfile calls it
        return self.raw, 0


def make(path, folders, encoding, *, system=0, mark="/", field=False):
    """A zip file of two photos in each folder, its names in an encoding that no flag states."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, folder in enumerate(folders):
            for n in range(2):
                raw = mark.encode().join([folder.encode(encoding), f"{n}.jpg".encode()])
                entry = RawInfo("x")
                entry.raw = raw
                entry.create_system = system
                if field:
                    content = struct.pack("<BI", 1, binascii.crc32(raw)) + f"{folder}/{n}.jpg".encode()
                    entry.extra = struct.pack("<HH", 0x7075, len(content)) + content
                entry.filename = entry.orig_filename = raw.decode("cp437")
                archive.writestr(entry, f"{number} {n}")
    return path


@pytest.mark.parametrize(
    ("folders", "encoding"),
    [
        (["Gänseblümchen", "Löwenzahn"], "utf-8"),
        (["花", "猫"], "utf-8"),
        (["バラ", "チューリップ"], "cp932"),
        (["猫", "犬"], "cp932"),
        (["ソース", "表"], "cp932"),  # whose second bytes are backslashes
        (["バラ rose", "ひまわり sunflower"], "cp932"),
        (["Gänseblümchen", "Löwenzahn"], "cp437"),
        (["café", "thé"], "cp437"),
        (["Söhne", "Töchter"], "cp437"),
    ],
)
@pytest.mark.parametrize("mark", ["/", "\\"])
def test_folders_are_called_as_their_author_saw_them(tmp_path, folders, encoding, mark):
    data = read(make(tmp_path / "x.zip", folders, encoding, mark=mark))
    assert data.classes == tuple(sorted(folders)) and len(data) == 4
    assert {s.path.read_bytes().decode() for s in data.samples} == {"0 0", "0 1", "1 0", "1 1"}
    assert {str(s.path).split("/")[-2] for s in data.samples} == set(folders)


def test_the_field_in_utf_8_is_believed(tmp_path):
    assert read(make(tmp_path / "x.zip", ["кот", "пёс"], "cp866", field=True)).classes == ("кот", "пёс")


@pytest.mark.parametrize(("folders", "encoding"), [(["кот", "пёс"], "cp866"), (["猫咪", "小狗"], "gbk")])
def test_names_that_cannot_be_told_are_no_labels(tmp_path, folders, encoding):
    with pytest.raises(
        DataError, match="not in UTF-8, and its encoding is not stated. Make the archive anew"
    ) as caught:
        read(make(tmp_path / "x.zip", folders, encoding))
    assert "\n" not in str(caught.value)


def test_folders_in_an_archive_of_windows_need_no_entry(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("data\\", "data\\a\\", "data\\a\\1.jpg", "data\\a\\2.jpg", "data\\b\\1.jpg", "data\\b\\2.jpg"):
            archive.writestr(name, "" if name.endswith("\\") else name)
    data = read(tmp_path / "x.zip")
    assert data.classes == ("a", "b") and data.notes == ()


def test_names_of_a_tar_in_shift_jis_are_read(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT, encoding="cp932") as archive:
        for name in ("バラ/1.jpg", "バラ/2.jpg", "猫/1.jpg"):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode().ljust(len(name))[: len(name)]))
    assert read(tmp_path / "x.tar").classes == ("バラ", "猫")


@pytest.mark.parametrize("address", ["https://example.org/a/flowers.zip", "HTTP://example.org/x"])
def test_an_address_of_a_file_is_named_as_it_was_given(address):
    scheme, rest = address.split("://")
    with pytest.raises(DataError, match=f"^{scheme.lower()}://{rest} is a web address, .* Fetch it"):
        read(address)
