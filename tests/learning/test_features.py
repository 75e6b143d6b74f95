import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model_maker.errors import ModelError
from model_maker.learning import features, heads, lbfgs
from model_maker.learning.features import FeatureTable
from model_maker.learning.regression import Problem
from model_maker.tflite.network_layers import Layer

LAYERS = (Layer("low", 2, 8), Layer("high", 3, 4, 0.5), Layer("embedding", 5, 1))
SIZES = [2, 3, 5]
STEP = 0.03


@pytest.fixture
def streamed(monkeypatch):
    """Nothing is small enough for memory, and blocks are small."""
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(features, "BLOCK", 7)


def views_of(number, count, depth=10, *, whole=False):
    """Views whose layers have means and spreads of their own: float16 [N, K, F], or int8."""
    random = np.random.default_rng(0)
    spread = np.repeat([0.2, 7.0, 2.0], SIZES)[:depth] if depth == 10 else 2.0
    values = random.normal(3, spread, size=(number, count, depth))
    return np.rint(8 * values).clip(-128, 127).astype(np.int8) if whole else values.astype(np.float16)


def standardized(views, sizes=SIZES):
    """By arithmetic: centred by the plain photos, and divided by their one standard deviation of each layer."""
    values = views.astype(float)
    values -= values[:, 0].mean(axis=0)
    for part in np.split(np.arange(values.shape[2]), np.cumsum(sizes)[:-1]):
        values[:, :, part] /= np.sqrt((values[:, 0, part] ** 2).mean())
    return values


def test_what_is_small_is_taken_into_memory(stored, monkeypatch):
    maps = stored(views_of(20, 2))
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 20 * 2 * 10 * 4)  # what it takes as float32
    assert not FeatureTable(maps, LAYERS).streamed and not FeatureTable(maps, LAYERS).standardize(LAYERS).streamed
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 20 * 2 * 10 * 4 - 1)
    assert FeatureTable(maps, LAYERS).streamed and FeatureTable(maps, LAYERS).standardize(LAYERS).streamed
    assert not FeatureTable(np.ones((3, 4), np.float16)).streamed  # where it lies already


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["stream", "memory"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_features_that_are_not_finite_are_an_error(stored, monkeypatch, limit, value):
    """float16 ends at 65,504, and an imported model may compute more of some photos."""
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", limit)
    views = views_of(20, 1)
    views[7, 0, 3] = value
    with pytest.raises(ModelError, match="Features of layer high are not finite numbers on some photos"):
        FeatureTable(stored(views), LAYERS).standardize(LAYERS)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("whole", [False, True], ids=["float16", "int8"])
@pytest.mark.parametrize("place", ["array", "store", "stream"])
def test_layers_are_centred_and_divided_by_one_number_each(stored, monkeypatch, place, whole, count):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0 if place == "stream" else 1 << 30)
    monkeypatch.setattr(features, "BLOCK", 7)
    views, step = views_of(40, count, whole=whole), STEP if whole else 1.0
    values = views if place == "array" else stored(views, step)
    given = FeatureTable(values, LAYERS, step)
    found = given.standardize(LAYERS)
    assert found.streamed is (place == "stream") and found.size == 10
    expected = standardized(views)
    photos = np.arange(40) % 3 == 0
    rows, wanted = found.rows(photos), expected[photos].reshape(-1, 10)
    assert len(rows) == len(wanted) == 14 * count
    for some in (slice(0, len(rows)), slice(4, 11), slice(len(rows) - 2, len(rows) + 9)):
        # float32 of values up to 60: some units of its 24 bits, divided by at least a fifth.
        np.testing.assert_allclose(rows[some], np.c_[wanted, np.ones(len(wanted))][some], atol=5e-5)
        assert rows[some].dtype == np.float32
    assert len(found.rows(slice(None))) == 40 * count
    parameters = np.random.default_rng(2).normal(size=(4, 11)).astype(np.float32)
    logits = expected[photos, 0] @ parameters[:, :10].T + parameters[:, 10]
    np.testing.assert_allclose(found.logits(photos, parameters), logits, atol=1e-3)
    # Kernel and bias for embeddings as they are: integers times their step.
    kernel, bias = found.unstandardized(parameters)
    assert (kernel.shape, bias.shape) == ((4, 10), (4,))
    np.testing.assert_allclose(views[photos, 0].astype(float) * step @ kernel.T + bias, logits, atol=1e-3)


