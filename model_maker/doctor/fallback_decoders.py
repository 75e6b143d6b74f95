"""Other decoders for files that seem damaged: a file that one of them opens is not moved.

Tries OpenCV, imageio and PyAV if installed, then Pillow's decoders of formats that training does not accept, then
whether the markers of the file lead from its beginning to its end. All of this runs in a child process, because
damaged files may crash a decoder.
"""

import contextlib
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from model_maker.data import png
from model_maker.errors import DataError, ModelMakerError
from model_maker.system import limited_process

# Limit for all files of a call; a file that takes longer counts as opened, and stays.
LIMIT_S = 60.0
_MEMORY_BYTES = 4 << 30
_AT_ONCE = 50
# Pillow's decoders that run other programs, or only identify a format.
_NOT_ASKED = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG")
UNCLEAR = "a decoder that timed out"


def readers(paths: Sequence[Path]) -> dict[Path, str]:
    """Returns the decoder that opens each file, for files that any decoder opens."""
    found: dict[Path, str] = {}
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        listed = json.dumps([os.path.abspath(path) for path in some])
        try:
            answers = json.loads(limited_process.run(__name__, listed, what="files", limit_s=LIMIT_S, error=DataError))
        except ModelMakerError:
            # One of them crashes or blocks the process: try each alone, and leave that one in place.
            answers = [UNCLEAR] if len(some) == 1 else [readers([path]).get(path, "") for path in some]
        found |= {path: name for path, name in zip(some, answers, strict=True) if name}
    return found


def _ask(listed: str) -> bytes:
    answers = []
    for path in json.loads(listed):
        try:
            content = Path(path).read_bytes()
        except OSError:
            content = b""
        answers.append(next((name for name, opens in READERS.items() if content and _opens(opens, content)), ""))
    return json.dumps(answers).encode()


def _opens(reader: Callable[[bytes], bool], content: bytes) -> bool:
    try:
        return reader(content)
    except Exception:  # decoders of damaged files raise nearly anything
        return False


def _opencv(content: bytes) -> bool:
    import cv2
    import numpy as np

    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) is not None


def _imageio(content: bytes) -> bool:
    import imageio.v3

    return bool(imageio.v3.imread(content).size)


def _av(content: bytes) -> bool:
    import av

    with av.open(io.BytesIO(content), "r") as container:
        # FFmpeg reads any text as subtitles, and accepts half an image.
        if "mp4" not in container.format.name and "matroska" not in container.format.name:
            return False
        return next(container.decode(video=0), None) is not None


def _pillow(content: bytes) -> bool:
    Image.init()
    with Image.open(io.BytesIO(content), formats=[name for name in Image.ID if name not in _NOT_ASKED]) as image:
        image.load()
        return True


def _marks(content: bytes) -> bool:
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_is_whole(content)
    if content.startswith(png.MARK):
        return png.is_whole(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return len(content) >= 8 + int.from_bytes(content[4:8], "little")
    return content[4:8] == b"ftyp" and b"mdat" in content and _boxes_end(content)


def _jpeg_is_whole(content: bytes) -> bool:
    """Walks from segment to segment: there has to be a size, then data, then the end marker."""
    place, sized, begun = 2, False, False
    while (place := content.find(b"\xff", place)) >= 0 and place + 1 < len(content):
        mark = content[place + 1]
        if mark == 0xD9:
            return sized and begun
        if mark in (0x00, 0x01, 0xFF) or 0xD0 <= mark <= 0xD7:  # data, or a marker without a length
            place += 1 if mark == 0xFF else 2
            continue
        sized |= 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC)
        begun |= mark == 0xDA
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if length < 2:
            return False
        place += 2 + length
    return False


def _boxes_end(content: bytes) -> bool:
    """Returns whether the boxes of MP4, MOV, HEIC or AVIF fill the file."""
    place = 0
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(content[place + 8 : place + 16], "big")
        if size == 0:
            return True
        if size < 8:
            return False
        place += size
    return place == len(content)


READERS: dict[str, Callable[[bytes], bool]] = {
    "OpenCV": _opencv,
    "imageio": _imageio,
    "PyAV": _av,
    "Pillow": _pillow,
    "its intact structure": _marks,
}


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        limited_process.answer(_ask, memory_bytes=_MEMORY_BYTES, cpu_s=2 * int(LIMIT_S))
