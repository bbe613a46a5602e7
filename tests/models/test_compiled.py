"""Compiled blocks: the same numbers, two compilations a run, and a run without a compiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.models import compiled
from hrm_rl.models.tracing import trace
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.tiny import puzzles, solver_of, tiny_config, tiny_learner


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> CompileCounterWithBackend:
    """In place of the compiler, which is slow, what leads up to it: graphs, their backward passes, guards."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compiled, "BACKEND", counter)
    return counter


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_updates_and_evaluations_of_any_batch_compile_two_blocks_and_train_alike(
    dtype: str, counter: CompileCounterWithBackend
) -> None:
    sliced = {"global_batch_size": 9, "micro_batches": 2}  # 5 slots, then 4
    sections = {"model": {"dtype": dtype, "h_layers": 2, "swiglu_multiple": 16}}
    plain = tiny_learner(tiny_config(**sections, train=sliced))
    learner = tiny_learner(tiny_config(**sections, train=sliced | {"compile": "on"}))
    assert learner.not_compiled == ""
    assert learner.model.state_dict().keys() == plain.model.state_dict().keys()
    puzzles = learner.env.task.generate("easy", 40, np.random.default_rng(0))
    probed = counter.frame_count
    for _ in range(6):
        plain.update()
        learner.update()
        evaluate(solver_of(learner), puzzles, Stopping(2, "adaptive"))
    assert counter.frame_count - probed == 2  # with gradient and without
    limit = 1e-5 if dtype == "float32" else 5e-2
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(learner.model.state_dict()[name], value, rtol=limit, atol=limit, msg=name)


def test_a_compiled_network_can_be_watched_to_the_last_block(counter: CompileCounterWithBackend) -> None:
    learner = tiny_learner(tiny_config(train={"compile": "on"}))
    tokens = torch.from_numpy(puzzles(4).inputs).long()
    identifier = torch.zeros(len(tokens), dtype=torch.int64)
    carry = learner.model.initial_carry(len(tokens))
    with torch.no_grad():
        learner.model(carry, tokens, identifier)
        with trace(learner.model, attention=2) as seen:
            learner.model(carry, tokens, identifier)
    assert seen.updates
    assert all(attention.shape[0] == 2 for update in seen.updates for attention in update.attention)
    assert all(update.attention for update in seen.updates)


def test_a_run_without_a_compiler_says_so_in_one_line_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    torch._dynamo.reset()
    monkeypatch.setattr(compiled, "BACKEND", missing)
    said: list[str] = []
    config = tiny_config(train={"compile": "on", "max_updates": 2})
    Trainer(config, LocalWorker(config, tmp_path, said.append)).run()
    told = [line for line in said if "train.compile" in line]
    assert len(told) == 1
    assert "\n" not in told[0]
