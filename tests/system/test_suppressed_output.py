"""What Pillow and libtiff would say of a damaged photo stays off the terminal."""

import os
import subprocess
import sys

import pytest
from fuzz_photos import encode, exif, pixels
from PIL import Image

from model_maker.system import suppressed_output

SPOILED = """
import sys
from model_maker.system import suppressed_output
from model_maker.data import images
from model_maker.errors import DataError
if sys.argv[1] == "hushed":
    suppressed_output.hush_pillow()
content = sys.stdin.buffer.read()
try:
    images.load(content, 8)
except DataError as error:
    print(error)
"""


def said(content, how):
    done = subprocess.run([sys.executable, "-c", SPOILED, how], input=content, capture_output=True, check=True)
    return done.stderr


def test_damaged_photos_say_nothing_on_their_own():
    deflated = bytearray(encode(pixels(), "TIFF", compression="tiff_adobe_deflate"))
    deflated[40] ^= 255
    spoiled = exif().tobytes()
    tagged = encode(pixels(), "JPEG", exif=spoiled[: len(spoiled) // 2])
    for content in (bytes(deflated), tagged):
        assert said(content, "loud")  # or this test would prove nothing
        assert said(content, "hushed") == b""
    large = encode(Image.new("1", (10_000, 9_000)), "PNG")  # 90 megapixels, of which Pillow warns
    assert b"DecompressionBombWarning" in said(large, "loud")
    assert said(large, "hushed") == b""


REDIRECTED = """
import os, sys, threading
from model_maker.system import suppressed_output
threading.Thread(target=threading.Event().wait, daemon=True).start() if "threads" in sys.argv else None
suppressed_output.own_process() if "ours" in sys.argv else None
with suppressed_output.diverted(lambda line: True), suppressed_output.silenced():
    os.write(2, b"from C")
    print("from Python")
"""


@pytest.mark.parametrize(("words", "shown"), [([], 0), (["threads"], 2), (["threads", "ours"], 0)])
def test_streams_are_redirected_only_where_no_other_thread_may_write(words, shown):
    done = subprocess.run([sys.executable, "-c", REDIRECTED, *words], capture_output=True, check=True)
    assert (b"from C" in done.stderr) + (b"from Python" in done.stdout) == shown


def test_on_a_console_of_windows_nothing_is_held_back(monkeypatch, capfd):
    monkeypatch.setattr(suppressed_output, "may_redirect", lambda: True)
    # Python's own lines would fail there, not only be late.
    written = []
    for platform in ("win32", "linux"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", platform)
            patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
            with suppressed_output.diverted(lambda line: True) as dropped:
                os.write(2, b"greeting\n")
            written.append((capfd.readouterr().err, dropped))
    assert written == [("greeting\n", []), ("", [b"greeting\n"])]
