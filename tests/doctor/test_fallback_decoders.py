"""Files that another reader opens are never moved, and what is moved is listed and asked for first."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from pictures import chunk, encode, noise, pixels
from PIL import Image, PngImagePlugin

from model_maker import cli
from model_maker.data import images
from model_maker.doctor import fallback_decoders
from model_maker.doctor.diagnosis import diagnose
from model_maker.errors import DataError

LITE0 = "efficientnet_lite0"


def texts(kind):
    """A PNG with 3 MB of text that is packed, plain, or stands behind the pixels."""
    text = PngImagePlugin.PngInfo()
    if kind == "plain":
        for number in range(70):
            text.add_text(f"part {number}", "x" * 1_000_000)
    elif kind == "international":
        text.add_itxt("prompt", "ä" * 3_000_000, zip=True)
    else:
        text.add_text("prompt", "x" * 3_000_000, zip=True)
    content = encode(noise(), "PNG", pnginfo=text)
    if kind != "behind":
        return content
    packed = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(3_000_000)))
    end = content.rindex(b"IEND") - 4
    return encode(noise(), "PNG")[:-12] + packed + content[end:]


@pytest.mark.parametrize("kind", ["packed", "international", "plain", "behind"])
def test_png_with_megabytes_of_text_is_read(tmp_path, kind):
    content = texts(kind)
    with pytest.raises(ValueError), Image.open(io.BytesIO(content)) as image:
        image.load()
    assert (pixels(content) == noise()).all()
    (tmp_path / "a.png").write_bytes(content)
    assert (np.asarray(images.decode(tmp_path / "a.png")) == noise()).all()


def test_a_large_profile_is_passed_over():
    profile = chunk(b"iCCP", b"wide\0\0" + zlib.compress(bytes(3_000_000)))
    content = encode(noise(), "PNG")
    assert (pixels(content[:33] + profile + content[33:]) == noise()).all()


def test_orientation_in_xmp_outlives_the_texts():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    content = encode(noise(), "PNG")
    more = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) + chunk(b"tEXt", b"a\0" + b"x" * 2000)
    assert (pixels(content[:33] + more + content[33:]) == np.rot90(noise(), -1)).all()


def jpeg_of_many_scans():
    """A whole picture whose 101 scans training takes for an attack."""
    content = encode(noise(40, 40), "JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    return content[:scan] + content[scan:-2] * 101 + b"\xff\xd9"


def test_what_others_open_is_told_apart(tmp_path):
    whole = {
        "tga.jpg": encode(noise(), "TGA"),
        "jp2.jpg": encode(noise(), "JPEG2000"),
        "scans.jpg": jpeg_of_many_scans(),
    }
    gone = {
        "text.jpg": b"no photo at all",
        "cut.jpg": encode(noise(90, 90), "JPEG")[:1500],
        "cut.png": encode(noise(90, 90), "PNG")[:1500],
        "cut.webp": encode(noise(90, 90), "WEBP")[:700],
        "page.jpg": b"<html>not found</html>",
    }
    for name, content in (whole | gone).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            images.decode(tmp_path / name)
    found = fallback_decoders.readers(sorted(tmp_path.iterdir()))
    assert {path.name for path in found} == set(whole)


def test_without_other_readers_marks_decide():
    whole = fallback_decoders.READERS["a walk over its marks"]
    for content in (jpeg_of_many_scans(), encode(noise(), "PNG"), encode(noise(), "WEBP"), encode(noise(), "AVIF")):
        assert whole(content)
        assert not whole(content[: len(content) * 9 // 10])
    assert not whole(struct.pack(">I", 3) + b"ftypmdat")


@pytest.fixture
def data(tmp_path, make_photos):
    home = tmp_path / "data"
    make_photos(home, {"a": 6, "b": 6})
    (home / "a" / "text.jpg").write_text("no photo")
    (home / "a" / "film.jpg").write_bytes(encode(noise(), "TGA"))
    return home


def test_the_finding_names_the_reader(data):
    found = {
        path.name: finding for finding in diagnose(data, model=LITE0).findings["broken"] for path in finding.photos
    }
    assert found["text.jpg"].removable and not found["film.jpg"].removable
    assert "opened by" in found["film.jpg"].text and "so it is not moved" in found["film.jpg"].text


def test_yes_moves_what_was_listed(data, capsys):
    assert cli.main(cli.parse(["model_maker", "doctor", str(data), "--fix", "broken", "--yes"])) == 0
    out = capsys.readouterr().out
    assert (
        out.index("To be moved out, as broken: 1 file")
        < out.index("text.jpg", out.index("To be moved"))
        < out.index("1 file moved")
    )
    assert not (data / "a" / "text.jpg").exists() and (data / "a" / "film.jpg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("answer", "moved"), [("n", False), ("", False), ("y", True)])
def test_it_asks(data, answer, moved):
    import pty  # which Windows lacks

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "model_maker", "doctor", str(data), "--model", LITE0, "--fix", "broken"]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.write(ours, f"{answer}\n".encode())
    out, _ = child.communicate(timeout=300)
    os.close(ours), os.close(theirs)
    assert b"Move them? [y/N]" in out and child.returncode == 0
    assert (b"Nothing was moved" in out) == (not moved)
    assert (data / "a" / "text.jpg").exists() == (not moved)
