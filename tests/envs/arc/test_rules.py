"""The rules of `mini`: those of the public tasks, and generators in their likeness."""

from __future__ import annotations

import numpy as np
import pytest

from envs.arc.puzzles import load
from envs.arc.rules import RULES, Rule

PUBLIC = {puzzle.name: puzzle for puzzle in load("arc1")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_agrees_with_every_public_pair_of_its_task(rule: Rule):
    for pair in PUBLIC[rule.name].train + PUBLIC[rule.name].test:
        np.testing.assert_array_equal(rule.answer(pair.input), pair.output)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_is_made_is_no_constant_fits_the_canvas_and_has_the_size_asked_for(rule: Rule):
    rng = np.random.default_rng(0)
    grids = [rule.draw(rng, 1, 10) for _ in range(60)]
    assert len({grid.tobytes() for grid in grids}) > 40
    for grid in grids:
        assert rule.smallest <= max(grid.shape) <= rule.largest
        assert max(rule.answer(grid).shape) <= 10
        assert grid.dtype == rule.answer(grid).dtype == np.uint8
    changed = [rule.answer(grid).shape != grid.shape or (rule.answer(grid) != grid).any() for grid in grids]
    assert np.mean(changed) > 0.6
    assert {max(rule.draw(rng, rule.largest, 10).shape) for _ in range(5)} == {rule.largest}
