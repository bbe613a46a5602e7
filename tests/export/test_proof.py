"""Agreement of a format with its network, on networks that are disturbed on purpose."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from envs import PuzzleBatch, make_task
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.solver import Solver
from hrm_rl.export.bundle import WrittenFormat, warning_of
from hrm_rl.export.formats import Format
from hrm_rl.export.program import SegmentProgram, in_float32
from hrm_rl.export.proof import Agreement, AnswerTrace, Comparison, compare, refuse_disagreement
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import TINY, make_decisive, puzzles

TASK = make_task("sudoku", size=4)
BUDGET = 4


def network() -> RecurrentModel:
    torch.manual_seed(1)
    model = build_model(TINY.model, TASK.vocab_size, TASK.coordinates())
    make_decisive(model)
    return in_float32(model)


def disturbed(model: RecurrentModel, part: str, by: float) -> RecurrentModel:
    other = copy.deepcopy(model)
    weight = dict(other.named_parameters())[part]
    weight.data += by * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    return other


def compared(other: RecurrentModel, count: int = 70) -> Agreement:
    model = network()
    solver = Solver(model, TASK, Q_TARGETS["bootstrap"], "all")
    return compare(solver, model, [other], puzzles(count), BUDGET)[0].agreement()


def test_a_network_agrees_with_itself() -> None:
    found = compared(network())
    assert (found.logits, found.drift, found.puzzles, found.budget) == (0, 0, 70, BUDGET)
    assert found.decisions == found.halting == found.answers == found.handed_in == 1
    np.testing.assert_allclose(found.fidelity, 1, atol=1e-12)
    assert found.faithful
    refuse_disagreement("x", found, full_precision=True)


def test_a_head_that_answers_otherwise_is_no_matter_of_the_state_and_is_refused() -> None:
    found = compared(disturbed(network(), "lm_head.weight", 0.1))
    assert found.logits > 1e-3
    assert found.answers < 1
    assert found.decisions == found.halting == 1
    np.testing.assert_allclose(found.fidelity, 1, atol=1e-12)
    with pytest.raises(UserError, match="x disagrees with the network, so nothing is written"):
        refuse_disagreement("x", found, full_precision=True)
    refuse_disagreement("x", found, full_precision=False)


def test_a_head_that_halts_otherwise_is_refused_too() -> None:
    found = compared(disturbed(network(), "q_head.weight", 0.2))
    assert found.drift == 0
    assert found.logits > 1e-3, "of a Q-value"
    assert found.decisions < 1
    assert not found.faithful


def test_a_layer_that_is_off_turns_the_state_more_with_every_segment() -> None:
    found = compared(disturbed(network(), "l_level.layers.0.mlp.down_proj.weight", 0.02))
    assert 0 < found.logits < found.drift
    assert 1 > found.fidelity[0] > found.fidelity[-1] > 0.5


def test_a_tie_may_fall_otherwise_and_is_counted() -> None:
    model, solver = network(), Solver(network(), TASK, Q_TARGETS["bootstrap"], "all")
    with torch.no_grad():
        model.q_head.weight.zero_()  # halt and continue are worth the same, to the last bit
        model.q_head.bias.copy_(torch.tensor([0.0, 0.0]))
        for by in (1e-5, 1e-2):
            other = copy.deepcopy(model)
            other.q_head.bias[0] = by
            found = compare(solver, model, [other], puzzles(5), BUDGET)[0].agreement()
            assert found.decisions == 1
            assert found.ties == 5 * BUDGET, "all of them are ties for the network"
            assert found.faithful == (by < 1e-4), "Q-values that are off are no tie"


def test_no_number_is_no_agreement() -> None:
    broken = network()
    broken.lm_head.weight.data[0, 0] = torch.nan
    found = compared(broken)
    assert found.logits == found.drift == float("inf")
    with pytest.raises(UserError, match="x gives infinity or NaN, so nothing is written"):
        refuse_disagreement("x", found, full_precision=False)


def test_what_is_handed_in_is_the_answer_of_the_first_halt_or_the_last() -> None:
    halts = np.array([[False, True], [True, False], [True, False]])
    trace = AnswerTrace(halts, np.arange(6, dtype=np.uint8).reshape(3, 2, 1))
    assert trace.segments().tolist() == [2, 1]
    assert trace.handed_in().ravel().tolist() == [2, 1]
    never = AnswerTrace(halts & False, trace.answers)
    assert never.segments().tolist() == [3, 3]
    assert never.handed_in().ravel().tolist() == [4, 5]


@pytest.mark.parametrize(
    ("kind", "wrong", "warned"), [("int8", 2, True), ("int8", 1, False), ("int4", 9, False)]
)
def test_int8_that_costs_more_than_half_a_point_is_warned_of(kind: Format, wrong: int, warned: bool) -> None:
    count = 200
    batch = PuzzleBatch.concatenate([puzzles(1)] * count)
    right = AnswerTrace(np.ones((1, count), bool), batch.solution[None])
    answers = batch.solution.copy()
    answers[:wrong] = 0
    found = Comparison(
        batch,
        right,
        AnswerTrace(right.halts, answers[None]),
        np.ones(1),
        np.ones(1),
        np.full((1, count), 0.97),
        np.zeros((1, count), bool),
        np.zeros((1, count, 16), bool),
    )
    made = WrittenFormat(kind, "", None, 1, None, found)  # type: ignore[arg-type]
    said = warning_of(made)
    assert (said is not None) == warned
    if said is not None:
        assert said.startswith("int8 costs 1.0 points of exact accuracy (2 lost, 0 won of 200 puzzles), more")
        assert "cosine 0.9700" in said


def test_the_bare_program_has_the_weights_that_it_is_compared_with() -> None:
    model = network()
    found = dict(SegmentProgram(model).model.state_dict())
    for name, weight in model.state_dict().items():
        turned = name.endswith("weight") and "q_head" not in name and "embed" not in name
        assert torch.equal(found[name], weight.t() if turned else weight), name
