"""Photos as programs hold them give the scores of the same photo as a file."""

import copy
import io
import multiprocessing
import os
import pickle
import tempfile

import numpy as np
import pytest
from loopback_files import serve
from pictures import encode, noise
from PIL import Image

from model_maker import Classifier
from model_maker.data import images
from model_maker.errors import DataError
from model_maker.inference import addresses

PICTURE = noise(12, 12)


class Upload:
    """What Flask, Django and Streamlit hand over: a name and `read`, and no way back."""

    filename = "rose.png"

    def __init__(self, content):
        self._content = content

    def read(self):
        content, self._content = self._content, b""
        return content


class AsyncUpload:
    """What FastAPI hands over: its own `read` is a coroutine, the file is inside."""

    filename = "rose.png"

    def __init__(self, content):
        self.file = io.BytesIO(content)

    async def read(self):
        return self.file.read()


def loaded(photo, size=12):
    return images.load(photo, size)


@pytest.fixture
def classifier(make_tiny_model):
    return Classifier(make_tiny_model())


@pytest.mark.parametrize(
    "wrap",
    [bytes, bytearray, memoryview, io.BytesIO, Upload, AsyncUpload, lambda c: io.BufferedReader(io.BytesIO(c))],
)
def test_a_file_in_memory_is_the_file(classifier, wrap):
    content = encode(PICTURE, "PNG")
    assert (loaded(wrap(content)) == PICTURE).all()
    expected = classifier.predict(content)
    assert classifier.predict(wrap(content)) == expected
    assert classifier.predict([wrap(content)]) == expected
    assert classifier(wrap(content)) == classifier(content)


def test_open_files_are_read_from_their_beginning_and_left_where_they_were(classifier, tmp_path):
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "PNG")  # which leaves it at its end
    end = file.tell()
    assert (loaded(file) == PICTURE).all() and file.tell() == end
    (tmp_path / "a.png").write_bytes(file.getvalue())
    with open(tmp_path / "a.png", "rb") as opened, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(file.getvalue())
        assert classifier.predict(opened) == classifier.predict(spooled) == classifier.predict(tmp_path / "a.png")
        assert len(classifier.predict([opened, opened])) == 2


def test_text_files_and_closed_ones_are_one_clear_line(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(PICTURE, "PNG"))
    with open(tmp_path / "a.png", encoding="latin-1") as file, pytest.raises(DataError, match="binary mode, as 'rb'"):
        loaded(file)
    with pytest.raises(DataError, match="cannot be read .*closed"):
        loaded(file)


GREY = PICTURE[..., 0]
RGBA = np.dstack([PICTURE, np.full(GREY.shape, 7, np.uint8)])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., None], np.dstack([GREY] * 3)),
        (PICTURE.astype(np.int64), PICTURE),
        (PICTURE.astype(np.float32), PICTURE),
        ((PICTURE / 255).astype(np.float32), PICTURE),
        ((PICTURE / 255).astype(np.float64), PICTURE),
        (PICTURE.astype(np.uint16) * 257, PICTURE),
        (PICTURE.astype(np.uint16) * 16, PICTURE),
        (GREY > 127, np.dstack([(GREY > 127) * 255] * 3)),
        (np.moveaxis(PICTURE, 2, 0), PICTURE),
        (np.asfortranarray(PICTURE), PICTURE),
        (PICTURE[::-1], PICTURE[::-1]),
    ],
)
def test_arrays_of_any_usual_kind(array, expected):
    assert (loaded(array) == expected).all()


def test_transparency_in_arrays_lies_on_black():
    # 7 of 255 shows next to nothing of any colour.
    assert loaded(RGBA).max() <= 7
    opaque = np.dstack([PICTURE, np.full(GREY.shape, 255, np.uint8)])
    assert (loaded(opaque) == PICTURE).all()


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((3, 5, 7, 9), np.uint8)[0], r"must be \[H, W\], .*received uint8 \[5, 7, 9\]"),
        (np.zeros(5, np.uint8), r"received uint8 \[5\]"),
        (np.full((4, 4, 3), -1.0), "from -1 to -1. Undo its normalization"),
        (np.full((4, 4, 3), 256), "received int64 from 256 to 256"),
        (np.full((4, 4, 3), np.nan), "from nan to nan"),
        (np.full((4, 4, 3), "a"), "must hold numbers"),
        (np.zeros((0, 4, 3), np.uint8), r"received uint8 \[0, 4, 3\]"),
    ],
)
def test_what_is_no_picture_is_told_with_what_was_received(array, text):
    with pytest.raises(DataError, match=text):
        loaded(array)


def test_colours_are_swapped_only_when_told(classifier):
    bgr = PICTURE[..., ::-1]
    assert classifier.predict(bgr, channels="bgr", top_k=None) == classifier.predict(PICTURE, top_k=None)
    assert classifier(bgr, channels="bgr") == classifier(PICTURE)
    assert classifier.predict(bgr, top_k=None) != classifier.predict(PICTURE, top_k=None)
    # Files say themselves what their colours are.
    content = encode(PICTURE, "PNG")
    assert classifier.predict(content, channels="bgr") == classifier.predict(content)
    with pytest.raises(DataError, match="channels='gbr': choose one of rgb, bgr"):
        classifier.predict(PICTURE, channels="gbr")


