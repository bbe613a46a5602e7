"""Episodes of the learner: how they end and start, what is counted of them, what exploration
does to them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from envs import ActVectorEnv
from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.answers import fill_in
from hrm_rl.agents.act.learner import Learner
from tests.helpers.learners import decisive_learner, recorded_losses, run, tally
from tests.helpers.tiny import always, tiny_config, tiny_learner


class Watcher:
    """Wraps an environment's step: remembers what went in and what came out, with copies of what it held."""

    def __init__(self, env: ActVectorEnv):
        self.steps: list[dict[str, Any]] = []
        self.env, self.step = env, env.step
        env.step = self  # type: ignore[method-assign]

    def __call__(self, action: dict[str, Any]) -> Any:
        held = self.env.state_arrays()
        result = self.step(action)
        _, _, terminated, truncated, _ = result
        self.steps.append(
            held | {"answer": action["answer"].copy(), "terminated": terminated, "truncated": truncated}
        )
        return result


def test_finished_slots_restart_and_the_others_continue() -> None:
    learner = decisive_learner(tiny_config(halting={"halt_max_steps": 4, "halt_exploration_prob": 0.0}))
    watcher = Watcher(learner.env)
    initial = learner.model.initial_carry(4)
    kinds: Counter[bool] = Counter()
    for _ in range(10):
        tokens = torch.from_numpy(learner.env.state_arrays()["inputs"]).long()
        with torch.no_grad():
            expected, _, _ = learner.model(learner.slots.carry, tokens, torch.zeros(4, dtype=torch.int64))
        learner.update()
        finished = watcher.steps[-1]["terminated"] | watcher.steps[-1]["truncated"]
        for slot in range(4):
            state = initial if finished[slot] else expected
            torch.testing.assert_close(learner.slots.carry.z_h[slot], state.z_h[slot], rtol=0, atol=0)
            torch.testing.assert_close(learner.slots.carry.z_l[slot], state.z_l[slot], rtol=0, atol=0)
        kinds.update(finished.tolist())
        assert not learner.slots.carry.z_h.requires_grad
    assert min(kinds[True], kinds[False]) > 5


def test_tally_agrees_with_a_recount_of_what_the_environment_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny_learner(
        tiny_config(halting={"halt_max_steps": 4}, train={"global_batch_size": 6}, optim={"lr": 1e-9})
    )
    wish_to_halt_at_random(learner, share=0.3)
    task, rule = learner.env.task, learner.env.task.solved
    # A rule that is content with less than the solution: `solved` and `exact` are counted apart.
    task.solved = lambda inputs, answer: rule(inputs, answer) | (answer.sum(-1) % 2 == 1)
    watcher = Watcher(learner.env)
    cheat_answers(learner, 0.5, monkeypatch)
    run(learner, 12)
    recount: Counter[str] = Counter(updates=12, slots=72)
    after, after_solved = np.zeros(5), np.zeros(5)
    for step in watcher.steps:
        for slot in np.flatnonzero(step["terminated"] | step["truncated"]):
            question, solution = step["inputs"][slot], step["solution"][slot]
            answer, segment = step["answer"][slot], step["segment"][slot] + 1
            blank = question == 1
            solved = bool(task.solved(question[None], answer[None])[0])
            recount.update(
                episodes=1,
                exact=int((answer == solution).all()),
                solved=int(solved),
                cells=16,
                cells_right=int((answer == solution).sum()),
                blanks=int(blank.sum()),
                blanks_right=int((answer == solution)[blank].sum()),
                segments=int(segment),
                segments_solved=int(segment) * solved,
                forced=int(step["truncated"][slot]),
            )
            after[segment] += 1
            after_solved[segment] += solved
    counted = tally(learner)
    for name, value in recount.items():
        assert counted[name] == value, name
    assert counted["halted_after"] == after.tolist()
    assert counted["halted_after_solved"] == after_solved.tolist()
    assert 0 < recount["exact"] < recount["solved"] < recount["episodes"]
    assert 0 < recount["forced"] < recount["episodes"]


