import struct
import subprocess
import sys

import pytest

from model_maker.data.sources import read
from model_maker.errors import DataError

pytestmark = pytest.mark.tensorflow  # which writes what is read here

# What TensorFlow itself writes, in a process of its own, for importing it takes seconds and gigabytes.
_WRITER = """
import sys, json
import tensorflow as tf

def feature(value):
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode("latin-1")]))
    if isinstance(value, list):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

for path, examples in json.load(sys.stdin).items():
    with tf.io.TFRecordWriter(path) as writer:
        for example in examples:
            features = tf.train.Features(feature={name: feature(value) for name, value in example.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
"""


def photo(number):
    return "photo " * 50 + str(number)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Files that TensorFlow wrote, in the layouts of TensorFlow Datasets and of TF-Slim."""
    import json

    home = tmp_path_factory.mktemp("tfrecords")
    for name in ("tfds", "slim", "many", "none"):
        (home / name).mkdir()
    examples = [{"image": photo(n), "label": n % 2, "image/filename": f"{n}.jpg"} for n in range(5)]
    slim = [
        {"image/encoded": photo(n), "image/class/label": n % 2 + 1, "image/class/text": "ab"[n % 2]} for n in range(4)
    ]
    files = {
        "tfds/flowers-train.tfrecord-00000-of-00002": examples[:3],
        "tfds/flowers-train.tfrecord-00001-of-00002": examples[3:],
        "tfds/flowers-test.tfrecord-00000-of-00001": [{"image": photo(n), "label": n % 2} for n in (7, 8)],
        "slim/train.tfrecord": slim,
        "many/train.tfrecord": [{"image": photo(1), "label": [0, 1]}],
        "none/train.tfrecord": [{"image": photo(1), "bbox": 3}],
    }
    text = json.dumps({str(home / name): rows for name, rows in files.items()})
    subprocess.run([sys.executable, "-c", _WRITER], input=text, text=True, check=True, capture_output=True)
    (home / "tfds" / "label.labels.txt").write_text("daisy\nrose\n")
    (home / "tfds" / "dataset_info.json").write_text("{}")
    return home


def content(sample):
    return sample.path.read_bytes().decode()


def test_what_tensorflow_datasets_writes_is_read(home):
    data = read(home / "tfds")
    assert data.classes == ("daisy", "rose")
    found = [(content(s), data.classes[s.label], s.part) for s in data.samples]
    names = ("daisy", "rose")
    assert found == [(photo(n), names[n % 2], "test") for n in (7, 8)] + [
        (photo(n), names[n % 2], "train") for n in range(5)
    ]
    assert str(data.samples[-1].path) == f"{home}/tfds/flowers-train.tfrecord-00001-of-00002[1]"


def test_one_file_is_a_data_set_and_texts_are_labels(home):
    data = read(home / "slim" / "train.tfrecord")
    assert data.classes == ("a", "b") and [content(s) for s in data.samples] == [photo(n) for n in range(4)]


def test_numbers_without_names_are_labels(home, tmp_path):
    name = "flowers-train.tfrecord-00000-of-00002"
    (tmp_path / name).write_bytes((home / "tfds" / name).read_bytes())
    assert read(tmp_path).classes == ("0", "1")


def test_a_label_without_a_name_is_said(home, tmp_path):
    name = "flowers-train.tfrecord-00000-of-00002"
    (tmp_path / name).write_bytes((home / "tfds" / name).read_bytes())
    (tmp_path / "label.labels.txt").write_text("daisy\n")
    with pytest.raises(DataError, match=r"\[1\] has the label 1, but there are names for 1 only"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"),
    [("many", r"\[0\] has 2 values of label; a photo has one"), ("none", r"no label among .*bbox")],
)
def test_examples_of_another_kind_are_refused(home, folder, message):
    with pytest.raises(DataError, match=message):
        read(home / folder)


@pytest.mark.parametrize("cut", [1, 3, 200, 340])
def test_a_truncated_file_is_said(home, tmp_path, cut):
    whole = (home / "slim" / "train.tfrecord").read_bytes()
    (tmp_path / "t.tfrecord").write_bytes(whole[:-cut])
    with pytest.raises(DataError, match=r"t.tfrecord ends in the middle of record 3. Download it anew"):
        read(tmp_path / "t.tfrecord")


def test_a_damaged_length_is_noticed_by_its_checksum(home, tmp_path):
    whole = bytearray((home / "slim" / "train.tfrecord").read_bytes())
    whole[0] ^= 1
    (tmp_path / "t.tfrecord").write_bytes(whole)
    with pytest.raises(DataError, match="is damaged or compressed at record 0"):
        read(tmp_path / "t.tfrecord")


def test_a_damaged_example_is_said(home, tmp_path):
    whole = bytearray((home / "slim" / "train.tfrecord").read_bytes())
    [length] = struct.unpack("<Q", whole[:8])
    whole[12 : 12 + length] = b"\xff" * length
    (tmp_path / "t.tfrecord").write_bytes(whole)
    with pytest.raises(DataError, match=r"\[0\]: damaged \(no tf.Example\)"):
        read(tmp_path / "t.tfrecord")
