"""Which segments are recorded, and that learning and judging do not notice. The recording itself needs a GPU
(tests/models/test_gpu.py); here a stand-in keeps every output in one place, as a recorded segment does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import can_record
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.models import RecurrentModel, graphs
from hrm_rl.models.graphs import MOST_RECORDED, RECORDED_AT, SegmentGraphs
from hrm_rl.models.layers.linear import Linear
from hrm_rl.models.tracing import trace
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import batch, small
from tests.helpers.tiny import (
    assert_same,
    learner_tensors,
    make_decisive,
    puzzles,
    solver_of,
    tiny_config,
    tiny_learner,
)


class Tape:
    """In place of `graphs._record`: the next replay overwrites what the one before has returned."""

    def __init__(self) -> None:
        self.recorded: list[tuple[bool, int]] = []
        self.replays = 0

    def record(self, model: RecurrentModel, *inputs: Tensor) -> Callable[..., Any]:
        self.recorded.append((torch.is_grad_enabled(), len(inputs[0])))
        rooms = [torch.empty_like(model.segment(*inputs, drop=False)[i]) for i in range(4)]

        def replay(*values: Tensor) -> tuple[Tensor, ...]:
            self.replays += 1
            outputs = model.segment(*values, drop=False)
            for room, output in zip(rooms, outputs, strict=True):
                room.copy_(output.detach())
            return tuple(
                _Overwritten.apply(output, room) for output, room in zip(outputs, rooms, strict=True)
            )

        return replay


class _Overwritten(torch.autograd.Function):
    """The value that is in `room` when it is looked at, with the gradient of `output`."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, room: Tensor) -> Tensor:
        return room.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, None


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> Tape:
    tape = Tape()
    monkeypatch.setattr(graphs, "_record", tape.record)
    return tape


def trained(recorded: bool, **sections: Any) -> tuple[Learner, np.ndarray]:
    """After 9 updates, each judged with the averaged weights: the learner, and the judgements."""
    learner = tiny_learner(tiny_config(**sections, optim={"ema_decay": 0.5}))
    make_decisive(learner.model)
    if recorded:
        learner.model.recorded = SegmentGraphs(learner.model)
    held_out, judged = puzzles(12), []
    for _ in range(9):
        learner.update()
        with learner.evaluation_weights():
            result = evaluate(solver_of(learner), held_out, Stopping(3), batch_size=3)
        judged.append(result.sums(len(learner.env.task.levels)))
    return learner, np.stack(judged)


@pytest.mark.parametrize("q_target", ["bootstrap", "delayed"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_recorded_segments_train_and_judge_as_those_that_are_not(
    dtype: str, q_target: str, tape: Tape
) -> None:
    sections = {"model": {"dtype": dtype, "puzzle_emb_ndim": 16}, "halting": {"q_target": q_target}}
    plain, seen = trained(False, **sections)
    learner, seen_recorded = trained(True, **sections)
    assert (True, 4) in tape.recorded
    assert ((False, 4) in tape.recorded) == (q_target == "bootstrap")
    assert tape.replays > 9
    assert_same(learner_tensors(learner), learner_tensors(plain))
    np.testing.assert_array_equal(seen_recorded, seen)


def test_what_a_replay_returns_is_there_after_the_next_one(tape: Tape) -> None:
    model = small()
    model.recorded = SegmentGraphs(model)
    with torch.no_grad():
        for _ in range(RECORDED_AT):
            carry, logits, q = model(model.initial_carry(3), *batch())
        before = [t.clone() for t in (carry.z_h, carry.z_l, logits, q)]
        model(carry, *batch(seed=6))
    assert tape.replays == 2
    for found, expected in zip((carry.z_h, carry.z_l, logits, q), before, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("train", {"cuda_graphs": False}),
        ("train", {"micro_batches": 2}),
        ("halting", {"q_target": "lambda", "rollout_segments": 2}),
    ],
)
def test_runs_whose_updates_are_not_one_pass_record_nothing(section: str, values: dict[str, Any]) -> None:
    assert can_record(tiny_config(train={"cuda_graphs": True}))
    sections = {"train": {"cuda_graphs": True}}
    sections[section] = {**sections.get(section, {}), **values}
    assert not can_record(tiny_config(**sections))


def test_a_kind_of_segment_is_recorded_when_it_is_asked_for_again_and_again_and_few_are(tape: Tape) -> None:
    model = small()
    model.recorded = SegmentGraphs(model)
    for slots in range(1, MOST_RECORDED + 3):
        for time in range(1, RECORDED_AT + 2):
            model(model.initial_carry(slots), *batch(slots))
            expected = min(slots - (time < RECORDED_AT), MOST_RECORDED)
            assert len(tape.recorded) == expected
    assert tape.recorded == [(True, slots) for slots in range(1, MOST_RECORDED + 1)]


def test_what_is_watched_or_drops_out_is_not_replayed(tape: Tape) -> None:
    model = small(dropout=0.5)
    model.recorded = SegmentGraphs(model)
    for _ in range(RECORDED_AT + 1):
        model(model.initial_carry(3), *batch())
    assert tape.recorded == []
    with torch.no_grad():
        for _ in range(RECORDED_AT + 1):
            model(model.initial_carry(3), *batch())
        replays = tape.replays
        assert replays
        with trace(model) as seen:
            model(model.initial_carry(3), *batch())
    assert tape.replays == replays
    assert seen.updates


def test_held_weights_stay_where_recorded_kernels_look_for_them(tape: Tape) -> None:
    model = small(dtype="bfloat16")
    model.recorded = SegmentGraphs(model)
    layer = next(module for module in model.modules() if isinstance(module, Linear))
    with model.unchanging():
        assert layer.held is layer.room
    with torch.no_grad():
        layer.weight.add_(1)
    with model.unchanging():
        assert layer.held is layer.room
        assert torch.equal(layer.room, layer.weight.bfloat16())


def test_what_cannot_be_recorded_ends_in_one_line_that_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(graphs, "_record", fails)
    model = small()
    model.recorded = SegmentGraphs(model)
    for _ in range(RECORDED_AT - 1):
        model(model.initial_carry(3), *batch())
    with pytest.raises(UserError, match=r"not permitted\); --train.no-cuda-graphs does without$"):
        model(model.initial_carry(3), *batch())
