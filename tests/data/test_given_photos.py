"""Photos that a program holds become a dataset in the cache, with the same pixels and in the same order."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import model_maker
from model_maker.data import given_photos, images, sources
from model_maker.errors import DataError


def noise(number, shape=(9, 7, 3)):
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def read(path):
    """[(pixels, class name)] in order."""
    dataset = sources.read(path, least_classes=1)
    return [(np.asarray(images.picture(s.path)), dataset.classes[s.label]) for s in dataset.samples]


def check(path, expected):
    found = read(path)
    assert [label for _, label in found] == [label for _, label in expected]
    for (pixels, _), (wanted, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pixels, wanted)


PHOTOS = [noise(number) for number in range(4)]
NAMES = ["b/c", "a", "a", "b/c"]
WANTED = list(zip(PHOTOS, NAMES, strict=True))


def test_arrays_and_names(empty_cache):
    path = given_photos.keep(images=np.stack(PHOTOS), labels=NAMES)
    check(path, WANTED)
    assert given_photos.keep(images=iter(PHOTOS), labels=tuple(NAMES)) == path


def test_numbers_keep_their_order_as_text(empty_cache):
    path = given_photos.keep(images=PHOTOS, labels=np.array([10, 2, 2, 10]))
    check(path, list(zip(PHOTOS, ["10", "02", "02", "10"], strict=True)))
    path = given_photos.keep(images=PHOTOS, labels=[1, 0, 0, 1], class_names=["a", "b/c"])
    check(path, WANTED)


def test_files_stay_where_they_are_and_pictures_become_png(empty_cache, tmp_path):
    Image.fromarray(PHOTOS[0]).save(tmp_path / "0.png")
    grey = Image.fromarray(noise(9, (5, 5)))
    pairs = ((photo, label) for photo, label in [(tmp_path / "0.png", "a"), (grey, "b"), (PHOTOS[2] / 255.0, "b")])
    path = given_photos.keep(pairs)
    dataset = sources.read(path)
    assert dataset.samples[0].path == tmp_path / "0.png"
    np.testing.assert_array_equal(np.asarray(images.picture(dataset.samples[1].path))[..., 0], np.asarray(grey))
    np.testing.assert_array_equal(np.asarray(images.picture(dataset.samples[2].path)), PHOTOS[2])


class _Torch:
    """As datasets of PyTorch and torchvision are."""

    classes = ["a", "b/c"]

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return Image.fromarray(PHOTOS[index]), self.classes.index(NAMES[index])


def test_a_data_set_of_pytorch_names_its_classes(empty_cache):
    assert given_photos.is_given(_Torch())
    check(given_photos.keep(_Torch()), WANTED)


class Image_:  # noqa: N801
    pass


Image_.__name__ = "Image"


@dataclasses.dataclass
class ClassLabel:
    names: list


class Dataset:
    """As those of Hugging Face are: rows are dicts, features tell what columns hold."""

    __module__ = "datasets.arrow_dataset"
    features = {"image": Image_(), "label": ClassLabel(["a", "b/c"]), "id": object()}

    def __init__(self, chosen=range(4)):
        self.chosen = list(chosen)

    def __len__(self):
        return len(self.chosen)

    def __iter__(self):
        for n in self.chosen:
            yield {"image": Image.fromarray(PHOTOS[n]), "label": ["a", "b/c"].index(NAMES[n]), "id": n}


def test_a_data_set_of_hugging_face_and_its_splits(empty_cache):
    check(given_photos.keep(Dataset()), WANTED)
    splits = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})
    path = given_photos.keep(splits(train=Dataset([0, 1]), test=Dataset([2, 3])))
    assert [sample.part for sample in sources.read(path).samples] == ["train", "train", "test", "test"]


@pytest.mark.tensorflow
def test_a_data_set_of_tensorflow_batched_or_not(empty_cache):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((np.stack(PHOTOS), [1, 0, 0, 1]))
    for data in (dataset, dataset.batch(3)):
        check(given_photos.keep(data, class_names=["a", "b/c"]), WANTED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": PHOTOS, "labels": NAMES[:3]}, "more photos than 3: give a label for each"),
        ({"images": PHOTOS[:3], "labels": NAMES}, "more labels than 3"),
        ({"images": PHOTOS}, "Pass `images` and `labels` together"),
        ({"images": PHOTOS, "labels": NAMES, "data": []}, "together, without `data`"),
        ({"data": []}, "The given dataset contains no photos"),
        ({"data": [PHOTOS[0]]}, "Photo 0 is ndarray: give pairs of a photo and its label"),
        ({"data": [(PHOTOS[0], 2.5)]}, "Photo 0 has the label 2.5: give the name of its class"),
        ({"data": [(PHOTOS[0], 2)], "class_names": ["a", "b"]}, "label 2, and there are 2 class names"),
        ({"data": [(PHOTOS[0], "a"), (np.full((3, 3, 3), -1.0), "b")]}, "Photo 1: An array must hold values from 0"),
        ({"data": {"a": PHOTOS}}, "dict holds no photos in an order"),
    ],
)
def test_what_cannot_be_is_named(empty_cache, arguments, message):
    with pytest.raises(DataError, match=message):
        given_photos.keep(arguments.get("data"), **{k: v for k, v in arguments.items() if k != "data"})


def test_names_of_files_are_not_given_photos():
    assert not any(map(given_photos.is_given, ("flowers", b"x", None, 3)))


def test_training_on_arrays_and_measuring_them_again(make_photos, tmp_path):
    paths = make_photos(tmp_path / "photos", {"red": 8, "blue": 8}, side=32)
    arrays = [np.asarray(Image.open(path)) for path in paths]
    found = model_maker.train(images=arrays, labels=[p.parent.name for p in paths], output=tmp_path / "second")
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    assert record["classes"] == {"blue": 8, "red": 8} and found.metrics.top1 == 1
    assert model_maker.Classifier(tmp_path / "second").evaluate().photos == found.metrics.photos
    with pytest.raises(DataError, match="`class_names` is for in-memory photos"):
        model_maker.train(tmp_path / "photos", tmp_path / "third", class_names=["a"])
    with pytest.raises(DataError, match="None is not a dataset"):
        model_maker.train()
