import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_fit import (
    LAYERS,
    clusters,
    held_out_logits,
    layered,
    mean_loss,
    round_robin,
    second_opinion,
    softmax,
    standardized,
)
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from model_maker.errors import DataError
from model_maker.learning import features, heads, lbfgs, likelihoods
from model_maker.learning.features import FeatureTable


@pytest.mark.parametrize("counts", [(60, 60, 60), (120, 30, 40), (40, 40, 40, 40, 40)])
def test_fit_matches_scikit_learn(counts):
    embeddings, labels = clusters(counts)
    found = heads.fit(embeddings, labels, classes=len(counts))
    reference = second_opinion(
        standardized(embeddings), labels, found.class_weights[labels], found.regularization
    ).predict_proba(standardized(embeddings))
    untempered = softmax(found.head.logits(embeddings).astype(float) * found.temperature)
    # Our fit ends when an iteration gains less than 1e-5 of the loss; 0.0023 was the largest difference seen.
    np.testing.assert_allclose(untempered, reference, atol=0.005)


@pytest.mark.parametrize("counts", [(60, 60, 60), (120, 30, 40)])
def test_regularization_and_temperature_minimize_held_out_loss(counts):
    embeddings, labels = clusters(counts)
    found = heads.fit(embeddings, labels, classes=len(counts))
    weights = found.class_weights[labels]
    logits = {
        strength: held_out_logits(standardized(embeddings), labels, weights, strength, round_robin(labels))
        for strength in heads.REGULARIZATION
    }
    losses = {strength: mean_loss(logits[strength], labels, weights) for strength in logits}
    assert found.regularization == min(losses, key=losses.get)
    best = logits[found.regularization]
    inverse = optimize.minimize_scalar(
        lambda inverse: mean_loss(inverse * best, labels, weights), bounds=(0.05, 20), method="bounded"
    ).x
    # Ten iterations a step of the path stop a little short of scikit-learn's exact minimum.
    assert found.temperature == pytest.approx(1 / inverse, rel=0.01)
    assert found.top1 == pytest.approx((best.argmax(1) == labels).mean(), abs=1.5 / len(labels))


def test_temperature_makes_probabilities_calibrated():
    # Many features and few photos: the untempered head is too shy or too sure; fresh photos of the same kind tell.
    counts = (60,) * 4
    embeddings, labels = clusters((2060,) * 4, features=64, distance=0.25, seed=4)
    learned = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)])
    fresh = np.setdiff1d(np.arange(len(labels)), learned)
    found = heads.fit(embeddings[learned], labels[learned], classes=4)
    logits = found.head.logits(embeddings[fresh]).astype(float)
    even = np.ones(len(fresh))
    loss = mean_loss(logits, labels[fresh], even)
    at_best = optimize.minimize_scalar(
        lambda inverse: mean_loss(inverse * logits, labels[fresh], even), bounds=(0.05, 20), method="bounded"
    )
    assert abs(np.log(found.temperature)) > 0.2  # there was something to mend
    assert loss < mean_loss(logits * found.temperature, labels[fresh], even)
    # 240 photos tell the temperature to some ten percent; near its minimum the loss hardly moves.
    assert loss == pytest.approx(at_best.fun, rel=0.01)
    assert abs(found.head.scores(embeddings[fresh]).max(1).mean() - (logits.argmax(1) == labels[fresh]).mean()) < 0.05


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(90)))
def test_shuffled_photos_give_the_same_head(order):
    embeddings, labels = clusters((30, 30, 30), features=8)
    folds = round_robin(labels)
    order = np.array(order)
    found = heads.fit(embeddings, labels, classes=3, folds=folds)
    shuffled = heads.fit(embeddings[order], labels[order], classes=3, folds=folds[order])
    assert shuffled.regularization == found.regularization
    # float32 sums in another order; the search amplifies rounding up to its own tolerance.
    assert shuffled.temperature == pytest.approx(found.temperature, rel=1e-2)
    np.testing.assert_allclose(shuffled.head.scores(embeddings), found.head.scores(embeddings), atol=0.005)


