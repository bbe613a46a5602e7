"""ARC's score from votes that are given."""

from __future__ import annotations

import numpy as np
import pytest

from hrm_rl.evaluation.arc.scores import ArcScore
from hrm_rl.evaluation.intervals import bootstrap, bootstrap_of_groups


def test_a_task_counts_by_its_share_of_test_grids_and_whole() -> None:
    task = np.array([7, 3, 3, 7, 3, 9])
    solved = np.array([True, True, False, True, False, False])
    found = ArcScore.of(task, solved, seed=0)
    assert found.score == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found.tasks == pytest.approx(1 / 3)
    assert found.grids == pytest.approx(1 / 2)
    for share, (low, high) in (
        (found.score, found.score_interval),
        (found.tasks, found.tasks_interval),
        (found.grids, found.grids_interval),
    ):
        assert 0 <= low < share < high <= 1


def test_redrawing_groups_of_one_thing_is_the_ordinary_bootstrap_and_larger_groups_widen_it() -> None:
    values = np.random.default_rng(0).random(200) < 0.4
    ones = np.ones(200)
    assert bootstrap_of_groups(values, ones) == pytest.approx(bootstrap(values), abs=0.005)
    # the same things in 20 groups of ten that are all right or all wrong
    sums, sizes = np.repeat([10, 0], [8, 12]), np.full(20, 10)
    low, high = bootstrap_of_groups(sums, sizes)
    assert high - low > 2 * np.ptp(bootstrap(values))
    assert bootstrap_of_groups(sums, sizes) == bootstrap_of_groups(sums, sizes)
