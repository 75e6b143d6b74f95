import dataclasses

import numpy as np
import pytest
from needs import load
from tiny_network import FUSED, TinyNetwork

from model_maker.data.augment import PRESETS
from model_maker.data.sources import read
from model_maker.embeddings.computing import compute
from model_maker.errors import DataError
from model_maker.learning import fine_tuning, heads
from model_maker.learning.callbacks import Callbacks
from model_maker.learning.checkpoint import open_checkpoint
from model_maker.learning.epochs import is_better, nearest_of_the_best
from model_maker.learning.examples import Photos, Pixels
from model_maker.learning.fine_tuning import Network
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer
from model_maker.normalization import Normalization
from model_maker.tflite import network_layers, trunk
from model_maker.tflite.network_layers import Layer

pytestmark = pytest.mark.tensorflow
keras, tf = load("keras"), load("tensorflow")

PIXELS = Normalization(127.5, 127.5)
RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.01, patience=10, dropout=0.1)


def filters(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def embedder():
    """Two halvings; the last layer sees colours only faintly, beside a loud pattern that says nothing of them."""
    network = TinyNetwork(16).conv(0.3 * filters(8, 3, 3, 3), stride=2, fused=FUSED.RELU6)
    network.depthwise(0.3 * filters(1, 3, 3, 8, seed=1), stride=2).conv(0.05 * filters(6, 1, 1, 8, seed=2), np.ones(6))
    return network.activation("RELU6").mean().content()


@pytest.fixture(scope="module")
def photos(make_photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    make_photos(folder, {"red": 16, "green": 16, "blue": 16}, side=16)
    split = read(folder).split(validation=0.3, test=0.1)
    return Photos(split.train, split.validation, PIXELS, PRESETS["light"], views=3)


@pytest.fixture(scope="module")
def start(embedder, photos):
    """The frozen network with a head that knows nothing."""
    return Network(embedder, heads.Head(filters(3, 6, seed=3), np.zeros(3, np.float32)))


def accuracy(network, dataset):
    vectors, _ = compute(dataset, network.embedder, PIXELS)
    return float((network.head.logits(vectors).argmax(1) == np.array(dataset.labels)).mean())


@pytest.mark.parametrize("scope", ["tail", "all"])
def test_the_network_learns(scope, start, photos):
    recipe = dataclasses.replace(RECIPE, scope=scope, epochs=8, learning_rate=0.03, whole_rate=1.0)
    tuned = fine_tuning.fine_tune(start, photos, recipe)
    last = list(tuned.blends.values())[-1]
    assert last["validation_loss"] < 0.7 * tuned.history[0]["validation_loss"]
    # What Keras measured holds in the file as LiteRT runs it.
    assert accuracy(tuned.network, photos.validation) == pytest.approx(last["validation_top1"])
    assert tuned.network.embedder != start.embedder
    phases = [entry["phase"] for entry in tuned.history]
    assert phases == ["frozen"] + ["tail"] * 8 + (["all"] * 8 if scope == "all" else [])


@pytest.mark.parametrize("scope", ["tail", "all"])
def test_a_head_on_layers_before_the_cut(scope, photos):
    made = TinyNetwork(16).conv(0.3 * filters(4, 3, 3, 3), stride=2, fused=FUSED.RELU6)
    first = made.main.tensors[made.last].name.decode()
    made.conv(0.3 * filters(6, 1, 1, 4, seed=1), fused=FUSED.RELU6).conv(0.3 * filters(4, 1, 1, 6, seed=2))
    made.depthwise(0.3 * filters(1, 3, 3, 4, seed=3), stride=2).activation("RELU6")
    content = made.mean().content()
    layers = (Layer(first, 4, 8, 2.0), network_layers.find(content)[-1])
    joined = network_layers.join(content, layers)
    assert len(trunk.crossing(joined, trunk.seam(joined))) == 2
    begin = Network(joined, heads.Head(filters(3, 8, seed=4), np.zeros(3, np.float32)))
    recipe = dataclasses.replace(RECIPE, scope=scope, epochs=6, learning_rate=0.03, whole_rate=1.0)
    tuned = fine_tuning.fine_tune(begin, photos, recipe)
    last = list(tuned.blends.values())[-1]
    assert last["validation_loss"] < 0.9 * tuned.history[0]["validation_loss"]
    assert accuracy(tuned.network, photos.validation) == pytest.approx(last["validation_top1"])
    assert tuned.network.head.kernel.shape == (3, 8)


def test_the_trunk_stays(start, photos):
    tuned = fine_tuning.fine_tune(start, photos, RECIPE)
    from model_maker.tflite import graph, keras_model

    layers = [
        {layer.name: layer.get_weights() for layer in keras_model.to_keras(content).layers}
        for content in (start.embedder, tuned.network.embedder)
    ]
    np.testing.assert_array_equal(layers[0]["conv_2d_0"][0], layers[1]["conv_2d_0"][0])
    assert np.abs(layers[0]["conv_2d_2"][0] - layers[1]["conv_2d_2"][0]).max() > 0
    assert len(graph.parse(tuned.network.embedder).subgraphs[0].operators) == 5


def test_the_same_seed_gives_the_same_bytes(start, photos):
    one, two = (fine_tuning.fine_tune(start, photos, RECIPE).network for _ in range(2))
    assert one.embedder == two.embedder
    np.testing.assert_array_equal(one.head.kernel, two.head.kernel)
    other = fine_tuning.fine_tune(start, photos, dataclasses.replace(RECIPE, seed=1)).network
    assert other.embedder != one.embedder


class Stop(keras.callbacks.Callback):
    """Ctrl-C at the end of an epoch, before it is saved."""

    def __init__(self, number):
        super().__init__()
        self.left = number

    def on_epoch_end(self, epoch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 3, 6])
def test_an_interrupted_run_goes_on_to_the_same_bytes(after, start, photos, tmp_path):
    recipe = dataclasses.replace(RECIPE, scope="all", epochs=3, mix=0.2)
    expected = fine_tuning.fine_tune(start, photos, recipe)
    stopped = {"checkpoint": open_checkpoint(tmp_path, {}, resume=False), "callbacks": Callbacks([Stop(after)])}
    with pytest.raises(KeyboardInterrupt):
        fine_tuning.fine_tune(start, photos, recipe, **stopped)
    if after > 1:
        checkpoint = open_checkpoint(tmp_path, {}, resume=True)
        tuned = fine_tuning.fine_tune(start, photos, recipe, checkpoint=checkpoint)
        assert tuned.network.embedder == expected.network.embedder
        np.testing.assert_array_equal(tuned.network.head.kernel, expected.network.head.kernel)
        assert [entry["loss"] for entry in tuned.history[1:]] == [entry["loss"] for entry in expected.history[1:]]
    else:
        with pytest.raises(DataError, match="no unfinished fine-tuning"):
            open_checkpoint(tmp_path, {}, resume=True)


def test_what_was_found_is_repeated_with_all_photos(start, photos, tmp_path, monkeypatch):
    """Interrupted in the repetition, it continues to a byte-identical result."""
    recipe = dataclasses.replace(RECIPE, epochs=3, patience=10)
    once = fine_tuning.fine_tune(start, photos, recipe)
    steps, plain = [], Trainer.step

    def count(self, batch, labels, **options):
        steps.append(len(batch))
        if len(steps) == interrupted_at:
            raise KeyboardInterrupt
        return plain(self, batch, labels, **options)

    interrupted_at = None
    monkeypatch.setattr(Trainer, "step", count)
    expected = fine_tuning.fine_tune(start, photos, recipe, whole=start)
    best = min(expected.history[1:], key=lambda entry: entry["validation_loss"])["epoch"]
    both = len(photos.train) + len(photos.validation)
    assert sum(steps) == 3 * len(photos.train) + best * both
    assert expected.judged.embedder == once.network.embedder != expected.network.embedder

    batches = [-(-number // 8) for number in (len(photos.train), both)]
    interrupted_at, _ = 3 * batches[0] + (best - 1) * batches[1] + 2, steps.clear()
    with pytest.raises(KeyboardInterrupt):
        checkpoint = open_checkpoint(tmp_path, {}, resume=False)
        fine_tuning.fine_tune(start, photos, recipe, whole=start, checkpoint=checkpoint)
    interrupted_at, _ = None, steps.clear()
    checkpoint = open_checkpoint(tmp_path, {}, resume=True)
    resumed = fine_tuning.fine_tune(start, photos, recipe, whole=start, checkpoint=checkpoint)
    assert sum(steps) == both or best == 1
    assert resumed.network.embedder == expected.network.embedder
    np.testing.assert_array_equal(resumed.network.head.kernel, expected.network.head.kernel)
    np.testing.assert_array_equal(resumed.judged.head.kernel, expected.judged.head.kernel)


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_best(start, photos, monkeypatch):
    plain, steps = Trainer.step, []

    def step(self, *arguments, **options):
        steps.append(1)
        return float("nan") if len(steps) > 12 else plain(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "step", step)
    tuned = fine_tuning.fine_tune(start, photos, RECIPE)
    assert len(tuned.history) <= 4 and tuned.improved
    assert any("lower `learning_rate`" in note for note in tuned.notes)
    assert accuracy(tuned.network, photos.validation) == pytest.approx(tuned.blends["tail"]["validation_top1"])


def test_a_repetition_that_fails_is_left_out(start, photos, monkeypatch):
    plain, count = Trainer.step, []
    first = 4 * -(-len(photos.train) // 8)

    def step(self, *arguments, **options):
        count.append(1)
        return float("nan") if len(count) > first else plain(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "step", step)
    tuned = fine_tuning.fine_tune(start, photos, RECIPE, whole=start)
    assert tuned.network is tuned.judged and tuned.improved
    assert any("in the repetition of tail, which is left out" in note for note in tuned.notes)


def test_what_is_never_better_keeps_the_frozen_network(embedder, photos):
    vectors, _ = compute(photos.train, embedder, PIXELS)
    fitted = Network(embedder, heads.fit(vectors, np.array(photos.train.labels), classes=3).head)
    # A rate that moves nothing in float32 cannot improve.
    tuned = fine_tuning.fine_tune(fitted, photos, dataclasses.replace(RECIPE, learning_rate=1e-30, dropout=0.0))
    assert not tuned.improved and tuned.network is fitted
    assert any("frozen features, which are kept" in note for note in tuned.notes)


def test_patience(embedder, photos, start):
    recipe = dataclasses.replace(RECIPE, epochs=9, learning_rate=1e-30, patience=2, dropout=0.0)
    # The first epoch is the best one, and two more bring nothing.
    assert len(fine_tuning.fine_tune(start, photos, recipe).history) == 1 + 1 + 2


def test_a_budget_that_is_over_ends_it(start, photos):
    tuned = fine_tuning.fine_tune(start, photos, dataclasses.replace(RECIPE, budget_s=1e-9))
    assert not tuned.improved and len(tuned.history) == 1


def test_a_budget_that_is_ample_changes_nothing(start, photos):
    ample = fine_tuning.fine_tune(start, photos, dataclasses.replace(RECIPE, budget_s=1e9))
    assert ample.network.embedder == fine_tuning.fine_tune(start, photos, RECIPE).network.embedder


def test_a_budget_with_time_left_repeats(start, photos):
    ample = fine_tuning.fine_tune(start, photos, dataclasses.replace(RECIPE, budget_s=1e9), whole=start)
    assert ample.network.embedder == fine_tuning.fine_tune(start, photos, RECIPE, whole=start).network.embedder
    assert ample.network.embedder != ample.judged.embedder


def test_many_photos_are_not_repeated(start, photos, monkeypatch):
    monkeypatch.setattr(fine_tuning, "REPEATED_BELOW", len(photos.train))
    tuned = fine_tuning.fine_tune(start, photos, RECIPE, whole=start)
    assert tuned.improved and tuned.network is tuned.judged


def test_half_precision_of_graphics_cards(start, photos, monkeypatch):
    """No graphics card is at hand, so the processor computes with the types that one would get."""
    plain, seen = Trainer.step, set()

    def step(self, batch, labels, **options):
        seen.update((layer.compute_dtype, layer.variable_dtype) for layer in self.model.layers if layer.weights)
        return plain(self, batch, labels, **options)

    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a card"] if kind == "GPU" else [])
    tuned = fine_tuning.fine_tune(start, photos, dataclasses.replace(RECIPE, epochs=8, learning_rate=0.03))
    # Convolutions in half, the head in full; weights in full.
    assert seen == {("float16", "float32"), ("float32", "float32")}
    assert tuned.blends["tail"]["validation_loss"] < 0.7 * tuned.history[0]["validation_loss"]
    assert keras.config.dtype_policy().name == "float32"


def test_listeners_hear_of_each_epoch(start, photos, tmp_path):
    heard = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append((epoch, logs["val_loss"])))
    tuned = fine_tuning.fine_tune(start, photos, RECIPE, callbacks=Callbacks([callback], tmp_path))
    assert heard == [(index, entry["validation_loss"]) for index, entry in enumerate(tuned.history[1:])]
    [file] = (tmp_path / "tail").iterdir()
    written = {
        (event.step, value.tag): float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    for number, entry in enumerate(tuned.history[1:], start=1):
        assert written[number, "val_loss"] == pytest.approx(entry["validation_loss"])
        assert written[number, "loss"] == pytest.approx(entry["loss"])


def test_a_callback_can_end_it(start, photos):
    def end(epoch, logs):
        callback.model.stop_training = True

    callback = keras.callbacks.LambdaCallback(on_epoch_end=end)
    assert len(fine_tuning.fine_tune(start, photos, RECIPE, callbacks=Callbacks([callback])).history) == 2


def test_pixels_are_what_the_phone_sees(photos, embedder):
    source = Pixels(photos.train, photos, embedder)
    from model_maker.data import images

    batch = source.batch(np.array([3, 0]), np.array([0, 0]))
    plain = [images.load(photos.train.samples[index].path, 16) for index in (3, 0)]
    np.testing.assert_array_equal(batch, PIXELS(np.stack(plain)))
    assert np.abs(source.batch(np.array([3]), np.array([5])) - batch[:1]).max() > 0


def test_better_is_more_than_rounding():
    assert is_better(0.1, 0.2) and not is_better(0.2, 0.1)
    assert not is_better(0.19999, 0.2)
    # Both answer every photo rightly; what is between them is float32.
    assert not is_better(8.9e-17, 4.4e-16)


def test_the_nearest_of_the_best_by_hand():
    even, turns = np.ones(100), np.tile([0.1, -0.1], 50)
    # Clearly worse; worse by 0.001 with a standard error of 0.1 / sqrt(100); the least; worse again.
    losses = np.stack([even + 0.5, even + 0.001 + turns, even, even + 0.3])
    assert nearest_of_the_best(losses) == 1
    # Without noise a difference is one.
    assert nearest_of_the_best(np.stack([even, even - 0.001, even + 0.3])) == 1
    assert nearest_of_the_best(np.array([[2.0], [1.0], [1.0]])) == 1
