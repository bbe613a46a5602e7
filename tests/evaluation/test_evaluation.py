"""Evaluation against thinking about one puzzle at a time, and its sums against its parts."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from envs import NO_LEVEL, PAD, PuzzleBatch, make_task
from hrm_rl.agents.act.answers import LossOn
from hrm_rl.agents.act.engine import answers_by_segment
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Halting, Stopping
from hrm_rl.evaluation.scores import Evaluation, evaluate
from hrm_rl.evaluation.summaries import Summary, evaluation_scalars, summaries
from hrm_rl.models import HRM, RecurrentModel, build_model
from tests.helpers.tiny import TINY, grid, make_decisive, puzzles

TASK = make_task("sudoku", size=4)
BUDGET = 6
ADAPTIVE, FIXED = Stopping(BUDGET), Stopping(BUDGET, "fixed")


@pytest.fixture(scope="module")
def model() -> HRM:
    torch.manual_seed(0)
    model = build_model(TINY.model, TASK.vocab_size, grid(4, 4))
    make_decisive(model)
    # Let it want to halt after about a sixth of all segments.
    carry, advantage = model.initial_carry(30), []
    tokens = torch.from_numpy(mixed_puzzles().inputs).long()
    with torch.no_grad():
        for _ in range(BUDGET):
            carry, _, q = model(carry, tokens, torch.zeros(30, dtype=torch.int64))
            advantage.append(q[:, 0] - q[:, 1])
        model.q_head.bias[1] = torch.cat(advantage).quantile(5 / 6)
    return model


def of(model: RecurrentModel, q_target: str = "bootstrap", loss_on: LossOn = "all") -> Solver:
    return Solver(model, TASK, Q_TARGETS[q_target], loss_on)


def mixed_puzzles() -> PuzzleBatch:
    return PuzzleBatch.concatenate([puzzles(15, "easy"), puzzles(15, "hard")])


@pytest.fixture(scope="module")
def held_out() -> PuzzleBatch:
    """30 puzzles of two levels, some with unlabelled cells, the last of no level."""
    batch = mixed_puzzles()
    batch.solution[:5, 3] = PAD
    batch.level[-1] = NO_LEVEL
    return batch


@torch.no_grad()
def alone(model: HRM, puzzle: PuzzleBatch, budget: int) -> list[tuple[np.ndarray, bool]]:
    """Answer and wish to halt after each segment of thinking about one puzzle (1, L) without a batch."""
    carry, thoughts = model.initial_carry(1), []
    for _ in range(budget):
        tokens = torch.from_numpy(puzzle.inputs).long()
        carry, logits, q = model(carry, tokens, torch.from_numpy(puzzle.identifier))
        thoughts.append((logits.argmax(-1)[0].numpy().astype(np.uint8), bool(q[0, 0] > q[0, 1])))
    return thoughts


def assert_equal(one: Evaluation, other: Evaluation) -> None:
    for field in fields(Evaluation):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)


def exact(answer: np.ndarray, solution: np.ndarray) -> bool:
    return bool(((answer == solution) | (solution == PAD)).all())


def test_adaptive_is_thinking_about_each_puzzle_until_its_own_halt(model: HRM, held_out: PuzzleBatch) -> None:
    result = evaluate(of(model), held_out, ADAPTIVE)
    for n in range(len(held_out)):
        puzzle = held_out.take(slice(n, n + 1))
        thoughts = alone(model, puzzle, BUDGET)
        segments = next((k for k, (_, halts) in enumerate(thoughts, start=1) if halts), BUDGET)
        answer, solution = thoughts[segments - 1][0], held_out.solution[n]
        labelled = solution != PAD
        assert result.segments[n] == segments
        assert result.answer[n].tolist() == answer.tolist()
        assert result.exact[n] == exact(answer, solution)
        assert result.solved[n] == TASK.solved(puzzle.inputs, answer[None])[0]
        assert result.cells[n] == labelled.sum()
        assert result.cells_right[n] == (answer == solution)[labelled].sum()
        held = [thoughts[min(k, segments) - 1][0] for k in range(1, BUDGET + 1)]
        assert result.exact_after[n].tolist() == [exact(a, solution) for a in held]
    assert 1 in result.segments
    assert BUDGET in result.segments
    assert len(set(result.segments)) > 2


def test_fixed_spends_the_whole_budget_on_every_puzzle(model: HRM, held_out: PuzzleBatch) -> None:
    result = evaluate(of(model), held_out, FIXED)
    assert (result.segments == BUDGET).all()
    for n in (0, 7, 29):
        answers = [a for a, _ in alone(model, held_out.take(slice(n, n + 1)), BUDGET)]
        assert result.answer[n].tolist() == answers[-1].tolist()
        assert result.exact_after[n].tolist() == [exact(a, held_out.solution[n]) for a in answers]


def solution_by_segment(monkeypatch: pytest.MonkeyPatch, held_out: PuzzleBatch, model: HRM) -> None:
    """Let the model's answers be the solution in odd segments only, so that when one looks matters."""
    real, segment_of = model.forward, {}

    def forward(carry, tokens, identifier):
        next_carry, logits, q = real(carry, tokens, identifier)
        segment = segment_of.get(id(carry), 0) + 1
        segment_of[id(next_carry)] = segment
        kept.append(next_carry)
        if segment % 2:
            rows = [np.flatnonzero((held_out.inputs == t.numpy()).all(-1))[0] for t in tokens]
            solution = torch.from_numpy(held_out.solution[rows]).long()
            logits = torch.nn.functional.one_hot(solution, 6).float()
        return next_carry, logits, q

    kept: list[object] = []  # so that ids stay unique
    monkeypatch.setattr(model, "forward", forward)