def wish_to_halt_at_random(learner: Learner, share: float) -> None:
    """Let a share of the slots want to halt; fresh Q-values are equal, which is to continue."""
    random, forward = np.random.default_rng(1), learner.training_model

    def undecided(*args: Any) -> Any:
        carry, logits, q = forward(*args)
        wishes = torch.from_numpy(random.random(len(q)) < share)
        return carry, logits, q + torch.stack([wishes, ~wishes], dim=1)

    learner.training_model = undecided


def cheat_answers(learner: Learner, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace a share of the answers by the right ones."""
    random = np.random.default_rng(0)

    def cheating(*args: Any) -> Any:
        rows = random.random(learner.env.num_envs) < share
        return np.where(rows[:, None], learner.env.state_arrays()["solution"], fill_in(*args))

    monkeypatch.setattr(learner_module, "fill_in", cheating)


def test_the_halt_value_is_taught_whether_the_answer_is_right_even_where_the_episode_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner, calls = decisive_learner(tiny_config()), recorded_losses(monkeypatch)
    watcher = Watcher(learner.env)
    cheat_answers(learner, 0.5, monkeypatch)
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(10):
        learner.update()
        step = watcher.steps[-1]
        right = learner.env.task.solved(step["inputs"], step["answer"])
        assert calls[-1]["solved"].tolist() == right.tolist()
        seen.update(zip((step["terminated"] | step["truncated"]).tolist(), right.tolist(), strict=True))
    assert all(seen[finished, right] for finished in (True, False) for right in (True, False))


def test_one_segment_budget_trains_without_a_continue_target(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, calls = tiny_learner(tiny_config(halting={"halt_max_steps": 1})), recorded_losses(monkeypatch)
    run(learner, 3)
    assert all(call["target"] is None for call in calls)
    counted = tally(learner)
    assert counted["episodes"] == counted["segments"] == 12
    assert counted["q_continue_loss"] == 0


# Exploration: an episode is explored if it has ever kept the model from halting.


def scripted_floors(monkeypatch: pytest.MonkeyPatch, floors: list[int]) -> None:
    """Let exploration draw these floors, one an update, for all slots."""
    left = iter(floors)
    monkeypatch.setattr(
        learner_module.halting,
        "explore",
        lambda min_segments, *_: torch.full_like(min_segments, next(left)),
    )


@pytest.mark.parametrize(
    ("floors", "explored", "segments"),
    [
        ([2, 0], 4, 2),  # held back once; in its last segment there is no floor
        ([3, 3, 3], 4, 3),
        ([0, 0], 0, 1),
        ([2, 0, 0, 0], 4, 2),  # the episodes after it are not explored
    ],
)
def test_an_episode_is_explored_if_exploration_ever_held_it_back(
    floors: list[int], explored: int, segments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = tiny_learner(tiny_config(halting={"halt_max_steps": 5}, optim={"lr": 1e-9}))
    always(learner.model, halt=True)
    scripted_floors(monkeypatch, floors)
    run(learner, len(floors))
    counted = tally(learner)
    assert counted["explored"] == explored
    assert counted["halted_after"][segments] > 0
    assert counted["forced"] == 0


def test_a_floor_already_reached_when_the_model_wants_to_halt_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner = tiny_learner(tiny_config(halting={"halt_max_steps": 5}))
    scripted_floors(monkeypatch, [2, 2])
    forward = learner.training_model

    def halts_after_the_second_segment(*args: Any) -> Any:
        carry, logits, q = forward(*args)
        return carry, logits, q + torch.tensor([1.0 if learner.slots.segment[0] == 1 else -1.0, 0.0])

    learner.training_model = halts_after_the_second_segment
    run(learner, 2)
    counted = tally(learner)
    assert counted["halted_after"][2] == counted["episodes"] == 4
    assert counted["explored"] == 0


def test_a_floor_that_holds_nothing_back_does_not_count_as_exploration() -> None:
    config = tiny_config(halting={"halt_exploration_prob": 1.0}, optim={"lr": 1e-9})
    learner = tiny_learner(config)
    always(learner.model, halt=False)
    run(learner, 6)
    counted = tally(learner)
    assert counted["forced"] == counted["episodes"] == 8
    assert counted["explored"] == 0
