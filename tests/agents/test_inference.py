"""The engine with few slots against thinking about each puzzle alone to its own halt."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch

from envs import PuzzleBatch
from hrm_rl.agents.act.engine import answers, think
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Halting, Stopping, Thoughts
from hrm_rl.models import RecurrentModel
from tests.helpers.thinkers import BUDGET, RULES, TASK, many, network, q_target_of

PUZZLES = 30


@pytest.fixture(scope="module")
def solver() -> Solver:
    return network()


Thought = list[tuple[np.ndarray, np.ndarray, float, float]]
"""Answer and Q-values after each segment, the change of the state and the entropy of the answer."""


@pytest.fixture(scope="module")
def alone(solver: Solver) -> list[Thought]:
    """Each puzzle in a batch of its own, by the network itself, without the engine."""
    return [thought_alone(solver.model, many(PUZZLES).take(slice(n, n + 1))) for n in range(PUZZLES)]


@torch.no_grad()
def thought_alone(model: RecurrentModel, puzzle: PuzzleBatch) -> Thought:
    carry, found = model.initial_carry(1), []
    tokens, identifier = torch.from_numpy(puzzle.inputs).long(), torch.from_numpy(puzzle.identifier)
    blank = puzzle.inputs[0] == TASK.characters.index(".")
    for _ in range(BUDGET):
        before = carry.z_h[0].numpy()
        carry, logits, q = model(carry, tokens, identifier)
        after, p = carry.z_h[0].numpy(), torch.softmax(logits[0], -1).numpy()
        change = np.linalg.norm(after - before) / np.linalg.norm(after)
        entropy = -(p * np.log(p)).sum(-1)[blank].mean()
        found.append((logits.argmax(-1)[0].numpy().astype(np.uint8), q[0].numpy(), change, entropy))
    return found


def halt_of(found: Thought, rule: Stopping, q_target: str) -> int:
    """The segment after which one puzzle stops, the rule written out a second time."""
    agreed = 0
    for k, (answer, q, change, entropy) in enumerate(found, start=1):
        agreed = agreed + 1 if k > 1 and (answer == found[k - 2][0]).all() else 1
        wants = {
            "fixed": False,
            "agree": agreed >= rule.patience,
            "fixed_point": change < rule.threshold,
            "entropy": entropy < rule.threshold,
            "adaptive": q[0] - (0 if q_target == "halt_only" else q[1]) > rule.threshold,
        }[rule.halting]
        if wants and k >= rule.min_segments:
            return k
    return rule.budget


def handed_in(solver: Solver, batches: list[PuzzleBatch], rule: Stopping, batch_size: int) -> Thoughts:
    solver.model.train()
    found = Thoughts.concatenate(list(answers(solver, batches, rule, batch_size)))
    assert solver.model.training
    return found


@pytest.mark.parametrize("name", RULES)
def test_answers_are_those_of_thinking_about_each_puzzle_alone(
    name: str, solver: Solver, alone: list[Thought]
) -> None:
    rule, batch, q_target = RULES[name], many(PUZZLES), q_target_of(name)
    found = handed_in(replace(solver, q_target=Q_TARGETS[q_target]), [batch], rule, batch_size=18)
    assert found.index.tolist() == list(range(PUZZLES)), "in the order of the queue"
    assert found.done.all()
    np.testing.assert_array_equal(found.inputs, batch.inputs)
    for n, thoughts in enumerate(alone):
        segments = halt_of(thoughts, rule, q_target)
        assert found.segment[n] == segments
        np.testing.assert_array_equal(found.answer[n], thoughts[segments - 1][0])
        _, q, change, entropy = thoughts[segments - 1]
        np.testing.assert_allclose(found.q[n], q, atol=1e-4)
        np.testing.assert_allclose([found.change[n], found.entropy[n]], [change, entropy], atol=1e-4)
    assert name == "fixed" or len(set(found.segment)) > 2


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 64, "num_heads": 4, "pos_encodings": "axial"},
        {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    ],
    ids=str,
)
def test_slots_and_neighbours_change_no_bit(changes: dict[str, object]) -> None:
    """Not even of the Q-values: so no halt can flip, however near to a tie."""
    solver, batch = network(**changes), many(24)
    first = [handed_in(solver, [batch.take(slice(n, n + 1))], RULES["adaptive"], 1) for n in range(6)]
    expected = Thoughts.concatenate(first)
    assert len(set(expected.segment)) > 2
    for batch_size in (2, 40):
        found = handed_in(solver, [batch], RULES["adaptive"], batch_size)
        for name in ("segment", "answer", "q", "agreed", "change", "entropy"):
            np.testing.assert_array_equal(getattr(found, name)[:6], getattr(expected, name), name)


def test_the_order_of_the_queue_changes_no_puzzles_answer(solver: Solver) -> None:
    batch = many(40)
    order = np.random.default_rng(0).permutation(40)
    plain = handed_in(solver, [batch], RULES["adaptive"], 20)
    shuffled = handed_in(solver, [batch.take(order)], RULES["adaptive"], 20)
    np.testing.assert_array_equal(shuffled.q, plain.q[order])
    np.testing.assert_array_equal(shuffled.segment, plain.segment[order])


def test_the_queue_may_come_in_any_pieces_even_empty_ones(solver: Solver) -> None:
    batch = many(23)
    cuts = [0, 0, 1, 1, 7, 7, 19, 23, 23]
    pieces = [batch.take(slice(a, b)) for a, b in pairwise(cuts)]
    one, other = (handed_in(solver, queue, RULES["adaptive"], 16) for queue in ([batch], pieces))
    np.testing.assert_array_equal(one.q, other.q)
    assert list(answers(solver, [], RULES["adaptive"])) == []


def test_no_slot_thinks_about_a_puzzle_that_is_done(solver: Solver) -> None:
    """As many slots as there are in use, also behind the end of the queue."""
    rows: list[int] = []
    hook = solver.model.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[1])))
    steps = list(think(solver, [many(80)], RULES["adaptive"], batch_size=24))
    hook.remove()
    spent = {}
    for thoughts in steps:
        for n, k in zip(thoughts.index, thoughts.segment, strict=True):
            assert k == spent.get(n, 0) + 1, "one segment after the other"
            spent[n] = k
    used = [len(thoughts.index) for thoughts in steps]
    last = max(i for i, thoughts in enumerate(steps) if len(thoughts.index) == 24)
    assert rows[: last + 1] == used[: last + 1] == [24] * (last + 1)
    assert rows[last + 1 :] == used[last + 1 :]
    assert sum(used) == sum(spent.values()) < 80 * BUDGET


def test_memory_does_not_grow_with_the_number_of_puzzles(solver: Solver) -> None:
    def endless() -> Iterator[PuzzleBatch]:
        while True:
            yield batch

    batch, peaks = many(50), []
    tracemalloc.start()
    stream, done = answers(solver, endless(), RULES["eager"], 32), 0
    for count in (60, 240):
        while done < count:
            done += len(next(stream).index)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
    tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
    stream.close()
    assert solver.model.training


@pytest.mark.parametrize("halting", get_args(Halting))
def test_a_budget_of_one_segment_is_one_segment(halting: Halting, solver: Solver) -> None:
    assert set(handed_in(solver, [many(10)], Stopping(1, halting), 4).segment) == {1}


def test_noise_on_the_state_is_a_puzzles_own_whoever_its_neighbours_are(solver: Solver) -> None:
    batch, rule = many(24), RULES["adaptive"]
    noise = RolloutNoise(0.5, 0.2, key=(0, 1), numbers=np.arange(24))

    def found(rows: list[int], batch_size: int, noise: RolloutNoise | None = noise) -> Thoughts:
        own = None if noise is None else replace(noise, numbers=np.array(rows))
        return Thoughts.concatenate(list(answers(solver, [batch.take(rows)], rule, batch_size, own)))

    expected = found(list(range(24)), 18)
    assert not np.isclose(expected.q, found(list(range(24)), 18, None).q).any()
    for rows, batch_size in (([3, 17, 5], 2), (list(range(23, -1, -1)), 40)):
        other = found(rows, batch_size)
        for name in ("segment", "answer", "q", "change"):
            np.testing.assert_array_equal(getattr(other, name), getattr(expected, name)[rows], name)
    for other in (replace(noise, key=(0, 2)), replace(noise, init_std=0.0), replace(noise, state_std=0.0)):
        assert not np.isclose(found(list(range(24)), 18, other).q, expected.q).all(axis=1).any()