def test_frames_of_opencv(classifier, tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV comes with the extra verify")
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    frame = cv2.imread(str(tmp_path / "a.png"))
    assert classifier.predict(frame, channels="bgr") == classifier.predict(tmp_path / "a.png")


def test_a_batch_is_so_many_photos(classifier):
    batch = np.stack([PICTURE, PICTURE[::-1], PICTURE[:, ::-1]])
    expected = [classifier.predict(photo)[0] for photo in batch]
    assert classifier.predict(batch) == classifier.predict(list(batch)) == expected
    assert classifier.predict(batch / 255.0) == expected
    assert classifier(batch) == [classifier(photo) for photo in batch]


def test_tensors_of_pytorch(classifier):
    torch = pytest.importorskip("torch", reason="PyTorch comes with the extra parity")
    plain = torch.from_numpy(np.moveaxis(PICTURE, 2, 0).copy())
    for tensor in (plain, plain.float() / 255, (plain / 255).requires_grad_(), torch.from_numpy(PICTURE)):
        assert (loaded(tensor) == PICTURE).all()
    assert classifier.predict(torch.stack([plain, plain])) == classifier.predict([PICTURE] * 2)


class FakeTensor:
    """A tensor of PyTorch as far as it is used here, where PyTorch is not installed."""

    def __init__(self, values):
        self._values = values

    shape = property(lambda self: self._values.shape)

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")

    def detach(self):
        return self

    cpu = detach

    def is_floating_point(self):
        return self._values.dtype.kind == "f"

    def float(self):
        return self

    def numpy(self):
        return self._values


FakeTensor.__module__ = "torch"


def test_tensors_with_a_gradient_and_their_bands_first():
    # 3 x 12 x 3: bands first in PyTorch, and rows first in NumPy.
    narrow = np.moveaxis(PICTURE[:, :3], 2, 0)
    assert (images.picture(FakeTensor(narrow)).size) == (3, 12)
    assert images.picture(narrow).size == (12, 3)
    assert (loaded(FakeTensor(np.moveaxis(PICTURE, 2, 0) / 255)) == PICTURE).all()


@pytest.mark.tensorflow
def test_tensors_of_tensorflow(classifier):
    import tensorflow as tf

    for tensor in (tf.constant(PICTURE), tf.constant(PICTURE / 255, tf.float32), tf.constant(GREY[..., None])):
        expected = np.dstack([GREY] * 3) if tensor.shape[-1] == 1 else PICTURE
        assert (loaded(tensor) == expected).all()
    assert classifier.predict(tf.stack([PICTURE, PICTURE])) == classifier.predict([PICTURE] * 2)


def test_a_classifier_pickles(make_tiny_model, tmp_path, monkeypatch):
    (tmp_path / "m.tflite").write_bytes(make_tiny_model())
    monkeypatch.chdir(tmp_path)
    classifier = Classifier("m.tflite", threads=1, kernels="reference")
    expected = classifier.predict(PICTURE, top_k=None)
    packed = pickle.dumps(classifier)
    os.remove("m.tflite")  # another machine has no such file
    monkeypatch.chdir("/")
    for other in (pickle.loads(packed), copy.deepcopy(classifier)):
        assert other.predict(PICTURE, top_k=None) == expected and other.labels == classifier.labels


def test_a_classifier_goes_to_spawned_workers(make_tiny_model):
    classifier = Classifier(make_tiny_model(), threads=1)
    photos = [PICTURE, PICTURE[::-1]]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(classifier.predict, photos) == [classifier.predict(photo) for photo in photos]


@pytest.mark.onnx
@pytest.mark.tensorflow
def test_a_classifier_of_another_format_pickles(make_tiny_model, tmp_path):
    import model_maker

    (tmp_path / "m.tflite").write_bytes(make_tiny_model("none", "float32"))
    [entry] = model_maker.export(tmp_path / "m.tflite", tmp_path / "x", formats="onnx").entries
    classifier = Classifier(entry.path)
    assert pickle.loads(pickle.dumps(classifier)).predict(PICTURE) == classifier.predict(PICTURE)


def test_an_address_is_fetched_by_predict_as_by_a_call(classifier):
    with serve() as server:
        server.files["/photo.png"] = encode(PICTURE, "PNG")
        found = classifier.predict(f"{server.address}/photo.png")
        assert found == classifier.predict(PICTURE)
        with pytest.raises(DataError, match="404"):
            classifier.predict([f"{server.address}/none.png"])


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_folders_are_read_as_training_reads_them(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    home = tmp_path / "photos"
    for place in (elsewhere, home / "a", home / "@eaDir", home / ".hidden", home / "model"):
        place.mkdir(parents=True)
        Image.fromarray(PICTURE).save(place / "x.png")
    (home / "model" / "run.json").write_text("{}")
    Image.fromarray(PICTURE).save(home / "a" / "no suffix", "PNG")
    (home / "b").symlink_to(elsewhere, target_is_directory=True)
    (home / "b" / "up").symlink_to(home, target_is_directory=True)
    found = [os.path.relpath(name, home) for name in addresses.expand([str(home)])]
    assert found == ["a/no suffix", "a/x.png", "b/x.png"]
