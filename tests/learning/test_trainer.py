import numpy as np
import pytest
from needs import load

from model_maker.errors import DataError
from model_maker.learning import trainer
from model_maker.learning.recipe import Recipe
from model_maker.learning.trainer import Trainer

pytestmark = pytest.mark.tensorflow
keras, tf = load("keras"), load("tensorflow")

PLAIN = Recipe(label_smoothing=0.0, weight_decay=0.0, dropout=0.0, warmup=0.0)


def linear(inputs=4, classes=3, *, dropout=0.0):
    model = keras.Sequential(
        [keras.Input((inputs,)), keras.layers.Dropout(dropout, seed=1), keras.layers.Dense(classes)]
    )
    kernel = np.random.default_rng(0).normal(size=(inputs, classes))
    model.layers[-1].set_weights([kernel, np.zeros(classes)])
    return model


@pytest.fixture
def examples():
    random = np.random.default_rng(1)
    labels = np.eye(3, dtype=np.float32)[random.integers(0, 3, 8)]
    return random.normal(size=(8, 4)).astype(np.float32), labels


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_loss_by_hand(examples):
    batch, labels = examples
    model = linear()
    logs = log_softmax(batch @ model.layers[-1].get_weights()[0])
    weights = labels @ np.array([1.0, 2.0, 3.0])
    targets = 0.9 * labels + 0.1 / 3
    expected = (weights * -(targets * logs).sum(axis=1)).sum() / weights.sum()
    recipe = Recipe(label_smoothing=0.1, dropout=0.0)
    found = Trainer(model, recipe, np.array([1, 2, 3]), learning_rate=0.1).step(batch, labels, progress=0.5)
    assert found == pytest.approx(expected, rel=1e-5)


def test_learns(examples):
    batch, labels = examples
    worker = Trainer(linear(), PLAIN, np.ones(3), learning_rate=0.1)
    losses = [worker.step(batch, labels, progress=0.0) for _ in range(50)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    ("progress", "warmup", "expected"),
    [(0.0, 0.1, 0.0), (0.05, 0.1, 0.5 * 0.9938), (0.1, 0.1, 0.9755), (0.5, 0.1, 0.5), (1.0, 0.1, 0.0), (0.0, 0.0, 1.0)],
)
def test_schedule(progress, warmup, expected):
    """0.5 * (1 + cos(pi * progress)), and a tenth of the way up in a straight line."""
    assert trainer.schedule(progress, warmup) == pytest.approx(expected, abs=1e-4)


def test_running_mean_by_hand(examples):
    batch, labels = examples
    worker = Trainer(linear(), Recipe(average=0.5), np.ones(3), learning_rate=0.1)
    mean = worker.weights()[0]
    for step in range(12):
        worker.step(batch, labels, progress=0.5)
        decay = min(0.5, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * worker.weights()[0]
    now = worker.weights()[0]
    with worker.averaged():
        np.testing.assert_allclose(worker.weights()[0], mean, rtol=1e-4)
    np.testing.assert_array_equal(worker.weights()[0], now)
    assert np.abs(now - mean).max() > 1e-3


def test_state_is_all_that_the_next_step_depends_on(examples):
    """Two more steps from a restored state give the same bits, dropout and moments included."""
    batch, labels = examples
    recipe = Recipe(dropout=0.5)
    one = Trainer(linear(dropout=0.5), recipe, np.ones(3), learning_rate=0.1)
    for _ in range(3):
        one.step(batch, labels, progress=0.3)
    state = one.state()
    expected = [one.step(batch, labels, progress=0.4) for _ in range(2)]
    other = Trainer(linear(dropout=0.5), recipe, np.ones(3), learning_rate=0.1)
    other.step(batch, labels, progress=0.9)
    other.restore(state)
    assert [other.step(batch, labels, progress=0.4) for _ in range(2)] == expected
    for mine, theirs in zip(one.weights(), other.weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_half_precision(examples):
    """What a graphics card would do: halves inside, weights and loss scale in float32."""
    batch, labels = examples
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        worker = Trainer(linear(), PLAIN, np.ones(3), learning_rate=0.1)
        losses = [worker.step(batch, labels, progress=0.0) for _ in range(40)]
    finally:
        keras.config.set_dtype_policy(before)
    assert worker.model.layers[-1].compute_dtype == "float16"
    assert worker.weights()[0].dtype == np.float32
    assert losses[-1] < 0.5 * losses[0]


def test_a_batch_that_does_not_fit_is_refused(examples, monkeypatch):
    monkeypatch.setattr(trainer, "free_memory", lambda: 1000)
    with pytest.raises(DataError, match="batch of 32 photos does not fit into memory.*Lower `batch_size`"):
        Trainer(linear(), Recipe(), np.ones(3), learning_rate=0.1)


def test_memory_that_runs_out_is_told(examples, monkeypatch):
    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    batch, labels = examples
    monkeypatch.setattr(tf, "function", lambda *_, **__: fail)
    worker = Trainer(linear(), Recipe(), np.ones(3), learning_rate=0.1)
    with pytest.raises(DataError, match="batch of 8 photos does not fit.*Lower `batch_size`"):
        worker.step(batch, labels, progress=0.1)


def test_free_memory_is_less_than_all():
    found = trainer.free_memory()
    assert found is None or 1e6 < found < 1e14