def test_same_photos_give_the_same_bytes_on_any_number_of_cores(monkeypatch):
    embeddings, labels = clusters((1500, 1500), features=8)  # more rows than one chunk of work
    results = []
    for count in (1, 4):
        monkeypatch.setattr(heads, "cores", lambda count=count: count)
        results.append(heads.fit(embeddings, labels, classes=2).head)
    assert results[0].kernel.tobytes() == results[1].kernel.tobytes()
    assert results[0].bias.tobytes() == results[1].bias.tobytes()


def test_scale_and_offset_of_embeddings_do_not_matter():
    embeddings, labels = clusters((30, 30, 30), features=8)
    found = heads.fit(embeddings, labels, classes=3)
    moved = (embeddings.astype(np.float32) * 4 + 3).astype(np.float32)
    # Powers of two and an offset that float32 holds: only rounding differs.
    np.testing.assert_allclose(
        heads.fit(moved, labels, classes=3).head.scores(moved), found.head.scores(embeddings), atol=0.005
    )


def test_head_is_a_softmax_of_kernel_and_bias():
    head = heads.Head(np.array([[1, 0], [0, 2], [0, 0]], np.float32), np.array([0, 0, 1], np.float32))
    embeddings = np.array([[1, 1], [0, 0]], np.float16)
    np.testing.assert_allclose(head.logits(embeddings), [[1, 2, 1], [0, 0, 1]])
    e = np.e  # exp of (1, 2, 1) and of (0, 0, 1)
    expected = [[1 / (2 + e), e / (2 + e), 1 / (2 + e)], [1 / (2 + e), 1 / (2 + e), e / (2 + e)]]
    np.testing.assert_allclose(head.scores(embeddings), expected, rtol=1e-6)


def test_softmax_survives_large_logits():
    np.testing.assert_allclose(
        likelihoods.softmax(np.array([[1e4, 1e4 + np.log(3)], [-1e4, 0]])), [[0.25, 0.75], [0, 1]]
    )


def test_types_and_shapes_of_a_fit():
    embeddings, labels = clusters((10, 10, 10), features=8)
    head = heads.fit(embeddings, list(labels), classes=3).head
    assert (head.kernel.shape, head.kernel.dtype) == ((3, 8), np.float32)
    assert (head.bias.shape, head.bias.dtype) == ((3,), np.float32)


def test_even_classes_weigh_one_by_the_photo():
    assert heads.class_weights(np.array([10, 20])).tolist() == [1, 1]  # two to one is still even


def test_uneven_classes_weigh_alike():
    weights = heads.class_weights(np.array([10, 30]))
    assert weights.tolist() == [2, 2 / 3]  # 40 / (2 * 10) and 40 / (2 * 30)
    assert 10 * weights[0] == pytest.approx(30 * weights[1])


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=50))
def test_class_weights_have_mean_one_over_photos(counts):
    counts = np.array(counts)
    assert (heads.class_weights(counts) * counts).sum() == pytest.approx(counts.sum())


def test_a_rare_class_is_found_as_often_as_a_common_one():
    embeddings, labels = clusters((2000, 200), features=4, distance=0.5, seed=1)
    fresh, truth = clusters((2000, 2000), features=4, distance=0.5, seed=1)
    weighted = heads.fit(embeddings, labels, classes=2).head.scores(fresh).argmax(1)
    recalls = [(weighted[truth == label] == label).mean() for label in (0, 1)]
    assert abs(recalls[0] - recalls[1]) < 0.1
    plain = LogisticRegression().fit(embeddings, labels).predict(fresh)  # what weights mend
    assert (plain[truth == 0] == 0).mean() - (plain[truth == 1] == 1).mean() > 0.3


def test_two_photos_a_class_are_enough():
    embeddings, labels = clusters((2, 2, 2), distance=5)
    found = heads.fit(embeddings, labels, classes=3)
    assert (found.head.scores(embeddings).argmax(1) == labels).all()
    assert np.isfinite(found.head.kernel).all() and np.isfinite(found.head.bias).all()


def test_perfectly_separable_classes_stay_finite():
    embeddings = np.repeat(np.eye(3, 8) * 100, 20, axis=0).astype(np.float16)
    found = heads.fit(embeddings, np.repeat(np.arange(3), 20), classes=3)
    assert found.top1 == 1
    assert np.isfinite(found.head.kernel).all() and 0.05 <= found.temperature <= 20
    assert found.head.scores(embeddings).max(1).min() > 0.99