@pytest.mark.parametrize("place", ["array", "stream"])
@pytest.mark.parametrize("chosen", [[2], [1, 2], [0, 2]])
def test_some_layers_are_their_columns(stored, monkeypatch, place, chosen):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)
    views = views_of(30, 2, whole=True)
    given = FeatureTable(views if place == "array" else stored(views, STEP), LAYERS, STEP)
    found = given.standardize([LAYERS[index] for index in chosen])
    columns = np.concatenate([np.arange(10)[slice(*ends)] for ends in (((0, 2), (2, 5), (5, 10))[n] for n in chosen)])
    assert found.size == len(columns)
    np.testing.assert_allclose(
        found.rows(slice(None))[0:60][:, :-1], standardized(views)[:, :, columns].reshape(60, -1), atol=5e-5
    )
    parameters = np.random.default_rng(2).normal(size=(3, len(columns) + 1)).astype(np.float32)
    kernel, bias = found.unstandardized(parameters)
    everyone = np.ones(30, bool)
    np.testing.assert_allclose(
        views[:, 0][:, columns] * STEP @ kernel.T + bias, found.logits(everyone, parameters), atol=1e-3
    )


def test_numbers_without_layers_are_one_layer():
    views = views_of(30, 1)
    given = FeatureTable(views[:, 0])
    [layer] = given.layers
    assert (layer.size, layer.side) == (10, 1)
    rows = given.standardize(given.layers).rows(slice(None))
    np.testing.assert_allclose(rows[:, :-1], standardized(views, [10])[:, 0], atol=5e-5)


def test_a_store_knows_its_own_step(stored):
    views = views_of(30, 1, whole=True)
    parameters = np.random.default_rng(2).normal(size=(3, 11)).astype(np.float32)
    kernels = [
        FeatureTable(*given).standardize(LAYERS).unstandardized(parameters)[0]
        for given in ((views, LAYERS, STEP), (stored(views, STEP), LAYERS), (stored(views, STEP), LAYERS, 99.0))
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[0], kernels[2])


@pytest.mark.parametrize("place", ["array", "stream"])
@pytest.mark.parametrize("value", [0.5, 0.0, -3.0])
def test_features_that_are_all_alike_are_divided_by_one(stored, streamed, place, value):
    views = views_of(9, 1)
    views[:, :, 2:5] = value  # of one layer; the others go on
    given = FeatureTable(views if place == "array" else stored(views), LAYERS)
    rows = given.standardize(LAYERS).rows(slice(None))[0:9]
    assert (rows[:, 2:5] == 0).all() and np.isfinite(rows).all() and rows[:, :2].std() == pytest.approx(1, rel=0.01)


def test_a_stream_holds_little_in_memory(stored, streamed):
    maps = stored(views_of(4000, 1, 500))  # 8 MB as float32
    tracemalloc.start()
    given = FeatureTable(maps)
    rows = given.standardize(given.layers).rows(slice(None))
    for start in range(0, 4000, 100):
        rows[start : start + 100]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


# --- fewer rows than features ---


def few(count, *, copies=False):
    """Twelve photos of 60 features in three layers, [12, K, 60]; the last three may be copies of the first ones."""
    views = np.random.default_rng(4).normal(3, 2, size=(12, count, 60)).astype(np.float16)
    if copies:
        views[9:] = views[:3]
    return views


WIDE = (Layer("low", 10, 8), Layer("high", 20, 4), Layer("embedding", 30, 1))
TRUTH = np.arange(12) % 3


