import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_maker.data.mixing import cutmix, mixup

SHAPES = [(6, 8, 8, 3), (5, 14, 14, 112), (4, 9, 5, 2), (1, 4, 4, 1)]
mixers = pytest.mark.parametrize("mix", [mixup, cutmix])


def one_level_each(shape):
    """Photo n is n + 1 all over, so that a value tells whose it is; its class is n."""
    levels = np.arange(1, shape[0] + 1, dtype=np.float32)
    return np.ones(shape, np.float32) * levels[:, None, None, None], np.eye(shape[0], dtype=np.float32)


@mixers
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_still_sum_to_one(mix, shape):
    random = np.random.default_rng(0)
    labels = random.dirichlet(np.ones(7), shape[0])  # soft ones
    mixed, made = mix(random.normal(size=shape), labels, random, alpha=0.4)
    assert mixed.shape == shape and made.shape == labels.shape
    assert mixed.dtype == made.dtype == np.float32
    np.testing.assert_allclose(made.sum(axis=1), 1, rtol=1e-6)


@mixers
def test_the_batch_that_was_given_is_left_alone(mix):
    batch, labels = one_level_each((6, 8, 8, 3))
    mix(batch, labels, np.random.default_rng(0), alpha=1.0)
    expected = one_level_each((6, 8, 8, 3))
    np.testing.assert_array_equal(batch, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


@mixers
def test_the_same_seed_mixes_alike_and_another_otherwise(mix):
    batch, labels = one_level_each((6, 8, 8, 3))
    first, again, other = (mix(batch, labels, np.random.default_rng(seed), alpha=1.0)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@mixers
def test_alpha_0_mixes_nothing(mix):
    batch, labels = one_level_each((6, 8, 8, 3))
    mixed, made = mix(batch, labels, np.random.default_rng(0), alpha=0)
    np.testing.assert_array_equal(mixed, batch)
    np.testing.assert_array_equal(made, labels)


@given(seed=st.integers(0, 1000), alpha=st.floats(0.05, 5), shape=st.sampled_from(SHAPES))
def test_mixup_blends_labels_by_the_share_of_the_pixels(seed, alpha, shape):
    batch, labels = one_level_each(shape)
    mixed, made = mixup(batch, labels, np.random.default_rng(seed), alpha=alpha)
    # The level of a blend is the mean of the levels, weighted as the label says; all its pixels have the same.
    np.testing.assert_allclose(mixed, (made @ np.arange(1, shape[0] + 1))[:, None, None, None] * np.ones(shape), 1e-5)
    assert ((made > 0).sum(axis=1) <= 2).all()  # no more than two photos


@given(seed=st.integers(0, 1000), alpha=st.floats(0.05, 5), shape=st.sampled_from(SHAPES))
def test_cutmix_labels_are_the_areas_counted(seed, alpha, shape):
    batch, labels = one_level_each(shape)
    mixed, made = cutmix(batch, labels, np.random.default_rng(seed), alpha=alpha)
    for own, (photo, label) in enumerate(zip(mixed, made, strict=True)):
        assert (photo == photo[..., :1]).all()  # every channel is cut at the same place
        counted = [(photo[..., 0] == level).mean() for level in range(1, shape[0] + 1)]
        np.testing.assert_allclose(label, counted, atol=1e-6)
        foreign = photo[..., 0] != own + 1
        if foreign.any():
            rows, columns = np.flatnonzero(foreign.any(axis=1)), np.flatnonzero(foreign.any(axis=0))
            assert foreign.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # one box
            assert len(set(photo[..., 0][foreign])) == 1  # of one other photo


def test_cutmix_keeps_what_it_pastes_in_its_place():
    # Every position has a value of its own, the same in all photos: pasting changes nothing.
    batch = np.tile(np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3), (6, 1, 1, 1))
    mixed, made = cutmix(batch, np.eye(6), np.random.default_rng(3), alpha=1.0)
    np.testing.assert_array_equal(mixed, batch)
    assert (made.max(axis=1) < 1).any()  # something was pasted


@mixers
def test_shares_follow_the_beta_distribution(mix):
    batch, labels = one_level_each((400, 16, 16, 1))
    _, made = mix(batch, labels, np.random.default_rng(5), alpha=1.0)
    foreign = 1 - made[np.arange(400), np.arange(400)]
    # Beta(1, 1) is uniform: mean 1/2, standard deviation 0.289; four standard errors of 400 draws. A photo that is
    # its own partner (one in 400) and sides rounded to sixteenths move the mean by less than 0.01.
    assert abs(foreign.mean() - 0.5) < 4 * 0.289 / 20 + 0.01
    assert abs(foreign.std() - 0.289) < 0.05