def test_embeddings_that_say_nothing_give_the_share_of_each_class():
    labels = np.array([0] * 20 + [1] * 20 + [2] * 40)
    found = heads.fit(np.ones((80, 4), np.float16), labels, classes=3)
    np.testing.assert_allclose(found.head.scores(np.ones((1, 4), np.float16)), [[0.25, 0.25, 0.5]], atol=0.01)


@pytest.mark.parametrize(
    ("labels", "message"), [([0, 0, 1, 1], "Class 2 has no photo "), ([0, 0, 1, 1, 2], "Class 2 has 1 photo ")]
)
def test_a_class_with_too_few_photos_is_refused(labels, message):
    with pytest.raises(DataError, match=message) as caught:
        heads.fit(np.ones((len(labels), 4), np.float16), np.array(labels), classes=3)
    assert "\n" not in str(caught.value)


# --- views ---


def seen_with_noise(embeddings, views, *, noise=0.5, seed=3):
    """The plain embedding and, after it, noisy ones: [N, K, D]."""
    random = np.random.default_rng(seed)
    others = embeddings[:, None] + noise * random.normal(size=(len(embeddings), views - 1, embeddings.shape[1]))
    return np.concatenate([embeddings[:, None], others], axis=1).astype(np.float16)


@pytest.mark.parametrize("views", [1, 2, 5])
def test_views_that_are_all_alike_change_nothing(views):
    embeddings, labels = clusters((30, 60, 30))
    plain = heads.fit(embeddings, labels, classes=3)
    found = heads.fit(np.repeat(embeddings[:, None], views, axis=1), labels, classes=3)
    assert found.regularization == plain.regularization and found.top1 == plain.top1
    # The same sums in another order; the search amplifies rounding up to its own tolerance.
    np.testing.assert_allclose(found.head.scores(embeddings), plain.head.scores(embeddings), atol=0.005)


@pytest.mark.parametrize("counts", [(60, 60, 60), (120, 30, 40)])
def test_fit_on_views_matches_scikit_learn_on_weighted_rows(counts):
    embeddings, labels = clusters(counts)
    views = seen_with_noise(embeddings, 4)
    found = heads.fit(views, labels, classes=len(counts))
    # Three quarters of a photo's weight are the plain view's, and a twelfth each of the others'.
    weights = found.class_weights[labels][:, None] * [3 / 4, 1 / 12, 1 / 12, 1 / 12]
    center, plain = embeddings.astype(float).mean(axis=0), embeddings.astype(float)
    scale = np.sqrt(((plain - center) ** 2).mean())
    rows = ((views.astype(float) - center) / scale).reshape(-1, embeddings.shape[1])
    reference = second_opinion(rows, np.repeat(labels, 4), weights.ravel(), found.regularization).predict_proba(rows)
    logits = found.head.logits(views.reshape(len(rows), -1)).astype(float) * found.temperature
    np.testing.assert_allclose(softmax(logits), reference, atol=0.005)  # as for plain photos above


