"""A TFRecord that is written here byte by byte, so that reading one is tested where there is no TensorFlow."""

import struct

from model_maker.data.sources import read


def crc32c(content):
    """Castagnoli's checksum, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(content):
    """What stands in a record: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details"."""
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number):
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


def message(number, content):
    """Field `number` of a protocol buffer that holds bytes, text or another message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(**features):
    """A tf.Example: Features is field 1 of it, the map of names to Feature field 1 of that."""
    entries = b""
    for name, value in features.items():
        listed = message(1, message(1, value)) if isinstance(value, bytes) else message(3, message(1, varint(value)))
        entries += message(1, message(1, name.encode()) + message(2, listed))
    return message(1, entries)


def record(content):
    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_bytes_and_numbers_of_an_example_are_read(tmp_path):
    photos = [b"photo %d " % n * 40 for n in range(4)]
    rows = [example(image=photo, label=n % 2) for n, photo in enumerate(photos)]
    (tmp_path / "flowers-train.tfrecord-00000-of-00001").write_bytes(b"".join(map(record, rows)))
    (tmp_path / "label.labels.txt").write_text("daisy\nrose\n")
    data = read(tmp_path)
    assert data.classes == ("daisy", "rose")
    found = [(sample.path.read_bytes(), data.classes[sample.label], sample.part) for sample in data.samples]
    assert found == [(photo, ("daisy", "rose")[n % 2], "train") for n, photo in enumerate(photos)]
