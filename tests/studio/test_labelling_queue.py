"""Which photos are worth a label first."""

import numpy as np

from model_maker.studio import labelling_queue


def clusters(centres, count, *, seed=0, spread=0.05):
    """float32 [C * count, D]: points around centres, and whose they are."""
    random = np.random.default_rng(seed)
    points = np.repeat(centres, count, axis=0) + random.normal(0, spread, (len(centres) * count, centres.shape[1]))
    return points.astype(np.float32), np.repeat(np.arange(len(centres)), count)


CENTRES = np.eye(6, 16) * 3


def test_without_labels_each_cluster_comes_once():
    pile, owners = clusters(CENTRES, 20)
    found = labelling_queue.queue(np.empty((0, 16), np.float32), np.empty(0, int), pile, count=6)
    assert sorted(owners[found.order]) == list(range(6))
    assert set(found.guesses) == {-1}


def test_what_is_known_comes_last_and_guesses_are_right():
    labeled, labels = clusters(CENTRES[:2], 10)
    pile, owners = clusters(CENTRES, 10, seed=1)
    found = labelling_queue.queue(labeled, labels, pile, count=len(pile))
    assert sorted(found.order) == list(range(len(pile)))
    assert set(owners[found.order[:4]]) == {2, 3, 4, 5}
    known = owners[found.order] < 2
    np.testing.assert_array_equal(found.guesses[known], owners[found.order][known])
    assert (found.scores[known] > 0.9).all()


def test_a_photo_between_two_classes_comes_before_sure_ones():
    labeled, labels = clusters(CENTRES[:2], 10)
    sure, _ = clusters(CENTRES[:2], 10, seed=1)
    between = np.repeat((CENTRES[:1] + CENTRES[1:2]) / 2, 3, axis=0).astype(np.float32)
    found = labelling_queue.queue(labeled, labels, np.concatenate([sure, between]), count=1)
    assert found.order[0] >= len(sure)


def test_an_outlier_is_not_the_first():
    pile, _ = clusters(CENTRES[:3], 20)
    odd = np.zeros((1, 16), np.float32)
    odd[0, -1] = 3
    found = labelling_queue.queue(np.empty((0, 16), np.float32), np.empty(0, int), np.concatenate([pile, odd]), count=3)
    assert len(pile) not in found.order


def test_a_class_with_one_photo_is_not_guessed():
    labeled, labels = clusters(CENTRES[:2], 5)
    labeled, labels = np.concatenate([labeled, CENTRES[2:3]]).astype(np.float32), np.append(labels, 2)
    found = labelling_queue.queue(labeled, labels, clusters(CENTRES[:3], 4, seed=2)[0], count=12)
    assert set(found.guesses) <= {0, 1}


def test_more_than_there_are_is_all():
    pile, _ = clusters(CENTRES[:2], 3)
    found = labelling_queue.queue(np.empty((0, 16), np.float32), np.empty(0, int), pile, count=50)
    assert sorted(found.order) == list(range(6))
    one = labelling_queue.queue(np.empty((0, 16), np.float32), np.empty(0, int), pile[:1], count=5)
    assert list(one.order) == [0]
