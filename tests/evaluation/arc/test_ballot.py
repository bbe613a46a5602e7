"""Votes on one test grid."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from envs.arc.canvas import Grid
from hrm_rl.evaluation.arc.ballot import Ballot, Candidate

GRIDS = [np.array(rows, np.uint8) for rows in ([[1]], [[1, 2]], [[1], [2]], [[0, 0], [0, 1]], [[0]])]


def ranked(votes: list[tuple[Grid, float]]) -> list[Candidate]:
    ballot = Ballot()
    for grid, q in votes:
        ballot.cast(grid, q)
    return ballot.ranked()


def lists(found: list[Candidate]) -> list[list[list[int]]]:
    return [one.grid.tolist() for one in found]


VOTES = st.lists(st.tuples(st.sampled_from(GRIDS), st.sampled_from([-900.0, -0.3, 0.1, 0.2, 5.0, 900.0])))


@given(VOTES, st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(votes: list[tuple[Grid, float]], chance) -> None:
    one = ranked(votes)
    shuffled = list(votes)
    chance.shuffle(shuffled)
    other = ranked(shuffled)
    assert lists(one) == lists(other)
    assert [(c.votes, c.q) for c in one] == [(c.votes, c.q) for c in other]
    assert len({str(grid) for grid in lists(one)}) == len(one), "all different"
    assert sum(c.votes for c in one) == len(votes)
    assert [c.votes for c in one] == sorted((c.votes for c in one), reverse=True)


def test_most_votes_come_first_then_the_higher_mean_q() -> None:
    a, b, c = GRIDS[:3]
    assert lists(ranked([(a, 9.0), (b, -9.0), (b, -9.0)])) == [b.tolist(), a.tolist()]
    found = ranked([(a, 2.0), (a, -2.0), (b, 0.1), (b, 0.1), (c, 9.0)])
    assert lists(found) == [b.tolist(), a.tolist(), c.tolist()]
    np.testing.assert_allclose([one.q for one in found], [0.52498, 0.5, 0.99988], atol=1e-5)


def test_grids_with_the_same_cells_in_another_shape_are_other_answers() -> None:
    row, column = GRIDS[1], GRIDS[2]
    assert len(ranked([(row, 0.0), (column, 0.0), (row, 0.0)])) == 2
    assert ranked([]) == []
