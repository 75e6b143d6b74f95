"""Statistics against numbers worked by hand, the standard library and scipy."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from model_maker.benchmark.latency import Latency

TIMES = st.floats(0.001, 1000)


def test_ten_samples_by_hand():
    latency = Latency.of([10, 1, 9, 2, 8, 3, 7, 4, 6, 5])
    assert latency.count == 10
    assert latency.median_ms == 5.5
    assert latency.mean_ms == 5.5
    assert (latency.min_ms, latency.max_ms) == (1, 10)
    # Sum of squares of 0.5, 1.5, ... 4.5, twice: 82.5; over 10: 8.25.
    assert latency.std_ms == pytest.approx(8.25**0.5)
    # Nine steps between ten samples: 90 % lies 8.1 steps up, 99 % 8.91.
    assert latency.percentile_ms(90) == pytest.approx(9.1)
    assert latency.percentile_ms(99) == pytest.approx(9.91)


@given(st.lists(TIMES, min_size=1, max_size=50))
def test_it_agrees_with_the_standard_library(samples):
    latency = Latency.of(samples)
    assert latency.median_ms == pytest.approx(statistics.median(samples))
    assert latency.mean_ms == pytest.approx(statistics.fmean(samples))
    assert latency.std_ms == pytest.approx(statistics.pstdev(samples), abs=1e-9)
    if len(samples) > 1:
        deciles = statistics.quantiles(samples, n=100, method="inclusive")
        assert latency.percentile_ms(90) == pytest.approx(deciles[89])
        assert latency.percentile_ms(99) == pytest.approx(deciles[98])


def test_rounds_are_one_set_of_samples():
    rounds = ((3.0, 1.0), (2.0, 5.0, 4.0))
    assert Latency(rounds).summary() == Latency.of([3, 1, 2, 5, 4]).summary()
    assert list(Latency(rounds).samples_ms) == [3, 1, 2, 5, 4]


def test_the_interval_agrees_with_scipy():
    samples = np.random.default_rng(1).exponential(10, 200)
    theirs = bootstrap((samples,), np.median, n_resamples=2000, method="percentile", rng=2).confidence_interval
    # Both draw at random: a fifth of the width is twice what they differed by over 20 seeds.
    assert Latency.of(samples).interval_ms == pytest.approx(tuple(theirs), abs=(theirs.high - theirs.low) / 5)


def test_the_interval_of_equal_rounds_has_no_width():
    latency = Latency(((1.0, 2.0, 3.0),) * 6)
    assert latency.interval_ms == (2.0, 2.0)


def test_a_machine_that_drifts_between_rounds_widens_the_interval():
    # Within each of ten rounds all samples are equal: there are ten facts here, not a thousand.
    drifting = Latency(tuple((float(10 + number % 2),) * 100 for number in range(10)))
    pretended = Latency.of(drifting.samples_ms)
    assert drifting.interval_ms == (10, 11)
    low, high = pretended.interval_ms
    assert drifting.median_ms == pretended.median_ms == 10.5
    assert high - low <= 1


def test_the_interval_of_rounds_holds_the_true_median_about_as_often_as_it_says():
    # Rounds of 10 samples that share a shift; the true median of the whole is 100 by symmetry.
    random = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        shifts = random.normal(0, 2, (20, 1))
        rounds = 100 + shifts + random.normal(0, 1, (20, 10))
        low, high = Latency(tuple(map(tuple, rounds))).interval_ms
        held += low <= 100 <= high
    # 95 % of 60 are 57; 51 would be bad luck of one in 300 (binomial). Single draws would hold it 20 times.
    assert held >= 51


@pytest.mark.parametrize("spread", [0.02, 0.03])
def test_the_interval_of_two_kinds_of_rounds_reaches_from_one_to_the_other(spread):
    # Of six rounds three lie below and three above: the interval reaches from the ones to the others.
    below, above = 100 * (1 - spread), 100 * (1 + spread)
    latency = Latency(((below,), (above,)) * 3)
    assert latency.interval_ms == (pytest.approx(below), pytest.approx(above))


@given(st.lists(st.lists(TIMES, min_size=1, max_size=5).map(tuple), min_size=1, max_size=8).map(tuple))
def test_everything_derived_keeps_its_order(rounds):
    found = Latency(rounds).summary()
    slack = 1 + 1e-9  # interpolation rounds
    low, high = found["interval_ms"]
    assert found["min_ms"] <= low * slack and low <= high * slack and high <= found["max_ms"] * slack
    ordered = [found[name] for name in ("min_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")]
    assert all(one <= other * slack for one, other in zip(ordered, ordered[1:], strict=False))


def test_the_same_samples_give_the_same_interval():
    rounds = tuple((float(number), float(number + 1)) for number in range(8))
    assert Latency(rounds).interval_ms == Latency(rounds).interval_ms


@pytest.mark.parametrize("rounds", [(), ((),), ((1.0,), ())])
def test_without_samples_there_is_no_latency(rounds):
    with pytest.raises(ValueError, match="at least one sample"):
        Latency(rounds)
