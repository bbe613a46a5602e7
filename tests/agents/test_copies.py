"""A learner, its settings and its puzzles can be copied: the copy learns on, bit for bit the same."""

from __future__ import annotations

import pytest
import torch

from hrm_rl.config import Config
from tests.helpers.copies import Copy, every_copy
from tests.helpers.learners import decisive_learner, run, tally
from tests.helpers.tiny import assert_same, learner_tensors, tiny_config


@every_copy
@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("searches", [False, True])
def test_a_copied_learner_learns_on_as_the_first_does(searches: bool, copied: Copy) -> None:
    searching = {"search": {"share": 0.5}, "halting": {"q_target": "lambda", "rollout_segments": 2}}
    learner = decisive_learner(tiny_config(0, **(searching if searches else {})))
    learner.start()
    run(learner, 3)
    other = copied(learner)
    for each in (learner, other):
        run(each, 3)
    assert_same(learner_tensors(other), learner_tensors(learner))
    assert tally(other) == tally(learner)
    tensors, values = other.rank_state()
    copied_tensors, copied_values = copied((tensors, values))
    for name, value in tensors.items():
        assert torch.allclose(copied_tensors[name], value, rtol=0, atol=0, equal_nan=True), name
    assert copied_values == values


@every_copy
def test_a_configuration_is_copied_whole(copied: Copy) -> None:
    config = tiny_config(curriculum={"stages": ("easy=1", "hard=1")})
    other = copied(config)
    assert isinstance(other, Config)
    assert other == config