def test_known_parameters_are_found_again_from_views():
    random = np.random.default_rng(0)
    kernel = np.array([[1.0, 0.0, -1.0, 0.5], [0.0, 1.0, 0.5, -0.5], [-1.0, -1.0, 0.5, 0.0]])  # columns sum to 0
    bias = np.array([0.5, 0.0, -0.5])
    embeddings = random.normal(size=(20_000, 4)).astype(np.float16)
    chances = softmax(embeddings.astype(float) @ kernel.T + bias)
    labels = (random.random((20_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    found = heads.fit(seen_with_noise(embeddings, 3, noise=0.05), labels, classes=3)
    centred = found.head.kernel - found.head.kernel.mean(axis=0)  # what is common to all classes says nothing
    # The standard error of a coefficient is about 1 / sqrt(20000 * 0.2) = 0.016; the penalty shrinks by some percent.
    np.testing.assert_allclose(centred, kernel, atol=0.07)
    np.testing.assert_allclose(found.head.bias - found.head.bias.mean(), bias, atol=0.07)


def test_folds_of_a_fit_keep_the_views_of_a_photo_together():
    # Views of a photo are nearly alike, and labels are noise: were they in different folds, they would give it away.
    random = np.random.default_rng(6)
    embeddings, labels = random.normal(size=(150, 200)).astype(np.float16), np.arange(150) % 3
    found = heads.fit(seen_with_noise(embeddings, 4, noise=0.01), labels, classes=3)
    assert abs(found.top1 - 1 / 3) < 4 * np.sqrt(2 / 9 / 150)  # guessing, four standard deviations


# --- streamed ---


@pytest.fixture
def streamed(monkeypatch):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("counts", [(600, 600, 600), (1200, 300, 400)])
def test_a_streamed_fit_is_that_in_memory(stored, streamed, monkeypatch, counts, views):
    monkeypatch.setattr(lbfgs, "TOLERANCE", 0)  # both searches end where float32 does
    embeddings, labels = clusters(counts)
    if views > 1:
        embeddings = seen_with_noise(embeddings, views)
    folds = round_robin(labels)
    there = heads.fit(stored(embeddings), labels, classes=len(counts), folds=folds)
    here = heads.fit(embeddings, labels, classes=len(counts), folds=folds)
    assert there.regularization == here.regularization and there.top1 == pytest.approx(here.top1, abs=2 / len(labels))
    # The path takes ten steps, whose differences from summing in another order it does not undo.
    assert there.temperature == pytest.approx(here.temperature, rel=1e-3)
    plain = embeddings if embeddings.ndim == 2 else embeddings[:, 0]
    # The loss is flat at its minimum: where it cannot tell in float32 (1e-7), scores differ by its root, 3e-4.
    np.testing.assert_allclose(there.head.scores(plain), here.head.scores(plain), atol=1e-3)


def test_a_streamed_fit_matches_scikit_learn(stored, streamed):
    embeddings, labels = clusters((400, 400, 400))
    found = heads.fit(stored(embeddings), labels, classes=3)
    reference = second_opinion(standardized(embeddings), labels, np.ones(1200), found.regularization)
    untempered = softmax(found.head.logits(embeddings).astype(float) * found.temperature)
    np.testing.assert_allclose(untempered, reference.predict_proba(standardized(embeddings)), atol=0.005)


def test_a_stream_holds_out_one_photo_in_ten_of_each_class(stored, streamed, monkeypatch):
    embeddings, labels = clusters((300, 90, 7))
    given = FeatureTable(stored(embeddings))
    [held] = heads.held_out_parts(labels, given, 3)
    assert np.bincount(labels[held]).tolist() == [30, 9, 1]
    monkeypatch.setattr(heads, "MOST_HELD_OUT", 20)
    [held] = heads.held_out_parts(labels, given, 3)
    assert np.bincount(labels[held]).tolist() == [16, 5, 1]  # of 397 photos every 19th: ceil(300 / 19) and so on


def test_a_stream_needs_two_photos_a_class(stored, streamed):
    embeddings, labels = clusters((2, 2, 40), distance=5)
    found = heads.fit(stored(embeddings), labels, classes=3)
    assert np.isfinite(found.head.kernel).all() and np.isfinite(found.temperature)
    assert (found.head.scores(embeddings).argmax(1) == labels).all()


def test_a_streamed_fit_gives_the_same_bytes_on_any_number_of_cores(stored, streamed, monkeypatch):
    embeddings, labels = clusters((1500, 1500), features=8)
    there, results = stored(embeddings), []
    for number in (1, 4):
        monkeypatch.setattr(heads, "cores", lambda number=number: number)
        found = heads.fit(there, labels, classes=2)
        results.append((found.head.kernel.tobytes(), found.head.bias.tobytes(), found.temperature))
    assert results[0] == results[1]


@pytest.mark.parametrize("sets", [1, 3])
@pytest.mark.parametrize("folds", [1, 5])
def test_steps_of_a_fit_are_told_in_order_up_to_the_last(stored, monkeypatch, folds, sets):
    monkeypatch.setattr(features, "IN_MEMORY_BYTES", 0 if folds == 1 else 1 << 30)
    embeddings, labels = layered((1, 1, 1))
    given, calls = FeatureTable(stored(embeddings), LAYERS if sets == 3 else ()), []
    heads.fit(given, labels, classes=3, progress=lambda *call: calls.append(call))
    done = [step for step, _ in calls]
    total = sets * len(heads.REGULARIZATION) * 10 * folds + 200
    assert done == sorted(done) and calls[-1] == (total, total) and {total} == {found for _, found in calls}
