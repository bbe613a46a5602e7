"""Intervals against the textbook and against drawing puzzle by puzzle."""

from __future__ import annotations

import numpy as np
import pytest

from hrm_rl.evaluation.intervals import bootstrap, wilson


def test_the_interval_of_a_share_is_the_normal_one_where_that_holds() -> None:
    values = np.arange(1000) < 300
    low, high = bootstrap(values)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert low == pytest.approx(0.3 - half, abs=0.002)
    assert high == pytest.approx(0.3 + half, abs=0.002)


def test_it_is_what_drawing_puzzle_by_puzzle_gives() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(1, 9, 60)
    means = values[rng.integers(60, size=(20_000, 60))].mean(axis=1)
    assert bootstrap(values) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.06)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    found = [bootstrap(rng.random(200) < 0.7, seed, resamples=500) for seed in range(200)]
    assert 0.88 <= np.mean([low <= 0.7 <= high for low, high in found]) <= 0.99


def test_equal_values_have_no_width_and_the_seed_decides_the_rest() -> None:
    assert bootstrap(np.ones(50, np.bool_)) == (1.0, 1.0)
    values = np.arange(20)
    assert bootstrap(values, seed=3) == bootstrap(values[::-1], seed=3), "order does not matter"
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_wilsons_interval_is_the_textbooks() -> None:
    """Newcombe (1998), table I, method 3."""
    for successes, count, expected in (
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ):
        assert wilson(successes, count) == pytest.approx(expected, abs=5e-5)
    assert wilson(29, 29)[1] == 1.0
