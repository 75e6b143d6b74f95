"""Frames of video files, cameras and streams, decoded with PyAV, an extra.

Only demuxers of video files open files, and they read nothing else: a playlist with the name of a video is an error,
because it could read other files and addresses.
"""

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.system import extras

Array = np.ndarray[Any, Any]

# Suffixes of video files, and their demuxers, by FFmpeg's names.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv"),
    *(".wmv", ".ogv"),
)
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg"
_STREAM = re.compile(r"rtsps?://", re.IGNORECASE)
_CAMERA = re.compile(r"\d{1,3}")
# One frame per second of most videos.
EVERY = 30
# Time limits to open a camera or stream, and to receive a packet.
_TIMEOUT_S = (10.0, 10.0)


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0, its time in seconds, if known, and its pixels, uint8 [H, W, 3], upright."""

    number: int
    seconds: float | None
    pixels: Array


def is_file(name: str) -> bool:
    """Whether a file is a video by its name."""
    return name.lower().endswith(SUFFIXES)


def is_live(name: str) -> bool:
    """Whether it is a camera's number or the address of a stream."""
    return bool(_CAMERA.fullmatch(name) or _STREAM.match(name))


def shown(name: str) -> str:
    """Returns a source for display, without user and password of a stream's address."""
    if not _STREAM.match(name):
        return name
    address = urlsplit(name)
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


def frames(name: str, *, every: int = EVERY) -> Iterator[Frame]:
    """Yields every n-th frame, the first one first.

    Args:
      name: a video file, the number of a camera, or the rtsp:// address of a stream, which may have no end.

    Raises:
      DataError: it cannot be opened or decoded; frames before the error have been yielded.
      ModelMakerError: PyAV is not installed.
    """
    extras.require("av", what="Video", error=DataError)
    import av

    what, number = shown(name), -1
    try:
        with connect(name) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None or stream.codec_context is None:
                raise DataError(f"{what}: contains no video that can be decoded")
            stream.codec_context.options = {"max_pixels": str(images.MAX_PIXELS)}
            for number, frame in enumerate(container.decode(stream)):
                if number % every == 0:
                    yield Frame(number, frame.time, _upright(frame))
    except (av.FFmpegError, ValueError, ArithmeticError) as error:  # the latter two for damaged headers
        after = f" after frame {number}" if number >= 0 else ""
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{what}: cannot be read as a video{after} ({reason}){_advice(name)}") from error
    if number < 0:
        raise DataError(f"{what}: contains no frames")


def connect(name: str) -> Any:
    """Opens a file, a camera or a stream; returns PyAV's container."""
    import av

    if _STREAM.match(name):
        # Over TCP, because lost UDP packets cause gray smears.
        return av.open(name, options={"rtsp_transport": "tcp"}, timeout=_TIMEOUT_S)
    if _CAMERA.fullmatch(name):
        device, kind = _camera(int(name))
        return av.open(device, format=kind, timeout=_TIMEOUT_S)
    own = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    # Titles and the like may have any encoding, and are not used.
    return av.open(f"file:{name}", options=own, metadata_errors="replace")


def _camera(index: int) -> tuple[str, str]:
    """Returns FFmpeg's name and device type of a camera number."""
    if sys.platform == "darwin":
        return str(index), "avfoundation"
    if sys.platform == "win32":
        import av

        cameras = [device.name for device in av.enumerate_input_devices("dshow") if "video" in device.media_types]
        if index >= len(cameras):
            raise DataError(f"camera {index} does not exist: Windows reports {len(cameras)}, counted from 0")
        return f"video={cameras[index]}", "dshow"
    return f"/dev/video{index}", "v4l2"


def _advice(name: str) -> str:
    if _STREAM.match(name):
        return "; is the address right, and does the camera answer in a player?"
    if _CAMERA.fullmatch(name):
        return f"; is a camera of number {name} attached, and may this program use it?"
    return ""


def _upright(frame: Any) -> Array:
    """Returns the pixels, rotated by the quarter turns that the file states."""
    pixels: Array = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) if math.isfinite(frame.rotation) else 0
    return np.ascontiguousarray(np.rot90(pixels, quarters))
