import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from model_maker.data import photo_facts


def photo(pixels, kind="PNG", exif=None):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"exif": exif} if exif else {}))
    return stream.getvalue()


def read(content):
    [found] = photo_facts.collect([content])
    return found


NOISE = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)


def test_facts_of_a_photo_are_those_that_it_was_made_with():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Acme", "One", 6  # make, model, a quarter turn
    found = read(photo(np.full((60, 90, 3), 77, np.uint8), "JPEG", exif))
    assert (found.format, found.camera, found.megapixels) == ("JPEG", "Acme One", 0.0054)
    assert found.brightness == pytest.approx(77, abs=1) and found.aspect == pytest.approx(60 / 90)
    assert read(photo(NOISE)).camera == "" and read(photo(NOISE)).format == "PNG"


def test_a_blurred_photo_is_less_sharp_at_any_contrast():
    blurred = np.asarray(Image.fromarray(NOISE).filter(ImageFilter.GaussianBlur(3)))
    pale = (100 + NOISE // 8).astype(np.uint8)
    assert read(photo(blurred)).sharpness < read(photo(NOISE)).sharpness - 2
    # An eighth of the contrast, and rounding: about as sharp.
    assert read(photo(pale)).sharpness == pytest.approx(read(photo(NOISE)).sharpness, abs=0.1)


def test_what_cannot_be_read_says_why():
    assert "picture" in str(read(b"no photo"))