@pytest.fixture
def without_basis(monkeypatch):
    """with_basis(False) keeps features as they are, however few rows there are."""
    return lambda wanted: monkeypatch.setattr(features, "FEW", 0.5 if wanted else 0.0)


@pytest.mark.parametrize("count", [1, 2])
def test_few_rows_are_written_in_a_basis_of_their_own(count):
    found = FeatureTable(few(count), WIDE).standardize(WIDE)
    assert found.size == 12 * count
    # In it lengths and angles are what they were: products of rows with each other are the same.
    rows = found.rows(slice(None))[:, :-1].astype(float)
    real = standardized(few(count), [10, 20, 30]).reshape(12 * count, 60)
    np.testing.assert_allclose(rows @ rows.T, real @ real.T, atol=1e-3)
    assert FeatureTable(few(3), WIDE).standardize(WIDE).size == 60  # 36 rows are more than half of 60


@pytest.mark.parametrize("chosen", [WIDE, WIDE[1:], WIDE[2:]])
@pytest.mark.parametrize("copies", [False, True])
def test_parameters_in_that_basis_are_those_of_embeddings(chosen, copies):
    views = few(1, copies=copies)
    given = FeatureTable(views, WIDE, 0.5)
    for _ in range(2):  # products are kept, and stay what they are
        found = given.standardize(chosen)
        parameters = np.random.default_rng(2).normal(size=(3, found.size + 1)).astype(np.float32)
        logits = found.logits(np.ones(12, bool), parameters)
        kernel, bias = found.unstandardized(parameters)
        real = views[:, 0, -sum(layer.size for layer in chosen) :] * 0.5
        # In the basis copies differ by what keeps it from being singular: the root of a ten-millionth of their length.
        np.testing.assert_allclose(real @ kernel.T + bias, logits, atol=0.02 if copies else 1e-3)
        assert np.isfinite(kernel).all()


def minimum(given, strength=0.01):
    """Logits of every fourth photo where the loss of the others is least, and kernel and bias there."""
    held = np.arange(12) % 4 == 0
    found = given.standardize(WIDE)
    with ThreadPoolExecutor(1) as pool:
        problem = Problem(found.rows(~held), TRUTH[~held], np.ones(3), found.spectrum, pool)
        parameters = problem.solve(
            strength, np.zeros((3, found.size + 1), np.float32), 500, lambda step: None
        ).parameters
    return found.logits(held, parameters), found.unstandardized(parameters)


@pytest.mark.parametrize("copies", [False, True])
def test_the_minimum_is_the_same_as_without_it(monkeypatch, without_basis, copies):
    monkeypatch.setattr(lbfgs, "TOLERANCE", 0)  # both searches end where float32 does
    results = []
    for wanted in (True, False):
        without_basis(wanted)
        results.append(minimum(FeatureTable(few(1, copies=copies), WIDE)))
    (logits, (kernel, bias)), (others, (other, offset)) = results
    assert np.abs(logits).max() > 0.1
    # The loss is flat there: where float32 cannot tell it (1e-7), logits differ by its root.
    np.testing.assert_allclose(logits, others, atol=2e-3)
    np.testing.assert_allclose(kernel, other, atol=1e-3)
    np.testing.assert_allclose(bias, offset, atol=1e-2)


def test_a_fit_of_few_photos_is_the_same_as_without_it(monkeypatch, without_basis):
    monkeypatch.setattr(lbfgs, "TOLERANCE", 0)
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(3), 8)
    views = (0.3 * random.normal(size=(3, 60))[labels] + random.normal(size=(24, 60))).astype(np.float16)
    fits = []
    for wanted in (True, False):
        without_basis(wanted)
        fits.append(heads.fit(FeatureTable(views, WIDE), labels, classes=3, layers="all"))
    one, other = fits
    assert one.regularization == other.regularization and one.top1 == other.top1
    # The search knows no directions, only products, so it takes the same steps but for rounding.
    assert one.temperature == pytest.approx(other.temperature, rel=1e-3)
    np.testing.assert_allclose(one.head.scores(views), other.head.scores(views), atol=1e-3)
