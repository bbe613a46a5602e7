"""A network learns to continue text: every token has its own Q-values and targets, and sees no later one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from envs import PAD, PuzzleBatch
from hrm_rl.agents.act.losses import IGNORE, NO_TARGET
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.text.learner import TextLearner, token_losses
from hrm_rl.agents.text.reading import counted, read_tokens
from hrm_rl.agents.text.thinking import think_tokens
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.utils.errors import UserError
from tests.helpers.texts import tiny_text
from tests.helpers.tiny import TINY, make_decisive, solver_of, tiny_learner


def thought(learner, inputs: np.ndarray, segments: int = 3) -> tuple[Tensor, Tensor]:
    """Log-probabilities and Q-values after some segments."""
    zeros = np.zeros(len(inputs), np.int64)
    windows = PuzzleBatch(inputs, np.zeros_like(inputs), zeros, zeros)
    *_, last = think_tokens(solver_of(learner), windows, Stopping(segments, "fixed"))
    return last.log_p, torch.from_numpy(last.thoughts.q).view(*inputs.shape, 2)


@pytest.mark.parametrize("name", ["hrm", "transformer", "trm"])
def test_no_token_knows_what_comes_after_it(name):
    learner = tiny_learner(tiny_text(model={"name": name}))
    make_decisive(learner.model)
    inputs = learner.slots.puzzle
    other = inputs.copy()
    other[:, 7:] = np.roll(other[:, 7:], 1, axis=0)
    assert (other != inputs).any()
    for one, two in zip(thought(learner, inputs), thought(learner, other), strict=True):
        assert torch.allclose(one[:, :7], two[:, :7], atol=1e-5)
        assert not torch.allclose(one[:, 7:], two[:, 7:], atol=1e-3)


def test_the_last_of_each_tokens_values_is_the_value_of_the_whole():
    learner = tiny_learner(tiny_text())
    make_decisive(learner.model)
    tokens = torch.from_numpy(learner.slots.puzzle).long()
    parts = [learner.model(learner.slots.carry, tokens, torch.zeros(4).long(), each=e) for e in (True, False)]
    assert torch.allclose(parts[0][2][:, -1], parts[1][2], atol=1e-6)
    assert torch.equal(parts[0][1], parts[1][1])


def test_the_losses_are_means_over_the_tokens_with_a_label():
    generator = torch.Generator().manual_seed(0)
    logits, q = torch.randn(2, 3, 5, generator=generator), torch.randn(2, 3, 2, generator=generator)
    labels = torch.tensor([[1, 4, IGNORE], [2, IGNORE, IGNORE]])
    right = torch.tensor([[True, False, True], [False, True, True]])
    targets = torch.tensor([[0.3, NO_TARGET, 0.9], [0.6, 0.5, 0.5]])
    found = token_losses(logits, labels, q, right, targets, "softmax")

    def bce(x: float, target: float) -> float:
        p = 1 / (1 + math.exp(-x))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    lm = [
        [-float(logits[b, i].log_softmax(-1)[labels[b, i]]) for i in there]
        for b, there in ((0, (0, 1)), (1, (0,)))
    ]
    halt = [
        [bce(float(q[b, i, 0]), float(right[b, i])) for i in there] for b, there in ((0, (0, 1)), (1, (0,)))
    ]
    assert float(found.lm) == pytest.approx(sum(lm[0]) / 2 + lm[1][0], rel=1e-5)
    assert float(found.q_halt) == pytest.approx(sum(halt[0]) / 2 + halt[1][0], rel=1e-5)
    expected = bce(float(q[0, 0, 1]), 0.3) + bce(float(q[1, 0, 1]), 0.6)
    assert float(found.q_continue) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("q_target", ["delayed", "bootstrap", "halt_only"])
def test_updates_make_the_text_likelier_and_count_a_token_as_an_episode(q_target):
    learner = tiny_learner(
        tiny_text(halting={"q_target": q_target}, train={"flat_share": 0.5}, optim={"lr": 1e-2})
    )
    assert isinstance(learner, TextLearner)
    some = learner.env.task.generate("short", 8, np.random.default_rng(0))

    def bits() -> tuple[float, float]:
        solver = solver_of(learner)
        reads = (read_tokens(solver, some, Stopping(3), flat=flat).bits for flat in (False, True))
        adaptive, flat = (read[-1].mean() for read in reads)
        return float(adaptive), float(flat)

    before = bits()
    for _ in range(30):
        learner.update()
    assert all(new < old - 1 for new, old in zip(bits(), before, strict=True))
    episodes, rows = learner.tally.sums["episodes"], learner.env.num_envs * 12
    assert episodes > 0
    assert episodes % 12 == 0
    assert 30 * rows / 3 <= episodes <= 30 * rows


def test_a_slot_goes_on_until_most_of_its_tokens_want_to_halt():
    learner = tiny_learner(tiny_text(halting={"halt_exploration_prob": 0.0}))
    labelled = learner.slots.solution != PAD
    q = torch.zeros(4, 12, 2)
    for slot, wants in enumerate((12, 7, 6, 0)):
        q[slot, :wants, 0] = 1
    assert labelled.all()
    act = learner._answer(learner._think(slice(0, 4)))
    halts = learner._decide(type(act)(act.carry, q, act.answer, act.solved))
    assert halts.tolist() == [True, True, False, False]


def test_a_segment_has_its_price_where_continuing_has_a_target():
    free, paid = (tiny_learner(tiny_text(env={"segment_cost": price})) for price in (0.0, 0.2))
    make_decisive(free.model)
    paid.model.load_state_dict(free.model.state_dict())
    for _ in range(2):
        found = [learner._targets(learner._think(slice(0, 4))) for learner in (free, paid)]
        expected = torch.where(found[0] == NO_TARGET, found[0], (found[0] - 0.2).clamp_min(0))
        assert torch.allclose(found[1], expected)
        for learner in (free, paid):
            learner.slots.segment[:] = 1  # as if a segment had been spent
    assert (found[0] != NO_TARGET).all()


def test_a_resumed_learner_goes_on_as_if_nothing_had_happened():
    one, two = tiny_learner(tiny_text()), tiny_learner(tiny_text())
    for _ in range(3):
        one.update()
    two.model.load_state_dict(one.model.state_dict())
    two.load_rank_state(*one.rank_state())
    assert np.array_equal(one.slots.puzzle, two.slots.puzzle)
    acts = [learner._answer(learner._think(slice(0, 4))) for learner in (one, two)]
    assert torch.equal(acts[0].q, acts[1].q)
    assert torch.equal(one._decide(acts[0]), two._decide(acts[1]))


def test_the_flat_path_is_the_network_with_one_cycle_and_has_the_same_weights():
    learner = tiny_learner(tiny_text(model={"h_cycles": 2, "l_cycles": 3}))
    plain = tiny_learner(tiny_text(model={"h_cycles": 1, "l_cycles": 1}))
    plain.model.load_state_dict(learner.model.state_dict())
    flat = learner.model.flat()
    assert all(a is b for a, b in zip(flat.parameters(), learner.model.parameters(), strict=True))
    tokens, zeros = torch.from_numpy(learner.slots.puzzle).long(), torch.zeros(4).long()
    found = [m(m.initial_carry(4), tokens, zeros)[1] for m in (flat, plain.model, learner.model)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-3)
    assert learner.model.config.l_cycles == 3


def test_every_token_is_evaluated_where_it_stopped():
    learner = tiny_learner(tiny_text())
    make_decisive(learner.model)
    windows = learner.env.task.generate("long", 5, np.random.default_rng(3))
    solver, rule = solver_of(learner), Stopping(3)
    result, tokens = evaluate(solver, windows, rule), counted(learner.env.task, windows)
    assert len(result.level) == len(tokens) == 60
    assert len(set(result.segments)) > 1
    for n in range(60):
        window, place = windows.take(slice(n // 12, n // 12 + 1)), n % 12
        for segment, found in enumerate(think_tokens(solver, window, Stopping(3)), start=1):
            q, log_p = found.thoughts.q[place], found.log_p[0, place]
            if q[0] > q[1] or segment == 3:
                break
        assert result.segments[n] == segment
        assert bool(result.forced[n]) == (not q[0] > q[1])
        bits = -float(log_p[int(tokens.solution[n, 0])]) / math.log(2)
        assert result.measures[n, 0] == pytest.approx(bits, rel=1e-4)
        assert result.exact[n] == (int(log_p.argmax()) == tokens.solution[n, 0])


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"model": {"causal": False}}, "--model.causal"),
        ({"halting": {"q_target": "lambda"}}, "choose delayed, bootstrap or halt_only"),
    ],
)
def test_what_no_text_can_be_learnt_with_is_refused(sections, reason):
    with pytest.raises(UserError, match=reason) as error:
        tiny_learner(tiny_text(**sections))
    assert "\n" not in str(error.value)


def test_puzzles_have_no_flat_path_to_teach():
    config = TINY.model_copy(update={"train": TINY.train.model_copy(update={"flat_share": 0.5})})
    with pytest.raises(UserError, match="is for text: leave it at 0 with sudoku"):
        tiny_learner(config)
