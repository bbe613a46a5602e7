"""A learner, its settings and its puzzles can be copied: the copy learns on, bit for bit the same."""

from __future__ import annotations

from hrm_rl.config import Config
from tests.helpers.copies import Copy, every_copy
from tests.helpers.learners import decisive_learner, run, tally
from tests.helpers.tiny import assert_same, learner_tensors, tiny_config


@every_copy
def test_a_copied_learner_learns_on_as_the_first_does(copied: Copy) -> None:
    learner = decisive_learner(tiny_config(optim={"ema_decay": 0.9}))
    learner.start()
    run(learner, 3)
    other = copied(learner)
    for each in (learner, other):
        run(each, 3)
    assert_same(learner_tensors(other), learner_tensors(learner))
    assert tally(other) == tally(learner)
    tensors, values = other.rank_state()
    copied_tensors, copied_values = copied((tensors, values))
    assert_same(copied_tensors, tensors)
    assert copied_values == values


@every_copy
def test_a_configuration_is_copied_whole(copied: Copy) -> None:
    config = tiny_config(curriculum={"stages": ("easy=1", "hard=1")})
    other = copied(config)
    assert isinstance(other, Config)
    assert other == config
