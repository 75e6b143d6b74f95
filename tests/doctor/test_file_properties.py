import numpy as np
import pytest
from PIL import Image

from model_maker.doctor import file_properties


@pytest.fixture
def reference():
    """The hash by another implementation."""
    imagehash = pytest.importorskip("imagehash")
    return lambda image: int(str(imagehash.phash(image)), 16)


def assert_equal_hashes(image, reference):
    for turned in (image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image.transpose(Image.Transpose.ROTATE_90)):
        assert file_properties.perceptual_hash(turned) == reference(turned)


def test_hashes_of_photos_are_those_of_imagehash(reference, shared_data):
    photos = sorted(path for path in shared_data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[::10]
    assert len(photos) > 50
    for photo in photos:
        with Image.open(photo) as image:
            small = image.convert("RGB")
        small.thumbnail((128, 128))
        assert_equal_hashes(small, reference)


def test_hashes_of_patterns_are_those_of_imagehash(reference):
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (20, 48, 40, 3), np.uint8)
    stripes = np.repeat(random.integers(0, 256, (20, 1, 40, 3), np.uint8), 48, axis=1)
    mirrored = np.maximum(noise, noise[:, :, ::-1])  # many frequencies are 0, as is then the median
    for pixels in (*noise, *stripes, *mirrored, np.zeros_like(noise[0]), np.full_like(noise[0], 255)):
        assert_equal_hashes(Image.fromarray(pixels), reference)


def test_a_hash_survives_resizing_and_compression(tmp_path):
    # Smooth noise, whose low frequencies all have something to say.
    blocks = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    picture = Image.fromarray(blocks).resize((640, 480), Image.Resampling.BICUBIC)
    picture.resize((300, 225)).save(tmp_path / "small.jpg", quality=60)
    with Image.open(tmp_path / "small.jpg") as small:
        differ = file_properties.perceptual_hash(picture) ^ file_properties.perceptual_hash(small)
    other = file_properties.perceptual_hash(picture.transpose(Image.Transpose.ROTATE_90))
    # Half of 64 bits differ between unrelated pictures, give or take 4.
    assert differ.bit_count() <= 4 and (file_properties.perceptual_hash(picture) ^ other).bit_count() >= 16