def test_thinking_on_judges_every_segment_as_fixed_does_and_halts_as_adaptive_does(
    model: HRM, held_out: PuzzleBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    solution_by_segment(monkeypatch, held_out, model)
    think_on = evaluate(of(model), held_out, ADAPTIVE, think_on=True)
    fixed = evaluate(of(model), held_out, FIXED)
    np.testing.assert_array_equal(think_on.exact_after, fixed.exact_after)
    assert fixed.exact_after[:, ::2].all()
    assert not fixed.exact_after[:, 1::2].any()
    monkeypatch.undo()
    adaptive = evaluate(of(model), held_out, ADAPTIVE)
    on = evaluate(of(model), held_out, ADAPTIVE, think_on=True)
    for name in ("segments", "answer", "exact", "solved", "cells_right"):
        np.testing.assert_array_equal(getattr(on, name), getattr(adaptive, name), name)


def test_an_answer_is_held_to_the_end_of_the_budget_after_the_last_puzzle_has_halted(
    model: HRM, held_out: PuzzleBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    solution_by_segment(monkeypatch, held_out, model)
    with monkeypatch.context() as eager:
        eager.setattr(model.q_head.bias, "data", torch.tensor([1e6, -1e6]))
        result = evaluate(of(model), held_out, ADAPTIVE)
    assert (result.segments == 1).all()
    assert result.exact.all()
    assert result.exact_after.all()


@pytest.mark.parametrize("halting", ["adaptive", "fixed", "agree"])
@pytest.mark.parametrize("batch_size", [4, 23])
def test_batch_size_changes_nothing(
    batch_size: int, halting: Halting, model: HRM, held_out: PuzzleBatch
) -> None:
    stopping = Stopping(BUDGET, halting)
    expected = evaluate(of(model), held_out, stopping)
    assert_equal(evaluate(of(model), held_out, stopping, batch_size=batch_size), expected)


def test_progress_counts_the_puzzles_done(model: HRM, held_out: PuzzleBatch) -> None:
    done: list[int] = []
    evaluate(of(model), held_out, Stopping(1), batch_size=12, progress=done.append)
    assert done == [12, 24, 30]


def test_a_larger_budget_changes_nothing_for_puzzles_that_halted(model: HRM, held_out: PuzzleBatch) -> None:
    short, long = (evaluate(of(model), held_out, Stopping(budget)) for budget in (BUDGET, 5 * BUDGET))
    halted = short.segments < BUDGET
    np.testing.assert_array_equal(long.segments[halted], short.segments[halted])
    np.testing.assert_array_equal(long.answer[halted], short.answer[halted])
    np.testing.assert_array_equal(long.exact_after[:, :BUDGET][halted], short.exact_after[halted])
    assert (long.segments[~halted] >= BUDGET).all()
    assert long.segments.max() > BUDGET
    assert long.exact_after.shape == (30, 5 * BUDGET)


def test_evaluation_leaves_the_model_as_it_was(model: HRM, held_out: PuzzleBatch) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(of(model), held_out, Stopping(2))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_sums_of_parts_add_up_to_those_of_the_whole(model: HRM, held_out: PuzzleBatch) -> None:
    levels = len(TASK.levels)
    whole = evaluate(of(model), held_out, ADAPTIVE).sums(levels)
    for workers in (2, 3):
        parts = [
            evaluate(of(model), held_out.take(slice(rank, None, workers)), ADAPTIVE).sums(levels)
            for rank in range(workers)
        ]
        np.testing.assert_array_equal(np.sum(parts, axis=0), whole)


def test_a_worker_without_puzzles_adds_nothing(model: HRM, held_out: PuzzleBatch) -> None:
    nothing = evaluate(of(model), held_out.take(slice(0, 0)), ADAPTIVE).sums(len(TASK.levels))
    assert nothing.shape == (len(TASK.levels) + 1, 6 + BUDGET)
    assert not nothing.any()


def test_summaries_are_means_by_level_with_other_for_puzzles_of_none(
    model: HRM, held_out: PuzzleBatch
) -> None:
    result = evaluate(of(model), held_out, ADAPTIVE)
    sums = result.sums(len(TASK.levels))
    by_level = summaries(sums, TASK)
    assert list(by_level) == ["easy", "hard", "other"]
    for name, index in (("easy", 1), ("hard", 3), ("other", NO_LEVEL)):
        rows, summary = result.level == index, by_level[name]
        assert summary.puzzles == rows.sum()
        assert summary.exact_accuracy == pytest.approx(result.exact[rows].mean())
        assert summary.solved == pytest.approx(result.solved[rows].mean())
        assert summary.segments_mean == pytest.approx(result.segments[rows].mean())
        assert summary.cell_accuracy == pytest.approx(
            result.cells_right[rows].sum() / result.cells[rows].sum()
        )
        assert summary.accuracy_after_segment == pytest.approx(result.exact_after[rows].mean(0).tolist())
    total = Summary.of(sums.sum(axis=0), TASK.measures)
    assert total.puzzles == 30
    assert total.segments_mean == pytest.approx(result.segments.mean())


def test_a_model_trained_on_blanks_is_not_asked_for_the_given_cells(
    model: HRM, held_out: PuzzleBatch
) -> None:
    plain = evaluate(of(model), held_out, ADAPTIVE)
    given = ~TASK.unknown(held_out.inputs)
    assert (plain.answer != held_out.inputs)[given].any()
    kept = evaluate(of(model, loss_on="blanks"), held_out, ADAPTIVE)
    np.testing.assert_array_equal(kept.answer, np.where(given, held_out.inputs, plain.answer))
    pictured = answers_by_segment(of(model, loss_on="blanks"), held_out, 2)
    assert (pictured == held_out.inputs)[:, given].all()


class Measured(type(TASK)):
    """4x4 Sudoku with two measures: the digits 1 in the answer, and the 2s where the
    answer has a 1 in its corner."""

    measures = ("ones", "twos")

    def measure(self, inputs: np.ndarray, answer: np.ndarray) -> np.ndarray:
        ones, twos = (answer == 2).sum(1), (answer == 3).sum(1)
        return np.stack([ones, np.where(answer[:, 0] == 2, twos, np.nan)], axis=1)


def test_measures_are_means_over_the_answers_to_which_they_apply(model: HRM, held_out: PuzzleBatch) -> None:
    task = Measured(4)
    result = evaluate(replace(of(model), task=task), held_out, ADAPTIVE)
    applies = result.answer[:, 0] == 2
    assert 0 < applies.sum() < len(held_out)
    total = Summary.of(result.sums(len(task.levels)).sum(axis=0), task.measures)
    assert total.measures["ones"] == pytest.approx((result.answer == 2).sum(1).mean())
    assert total.measures["twos"] == pytest.approx((result.answer[applies] == 3).sum(1).mean())
    assert len(total.accuracy_after_segment) == BUDGET
    scalars = evaluation_scalars(result.sums(len(task.levels)), task)
    assert scalars["eval/ones"] == total.measures["ones"]
    assert "eval/easy/ones" in scalars


def test_a_measure_that_applies_to_no_answer_is_left_out(held_out: PuzzleBatch) -> None:
    task = Measured(4)
    result = Evaluation.empty(3, 16, BUDGET, measures=2)
    assert Summary.of(result.sums(len(task.levels)).sum(axis=0), task.measures).measures == {}


def test_pictured_answers_are_those_of_a_fixed_budget(model: HRM, held_out: PuzzleBatch) -> None:
    few = held_out.take(np.array([0, 9, 20]))
    answers = answers_by_segment(of(model), few, 4)
    assert answers.shape == (4, 3, 16)
    for n in range(3):
        thoughts = alone(model, few.take(slice(n, n + 1)), 4)
        assert answers[:, n].tolist() == [a.tolist() for a, _ in thoughts]


def test_halting_follows_the_rule_that_the_model_was_trained_for(model: HRM, held_out: PuzzleBatch) -> None:
    found = evaluate(of(model, "halt_only"), held_out, Stopping(BUDGET)).segments
    carry = model.initial_carry(len(held_out))
    tokens, identifier = torch.from_numpy(held_out.inputs).long(), torch.from_numpy(held_out.identifier)
    expected = np.full(len(held_out), BUDGET)
    with torch.no_grad():
        for segment in range(1, BUDGET):
            carry, _, q = model(carry, tokens, identifier)
            expected[(q[:, 0] > 0).numpy() & (expected == BUDGET)] = segment
    assert found.tolist() == expected.tolist()
    assert found.tolist() != evaluate(of(model), held_out, ADAPTIVE).segments.tolist()
