"""Pictures of more than eight bits, with a video behind them, and files that are none."""

import numpy as np
import pytest
from pictures import encode, noise, pixels
from PIL import Image

from model_maker.data import images
from model_maker.errors import DataError

RAMP = np.tile(np.arange(256), (4, 1))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ((RAMP / 255).astype(np.float32), "TIFF"),
        (RAMP.astype(np.float32), "TIFF"),
        ((RAMP * 257).astype(np.int32), "TIFF"),
        (RAMP.astype(np.int32), "TIFF"),
        ((RAMP * 16).astype(np.uint16), "PNG"),
        ((RAMP * 4).astype(np.uint16), "PNG"),
        ((RAMP * 257).astype(np.uint16), "PNG"),
        ((RAMP * 16).astype(np.uint16), "TIFF"),
    ],
)
def test_grey_of_any_depth_is_scaled_to_eight_bits(values, form):
    found = pixels(encode(Image.fromarray(values), form))
    # 256 equal steps from black to white, cut off or rounded.
    assert np.abs(found - RAMP[..., None]).max() <= 1


def test_bytes_behind_the_end_of_a_jpeg_are_no_scans():
    picture = encode(noise(), "JPEG")
    assert (pixels(picture + b"\xff\xda" * 500) == pixels(picture)).all()


def test_a_video_is_called_one():
    for brand, name in ((b"isom", "MP4"), (b"qt  ", "MOV")):
        with pytest.raises(DataError, match=rf"a video \({name}\), no photo"):
            images.decode(b"\0\0\0\x18ftyp" + brand + bytes(64))


def test_ppm_is_read():
    assert (pixels(encode(noise(), "PPM")) == noise()).all()
    assert images.is_photo(".PPM")
