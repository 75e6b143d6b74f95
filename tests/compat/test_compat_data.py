"""The original's DataLoader: what it reads, how it divides, what becomes of photos that cannot be used."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from compat_models import provenance
from PIL import Image

from model_maker.compat import image_classifier
from model_maker.compat.config import QuantizationConfig
from model_maker.compat.image_classifier import DataLoader
from model_maker.data.sources import read
from model_maker.errors import DataError


def test_a_division_is_the_callers_own(loaders, model, tmp_path):
    parts = [{sample.digest for sample in loader.photos.samples} for loader in loaders]
    assert [len(part) for part in parts] == [48, 6, 6] and len(set.union(*parts)) == 60
    # What the model learned from stands in it: names and contents of exactly these photos.
    lines = []
    for loader in loaders[:2]:
        for sample in loader.photos.samples:
            digest = hashlib.sha256(Path(sample.path).read_bytes()).hexdigest()
            lines.append(f"{Path(sample.path).parent.name}\0{digest}\0")
    told = provenance(model, tmp_path)
    assert told["fingerprint"] == hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    assert told["photos"] == {"train": 48, "validation": 6}


def test_a_loader_counts_and_divides_as_the_original(drawn_flowers):
    data = DataLoader.from_folder(drawn_flowers)
    assert (len(data), data.size, data.num_classes) == (60, 60, 5)
    first, rest = data.split(0.33)
    assert (len(first), len(rest)) == (int(60 * 0.33), 60 - int(60 * 0.33))
    assert first.photos.samples + rest.photos.samples == data.photos.samples
    # Shuffled, but alike every time.
    assert DataLoader.from_folder(drawn_flowers).photos.samples == data.photos.samples
    assert data.photos.labels != sorted(data.photos.labels)
    assert DataLoader.from_folder(drawn_flowers, shuffle=False).photos.labels == sorted(data.photos.labels)
    with pytest.raises(DataError, match=r"split\(1.5\): pass a fraction"):
        data.split(1.5)


def test_copies_lie_side_by_side_so_a_division_parts_one_at_most(make_photos, tmp_path):
    paths = make_photos(tmp_path, {"red": 10, "blue": 10})
    for path in paths:
        path.with_name(f"copy_{path.name}").write_bytes(path.read_bytes())
    first, rest = DataLoader.from_folder(tmp_path).split(0.5)
    shared = {sample.digest for sample in first.photos.samples} & {sample.digest for sample in rest.photos.samples}
    assert len(shared) <= 1


@pytest.mark.tensorflow
def test_gen_dataset_gives_pixels_and_labels_in_the_order_of_predictions(loaders, model, drawn_flowers):
    *_, test = loaders
    rows = list(test.gen_dataset().unbatch().as_numpy_iterator())
    assert len(test.gen_dataset(batch_size=1)) == len(rows) == 6
    for (pixels, label), sample in zip(rows, test.photos.samples, strict=True):
        assert test.index_to_label[label] == Path(sample.path).parent.name
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(sample.path).convert("RGB")))
    assert model.predict_top_k([pixels for pixels, _ in rows]) == model.predict_top_k(test)


@pytest.mark.tensorflow
def test_gen_dataset_prepares_and_batches(loaders):
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()  # as a fine-tuning leaves the process

    def prepare(image, label, is_training):
        return tf.image.resize(image, [4, 4]), tf.one_hot(label, 5) * (1.0 + is_training)

    sizes, sums = [], set()
    for pictures, labels in loaders[2].gen_dataset(4, is_training=True, shuffle=True, preprocess=prepare):
        assert pictures.shape[1:] == (4, 4, 3)
        sizes.append(len(pictures))
        sums |= set(labels.numpy().sum(1))
    assert sizes == [4, 2] and sums == {2.0}
    assert len(list(loaders[2].gen_dataset(4, preprocess=prepare, drop_remainder=True))) == 1


def test_validation_photos_may_lack_a_class(loaders, spec, make_photos, tmp_path):
    make_photos(tmp_path / "train", {"red": 6, "green": 6, "blue": 6})
    make_photos(tmp_path / "validation", {"red": 2, "blue": 2}, seed=1)
    train, validation = (DataLoader.from_folder(tmp_path / part) for part in ("train", "validation"))
    model = image_classifier.create(train, spec, validation)
    assert model.index_to_label == ["blue", "green", "red"]
    # Labels are matched by name: with "red" as number 1 these two would be learned as green.
    assert model.evaluate(validation)[1] == 1
    with pytest.raises(DataError, match="photos of daisy, dandelion"):
        image_classifier.create(train, spec, loaders[1])


def test_broken_photos_are_left_out_and_named(spec, make_photos, tmp_path, logged):
    make_photos(tmp_path, {"red": 5, "blue": 5})
    (tmp_path / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    model = image_classifier.create(DataLoader.from_folder(tmp_path), spec)
    assert provenance(model, tmp_path)["photos"] == {"train": 10, "validation": 0}
    assert [text for text in logged() if "broken.png" in text and "skipped" in text]


@pytest.mark.tensorflow
def test_what_tensorflow_datasets_prepared_is_read(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"Run tensorflow_datasets.load\('colours'\) once"):
        DataLoader.from_tfds("colours")
    for version, parts in {"1.2.0": {"train": 2}, "1.10.0": {"train": 6, "test": 4}}.items():
        home = tmp_path / "colours" / version
        home.mkdir(parents=True)
        (home / "dataset_info.json").write_text("{}")
        (home / "label.labels.txt").write_text("red\nblue\n")
        for part, count in parts.items():
            with tf.io.TFRecordWriter(str(home / f"colours-{part}.tfrecord-00000-of-00001")) as writer:
                for number in range(count):
                    writer.write(example(tf, number % 2, (part, number)))
    train, validation, test = DataLoader.from_tfds("colours")
    assert (len(train), validation, len(test)) == (6, None, 4)
    assert train.index_to_label == ["blue", "red"]
    [(pixels, label)] = train.gen_dataset().unbatch().take(1).as_numpy_iterator()
    assert pixels.shape == (8, 8, 3) and train.index_to_label[label] == "red"


def example(tf, label, seed):
    file = io.BytesIO()
    colour = tuple(hashlib.sha256(str(seed).encode()).digest()[:3])
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.getvalue()]))
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature={"image": image, "label": number})).SerializeToString()


def test_a_class_without_photos_to_learn_from_is_named(spec, drawn_flowers):
    train, _ = DataLoader.from_folder(drawn_flowers, shuffle=False).split(0.5)
    with pytest.raises(DataError, match="sunflower has no photo for training"):
        image_classifier.create(train, spec)


def test_photos_come_from_a_loader(loaders, model, drawn_flowers):
    for call in (image_classifier.create, model.evaluate, QuantizationConfig.for_int8):
        with pytest.raises(DataError, match=r"is not a DataLoader: pass DataLoader.from_folder\(...\)"):
            call(str(drawn_flowers))
    with pytest.raises(DataError, match="pass a dict of train_whole_model, epochs, batch_size, dropout_rate"):
        model.train(loaders[0], hparams={"l2_regularizer": 1e-4})


def test_a_stream_of_tensors_is_no_data_set():
    with pytest.raises(DataError, match="Use DataLoader.from_folder"):
        DataLoader([(np.zeros((8, 8, 3), np.uint8), 0)], 1, ["a"])


def test_a_folder_that_divides_itself_is_reported(make_photos, tmp_path, logged):
    for part in ("train", "test"):
        make_photos(tmp_path / part, {"red": 3, "blue": 3}, seed=part)
    assert len(DataLoader.from_folder(tmp_path)) == 12
    assert [text for text in logged() if "has its own splits" in text]
    assert len(DataLoader.from_folder(tmp_path / "train")) == 6
    assert read(tmp_path).stated("test").samples
