"""Videos made by code, with PyAV's encoder."""

from pathlib import Path

import numpy as np

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)
FRAMES_A_SECOND = 10


def write(path: Path, colours, *, size=(64, 48), codec="mpeg4"):
    """Writes a video whose frames each have one colour; the upper left quarter is white."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for colour in colours:
            pixels = np.full((size[1], size[0], 3), colour, np.uint8)
            pixels[: size[1] // 2, : size[0] // 2] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def turn(path: Path, matrix) -> None:
    """Puts a matrix into the header of an MP4's track (ISO/IEC 14496-12, 8.3.2): nine numbers of 32 bits."""
    content = bytearray(path.read_bytes())
    # Behind the box's name: version and flags, and 36 bytes of times, number, duration and others in version 0.
    start = content.index(b"tkhd") + 4 + 4 + 36
    content[start : start + 36] = b"".join((value % 2**32).to_bytes(4, "big") for value in matrix)
    path.write_bytes(content)
